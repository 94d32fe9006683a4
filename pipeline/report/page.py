"""The page: read the published marts, work out findings and figures, fill the templates."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.report import notation, words
from pipeline.report.drawing.bridge import draw_bridge
from pipeline.report.drawing.conversion import draw_conversions
from pipeline.report.drawing.flow import draw_flow
from pipeline.report.drawing.funnel import draw_funnel
from pipeline.report.drawing.matrix import draw_matrix
from pipeline.report.drawing.scale import draw_scale
from pipeline.report.drawing.sources import draw_sources
from pipeline.report.drawing.timeline import draw_spark, draw_timeline
from pipeline.report.figures.divergences import figure_classes, figure_days
from pipeline.report.figures.flow import Flow, figure_flows
from pipeline.report.figures.legs import (
    Conversion,
    FunnelStep,
    Matrix,
    figure_conversions,
    figure_funnel,
    figure_matrix,
)
from pipeline.report.figures.totals import figure_bridge, figure_maturity, figure_sources
from pipeline.report.findings import Targets, find_lines, state_headline
from pipeline.report.queries import read_marts
from pipeline.report.rows import Marts

Language = Literal["zh", "en"]


@dataclass(frozen=True)
class LoopFigures:
    """The figures that each loop has of its own; `name` where the page tells of several."""

    name: notation.Words | None
    flow: Flow
    funnel: list[FunnelStep]
    matrix: Matrix
    conversions: list[Conversion]


def write_report(
    published: Path,
    out: Path,
    *,
    lang: Language = "zh",
    targets: Targets | None = None,
) -> Path:
    """Write the report of a published DuckDB file to `out` and return `out`.

    `lang` is the language shown first; the reader switches inside the page. `targets` gives the
    closure rate wanted per business line and loop (the loop contract's `target_closure`). An
    existing file is replaced in one step. Raises WarehouseError where the published file cannot be
    read.
    """
    page = render_page(read_marts(published), lang=lang, targets=targets or {})
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f".{out.name}.unfinished")
    unfinished.write_text(page, encoding="utf-8", newline="\n")
    return unfinished.replace(out)


def render_page(marts: Marts, *, lang: Language, targets: Targets) -> str:
    """The whole page as text."""
    lines = find_lines(marts, targets)
    days = figure_days(marts)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            lang=lang,
            as_of=marts.as_of,
            headline=state_headline(lines, marts),
            lines=lines,
            loops=[
                LoopFigures(
                    words.name_loop(flow.loop) if len(marts.loops) > 1 else None,
                    flow,
                    figure_funnel(marts, flow.loop),
                    figure_matrix(marts, flow.loop),
                    figure_conversions(marts, flow.loop),
                )
                for flow in figure_flows(marts)
            ],
            classes=figure_classes(marts),
            healed_count=marts.healed_count,
            days=days,
            bridge=figure_bridge(marts),
            sources=figure_sources(marts),
            maturity=figure_maturity(marts),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": notation.write_count,
        "percent": notation.write_percent,
        "money": notation.write_money,
        "fen": notation.write_fen,
        "instant": notation.write_instant,
        "cases": notation.write_cases,
        "say": say,
        "sentence": begin_sentence,
        "headed": head_by_loop,
        "system_name": words.name_system,
    }
    environment.globals |= {
        "Words": notation.Words,
        "interval": notation.write_interval,
        "period": notation.write_period,
        "draw_bridge": draw_bridge,
        "draw_conversions": draw_conversions,
        "draw_flow": draw_flow,
        "draw_funnel": draw_funnel,
        "draw_matrix": draw_matrix,
        "draw_scale": draw_scale,
        "draw_sources": draw_sources,
        "draw_spark": draw_spark,
        "draw_timeline": draw_timeline,
    }
    return environment


def begin_sentence(text: notation.Words) -> notation.Words:
    """The same words with a capital at the start."""
    return notation.Words(text.zh, text.en[:1].upper() + text.en[1:])


def head_by_loop(heading: notation.Words, loop: notation.Words | None) -> notation.Words:
    """A heading that says of which loop it is, where the page tells of several."""
    if loop is None:
        return heading
    return begin_sentence(loop) + " · " + heading


def say(text: notation.Words | str) -> Markup:
    """A text in both languages, of which the page shows one; once where they do not differ."""
    if isinstance(text, str) or text.zh == text.en:
        return Markup("{}").format(text if isinstance(text, str) else text.zh)
    return Markup(
        '<span class="zh" lang="zh-CN">{}</span><span class="en" lang="en">{}</span>'
    ).format(text.zh, text.en)
