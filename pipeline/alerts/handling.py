"""What an operator asks of the alerts and says to them. Nothing here sends."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from pipeline.alerts.records import Alert, Evaluation, Kind, Transition
from pipeline.alerts.state import AlertState, Outgoing
from pipeline.errors import ConfigurationError
from pipeline.landing import day_start


@dataclass(frozen=True)
class AlertStory:
    """One alert, its transitions (oldest first) and what its rule found (newest first)."""

    alert: Alert
    transitions: tuple[Transition, ...]
    evaluations: tuple[Evaluation, ...]


def list_alerts(state: Path, *, with_resolved: bool = False) -> list[Alert]:
    """The alerts that are not resolved, critical ones first; or all that there ever were."""
    if not state.exists():
        return []
    with AlertState(state) as store:
        return [alert for alert in store.alerts() if with_resolved or alert.state != "resolved"]


def list_unsent(state: Path) -> list[Outgoing]:
    """The outbox rows that no channel has taken: failed ones first, then those that wait."""
    if not state.exists():
        return []
    with AlertState(state) as store:
        return store.outbox("failed") + store.outbox("pending")


def show(state: Path, fingerprint: str) -> AlertStory:
    """One alert with its history, by fingerprint or an unambiguous beginning of it.

    Raises ConfigurationError where there is none or more than one.
    """
    with AlertState(state) as store:
        alert = _find(store, fingerprint)
        return AlertStory(
            alert,
            tuple(store.transitions(alert.fingerprint)),
            tuple(store.evaluations(alert.fingerprint)),
        )


def acknowledge(state: Path, fingerprint: str, by: str) -> Alert:
    """Note that `by` has taken the alert on: it escalates no more. Raises ConfigurationError."""
    if not by.strip():
        raise ConfigurationError("an acknowledgement needs a name: found nothing")
    with AlertState(state) as store, store.transaction():
        alert = _find_unresolved(store, fingerprint)
        after = replace(alert, state="acknowledged", acknowledged_by=by.strip())
        _keep(store, alert, after, "acknowledged", f"by {by.strip()}")
        return after


def silence(state: Path, fingerprint: str, reason: str, until: date) -> Alert:
    """Keep the alert quiet until the data reach the day `until`. Raises ConfigurationError.

    The end is compared with the `as_of` of the runs, not with the clock: a pipeline that stands
    still does not use the silence up.
    """
    ends_at = day_start(until)
    if not reason.strip():
        raise ConfigurationError("a silence needs a reason: found nothing")
    with AlertState(state) as store, store.transaction():
        alert = _find_unresolved(store, fingerprint)
        now = _now(store, alert)
        if ends_at <= now:
            raise ConfigurationError(
                f"until: found {until}, allowed: a day that begins after {now.isoformat()},"
                " the newest instant judged"
            )
        after = replace(
            alert,
            state="silenced",
            silence_reason=reason.strip(),
            silenced_until=ends_at,
        )
        _keep(store, alert, after, "silenced", f"until {until}: {reason.strip()}")
        return after


def retry_failed(state: Path) -> int:
    """Queue again what failed for good, once its channel is mended; return how many rows."""
    with AlertState(state) as store:
        return store.requeue_failed()


def _keep(store: AlertState, before: Alert, after: Alert, kind: Kind, note: str) -> None:
    store.save_alert(after)
    step = Transition(
        fingerprint=after.fingerprint,
        subject=after.subject,
        severity=after.severity,
        as_of=_now(store, before),
        kind=kind,
        episode=after.episode,
        from_state=before.state,
        to_state=after.state,
        facts=after.facts,
        note=note,
    )
    store.append(step, channels=[])


def _now(store: AlertState, alert: Alert) -> datetime:
    """The newest instant that the runs have judged at, by which the alert has opened at least."""
    return max(instant for instant in (*store.newest_decided(), alert.opened_at) if instant)


def _find_unresolved(store: AlertState, fingerprint: str) -> Alert:
    alert = _find(store, fingerprint)
    if alert.state == "resolved":
        raise ConfigurationError(f"alert {alert.fingerprint} is resolved: there is nothing to do")
    return alert


def _find(store: AlertState, fingerprint: str) -> Alert:
    alerts = store.alerts()
    found = [alert for alert in alerts if fingerprint and alert.fingerprint.startswith(fingerprint)]
    if len(found) == 1:
        return found[0]
    known = (
        ", ".join(alert.fingerprint for alert in (found or alerts)[:10]) or "there are no alerts"
    )
    raise ConfigurationError(
        f"fingerprint: found '{fingerprint}', allowed: one of {known}",
        next_step="`bihuan alerts list` shows them",
    )
