"""What `bihuan init` asks a person about a company; every question has an answer to begin with."""

from collections.abc import Mapping, Sequence
from datetime import date

from rich.console import Console
from rich.prompt import Confirm, Prompt

from pipeline.company.creation import Wanted
from pipeline.company.fragments import NONE, choose, systems_for

# What most companies have that begin: WeChat's own figures, and exports of all else.
USUAL: Mapping[str, Sequence[str]] = {
    "wechat": ("mini_program", "service_account", "merchant"),
    "tracking": ("files",),
    "erp": ("files",),
    "crm": ("files",),
}
ABOUT = {
    "tracking": "Where do tracked events of the mini-program come from?",
    "messages": "Where is it logged which messages you send?",
    "erp": "Which ERP keeps orders, receipts, shipments and refunds?",
    "crm": "Which CRM keeps members?",
}
ABOUT_WECHAT = {
    "mini_program": "A mini-program, with its AppSecret?",
    "service_account": "A service account, with its AppSecret?",
    "merchant": "A WeChat Pay merchant account, with its API certificate?",
    "callbacks": "A server address that WeChat posts callbacks to?",
}


def ask(console: Console, usual: Wanted) -> Wanted:
    """Ask for everything in turn, with what is usual as the answer to begin with.

    Raises ConfigurationError for a system that does not exist.
    """
    systems = {"wechat": [part for part in ABOUT_WECHAT if _has(console, part)]}
    for role, question in ABOUT.items():
        systems[role] = [
            Prompt.ask(
                question,
                console=console,
                choices=[*systems_for(role), NONE],
                default=USUAL.get(role, (NONE,))[0],
            )
        ]
    name = Prompt.ask("Name of the company", console=console, default=usual.name)
    lines = Prompt.ask(
        "Business lines, as events bear them under business_line, with blanks between",
        console=console,
        default=" ".join(usual.business_lines),
    )
    return Wanted(
        name=name,
        first_day=_ask_day(console, usual.first_day),
        systems=choose(systems),
        business_lines=lines.replace(",", " ").split(),
    )


def _has(console: Console, part: str) -> bool:
    question = ABOUT_WECHAT[part]
    return Confirm.ask(question, console=console, default=part in USUAL["wechat"])


def _ask_day(console: Console, usual: date) -> date:
    while True:
        written = Prompt.ask(
            "First business day to judge", console=console, default=usual.isoformat()
        )
        try:
            return date.fromisoformat(written)
        except ValueError:
            console.print(f"found '{written}', allowed: a day such as 2026-10-01", markup=False)
