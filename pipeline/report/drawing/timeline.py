"""Divergence over time: a daily share with its interval, and small columns per class."""

from dataclasses import dataclass

from markupsafe import Markup

from pipeline.decisions.intervals import RateInterval
from pipeline.report.drawing.canvas import PHONE_WIDTH, Canvas, choose_ticks, join_points
from pipeline.report.figures.divergences import ClassFigure, DayPoint
from pipeline.report.notation import (
    Words,
    write_count,
    write_day,
    write_interval,
    write_percent,
)

TITLE = Words("每日背离占比", "Daily share of diverging cases")
WIDTH = 1176.0
SPARK_WIDTH, SPARK_HEIGHT = 150.0, 26.0
# A day's interval may reach 100 % on a handful of cases: the axis follows the rates, the band is
# cut.
BAND_HEADROOM = 1.25


@dataclass(frozen=True)
class _Frame:
    """Where a day and a share stand."""

    left: float
    right: float
    top: float
    bottom: float
    days: int
    highest: float

    def x(self, index: int) -> float:
        if self.days == 1:
            return (self.left + self.right) / 2
        return self.left + (self.right - self.left) * index / (self.days - 1)

    def y(self, share: float) -> float:
        return self.bottom - (self.bottom - self.top) * min(share, self.highest) / self.highest


def draw_timeline(points: list[DayPoint]) -> Markup:
    """The daily share twice, for paper and for a phone: the style sheet shows one of them."""
    return _draw_on_paper(points) + _draw_on_phone(points)


def _draw_on_paper(points: list[DayPoint]) -> Markup:
    """The daily share for paper and wide screens."""
    return _draw(points, WIDTH, 300.0, left=48.0, right=84.0, most_days=11, css="wide")


def _draw_on_phone(points: list[DayPoint]) -> Markup:
    """The daily share for a phone."""
    return _draw(points, PHONE_WIDTH, 220.0, left=36.0, right=62.0, most_days=5, css="narrow")


def _draw(
    points: list[DayPoint],
    width: float,
    height: float,
    *,
    left: float,
    right: float,
    most_days: int,
    css: str,
) -> Markup:
    canvas = Canvas(width, height, TITLE, css=css)
    ticks = _share_ticks(points)
    frame = _Frame(left, width - right, 16.0, height - 30, len(points), ticks[-1])
    for tick in ticks:
        y = frame.y(tick)
        canvas.draw("path", d=f"M{left:.1f} {y:.1f}H{width - right:.1f}", css="grid")
        written = write_percent(tick, decimals=0 if ticks[-1] >= 0.05 else 1)
        canvas.write(
            left - 10, y + 4, written if tick else "0%", css="small muted figure", text_anchor="end"
        )
    _draw_unripe(canvas, points, frame)
    _draw_days(canvas, points, frame, most_days)
    for run in _runs(points):
        _draw_run(canvas, points, run, frame)
    for index, point in enumerate(points):
        if point.diverging:
            _draw_dot(canvas, points, index, frame)
    _draw_worst(canvas, points, frame)
    _write_last(canvas, points, frame)
    return canvas.render()


def _share_ticks(points: list[DayPoint]) -> list[float]:
    shares = [point.diverging.rate for point in points if point.diverging]
    return choose_ticks(0.0, min(max([*shares, 0.01]) * BAND_HEADROOM, 1.0), 7)


def _runs(points: list[DayPoint]) -> list[list[int]]:
    """Stretches of ripe days that have a rate: the line breaks where there is none."""
    runs: list[list[int]] = [[]]
    for index, point in enumerate(points):
        if point.diverging and point.is_ripe:
            runs[-1].append(index)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _interval(point: DayPoint) -> RateInterval:
    if point.diverging is None:
        raise ValueError(f"{point.day} has no mature claimed case")
    return point.diverging


def _draw_unripe(canvas: Canvas, points: list[DayPoint], frame: _Frame) -> None:
    """Shade the days on which some cases are still too young to judge."""
    step = (frame.right - frame.left) / max(len(points) - 1, 1)
    unripe = [i for i, p in enumerate(points) if p.maturity is not None and not p.is_ripe]
    for index in unripe:
        x = max(frame.x(index) - step / 2, frame.left)
        width = min(frame.x(index) + step / 2, frame.right) - x
        canvas.draw(
            "rect",
            title=write_day(points[index].day)
            + Words("：已可判 ", ": ")
            + write_percent(points[index].maturity)
            + Words("", " old enough to judge"),
            x=x,
            y=frame.top,
            width=width,
            height=frame.bottom - frame.top,
            css="unripe",
            data_day=points[index].day,
            data_maturity=points[index].maturity,
        )


def _draw_days(canvas: Canvas, points: list[DayPoint], frame: _Frame, most_days: int) -> None:
    every = next(
        (n for n in (1, 2, 3, 5, 7, 14, 30, 61, 92) if len(points) / n <= most_days),
        len(points) // most_days + 1,
    )
    for index in range(0, len(points), every):
        day = points[index].day
        x = frame.x(index)
        canvas.write(
            x,
            frame.bottom + 20,
            f"{day.month}/{day.day}",
            css="small muted figure",
            text_anchor="middle",
        )


def _draw_run(canvas: Canvas, points: list[DayPoint], run: list[int], frame: _Frame) -> None:
    intervals = [_interval(points[index]) for index in run]
    upper = [(frame.x(i), frame.y(v.high)) for i, v in zip(run, intervals, strict=True)]
    lower = [(frame.x(i), frame.y(v.low)) for i, v in zip(run, intervals, strict=True)]
    if len(run) > 1:
        canvas.draw("path", d=join_points([*upper, *reversed(lower)]) + "Z", css="band")
        unclosed = [
            (frame.x(i), frame.y(points[i].open_count / points[i].claimed_count)) for i in run
        ]
        canvas.draw("path", d=join_points(unclosed), css="line-open")
        middle = [(frame.x(i), frame.y(v.rate)) for i, v in zip(run, intervals, strict=True)]
        canvas.draw("path", d=join_points(middle), css="line")
    else:
        canvas.draw("path", d=join_points([upper[0], lower[0]]), css="line")


def _draw_dot(canvas: Canvas, points: list[DayPoint], index: int, frame: _Frame) -> None:
    point, interval = points[index], _interval(points[index])
    canvas.draw(
        "circle",
        title=write_day(point.day)
        + Words("：背离 ", ": ")
        + f"{write_count(point.diverging_count)} / {write_count(point.claimed_count)}"
        + f" = {write_percent(interval.rate)} ({write_interval(interval.low, interval.high)})"
        + Words(f"，未闭环 {point.open_count}", f" diverging, {point.open_count} not closed"),
        cx=frame.x(index),
        cy=frame.y(interval.rate),
        r=2.6,
        css="ink" if point.is_ripe else "unripe-dot",
        data_day=point.day,
        data_claimed=point.claimed_count,
        data_diverging=point.diverging_count,
        data_open=point.open_count,
        data_low=interval.low,
        data_high=interval.high,
    )


def _draw_worst(canvas: Canvas, points: list[DayPoint], frame: _Frame) -> None:
    """Name the day that is worst beyond doubt: the one with the highest lower bound."""
    judged = [index for run in _runs(points) for index in run]
    if len(judged) < 2:
        return
    worst = max(judged, key=lambda index: (_interval(points[index]).low, -index))
    interval = _interval(points[worst])
    if interval.rate == 0:
        return
    x, y = frame.x(worst), frame.y(interval.rate)
    canvas.draw("circle", cx=x, cy=y, r=4.5, css="worst")
    is_right = x > (frame.left + frame.right) / 2
    label = write_day(points[worst].day) + f" · {write_percent(interval.rate)}"
    canvas.write(
        x + (-9 if is_right else 9),
        max(y - 9, frame.top + 4),
        label,
        css="strong small leak-text",
        text_anchor="end" if is_right else "start",
    )


def _write_last(canvas: Canvas, points: list[DayPoint], frame: _Frame) -> None:
    runs = _runs(points)
    if not runs:
        return
    last = runs[-1][-1]
    interval, point = _interval(points[last]), points[last]
    y, open_y = frame.y(interval.rate), frame.y(point.open_count / point.claimed_count)
    if open_y - y < 30:  # two labels of two lines each need their room
        y, open_y = min(y, frame.bottom - 34), max(open_y, min(y, frame.bottom - 34) + 30)
    x = frame.x(last) + 9
    canvas.write(x, y, write_percent(interval.rate), css="strong figure halo")
    canvas.write(x, y + 13, Words("有背离", "diverging"), css="tiny muted halo")
    if point.open_count != point.diverging_count:
        canvas.write(
            x,
            open_y,
            write_percent(point.open_count / point.claimed_count),
            css="figure leak-text halo",
        )
        canvas.write(x, open_y + 13, Words("未闭环", "not closed"), css="tiny muted halo")


def draw_spark(figure: ClassFigure, points: list[DayPoint]) -> Markup:
    """Open cases of one class by day of entry, as small columns."""
    canvas = Canvas(
        SPARK_WIDTH, SPARK_HEIGHT, figure.label + Words("，按日", ", by day"), css="spark"
    )
    most = max([*figure.days, 1])
    step = SPARK_WIDTH / max(len(figure.days), 1)
    canvas.draw("path", d=f"M0 {SPARK_HEIGHT - 0.5}H{SPARK_WIDTH}", css="grid")
    for index, cases in enumerate(figure.days):
        if cases:
            height = (SPARK_HEIGHT - 2) * cases / most
            canvas.draw(
                "rect",
                title=write_day(points[index].day) + f": {write_count(cases)}",
                x=step * index,
                y=SPARK_HEIGHT - 0.5 - height,
                width=max(min(step - 1, 12.0), 0.6),
                height=height,
                css="leak-solid",
                data_day=points[index].day,
                data_cases=cases,
            )
    return canvas.render()
