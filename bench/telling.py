"""A measurement as a person reads it, on a terminal and on its page, and as machines do."""

import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bench.measurement import MEASUREMENTS, Entry, Figures, Measured
from pipeline.terminal import line

DOCS = Path(__file__).resolve().parents[1] / "docs"
GIB = 1024**3


def print_list(console: Console) -> None:
    """Every measurement, and the question that it answers."""
    for entry in MEASUREMENTS.values():
        console.print(line(f"{entry.name:<8} {entry.question} -> docs/{entry.page}"))


def print_measured(console: Console, measured: Measured) -> None:
    """The tables, then each bar and whether it holds."""
    for figures in measured.tables:
        table = Table(*(escape(name) for name in figures.columns), title=figures.title, box=None)
        for row in figures.rows:
            table.add_row(*(Text(cell) for cell in row))
        for column in table.columns[1:]:
            column.justify = "right"
        console.print(table)
        console.print()
    for bar in measured.bars:
        console.print(line(f"{'✓' if bar.is_held else '✗'} {bar.name}: {bar.found}"))


def to_json(entry: Entry, measured: Measured) -> str:
    """The results and the bars, for machines."""
    told = {
        "measurement": entry.name,
        "command": measured.command,
        "has_passed": measured.has_passed,
        "bars": [vars(bar) for bar in measured.bars],
        "machine": machine(),
        "results": measured.results,
    }
    return json.dumps(told, ensure_ascii=False, indent=1)


def write_page(entry: Entry, measured: Measured, path: Path) -> None:
    """Write the measurement's page. It bears no date: the history of the file tells it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(_page(entry, measured)) + "\n", encoding="utf-8")


def _page(entry: Entry, measured: Measured) -> Iterator[str]:
    on = machine()
    yield f"# {entry.question}"
    yield ""
    yield f"Written by `{measured.command}`; do not edit by hand."
    yield (
        f"Measured on {on['cores']} cores with {on['memory_gib']} GiB of memory ({on['system']}),"
        f" Python {on['python']}, DuckDB {on['duckdb']}, dbt {on['dbt']}."
    )
    for remark in measured.remarks:
        yield ""
        yield remark
    for figures in measured.tables:
        yield ""
        yield from _markdown(figures)
    yield ""
    yield "## What must hold"
    yield ""
    for bar in measured.bars:
        yield f"- {'holds' if bar.is_held else '**does not hold**'}: {bar.name} ({bar.found})"


def _markdown(figures: Figures) -> Iterator[str]:
    yield f"## {figures.title}"
    yield ""
    yield "| " + " | ".join(figures.columns) + " |"
    yield "|---" + "|---:" * (len(figures.columns) - 1) + "|"
    for row in figures.rows:
        yield "| " + " | ".join(row) + " |"


def machine() -> Mapping[str, object]:
    """The machine in general words: what a reader needs to compare figures, and no name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory / GIB),
        "system": f"{platform.system()} {platform.machine()}",
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "duckdb": version("duckdb"),
        "dbt": version("dbt-core"),
    }
