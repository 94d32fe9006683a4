"""How results look on a terminal. What they are is decided elsewhere."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:  # what a command does not need, it does not wait for
    import duckdb

    from pipeline.alerts import Alert, AlertStory
    from pipeline.build import BuildSummary, Progress
    from pipeline.company.creation import Created, Wanted
    from pipeline.doctor import Finding, Level
    from pipeline.reported import Reported
from pipeline.simulation import Score

SHANGHAI = ZoneInfo("Asia/Shanghai")
SHOWN_DISAGREEMENTS = 5
# A table that is piped on should not be folded to the width of no terminal.
WIDTH_OF_A_FILE = 200
STATE_MARKS = {"done": "✓", "failed": "✗", "retrying": "↻"}
LEVEL_MARKS: Mapping[Level, str] = {"ok": "✓", "note": "·", "problem": "✗"}
MARK_STYLES = {
    "✓": "green", "!": "yellow", "↻": "yellow", "…": "cyan", "✗": "red", "?": "magenta",
    "–": "dim", "·": "cyan",
}  # fmt: skip


def open_console(*, is_for_progress: bool = False) -> Console:
    """A console on this very output, whatever the output is redirected to later."""
    file = sys.stderr if is_for_progress else sys.stdout
    width = None if file.isatty() else WIDTH_OF_A_FILE
    return Console(file=file, width=width, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Keep dbt's line for each of its hundreds of steps off the output; it has a log of its own."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def tell_warnings() -> None:
    """Print the pipeline's warnings on standard error, each of them once."""
    logging.getLogger("pipeline").handlers = [_Telling(logging.WARNING)]


class _Telling(logging.Handler):
    """Writes each new message to whatever is standard error at that moment."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self._told:
            self._told.add(message)
            sys.stderr.write(f"! {message}\n")


def line(text: str, style: str = "") -> Text:
    """Text as it is: case numbers and paths may hold what looks like markup."""
    styled = Text(text, style=style, overflow="fold")
    if text[:1] in MARK_STYLES:
        styled.stylize(MARK_STYLES[text[0]], 0, 1)
    return styled


class BuildProgress:
    """Prints a line as each step of a build ends, and on a terminal shows the one that runs.

    A context manager, so that what is shown of a running step is gone when the build ends.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._running = Spinner("dots")
        # Without redirection: a Live that takes over standard output would bring the chatter back.
        self._live = Live(
            self._running,
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> BuildProgress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, progress: Progress) -> None:
        step = progress.stage if progress.stage != "landing" else f"landing {progress.step}"
        mark = STATE_MARKS.get(progress.state)
        if mark is None:
            self._running.update(text=Text(step))
            return
        told = progress.told.split("\n")[0]
        self._console.print(line(f"{mark} {step:<28} {progress.seconds:6.1f} s  {told}"))


def print_created(console: Console, folder: Path, wanted: Wanted, created: Created) -> None:
    """What a new company folder is wired to, and what is left to do."""
    for role, systems in wanted.systems.items():
        console.print(line(f"✓ {role}: {', '.join(systems)}"))
    console.print(line(f"✓ {folder}: from {wanted.first_day} on"))
    console.print(line("next:"))
    for name in created.fill_in:
        console.print(line(f"  fill in what {folder / name} marks with `Fill in`"))
    if created.secrets:
        console.print(line(f"  set in {folder / '.env'}: {', '.join(created.secrets)}"))
    for exports in created.folders:
        console.print(line(f"  put exports into {exports}"))
    console.print(line(f"  bihuan doctor --company {folder}   shows what the mappings make of it"))
    console.print(line(f"  bihuan build --company {folder}"))


def print_findings(console: Console, findings: Iterable[Finding]) -> int:
    """Print each finding as it comes; return how many are problems."""
    problems = 0
    for finding in findings:
        problems += finding.level == "problem"
        told = finding.told.replace("\n", "\n  ")
        console.print(line(f"{LEVEL_MARKS[finding.level]} {finding.subject}: {told}"))
        for seen in finding.lines:
            console.print(line(f"    {seen}"))
        if finding.mend:
            console.print(line(f"    mend: {finding.mend}"))
    return problems


def print_summary(console: Console, summary: BuildSummary) -> None:
    """A build for a person: what was landed, what diverges, what was told, where to look."""
    console.print()
    console.print(
        line(
            f"{summary.company}: {summary.first_day} to {summary.last_day},"
            f" {summary.rows_count:,} rows landed, {summary.quarantined_count} quarantined,"
            f" {summary.revisions_count} days revised, {summary.seconds:.1f} s",
            "bold",
        )
    )
    for landed in summary.tables:
        if landed.not_ready:
            known = instant(landed.complete_until)
            told = f"! {landed.table} is complete until {known} only: {landed.not_ready}"
            console.print(line(told))
    console.print(line(f"{summary.cases_count:,} cases judged as of {instant(summary.as_of)}"))
    if summary.divergences:
        table = Table("divergence", "cases", "at stake", title="Open divergences", box=None)
        for total in summary.divergences:
            table.add_row(total.divergence, f"{total.count:,}", yuan(total.amount_at_stake_fen))
        for column in table.columns[1:]:
            column.justify = "right"
        console.print(table)
    else:
        console.print(line("no divergence is open"))
    residual = f"{summary.bridge_residual_fen} fen, {summary.bridge_residual_count} cases"
    console.print(line(f"bridge residual: {residual}"))
    for check in summary.checks_not_met:
        console.print(line(f"! {check.asset} {check.name}: {check.description}"))
    alerts = summary.alerts
    console.print(
        line(
            f"alerts: {alerts.open_count} open, {alerts.sent_count} sent now,"
            f" {alerts.pending_count} waiting, {alerts.failed_count} failed"
        )
    )
    for error in alerts.errors:
        console.print(line(f"! not sent: {error}"))
    console.print(line(f"published: {summary.published}"))
    console.print(line(f"report:    {summary.report}"))


def print_alerts(console: Console, alerts: Iterable[Alert]) -> None:
    """One row per alert."""
    table = Table("fingerprint", "state", "severity", "subject", "opened", "last bad day", box=None)
    for alert in alerts:
        table.add_row(
            alert.fingerprint,
            alert.state,
            alert.severity,
            " · ".join(word for word in _subject_words(alert) if word),
            instant(alert.opened_at),
            f"{alert.last_bad_day}",
        )
    console.print(table if table.row_count else line("no alert is open"))


def _subject_words(alert: Alert) -> tuple[str, ...]:
    about = alert.subject
    return about.source_table, about.business_line, about.leg, about.divergence


def print_alert(console: Console, story: AlertStory) -> None:
    """One alert: its transitions, what the rule found last, and cases to look into by full key."""
    print_alerts(console, [story.alert])
    for step in story.transitions:
        console.print(line(f"  {instant(step.as_of)}  {step.kind}  {step.note or ''}"))
    for found in story.evaluations:
        if found.as_of == story.evaluations[0].as_of:
            share = f"{found.found_count} of {found.judged_count}"
            shown = f"{share}, {found.value:.4g} against {found.threshold:.4g}"
            console.print(line(f"  {found.business_day}  {found.verdict}: {shown}"))
    for row in story.alert.facts.get("evidence", ()):
        console.print(line(f"  bihuan explain {row['case_id']}"))


def print_score(console: Console, score: Score) -> None:
    """What was found against what was planted, class by class, and the first that disagree."""
    names = ("divergence", "planted", "found", "precision", "recall")
    table = Table(*names, title="Found against planted", box=None)
    for cells in score.rows():
        table.add_row(*cells)
    for column in table.columns[1:]:
        column.justify = "right"
    console.print(table)
    for title, listed in (("missed", score.missed), ("wrong", score.wrong)):
        for row in listed[:SHOWN_DISAGREEMENTS]:
            console.print(line(f"✗ {title}: {row.case_id} {row.leg} {row.divergence}"))
        if len(listed) > SHOWN_DISAGREEMENTS:
            console.print(line(f"✗ {title}: and {len(listed) - SHOWN_DISAGREEMENTS} more"))


def print_reported(console: Console, told: Reported) -> None:
    """A past run held against the newest: figures per line, causes, and the first changes."""
    then, now = told.then, told.now
    console.print(
        line(
            f"run {then.run_no}, as of {instant(then.as_of)}, against run {now.run_no},"
            f" as of {instant(now.as_of)}: then → now",
            "bold",
        )
    )
    figures = Table("line", "loop", "legs", "refuted", "pending", "findings", "at stake", box=None)
    for row in told.lines:
        figures.add_row(
            escape(row.business_line),
            row.loop,
            *(_then_now(pair) for pair in (row.legs, row.refuted, row.pending, row.divergences)),
            " → ".join(yuan(fen) for fen in row.at_stake_fen),
        )
    console.print(figures)
    if not told.causes:
        console.print(line("nothing that was said then has changed"))
        return
    causes = Table("cause", "legs told otherwise", "after their day had closed", box=None)
    for cause in told.causes:
        causes.add_row(cause.cause, f"{cause.changes_count:,}", f"{cause.restated_count:,}")
    console.print(causes)
    for change in told.changes:
        mark = "restated" if change.is_restatement else "changed"
        before = _state(change.truth_before, change.divergence_before)
        after = _state(change.truth_after or "no case", change.divergence_after)
        source = f" [{change.cause_ref}]" if change.cause_ref else ""
        console.print(
            line(f"  {mark}: {change.case_id} {change.leg}: {before} → {after},"
                 f" {change.cause}{source}")
        )  # fmt: skip


def _then_now(pair: tuple[int, int]) -> str:
    return f"{pair[0]:,} → {pair[1]:,}"


def _state(truth: str, divergence: str | None) -> str:
    return truth if divergence in (None, "none") else f"{truth} ({divergence})"


def print_rows(console: Console, result: duckdb.DuckDBPyConnection) -> None:
    """The rows of a query."""
    names = [column[0] for column in result.description or []]
    table = Table(*(escape(name) for name in names), box=None)
    for row in result.fetchall():
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    console.print(table)


def instant(moment: datetime | None) -> str:
    """An instant in Shanghai time, for a person."""
    return f"{moment.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" if moment else "-"


def yuan(fen: int) -> str:
    """Fen as yuan with both decimals."""
    return f"{'-' if fen < 0 else ''}¥{abs(fen) // 100:,}.{abs(fen) % 100:02}"
