"""Session conversion per line: the surface's rate against the one that holds in the back end."""

from markupsafe import Markup

from pipeline.decisions.intervals import RateInterval
from pipeline.report.drawing.canvas import PHONE_WIDTH, Canvas, choose_ticks
from pipeline.report.figures.legs import Conversion
from pipeline.report.notation import Words, write_count, write_interval, write_percent

TITLE = Words("会话转化率：表面与核实", "Session conversion: surface and verified")
WIDTH = 560.0
SURFACE, VERIFIED = Words("表面", "surface"), Words("核实", "verified")


def draw_conversions(conversions: list[Conversion]) -> Markup:
    """The two conversions twice, for paper and for a phone: the style sheet shows one of them."""
    return _draw_on_paper(conversions) + _draw_on_phone(conversions)


def _draw_on_paper(conversions: list[Conversion]) -> Markup:
    """Both rates per line for paper and wide screens."""
    return _draw(conversions, WIDTH, left=118.0, css="wide")


def _draw_on_phone(conversions: list[Conversion]) -> Markup:
    """Both rates per line for a phone."""
    return _draw(conversions, PHONE_WIDTH, left=84.0, css="narrow")


def _draw(conversions: list[Conversion], width: float, *, left: float, css: str) -> Markup:
    row, head = 48.0, 26.0
    bottom = head + row * len(conversions)
    canvas = Canvas(width, bottom + 22, TITLE, css=css)
    highest = max(max(c.surface.high, c.verified.high) for c in conversions)
    ticks = choose_ticks(0.0, min(highest, 1.0), 6 if css == "wide" else 4)

    def x(share: float) -> float:
        return left + (width - left - 16) * share / ticks[-1]

    for tick in ticks:
        canvas.draw("path", d=f"M{x(tick):.1f} {head - 6:.1f}V{bottom:.1f}", css="grid")
        written = write_percent(tick, decimals=0 if ticks[-1] >= 0.05 else 1) if tick else "0%"
        canvas.write(x(tick), bottom + 16, written, css="small muted figure", text_anchor="middle")
    _draw_legend(canvas, left)
    for index, conversion in enumerate(conversions):
        y = head + row * index + row / 2
        canvas.write(left - 12, y + 5, conversion.name, css="label", text_anchor="end")
        surface, verified = x(conversion.surface.rate), x(conversion.verified.rate)
        canvas.draw("path", d=f"M{surface:.1f} {y:.1f}H{verified:.1f}", css="gap")
        for words, interval, mark in (
            (SURFACE, conversion.surface, "surface-dot"),
            (VERIFIED, conversion.verified, "ink"),
        ):
            _draw_rate(canvas, conversion, words, interval, mark, x(interval.rate), y)
            depth = 14.0 if mark == "surface-dot" else 10.0
            canvas.draw(
                "path",
                d=f"M{x(interval.low):.1f} {y + depth:.1f}H{x(interval.high):.1f}",
                css="whisker",
            )
        gap = conversion.surface.rate - conversion.verified.rate
        if gap > 0:
            points = f"−{write_percent(gap)[:-1]}"
            label = Words(f"{points} 个百分点", f"{points} points")
            canvas.write(
                (surface + verified) / 2,
                y - 11,
                label,
                css="small leak-text strong",
                text_anchor="middle",
            )
    return canvas.render()


def _draw_rate(
    canvas: Canvas,
    conversion: Conversion,
    words: Words,
    interval: RateInterval,
    css: str,
    x: float,
    y: float,
) -> None:
    canvas.draw(
        "circle",
        title=conversion.name
        + Words("，", ", ")
        + words
        + f": {write_percent(interval.rate)} ({write_interval(interval.low, interval.high)}), "
        + f"{write_count(interval.successes)} / {write_count(interval.trials)}",
        cx=x,
        cy=y,
        r=5.5,
        css=css,
        data_line=conversion.business_line,
        data_rate=words.en,
        data_converted=interval.successes,
        data_sessions=interval.trials,
    )


def _draw_legend(canvas: Canvas, left: float) -> None:
    canvas.draw("circle", cx=left + 6, cy=9.0, r=5.0, css="surface-dot")
    canvas.write(left + 18, 13.0, SURFACE, css="small muted")
    canvas.draw("circle", cx=left + 96, cy=9.0, r=5.0, css="ink")
    canvas.write(left + 108, 13.0, VERIFIED, css="small muted")
    canvas.draw("path", d=f"M{left + 178:.1f} 9H{left + 198:.1f}", css="whisker")
    canvas.write(left + 206, 13.0, Words("95% 区间", "95% interval"), css="small muted")
