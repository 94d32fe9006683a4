"""The bridge: a waterfall from what the front end claims to what the ERP holds, to the fen."""

from collections.abc import Callable

from markupsafe import Markup

from pipeline.report.drawing.canvas import PHONE_WIDTH, Canvas, choose_ticks
from pipeline.report.figures.totals import Bridge, BridgeStep
from pipeline.report.notation import Words, write_cases, write_count, write_fen

TITLE = Words("从前端宣称到 ERP 的金额桥", "Bridge from the front end's total to the ERP's")
WIDTH = 1176.0
# The steps are small beside the totals: the axis starts at a round number below the least running
# total, and the totals' bars bear a tear to say so.
ROOM_BELOW = 0.6


def draw_bridge(bridge: Bridge) -> Markup:
    """The bridge twice, for paper and for a phone: the style sheet shows one of them."""
    return _draw_on_paper(bridge) + _draw_on_phone(bridge)


def _draw_on_paper(bridge: Bridge) -> Markup:
    """The waterfall for paper and wide screens: one row per step that moves the total."""
    return _draw(bridge, WIDTH, left=190.0, right=236.0, row=30.0, css="wide")


def _draw_on_phone(bridge: Bridge) -> Markup:
    """The waterfall for a phone: name and amount above each bar."""
    return _draw(bridge, PHONE_WIDTH, left=0.0, right=0.0, row=44.0, css="narrow")


def _draw(
    bridge: Bridge, width: float, *, left: float, right: float, row: float, css: str
) -> Markup:
    steps = [step for step in bridge.steps if step.is_total or step.amount_fen or step.cases_count]
    canvas = Canvas(width, row * len(steps) + 6, TITLE, css=css)
    low, high = _axis(steps)
    room = width - left - right - 12

    def x(fen: float) -> float:
        return left + room * (min(max(fen, low), high) - low) / (high - low)

    for index, step in enumerate(steps):
        y = row * index + 4
        top, height = (y, 20.0) if left else (y + 19, 14.0)
        if index:
            before = x(steps[index - 1].end_fen)
            above = top - (row - height)
            canvas.draw("path", d=f"M{before:.1f} {above:.1f}V{top:.1f}", css="thread")
        _draw_bar(canvas, step, x, top, height, is_torn=low > 0)
        emphasis = "strong" if step.is_total else ""
        if left:
            canvas.write(left - 14, y + 15, step.name, css=f"label {emphasis}", text_anchor="end")
            amount_x = width - 96
        else:
            canvas.write(0.0, y + 13, step.name, css=f"label {emphasis}")
            amount_x = width - 52
        canvas.write(
            amount_x,
            y + (15 if left else 13),
            _signed(step),
            text_anchor="end",
            css=f"figure halo {emphasis} {_tone(step)}",
        )
        canvas.write(
            width,
            y + (15 if left else 13),
            _signed_cases(step, is_wide=bool(left)),
            css="small muted figure",
            text_anchor="end",
        )
    return canvas.render()


def _axis(steps: list[BridgeStep]) -> tuple[float, float]:
    ends = [step.end_fen for step in steps] + [step.amount_fen for step in steps if step.is_total]
    low, high = min(ends), max(ends)
    start = low - (high - low) * ROOM_BELOW
    if low <= 0 or start <= 0 or high == low:
        return min(float(low), 0.0), max(float(high), 1.0)
    return choose_ticks(start, high, 6)[0], float(high)


def _draw_bar(
    canvas: Canvas,
    step: BridgeStep,
    x: Callable[[float], float],
    top: float,
    height: float,
    *,
    is_torn: bool,
) -> None:
    start = x(0) if step.is_total else x(step.start_fen)
    end = x(step.end_fen)
    canvas.draw(
        "rect",
        title=step.name
        + Words("：", ": ")
        + write_fen(step.amount_fen)
        + Words("，", ", ")
        + write_cases(step.cases_count),
        x=min(start, end),
        y=top,
        width=max(abs(end - start), 1.2),
        height=height,
        css="ink" if step.is_total else ("leak-solid" if step.amount_fen < 0 else "gain"),
        data_step=step.step,
        data_amount_fen=step.amount_fen,
        data_cases=step.cases_count,
    )
    if step.is_total and is_torn:
        tear = start + 12
        canvas.draw(
            "path",
            d=f"M{tear:.1f} {top - 2:.1f}l4 {height / 2 + 2:.1f}l-4 {height / 2 + 2:.1f}",
            css="tear",
        )


def _signed(step: BridgeStep) -> str:
    if step.is_total or step.amount_fen <= 0:
        return write_fen(step.amount_fen)
    return "+" + write_fen(step.amount_fen)


def _signed_cases(step: BridgeStep, *, is_wide: bool) -> Words | str:
    if not step.cases_count:
        return "–"
    return write_cases(step.cases_count) if is_wide else write_count(step.cases_count)


def _tone(step: BridgeStep) -> str:
    if step.is_total or step.amount_fen == 0:
        return ""
    return "leak-text" if step.amount_fen < 0 else "gain-text"
