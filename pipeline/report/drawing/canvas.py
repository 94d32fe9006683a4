"""The paper and pen of the charts: SVG elements as text, bilingual, always the same bytes."""

import re
from collections.abc import Iterable
from itertools import zip_longest
from math import ceil, floor, log10
from unicodedata import east_asian_width

from markupsafe import Markup, escape

from pipeline.report.notation import Words

PHONE_WIDTH = 358  # a 390 px phone less the margins of the page
HATCH_STEP = 6.0
WORD_OR_CHARACTER = re.compile(r"[!-~]+\s*|\S\s*")


class Canvas:
    """One SVG that is drawn from back to front.

    No ids, styles or references inside: a chart can stand twice in a page, once per screen size.
    """

    def __init__(self, width: float, height: float, title: Words, *, css: str = "") -> None:
        self._opening = Markup('<svg class="{}" viewBox="0 0 {} {}" role="img">{}').format(
            f"chart {css}".strip(), number(width), number(height), _title(title)
        )
        self._marks: list[Markup] = []

    def draw(self, tag: str, *, title: Words | None = None, **attributes: object) -> None:
        """Add one mark. `css` is its class; underscores in names become hyphens."""
        content = _title(title) if title else Markup()
        self._marks.append(_element(tag, content, attributes))

    def write(self, x: float, y: float, text: Words | str, **attributes: object) -> None:
        """Add a text; where the languages differ, one element for each."""
        own = str(attributes.pop("css", ""))
        if isinstance(text, str):
            self._marks.append(_element("text", text, {"x": x, "y": y, "css": own} | attributes))
            return
        for language, content in (("zh", text.zh), ("en", text.en)):
            css = f"{language} {own}".strip()
            self._marks.append(_element("text", content, {"x": x, "y": y, "css": css} | attributes))

    def hatch(self, x: float, y: float, width: float, height: float, *, css: str) -> None:
        """Fill a rectangle with slanting lines, cut exactly at its edges."""
        strokes = []
        offset = HATCH_STEP / 2
        while offset < width + height:
            left, right = max(0.0, offset - height), min(width, offset)
            strokes.append(
                f"M{number(x + left)} {number(y + offset - left)}"
                f"L{number(x + right)} {number(y + offset - right)}"
            )
            offset += HATCH_STEP
        if strokes:
            self.draw("path", d="".join(strokes), css=css)

    def render(self) -> Markup:
        """The whole SVG element."""
        return self._opening + Markup("\n").join(self._marks) + Markup("</svg>")


def number(value: float) -> str:
    """A coordinate to a tenth of a pixel, without trailing zeros: equal charts, equal bytes."""
    written = f"{value:.1f}".removesuffix(".0")
    return "0" if written == "-0" else written


def measure(text: str, size: float) -> float:
    """The width of a text in pixels, near enough to wrap and to keep clear of it."""
    return size * sum(1.0 if east_asian_width(c) in "WF" else 0.54 for c in text)


def wrap(text: str, size: float, width: float) -> list[str]:
    """Break a text into lines no wider than `width`, between words or Chinese characters."""
    lines = [""]
    for piece in WORD_OR_CHARACTER.findall(text):
        if lines[-1] and measure((lines[-1] + piece).rstrip(), size) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def wrap_words(text: Words, size: float, width: float) -> list[Words]:
    """Wrap both languages; the shorter one ends in empty lines."""
    pairs = zip_longest(wrap(text.zh, size, width), wrap(text.en, size, width), fillvalue="")
    return [Words(zh, en) for zh, en in pairs]


def choose_ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` round values from at or below `low` to at or above `high`."""
    if high <= low:
        high = low + 1
    rough = (high - low) / max(most - 1, 1)
    magnitude = 10 ** floor(log10(rough))
    for factor in (1, 1.5, 2, 2.5, 5, 10, 20):
        step = factor * magnitude
        first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
        if last - first + 1 <= most:
            break
    return [round(step * index, 10) for index in range(first, last + 1)]


def join_points(points: Iterable[tuple[float, float]]) -> str:
    """A path through points."""
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)


def _title(title: Words) -> Markup:
    return Markup("<title>{}</title>").format(str(title))


def _element(tag: str, content: str | Markup, attributes: dict[str, object]) -> Markup:
    written = Markup().join(
        Markup(' {}="{}"').format(
            "class" if name == "css" else name.replace("_", "-"),
            # Marks carry their data whole; only coordinates are rounded.
            number(value)
            if isinstance(value, float) and not name.startswith("data_")
            else escape(value),
        )
        for name, value in attributes.items()
        if value is not None and not (name == "css" and value == "")
    )
    if not content:
        return Markup("<{}{}/>").format(tag, written)
    return Markup("<{0}{1}>{2}</{0}>").format(tag, written, content)
