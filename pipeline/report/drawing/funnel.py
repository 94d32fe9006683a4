"""The funnel of claimed and verified: solid where a record was found, hatched where none was."""

from markupsafe import Markup

from pipeline.report.drawing.canvas import PHONE_WIDTH, Canvas, measure
from pipeline.report.figures.legs import FunnelStep
from pipeline.report.notation import Words, write_count, write_percent

TITLE = Words("逐环节的宣称与核实", "Claimed and verified, leg by leg")
WIDTH = 560.0
VERIFIED = Words("后台核实", "Verified by the back end")
CLAIMED_ONLY = Words("仅前端宣称", "Claimed only")
OPTIONAL = Words("非必备环节", "not mandatory")


def draw_funnel(steps: list[FunnelStep]) -> Markup:
    """The funnel twice, for paper and for a phone: the style sheet shows one of them."""
    return _draw_on_paper(steps) + _draw_on_phone(steps)


def _draw_on_paper(steps: list[FunnelStep]) -> Markup:
    """The funnel for paper and wide screens: the leg's name stands left of its bar."""
    return _draw(steps, WIDTH, left=118.0, row=50.0, bar=31.0, css="wide")


def _draw_on_phone(steps: list[FunnelStep]) -> Markup:
    """The funnel for a phone: the leg's name stands above its bar."""
    return _draw(steps, PHONE_WIDTH, left=0.0, row=58.0, bar=24.0, css="narrow")


def _draw(
    steps: list[FunnelStep], width: float, *, left: float, row: float, bar: float, css: str
) -> Markup:
    canvas = Canvas(width, 34 + row * len(steps), TITLE, css=css)
    most = max(step.claimed_count for step in steps)
    room = width - left - 76
    _draw_legend(canvas, left, has_optional=not all(step.is_mandatory for step in steps))
    for index, step in enumerate(steps):
        y = 34 + row * index
        top = y if left else y + 22
        full = room * step.claimed_count / most
        solid = room * step.verified_count / most
        if left:
            canvas.write(left - 12, y + bar / 2 + 5, step.name, css="label", text_anchor="end")
        else:
            canvas.write(0.0, y + 15, step.name, css="label")
        _draw_bar(canvas, step, left, top, solid, full, bar)
        beside = left + full + 8
        if step.unbacked_count:
            share = f"−{write_percent(step.unbacked_count / step.claimed_count)}"
            claimed = write_count(step.claimed_count)
            canvas.write(beside, top + bar / 2 - 2, claimed, css="small muted")
            canvas.write(beside, top + bar / 2 + 13, share, css="small leak-text strong")
        else:
            canvas.write(beside, top + bar / 2 + 5, "100%", css="small good-text strong")
    return canvas.render()


def _draw_bar(
    canvas: Canvas, step: FunnelStep, x: float, y: float, solid: float, full: float, height: float
) -> None:
    data = {"data_leg": step.leg, "data_claimed": step.claimed_count}
    if step.unbacked_count:
        rest = full - solid
        canvas.draw("rect", x=x + solid, y=y, width=rest, height=height, css="claimed-only")
        canvas.hatch(x + solid, y, rest, height, css="hatch")
    canvas.draw(
        "rect",
        title=step.name
        + Words(
            f"：宣称 {write_count(step.claimed_count)}，核实 {write_count(step.verified_count)}",
            f": {write_count(step.claimed_count)} claimed, "
            f"{write_count(step.verified_count)} verified",
        ),
        x=x,
        y=y,
        width=solid,
        height=height,
        css="ink" if step.is_mandatory else "ink optional",
        data_verified=step.verified_count,
        **data,
    )
    written = write_count(step.verified_count)
    if measure(written, 15) + 14 <= solid:
        canvas.write(x + 9, y + height / 2 + 5, written, css="figure on-ink strong")


def _draw_legend(canvas: Canvas, left: float, *, has_optional: bool) -> None:
    canvas.draw("rect", x=left, y=4.0, width=12.0, height=12.0, css="ink")
    canvas.write(left + 18, 14.0, VERIFIED, css="small muted")
    canvas.draw("rect", x=left + 158, y=4.0, width=12.0, height=12.0, css="claimed-only")
    canvas.hatch(left + 158, 4.0, 12.0, 12.0, css="hatch")
    canvas.write(left + 176, 14.0, CLAIMED_ONLY, css="small muted")
    if has_optional:
        canvas.draw("rect", x=left + 262, y=4.0, width=12.0, height=12.0, css="ink optional")
        canvas.write(left + 280, 14.0, OPTIONAL, css="small muted")
