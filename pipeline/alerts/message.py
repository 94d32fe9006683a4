"""The digest: what happened to the alerts since the channel was last told, as Markdown messages.

Chinese, with the English words of the divergence classes that the marts bear. Case keys are
masked; nothing that names a person is known here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.alerts.records import Kind, Transition
from pipeline.report.notation import mask_key, write_fen, write_instant, write_percent

RUNBOOK = "docs/runbooks/divergences.md"

# In the order of the digest. The colours are the three that WeCom knows: warning is orange.
KINDS: dict[Kind, tuple[str, str]] = {
    "opened": ("新开", "warning"),
    "reopened": ("复发", "warning"),
    "worsened": ("加重", "warning"),
    "escalated": ("无人确认", "warning"),
    "silence_ended": ("静默到期", "warning"),
    "resolved": ("恢复", "info"),
}
SHOWN_NAME_CHARACTERS = 60


@dataclass(frozen=True)
class Part:
    """One message and the transitions that are told once it is delivered."""

    text: str
    transition_ids: tuple[str, ...]


def write_digest(
    company: str, transitions: Sequence[Transition], *, limit_bytes: int
) -> list[Part]:
    """One digest in as few messages as hold it, whole entries where they fit; empty for nothing."""
    if not transitions:
        return []
    ordered = sorted(transitions, key=_rank)
    text, ids = _write_header(company, ordered), list[str]()
    parts: list[Part] = []
    for transition in ordered:
        entry = "\n\n" + write_entry(transition)
        if len((text + entry).encode()) > limit_bytes and text:
            parts.append(Part(text, tuple(ids)))
            text, ids = "", []
        *full, text = split_text((text + entry).lstrip(), limit_bytes)
        parts += [Part(piece, ()) for piece in full]
        ids.append(transition.transition_id)
    return [*parts, Part(text, tuple(ids))]


def write_entry(transition: Transition) -> str:
    """One transition: what, how many, how much, since when, evidence, who, and what to do."""
    lines = (
        _describe_source(transition.facts)
        if transition.subject.rule == "source_not_ready"
        else _describe_share(transition)
    )
    word, colour = KINDS[transition.kind]
    title = f'### <font color="{colour}">{word}</font> {_write_subject(transition)}'
    anchor = transition.subject.divergence or transition.subject.rule
    closing = [f"处置：{RUNBOOK}#{anchor}", f"编号：{transition.fingerprint}"]
    return "\n".join([title, *(f"> {line}" for line in [*lines, *closing])])


def split_text(text: str, limit_bytes: int) -> list[str]:
    """Cut text into pieces of at most `limit_bytes` UTF-8 bytes, between lines where one ends in
    the second half of a piece, else between characters, never inside one."""
    pieces = []
    while len(text.encode()) > limit_bytes:
        head = text.encode()[:limit_bytes].decode(errors="ignore")
        line_end = head.rfind("\n")
        cut = line_end + 1 if line_end > len(head) // 2 else len(head)
        pieces.append(text[:cut])
        text = text[cut:]
    return [*pieces, text]


def _rank(transition: Transition) -> tuple[int, bool, int, str]:
    order = list(KINDS).index(transition.kind)
    amount = transition.facts.get("open_fen") or 0
    return order, transition.severity != "critical", -amount, transition.fingerprint


def _write_header(company: str, transitions: Sequence[Transition]) -> str:
    counts = [
        f"{word} {count}"
        for kind, (word, _) in KINDS.items()
        if (count := sum(transition.kind == kind for transition in transitions))
    ]
    as_of = max(transition.as_of for transition in transitions)
    known_until = f"数据截至 {write_instant(as_of)}（北京时间）"
    return f"## 闭环 · {_plain(company)}\n{'，'.join(counts)}。{known_until}"


def _write_subject(transition: Transition) -> str:
    subject = transition.subject
    if subject.rule == "source_not_ready":
        return f"数据源未就绪 {_plain(subject.source_table)}"
    words = [subject.business_line, subject.leg, subject.divergence]
    return " / ".join(_plain(word) for word in words)


def _describe_share(transition: Transition) -> list[str]:
    facts = transition.facts
    interval = f"{write_percent(facts['low'])}–{write_percent(facts['high'])}"
    share = (
        f"**{facts['found_count']}** 单不一致，占已判 {facts['judged_count']} 单的 "
        f"{write_percent(facts['value'])}（95% 区间 {interval}，阈值 "
        f"{write_percent(facts['threshold'])}）"
    )
    days = f"判定日 {facts['first_day']} 至 {facts['last_day']}，每日看前 {facts['window_days']} 天"
    if transition.kind == "resolved":
        return [
            _write_recovery(facts),
            days,
            f"责任方：{_plain(facts['owner'] or '未指定')}",
        ]
    open_fen = facts["open_fen"]
    money = "此类不计金额" if open_fen is None else f"涉及金额 **{write_fen(open_fen)}**"
    return [
        share,
        days,
        f"未愈 {facts['open_count']} 单，{money}，最早 {facts['since_day'] or '–'} 进入",
        "证据：" + ("；".join(_write_evidence(row) for row in facts["evidence"]) or "–"),
        f"责任方：{_plain(facts['owner'] or '未指定')}",
    ]


def _write_recovery(facts: dict[str, Any]) -> str:
    if facts["is_healed"]:
        return "依据：此前不一致的单已全部愈合"
    return (
        f"依据：其后进入的单，不一致率上限 {write_percent(facts['clean_high'])}，"
        f"低于阈值 {write_percent(facts['threshold'])}；未愈 {facts['open_count']} 单仍待处理"
    )


def _write_evidence(row: dict[str, Any]) -> str:
    seen_at = row["seen_at"] and datetime.fromisoformat(row["seen_at"])
    amount = "" if row["amount_fen"] is None else f" {write_fen(row['amount_fen'])}"
    return f"{mask_key(row['case_id'])}{amount}（{write_instant(seen_at)}）"


def _describe_source(facts: dict[str, Any]) -> list[str]:
    legs = "、".join(facts["muted_legs"]) or "–"
    until, frontier = (
        facts[name] and datetime.fromisoformat(facts[name])
        for name in ("complete_until", "frontier")
    )
    reached = (
        f"数据到 {write_instant(until)}，落后 {facts['hours_behind']:.0f} 小时"
        if until
        else "尚未交付任何数据"
    )
    return [
        f"{reached}；最新的数据源到 {write_instant(frontier)}",
        f"读它的环节：{legs}（未就绪期间不判警）",
    ]


def _plain(text: str) -> str:
    """A name from the data or the folder, without what Markdown or the robot would act on."""
    kept = "".join(" " if character in "<>`*#[]\r\n\t|" else character for character in text)
    return " ".join(kept.split())[:SHOWN_NAME_CHARACTERS]
