"""The messaging platform of the simulated company: one file of JSON lines per day of due time."""

import json
from datetime import datetime
from pathlib import Path

from pipeline.landing import SHANGHAI, business_day
from pipeline.simulation.cases import Attempt, Message
from pipeline.simulation.world import World

RESULTS = {
    "success": "success",
    "user_block": "failed:user block",
    "system_failed": "failed: system failed",
    "freq_limit": "failed: freq limit",
    "not_sent": "unsent",
}
TEMPLATES = {
    "order_notice": "TM00015", "shipping_notice": "TM00505", "service_confirm": "TM00701",
    "refund_notice": "TM00430",
}  # fmt: skip


def write_messages(world: World, folder: Path) -> None:
    """Write `messages-YYYYMMDD.jsonl` per day, as far as the platform had come by the end."""
    folder.mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[str]] = {f"{day:%Y%m%d}": [] for day in world.options.business_days}
    planned = [
        (message, case)
        for case in world.attempts
        for message in case.messages
        if message.due_at < world.end
    ]
    for message, case in sorted(planned, key=lambda pair: (pair[0].due_at, pair[0].number)):
        row = _row(message, case, world.end)
        lines[f"{business_day(message.due_at):%Y%m%d}"].append(json.dumps(row, ensure_ascii=False))
    for day, listed in lines.items():
        text = "".join(f"{line}\n" for line in listed)
        (folder / f"messages-{day}.jsonl").write_text(text, encoding="utf-8")


def _row(message: Message, case: Attempt, end: datetime) -> dict[str, str | None]:
    is_sent = message.sent_at is not None and message.sent_at < end
    is_settled = is_sent or message.sent_at is None
    at = message.sent_at or message.due_at
    return {
        "msgid": message.number,
        "type": "subscribe" if case.channel == "mini_program" else "template",
        "template": TEMPLATES[message.node],
        "touser": case.person.openid(case.channel),
        "biz": case.business_line,
        "order_no": case.number,
        "node": message.node,
        "plan_time": _stamp(message.due_at),
        "send_time": _stamp(at) if is_sent else None,
        "result": RESULTS[message.status] if is_settled else None,
        "result_time": _stamp(at) if is_settled else None,
    }


def _stamp(at: datetime) -> str:
    return at.astimezone(SHANGHAI).isoformat(timespec="seconds")
