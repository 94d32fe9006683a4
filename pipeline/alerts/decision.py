"""Deciding: what the published file shows becomes alerts, transitions and outbox rows, at once.

Everything is decided from the file and its `as_of`, nothing from the clock, and nothing is sent.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pipeline.alerts import rules
from pipeline.alerts.findings import Findings, read_findings
from pipeline.alerts.records import (
    Alert,
    Evaluation,
    Severity,
    Subject,
    Transition,
    write_instant,
)
from pipeline.alerts.state import AlertState
from pipeline.landing import business_day

# A silenced alert that heals is written down and not told: who silenced it asked for quiet.
NEVER_TOLD_FROM = "silenced"


class Channel(Protocol):
    """Where alerts are sent, as far as deciding is concerned."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class Decision:
    """What one run decided. `transitions` are the new ones; `open_count` counts unresolved alerts.

    `as_of` is None where a source has delivered nothing yet. `is_suppressed`: the file is older
    than one decided on before, so its divergences were judged and written down, and nothing else.
    """

    as_of: datetime | None
    transitions: tuple[Transition, ...]
    muted_legs: tuple[str, ...]
    open_count: int
    is_suppressed: bool


@dataclass(frozen=True)
class Judged:
    """One subject with what its rule says now; no outcome: muted, or not enough to judge by."""

    subject: Subject
    severity: Severity
    as_of: datetime
    outcome: rules.Outcome | None
    evaluations: tuple[Evaluation, ...]


def decide(published: Path, state: Path, channels: Iterable[Channel]) -> Decision:
    """Judge the published file; open, worsen and resolve alerts; queue what is to be told.

    One transaction: a run killed in it has decided nothing, a run killed after it leaves the
    outbox full and the next `send` empties it. Judging the same file again decides nothing new.
    Raises WarehouseError where there is no published file.
    """
    findings = read_findings(published)
    frontier = rules.find_frontier(findings.complete_until)
    unready = rules.find_unready(findings.complete_until)
    muted = rules.find_muted_legs(unready)
    names = [channel.name for channel in channels]
    taken: list[Transition] = []
    with AlertState(state) as store, store.transaction():
        newest_as_of, newest_frontier = store.newest_decided()
        is_old = _is_before(findings.as_of, newest_as_of)
        alerts = {alert.fingerprint: alert for alert in store.alerts()}
        for judged in _judge_shares(findings, alerts, muted):
            taken += _write_down(store, judged, alerts, names, is_suppressed=is_old)
        if frontier is not None:
            # Late sources are judged at the frontier: a source connected yesterday moves `as_of`
            # back, which must not hide that it is late.
            is_frontier_old = _is_before(frontier, newest_frontier)
            for judged in _judge_sources(findings, alerts, unready, frontier):
                taken += _write_down(store, judged, alerts, names, is_suppressed=is_frontier_old)
        store.note_decision(findings.as_of, frontier, is_suppressed=is_old)
    return Decision(
        as_of=findings.as_of,
        transitions=tuple(taken),
        muted_legs=muted,
        open_count=sum(alert.state != "resolved" for alert in alerts.values()),
        is_suppressed=is_old,
    )


def _judge_shares(
    findings: Findings, alerts: dict[str, Alert], muted: Sequence[str]
) -> Iterator[Judged]:
    if findings.as_of is None:
        return
    known = {alert.subject for alert in alerts.values() if alert.state != "resolved"}
    subjects = {subject for subject in known if subject.rule == "divergence_share"}
    for subject in sorted(subjects | set(findings.totals)):
        alert = alerts.get(subject.fingerprint)
        is_muted = subject.leg in muted
        yield _judge_share(findings, findings.as_of, subject, alert, is_muted=is_muted)


def _judge_share(
    findings: Findings,
    as_of: datetime,
    subject: Subject,
    alert: Alert | None,
    *,
    is_muted: bool,
) -> Judged:
    threshold = rules.choose_threshold(subject.divergence)
    is_active = alert is not None and alert.state != "resolved"
    last_bad_day = alert.last_bad_day if alert is not None and is_active else None
    days = rules.judge_days(findings.count_days(subject), threshold, last_bad_day)
    evaluations = tuple(
        Evaluation(
            fingerprint=subject.fingerprint,
            business_day=day.business_day,
            as_of=as_of,
            rule=subject.rule,
            value=day.value,
            low=day.low,
            high=day.high,
            clean_high=day.clean_high,
            threshold=threshold.share,
            found_count=day.found_count,
            judged_count=day.judged_count,
            amount_fen=day.amount_fen,
            severity=threshold.severity,
            verdict="muted" if is_muted else day.verdict,
        )
        for day in days
    )
    outcome = None if is_muted else _conclude(findings, subject, threshold, days)
    return Judged(subject, threshold.severity, as_of, outcome, evaluations)


def _conclude(
    findings: Findings,
    subject: Subject,
    threshold: rules.Threshold,
    days: Sequence[rules.DayJudgement],
) -> rules.Outcome | None:
    """What RUNNING_DAYS judged days say together; all findings healed counts as clean."""
    totals = findings.totals.get(subject)
    is_healed = totals is not None and totals.open_count == 0 and totals.healed_count > 0
    if not days:
        return None
    is_enough = len(days) == rules.RUNNING_DAYS
    newest = days[0]
    return rules.Outcome(
        is_bad=is_enough and all(day.verdict == "bad" for day in days),
        is_clean=is_healed or (is_enough and all(day.verdict == "clean" for day in days)),
        value=newest.value,
        low=newest.low,
        business_day=newest.business_day,
        facts={
            "found_count": newest.found_count,
            "judged_count": newest.judged_count,
            "value": newest.value,
            "low": newest.low,
            "high": newest.high,
            "clean_high": newest.clean_high,
            "threshold": threshold.share,
            "first_day": days[-1].business_day.isoformat(),
            "last_day": newest.business_day.isoformat(),
            "window_days": rules.WINDOW_DAYS,
            "is_healed": is_healed,
            "open_count": totals.open_count if totals else 0,
            "open_fen": totals.open_fen if totals else None,
            "since_day": totals.since_day.isoformat() if totals and totals.since_day else None,
            "owner": totals.owner if totals else None,
            "evidence": list(totals.evidence) if totals else [],
        },
    )


def _judge_sources(
    findings: Findings,
    alerts: dict[str, Alert],
    unready: dict[str, datetime | None],
    frontier: datetime,
) -> Iterator[Judged]:
    """The sources that are not ready, and those told of: one no longer read is well again."""
    told = {
        alert.subject.source_table
        for alert in alerts.values()
        if alert.subject.rule == "source_not_ready" and alert.state != "resolved"
    }
    for table in sorted(told | set(unready)):
        subject = Subject("source_not_ready", source_table=table)
        until = findings.complete_until.get(table)
        is_bad = table in unready
        hours = (frontier - until).total_seconds() / 3600 if until else 0.0
        facts = {
            "complete_until": write_instant(until) if until else None,
            "frontier": write_instant(frontier),
            "hours_behind": hours,
            "muted_legs": list(rules.find_muted_legs([table])),
        }
        day = business_day(frontier)
        evaluation = Evaluation(
            fingerprint=subject.fingerprint,
            business_day=day,
            as_of=frontier,
            rule=subject.rule,
            value=hours,
            low=None,
            high=None,
            clean_high=None,
            threshold=rules.LAG_ALLOWED.total_seconds() / 3600,
            found_count=int(is_bad),
            judged_count=1,
            amount_fen=None,
            severity="critical",
            verdict="bad" if is_bad else "clean",
        )
        outcome = rules.Outcome(
            is_bad=is_bad,
            is_clean=not is_bad,
            value=hours,
            low=0.0,
            business_day=day,
            facts=facts,
        )
        yield Judged(subject, "critical", frontier, outcome, (evaluation,))


def _write_down(
    store: AlertState,
    judged: Judged,
    alerts: dict[str, Alert],
    channels: Sequence[str],
    *,
    is_suppressed: bool,
) -> list[Transition]:
    """Keep the evaluations, take the step that follows and queue it; return it if it is new."""
    for evaluation in judged.evaluations:
        store.note_evaluation(replace(evaluation, is_suppressed=is_suppressed))
    if is_suppressed or judged.outcome is None:
        return []
    before = alerts.get(judged.subject.fingerprint)
    step = rules.choose_step(before, judged.outcome, judged.as_of)
    after = rules.take_step(
        before,
        step,
        judged.outcome,
        judged.as_of,
        subject=judged.subject,
        severity=judged.severity,
    )
    if after is None:
        return []
    alerts[after.fingerprint] = after
    store.save_alert(after)
    if step is None:
        return []
    transition = Transition(
        fingerprint=after.fingerprint,
        subject=after.subject,
        severity=after.severity,
        as_of=judged.as_of,
        kind=step,
        episode=after.episode,
        from_state=before.state if before else None,
        to_state=after.state,
        facts=after.facts,
    )
    is_quiet = step == "resolved" and before is not None and before.state == NEVER_TOLD_FROM
    return [transition] if store.append(transition, [] if is_quiet else channels) else []


def _is_before(instant: datetime | None, newest: datetime | None) -> bool:
    oldest = datetime.min.replace(tzinfo=UTC)
    return (instant or oldest) < (newest or oldest)
