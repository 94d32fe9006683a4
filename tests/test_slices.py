"""Windows of time: nothing between them, nothing twice but what lies on a seam."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.slices import Window, windows

INSTANTS = st.integers(946_684_800_000_000, 2_208_988_800_000_000).map(
    lambda count: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=count)
)
RESOLUTIONS = st.sampled_from(
    [timedelta(microseconds=1), timedelta(milliseconds=1), timedelta(seconds=1), timedelta(days=1)]
)
SPANS = st.timedeltas(timedelta(0), timedelta(days=40))
STEPS = st.integers(1, 90_000)


@st.composite
def cuts(draw: st.DrawFn) -> tuple[datetime, datetime, timedelta, timedelta]:
    """A span, a longest window and a resolution, with few enough windows to count."""
    since, resolution = draw(INSTANTS), draw(RESOLUTIONS)
    longest = resolution * draw(STEPS) + draw(st.timedeltas(timedelta(0), resolution))
    span = min(draw(SPANS), longest * draw(st.integers(0, 50)))
    return since, since + span, longest, resolution


@given(cuts(), st.floats(0, 1))
def test_every_instant_lies_in_exactly_one_half_open_window(
    cut: tuple[datetime, datetime, timedelta, timedelta], share: float
) -> None:
    since, until, longest, resolution = cut
    instant = since + (until - since) * share
    holding = [
        window
        for window in windows(since, until, longest, resolution)
        if window.since <= instant < window.until
    ]
    # What lies at or behind the end may still lie in the step that the last window completes.
    assert len(holding) == 1 or (not holding and instant >= until)


@given(cuts(), st.floats(0, 1))
def test_closed_windows_give_twice_only_what_lies_on_a_seam(
    cut: tuple[datetime, datetime, timedelta, timedelta], share: float
) -> None:
    since, until, longest, resolution = cut
    cut_up = list(windows(since, until, longest, resolution))
    seams = {window.until for window in cut_up[:-1]}
    for instant in (since + (until - since) * share, *seams):
        holding = [window for window in cut_up if window.since <= instant <= window.until]
        assert not cut_up or len(holding) == (2 if instant in seams else 1)


@given(cuts())
def test_windows_adjoin_cover_the_span_and_keep_to_steps_and_length(
    cut: tuple[datetime, datetime, timedelta, timedelta],
) -> None:
    since, until, longest, resolution = cut
    cut_up = list(windows(since, until, longest, resolution))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for window in cut_up:
        assert timedelta(0) < window.until - window.since <= longest
        assert (window.since - epoch) % resolution == timedelta(0)
        assert (window.until - epoch) % resolution == timedelta(0)
    assert [w.until for w in cut_up[:-1]] == [w.since for w in cut_up[1:]]
    if since < until:
        assert since - resolution < cut_up[0].since <= since
        assert until <= cut_up[-1].until < until + resolution


def test_an_hour_of_closed_seconds_shares_the_seam_second() -> None:
    noon = datetime(2026, 10, 1, 12, tzinfo=UTC)
    longest = timedelta(minutes=60) - timedelta(seconds=1)
    found = list(windows(noon, noon + timedelta(minutes=60), longest, timedelta(seconds=1)))
    seam = noon + timedelta(seconds=3599)
    assert found == [Window(noon, seam), Window(seam, noon + timedelta(minutes=60))]


def test_a_window_shorter_than_a_step_is_no_window() -> None:
    noon = datetime(2026, 10, 1, 12, tzinfo=UTC)
    with pytest.raises(ValueError, match=r"a window of 0:00:00\.5"):
        list(windows(noon, noon, timedelta(seconds=0.5), timedelta(seconds=1)))
