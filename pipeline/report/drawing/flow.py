"""The order flow: cases through the systems in order, each leak where it happens."""

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from pipeline.report.drawing.canvas import PHONE_WIDTH, Canvas, measure, number, wrap_words
from pipeline.report.figures.flow import ExitKind, Flow, Stage
from pipeline.report.notation import Words, write_cases, write_count, write_percent

TITLE = Words("业务单据逐系统流转图", "Cases traced from system to system")
WIDTH = 1176.0
TOP = 56.0
FULL_HEIGHT = 168.0  # the height of all cases that enter
BAR_WIDTH = 10.0
INLET_X, FIRST_X, LAST_X = 128.0, 204.0, 1110.0
INLET_GAP = 12.0
LABEL_SIZE = 12.5
SHOWN_CAUSES = 2
HAIRLINE = 1.2  # a single case among thousands still shows
EXIT_KINDS: tuple[ExitKind, ...] = ("leak", "unknown")


@dataclass(frozen=True)
class _Scale:
    """Pixels per case, and where the stages stand."""

    entering: int
    gap: float

    def height(self, cases: int) -> float:
        return FULL_HEIGHT * cases / self.entering

    def x(self, index: int) -> float:
        return FIRST_X + self.gap * index


def draw_flow(flow: Flow) -> Markup:
    """The flow twice, for paper and for a phone: the style sheet shows one of them."""
    return _draw_on_paper(flow) + _draw_on_phone(flow)


def _draw_on_paper(flow: Flow) -> Markup:
    """The flow for paper and wide screens."""
    scale = _Scale(flow.stages[0].cases_count, (LAST_X - FIRST_X) / max(len(flow.stages) - 1, 1))
    floor = max(TOP + FULL_HEIGHT, _inlets_bottom(flow, scale)) + 40
    causes = [list(_cause_lines(stage, scale.gap - 14)) for stage in flow.stages]
    height = floor + 44 + 16 * max(len(lines) for lines in causes)
    canvas = Canvas(WIDTH, height, TITLE, css="wide")
    _draw_inlets(canvas, flow, scale)
    for index, stage in enumerate(flow.stages[1:], start=1):
        _draw_link(canvas, stage, scale, index)
        _draw_leak(canvas, flow.stages[index - 1], stage, scale, index, floor)
        _write_leak(canvas, flow.stages[index - 1], stage, causes[index], scale, index, floor)
    for index, stage in enumerate(flow.stages):
        _draw_stage(canvas, stage, scale, index, is_last=index == len(flow.stages) - 1)
    return canvas.render()


def _draw_inlets(canvas: Canvas, flow: Flow, scale: _Scale) -> None:
    y, filled = TOP - INLET_GAP * (len(flow.inlets) - 1) / 2, TOP
    y = max(y, 10.0)
    middle = (INLET_X + FIRST_X) / 2
    for index, inlet in enumerate(flow.inlets):
        thick = scale.height(inlet.cases_count)
        canvas.draw(
            "path",
            title=inlet.name + Words("：", ": ") + write_cases(inlet.cases_count),
            d=f"M{number(INLET_X)} {number(y)}C{number(middle)} {number(y)} {number(middle)} "
            f"{number(filled)} {number(FIRST_X)} {number(filled)}V{number(filled + thick)}"
            f"C{number(middle)} {number(filled + thick)} {number(middle)} {number(y + thick)} "
            f"{number(INLET_X)} {number(y + thick)}Z",
            css=f"inlet shade{min(index, 6)}",
            data_inlet=inlet.name.en,
            data_cases=inlet.cases_count,
        )
        canvas.draw("rect", x=INLET_X - 5, y=y, width=5.0, height=max(thick, 1.0), css="ink")
        centre = y + thick / 2
        canvas.write(INLET_X - 12, centre - 1, inlet.name, css="label", text_anchor="end")
        canvas.write(
            INLET_X - 12,
            centre + 13,
            write_count(inlet.cases_count),
            css="small muted",
            text_anchor="end",
        )
        y += max(thick + INLET_GAP, 30.0)
        filled += thick


def _inlets_bottom(flow: Flow, scale: _Scale) -> float:
    return 20 + sum(max(scale.height(i.cases_count) + INLET_GAP, 30.0) for i in flow.inlets)


def _draw_link(canvas: Canvas, stage: Stage, scale: _Scale, index: int) -> None:
    """Cases that went on, with those a human typed over as a band at the lower edge."""
    x, width = scale.x(index - 1) + BAR_WIDTH, scale.gap - BAR_WIDTH
    height = scale.height(stage.cases_count)
    if stage.cases_count:
        canvas.draw("rect", x=x, y=TOP, width=width, height=height, css="flow")
    if stage.human_count:
        thick = max(scale.height(stage.human_count), HAIRLINE)
        canvas.draw(
            "rect",
            title=Words("人工重录：", "Re-keyed by hand: ") + write_cases(stage.human_count),
            x=x,
            y=TOP + height - thick,
            width=width,
            height=thick,
            css="hand",
            data_hand=stage.leg,
            data_cases=stage.human_count,
        )


def _draw_leak(
    canvas: Canvas, before: Stage, stage: Stage, scale: _Scale, index: int, floor: float
) -> None:
    """What left between two systems, bent down from the lower edge, one band per kind of exit."""
    top = TOP + scale.height(stage.cases_count)
    left = scale.x(index - 1) + BAR_WIDTH
    right = _leak_right(stage, scale, index)
    for kind in EXIT_KINDS:
        cases = stage.lost_as(kind)
        if not cases:
            continue
        thick = max(scale.height(cases), HAIRLINE)
        canvas.draw(
            "path",
            title=before.system
            + Words(" 到 ", " to ")
            + stage.system
            + Words("：少 ", ": ")
            + write_cases(cases)
            + Words("", " fewer"),
            d=_bend(left, top, right, thick, floor),
            css=kind,
            data_exit=stage.leg,
            data_kind=kind,
            data_cases=cases,
        )
        top += thick
        right -= thick


def _leak_right(stage: Stage, scale: _Scale, index: int) -> float:
    """The right edge of the falling band: its middle as near to the label's as the gap allows."""
    thick = scale.height(stage.lost_count)
    wished = scale.x(index - 1) + BAR_WIDTH + scale.gap * 0.46 + thick / 2
    return min(max(wished, scale.x(index - 1) + BAR_WIDTH + thick + 16), scale.x(index) - 8)


def _bend(left: float, top: float, right: float, thick: float, floor: float) -> str:
    inner = max(min(18.0, right - thick - left), 2.0)
    outer = inner + thick
    return (
        f"M{number(left)} {number(top)}H{number(right - outer)}"
        f"Q{number(right)} {number(top)} {number(right)} {number(top + outer)}"
        f"V{number(floor)}H{number(right - thick)}V{number(top + thick + inner)}"
        f"Q{number(right - thick)} {number(top + thick)} {number(right - outer)} "
        f"{number(top + thick)}H{number(left)}Z"
    )


def _write_leak(
    canvas: Canvas,
    before: Stage,
    stage: Stage,
    causes: list[Words],
    scale: _Scale,
    index: int,
    floor: float,
) -> None:
    thick = scale.height(stage.lost_count)
    x = _leak_right(stage, scale, index) - thick / 2
    if not stage.lost_count:
        canvas.write(
            x, floor + 22, "0", css="muted", text_anchor="middle", data_leak=stage.leg, data_cases=0
        )
        return
    canvas.write(
        x,
        floor + 22,
        f"−{write_count(stage.lost_count)}",
        css="loss",
        text_anchor="middle",
        data_leak=stage.leg,
        data_cases=stage.lost_count,
    )
    share = write_percent(stage.lost_count / before.cases_count if before.cases_count else None)
    canvas.write(x, floor + 38, share, css="small leak-text", text_anchor="middle")
    for line, text in enumerate(causes):
        canvas.write(x, floor + 56 + 16 * line, text, css="label", text_anchor="middle")


def _cause_lines(stage: Stage, width: float) -> Iterator[Words]:
    """The commonest causes of a leak, wrapped to the gap; their numbers where there are several."""
    shown = stage.exits[:SHOWN_CAUSES]
    for item in shown:
        tail = f" {write_count(item.cases_count)}" if len(stage.exits) > 1 else ""
        yield from wrap_words(item.label + tail, LABEL_SIZE, width)
    rest = sum(item.cases_count for item in stage.exits[SHOWN_CAUSES:])
    if rest:
        yield Words(f"其他 {write_count(rest)}", f"other {write_count(rest)}")


def _draw_stage(canvas: Canvas, stage: Stage, scale: _Scale, index: int, *, is_last: bool) -> None:
    x, height = scale.x(index), scale.height(stage.cases_count)
    centre = x + BAR_WIDTH / 2
    canvas.draw(
        "rect",
        title=stage.system + Words("：", ": ") + write_cases(stage.cases_count),
        x=x,
        y=TOP,
        width=BAR_WIDTH,
        height=max(height, HAIRLINE),
        css="ink",
        data_stage=stage.leg,
        data_cases=stage.cases_count,
    )
    canvas.write(centre, TOP - 28, stage.system, css="strong", text_anchor="middle")
    canvas.write(
        centre, TOP - 10, write_count(stage.cases_count), css="figure muted", text_anchor="middle"
    )
    if index:
        css = "strong total" if is_last else "strong small"
        share = write_percent(stage.cases_count / scale.entering, decimals=1 if is_last else 0)
        canvas.write(x + BAR_WIDTH + 7, TOP + 17, share, css=css)


def _draw_on_phone(flow: Flow) -> Markup:
    """The flow as a list from top to bottom: a bar per system, the leak between two bars."""
    row = 74.0
    canvas = Canvas(PHONE_WIDTH, row * len(flow.stages) - 20, TITLE, css="narrow")
    entering = flow.stages[0].cases_count
    for index, stage in enumerate(flow.stages):
        y = row * index
        width = PHONE_WIDTH * stage.cases_count / entering
        if index:
            _write_leak_on_phone(canvas, stage, y - 8)
        canvas.write(0.0, y + 26, stage.system, css="strong")
        total = f"{write_count(stage.cases_count)} · {write_percent(stage.cases_count / entering)}"
        canvas.write(PHONE_WIDTH, y + 26, total, css="figure", text_anchor="end")
        canvas.draw("rect", x=0.0, y=y + 33, width=float(PHONE_WIDTH), height=14.0, css="track")
        lost = PHONE_WIDTH * stage.lost_count / entering
        canvas.draw("rect", x=width, y=y + 33, width=lost, height=14.0, css="leak")
        canvas.draw(
            "rect",
            title=stage.system + Words("：", ": ") + write_cases(stage.cases_count),
            x=0.0,
            y=y + 33,
            width=width,
            height=14.0,
            css="ink",
            data_stage=stage.leg,
            data_cases=stage.cases_count,
        )
    return canvas.render()


def _write_leak_on_phone(canvas: Canvas, stage: Stage, y: float) -> None:
    if not stage.lost_count:
        canvas.write(
            0.0,
            y + 14,
            Words("↓ 没有流失", "↓ nothing lost"),
            css="small muted",
            data_leak=stage.leg,
            data_cases=0,
        )
        return
    loss = f"↓ −{write_count(stage.lost_count)}"
    canvas.write(
        0.0, y + 14, loss, css="loss small", data_leak=stage.leg, data_cases=stage.lost_count
    )
    label = stage.exits[0].label
    if len(stage.exits) > 1:
        label += Words(f"等 {len(stage.exits)} 类", f" and {len(stage.exits) - 1} more")
    canvas.write(measure(loss, 15) + 10, y + 14, label, css="small")
