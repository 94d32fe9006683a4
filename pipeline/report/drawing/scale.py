"""The little scale of a card: a rate with its interval between 0 and 100 %, and the target."""

from markupsafe import Markup

from pipeline.report.drawing.canvas import Canvas
from pipeline.report.findings import LineFinding
from pipeline.report.notation import Words, write_interval, write_percent

TITLE = Words("闭环率与目标", "Closure rate and target")
WIDTH, HEIGHT, MIDDLE = 240.0, 34.0, 11.0
EDGE = 6.0


def draw_scale(finding: LineFinding) -> Markup:
    """The closure rate of one line as a point on its interval, against its target."""
    canvas = Canvas(WIDTH, HEIGHT, TITLE, css="scale")
    room = WIDTH - 2 * EDGE
    canvas.draw("rect", x=EDGE, y=MIDDLE - 1.5, width=room, height=3.0, css="track")
    goal = EDGE + room * finding.target
    canvas.draw("path", d=f"M{goal:.1f} 2V20", css="goal")
    label = Words("目标 ", "target ") + write_percent(finding.target, decimals=0)
    canvas.write(goal, 31.0, label, css="tiny muted", text_anchor="end" if goal > 180 else "middle")
    closure = finding.closure
    if closure:
        low, high = EDGE + room * closure.low, EDGE + room * closure.high
        canvas.draw(
            "rect",
            title=finding.name
            + f": {write_percent(closure.rate)} ({write_interval(closure.low, closure.high)})",
            x=low,
            y=MIDDLE - 3.5,
            width=max(high - low, 1.0),
            height=7.0,
            css=f"state-{finding.state} faint",
            data_low=closure.low,
            data_high=closure.high,
        )
        canvas.draw(
            "circle",
            cx=EDGE + room * closure.rate,
            cy=MIDDLE,
            r=5.0,
            css=f"state-{finding.state}",
            data_line=finding.row.business_line,
            data_claimed=closure.trials,
            data_closed=closure.successes,
        )
    return canvas.render()
