"""The demonstration: simulate a company, build it, and hold what was found against the truth."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import date
from pathlib import Path

from rich.console import Console

from pipeline.build import BuildSummary, build
from pipeline.company import load_company
from pipeline.company.creation import TEMPLATE
from pipeline.errors import ConfigurationError
from pipeline.simulation import (
    Options,
    judged_without_makers,
    running_systems,
    score,
    simulate,
    untracked_days,
)
from pipeline.simulation.simulate import TRYTON
from pipeline.simulation.tryton.serving import running_tryton
from pipeline.terminal import (
    BuildProgress,
    line,
    print_score,
    print_summary,
    without_chatter,
    yuan,
)

# What a build leaves in the data folder, and nothing else there.
RESULTS = (
    "landing", "quarantine", "dbt", "published", "warehouse.duckdb", "warehouse.duckdb.wal",
    "bihuan.duckdb", "bihuan.candidate.duckdb", "bihuan.candidate.trusted.json",
    "alerts.sqlite", "alerts.sqlite-wal", "alerts.sqlite-shm", "alerts.lock", "report.html",
)  # fmt: skip
MARK_OF_THE_SIMULATED = "SIMULATED_WECHAT_URL"

QUERIES = (
    "select business_line, divergence, count(*) as cases, sum(amount_at_stake_fen) / 100 as yuan"
    " from marts.fct_divergences where healed_at is null group by all order by cases desc",
    "select business_line, leg, truth, count(*) as cases from marts.fct_case_legs"
    " group by all order by business_line, min(leg_rank), cases desc",
    "select business_day, business_line, sum(claimed_count) as claimed, sum(closed_count) as"
    " closed from marts.rpt_conversion_daily group by all order by business_day, business_line",
)


def simulate_company(
    folder: Path,
    *,
    seed: int,
    days: int,
    orders: int,
    console: Console,
    is_on_tryton: bool = False,
) -> None:
    """Write a simulated company's systems. Raises ConfigurationError on a real company's folder."""
    wiring = folder / "sources.yml"
    if wiring.exists() and MARK_OF_THE_SIMULATED not in wiring.read_text(encoding="utf-8"):
        raise ConfigurationError(
            f"{folder} is not the simulated company; nothing was changed",
            next_step="name the folder of a simulated company, or one that does not exist yet",
        )
    if is_on_tryton and folder.resolve() == TEMPLATE:
        raise ConfigurationError(
            f"{folder} is the template of companies; nothing was changed",
            next_step="name a folder of its own with --company: its sources.yml will name Tryton",
        )
    options = Options(seed=seed, days=days, orders=orders)
    told = simulate(folder, options, is_on_tryton=is_on_tryton)
    planted = sum(told.planted.values())
    console.print(
        line(
            f"simulated {told.first_day} to {told.last_day} (seed {told.seed}):"
            f" {told.people:,} people, {told.sessions:,} sessions, {told.events:,} events,"
            f" {told.cases:,} orders of which {told.abandoned_cases:,} were given up,"
            f" {yuan(told.paid_fen)} paid; {planted:,} faults of {len(told.planted)} classes"
            f" planted in {folder}",
            "bold",
        )
    )


def run_beside(folder: Path, command: Sequence[str]) -> int:
    """Run a command while the systems of a simulated company are up; return its exit code."""
    with running_systems(folder):
        environment = os.environ | {"BIHUAN_COMPANY": str(folder.resolve())}
        try:
            process = subprocess.Popen(command, env=environment)
        except OSError as error:
            raise ConfigurationError(f"{command[0]} cannot be run: {error.strerror}") from error
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # The terminal has sent it to the command too, which ends in its own time.
                continue


def show(
    folder: Path,
    data: Path | None,
    *,
    seed: int,
    days: int,
    orders: int,
    console: Console,
    is_on_tryton: bool = False,
) -> bool:
    """Simulate, build and compare; True where every planted fault was found, and nothing else."""
    simulate_company(
        folder, seed=seed, days=days, orders=orders, console=console, is_on_tryton=is_on_tryton
    )
    _start_afresh(load_company(folder, data=data).data)
    erp = running_tryton(folder / TRYTON) if is_on_tryton else nullcontext()
    with erp, running_systems(folder) as systems:
        company = load_company(folder, data=data)  # it names the servers' addresses
        with BuildProgress(console) as progress, without_chatter():
            summary = build(company, progress=progress)
        messages = list(systems.robot_messages)
    print_summary(console, summary)
    _print_messages(console, messages)
    result = score(folder, summary.published)
    console.print()
    print_score(console, result)
    planted_day = Options(seed=seed, days=days, orders=orders).untracked_day
    planted_days = [planted_day] if planted_day else []
    found_days = untracked_days(summary.published)
    console.print(
        line(
            f"days on which the tracker lost openings: found {_days(found_days)},"
            f" planted {_days(planted_days)}"
        )
    )
    with judged_without_makers(company.data) as judged:
        by_signs = score(folder, judged).of("manual_rekey")
    console.print(line(f"made by hand, were no maker told: {by_signs.describe()}"))
    _print_what_to_try(console, folder, data, summary)
    is_whole = result.is_perfect and found_days == planted_days
    return is_whole and summary.bridge_residual_fen == 0


def _days(days: Sequence[date]) -> str:
    return ", ".join(map(str, days)) or "none"


def _start_afresh(data: Path) -> None:
    """Remove what an earlier demonstration left: another seed is another company."""
    for name in RESULTS:
        path = data / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _print_messages(console: Console, messages: Sequence[dict[str, object]]) -> None:
    console.print()
    console.print(line(f"the group robot received {len(messages)} messages", "bold"))
    for message in messages:
        markdown = message.get("markdown")
        text = markdown.get("content") if isinstance(markdown, dict) else message
        for row in str(text).splitlines():
            console.print(line(f"  │ {row}"))


def _print_what_to_try(
    console: Console, folder: Path, data: Path | None, summary: BuildSummary
) -> None:
    where = f" --company {folder}" + (f" --data {data}" if data else "")
    program = _program()
    console.print()
    console.print(line(f"bridge residual: {summary.bridge_residual_fen} fen", "bold"))
    console.print(line(f"published file:  {summary.published}", "bold"))
    console.print(line(f"report:          {summary.report}", "bold"))
    console.print(line("three queries to try:", "bold"))
    for query in QUERIES:
        console.print(line(f'  {program} query{where} "{query}"'))


def _program() -> str:
    """How this program was called, as it can be called again from here."""
    called = Path(sys.argv[0])
    if called.name != "bihuan":
        return "bihuan"
    return str(called.relative_to(Path.cwd()) if called.is_relative_to(Path.cwd()) else called)
