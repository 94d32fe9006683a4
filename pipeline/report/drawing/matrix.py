"""The matrix of business line by leg: the share of claimed cases with a record."""

from bisect import bisect_right
from itertools import zip_longest

from markupsafe import Markup

from pipeline.report.drawing.canvas import PHONE_WIDTH, Canvas, wrap
from pipeline.report.figures.legs import Cell, Matrix
from pipeline.report.notation import Words, write_count, write_percent
from pipeline.report.words import name_leg, name_system

TITLE = Words("业务线与环节的核实率", "Verified share by line and leg")
WIDTH = 580.0
# Css classes heat0 .. heat7, from pale red to deep green. The steps narrow towards the top, because
# whether an integration carries is decided between 90 % and 100 %.
HEAT_FLOORS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995)
LEGEND = Words("宣称成交单中有后台记录的占比，%", "% of claimed cases with a record")
WEAKEST = Words("最弱的必备环节", "weakest mandatory leg")


def draw_matrix(matrix: Matrix) -> Markup:
    """The matrix twice, for paper and for a phone: the style sheet shows one of them."""
    return _draw_on_paper(matrix) + _draw_on_phone(matrix)


def _draw_on_paper(matrix: Matrix) -> Markup:
    """The matrix for paper and wide screens: systems as upright heads."""
    row = 54.0 if len(matrix.rows) <= 4 else 42.0
    return _draw(matrix, WIDTH, left=92.0, head=42.0, row=row, css="wide")


def _draw_on_phone(matrix: Matrix) -> Markup:
    """The matrix for a phone: slanting heads, narrow cells."""
    return _draw(matrix, PHONE_WIDTH, left=74.0, head=86.0, row=34.0, css="narrow")


def _draw(
    matrix: Matrix, width: float, *, left: float, head: float, row: float, css: str
) -> Markup:
    slant = css == "narrow"
    room = width - left - (24 if slant else 0)
    column = min(room / max(len(matrix.legs), 1), 96.0)
    bottom = head + row * len(matrix.rows)
    canvas = Canvas(width, bottom + 40, TITLE, css=css)
    for index, leg in enumerate(matrix.legs):
        x = left + column * (index + 0.5)
        if slant:
            turn = f"rotate(-50 {x:.1f} {head - 6:.1f})"
            canvas.write(x, head - 6, name_system(leg), css="small muted", transform=turn)
        else:
            # Heads stand on the cells, so they are stacked from their last line upwards.
            name = name_system(leg)
            zh, en = (wrap(text, 11.5, column - 6)[::-1] for text in (name.zh, name.en))
            for line, (upper_zh, upper_en) in enumerate(zip_longest(zh, en, fillvalue="")):
                canvas.write(
                    x,
                    head - 10 - 14 * line,
                    Words(upper_zh, upper_en),
                    css="small muted",
                    text_anchor="middle",
                )
    for order, row_of_line in enumerate(matrix.rows):
        y = head + row * order
        canvas.write(left - 10, y + row / 2 + 4, row_of_line.name, css="label", text_anchor="end")
        for index, cell in enumerate(row_of_line.cells):
            _draw_cell(
                canvas,
                cell,
                row_of_line.business_line,
                row_of_line.name,
                left + column * index,
                y,
                column,
                row,
            )
    _draw_legend(canvas, 0.0 if slant else left, bottom + 14)
    return canvas.render()


def _draw_cell(
    canvas: Canvas,
    cell: Cell | None,
    line: str,
    name: Words,
    x: float,
    y: float,
    column: float,
    row: float,
) -> None:
    centre = x + column / 2
    if cell is None or cell.rate is None:
        canvas.write(centre, y + row / 2 + 5, "–", css="muted", text_anchor="middle")
        return
    heat = bisect_right(HEAT_FLOORS, cell.rate) - 1
    canvas.draw(
        "rect",
        title=name
        + Words("，", ", ")
        + name_leg(cell.leg)
        + Words(
            f"：宣称 {write_count(cell.claimed_count)}，核实 {write_count(cell.verified_count)}",
            f": {write_count(cell.claimed_count)} claimed, "
            f"{write_count(cell.verified_count)} verified",
        ),
        x=x + 1.5,
        y=y + 1.5,
        width=column - 3,
        height=row - 3,
        rx=2,
        css=f"heat{heat}" + (" weakest" if cell.is_weakest else ""),
        data_line=line,
        data_leg=cell.leg,
        data_claimed=cell.claimed_count,
        data_verified=cell.verified_count,
    )
    written = write_percent(cell.rate, decimals=1 if column > 40 else 0).removesuffix("%")
    css = f"figure strong on-heat{heat}"
    canvas.write(centre, y + row / 2 + 5, written, css=css, text_anchor="middle")


def _draw_legend(canvas: Canvas, x: float, y: float) -> None:
    for step in range(len(HEAT_FLOORS)):
        canvas.draw("rect", x=x + 12.0 * step, y=y, width=12.0, height=8.0, css=f"heat{step}")
    canvas.write(x + 12 * len(HEAT_FLOORS) + 8, y + 8, LEGEND, css="small muted")
    canvas.draw("rect", x=x + 1, y=y + 14, width=10.0, height=8.0, css="weakest hollow")
    canvas.write(x + 18, y + 23, WEAKEST, css="small muted")
