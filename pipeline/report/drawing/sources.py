"""The sources: how far each is known, against the instant that the report may speak up to."""

from datetime import datetime

from markupsafe import Markup

from pipeline.report.drawing.canvas import PHONE_WIDTH, Canvas
from pipeline.report.figures.totals import Source
from pipeline.report.notation import Words, write_count, write_instant

TITLE = Words("各数据源已知到何时", "How far each source is known")
WIDTH = 1176.0
NOT_CONNECTED = Words("未接入", "not connected")


def draw_sources(sources: list[Source], as_of: datetime | None) -> Markup:
    """The sources twice, for paper and for a phone: the style sheet shows one of them."""
    return _draw_on_paper(sources, as_of) + _draw_on_phone(sources, as_of)


def _draw_on_paper(sources: list[Source], as_of: datetime | None) -> Markup:
    """One lane per landed table for paper and wide screens."""
    return _draw(sources, as_of, WIDTH, left=190.0, right=350.0, row=25.0, css="wide")


def _draw_on_phone(sources: list[Source], as_of: datetime | None) -> Markup:
    """One lane per landed table for a phone: its name stands above."""
    return _draw(sources, as_of, PHONE_WIDTH, left=0.0, right=0.0, row=40.0, css="narrow")


def _draw(
    sources: list[Source],
    as_of: datetime | None,
    width: float,
    *,
    left: float,
    right: float,
    row: float,
    css: str,
) -> Markup:
    head = 26.0 if left else 0.0
    canvas = Canvas(width, head + row * len(sources) + 4, TITLE, css=css)
    begins = [s.complete_from for s in sources if s.complete_from]
    ends = [s.complete_until for s in sources if s.complete_until]
    begin, end = min(begins, default=None), max(ends, default=None)
    first = begin.timestamp() if begin else 0.0
    span = max(end.timestamp() - first, 1.0) if end else 1.0
    room = width - left - right

    def x(instant: datetime) -> float:
        return left + room * (instant.timestamp() - first) / span

    for index, source in enumerate(sources):
        y = head + row * index
        baseline = y + (15 if left else 12)
        canvas.write(
            left - 14 if left else 0.0,
            baseline,
            source.name,
            css="label",
            text_anchor="end" if left else "start",
        )
        _write_state(canvas, source, width, baseline, is_wide=bool(left))
        if source.is_connected and source.complete_from and source.complete_until:
            start, stop = x(source.complete_from), x(source.complete_until)
            canvas.draw(
                "rect",
                title=source.name
                + Words("：已知到 ", ": known up to ")
                + write_instant(source.complete_until),
                x=start,
                y=y + (6 if left else 18),
                width=max(stop - start, 1.5),
                height=10.0,
                css="lane",
                data_table=source.table,
                data_rows=source.rows_count,
                data_quarantined=source.quarantined_count,
            )
    if left and as_of and begin and end and begin <= as_of <= end:
        at = x(as_of)
        bottom = head + row * len(sources)
        canvas.draw("path", d=f"M{at:.1f} {head - 4:.1f}V{bottom:.1f}", css="as-of")
        label = Words("判断截至 ", "judged as of ") + write_instant(as_of)
        canvas.write(at, head - 10, label, css="strong small", text_anchor="end")
    return canvas.render()


def _write_state(
    canvas: Canvas, source: Source, width: float, baseline: float, *, is_wide: bool
) -> None:
    if not source.is_connected:
        canvas.write(width, baseline, NOT_CONNECTED, css="small muted", text_anchor="end")
        return
    if not is_wide:
        canvas.write(
            width,
            baseline,
            write_instant(source.complete_until),
            css="small muted figure",
            text_anchor="end",
        )
        return
    canvas.write(
        width - 206,
        baseline,
        write_instant(source.complete_until),
        css="small figure",
        text_anchor="end",
    )
    rows = write_count(source.rows_count)
    canvas.write(
        width - 106,
        baseline,
        Words(f"{rows} 行", f"{rows} rows"),
        css="small muted figure",
        text_anchor="end",
    )
    held = write_count(source.quarantined_count)
    canvas.write(
        width,
        baseline,
        Words(f"隔离 {held}", f"{held} quarantined"),
        css=f"small figure {'leak-text strong' if source.quarantined_count else 'muted'}",
        text_anchor="end",
    )
