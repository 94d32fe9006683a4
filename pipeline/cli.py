"""`bihuan` on the command line: reads the arguments, calls the work, prints what came of it.

Exit codes: 0 done, 1 failed, 2 the company folder or the arguments are wrong. Modules that take
long to load are imported by the commands that need them, so that `bihuan --help` is quick.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from pipeline.errors import BihuanError, ConfigurationError, WarehouseError

if TYPE_CHECKING:
    from pipeline.company import Company

FAILED, MISCONFIGURED, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="bihuan",
    help="Does the back end agree with what the front end claims? Case by case, leg by leg.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
alerts = typer.Typer(help="What diverges, who was told, and what was said to it.")
app.add_typer(alerts, name="alerts", no_args_is_help=True)
callbacks = typer.Typer(help="What WeChat posts to the company's own server.")
app.add_typer(callbacks, name="callbacks", no_args_is_help=True)

CompanyOption = Annotated[
    Path, typer.Option("--company", envvar="BIHUAN_COMPANY", help="The company folder.")
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", envvar="BIHUAN_DATA", help="Where results go, instead of its own."),
]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])]
SeedOption = Annotated[int, typer.Option(help="The same seed gives the same company.")]
DaysOption = Annotated[int, typer.Option(min=1, help="How many days of trade.")]
OrdersOption = Annotated[int, typer.Option(min=1, help="About how many paid orders.")]
HERE = Path("company")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit. Errors of ours are told plainly; a defect keeps its traceback."""
    try:
        app(list(arguments) if arguments is not None else None)
    except BihuanError as error:
        notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        sys.stderr.write(f"error: {error}{notes}\n")
        sys.exit(MISCONFIGURED if isinstance(error, ConfigurationError) else FAILED)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; run the same command again to go on\n")
        sys.exit(INTERRUPTED)
    sys.exit(0)


def _load(company: Path, data: Path | None = None) -> "Company":
    from pipeline.company import load_company
    from pipeline.terminal import tell_warnings

    tell_warnings()
    return load_company(company, data=data)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The company folder to make.")],
    erp: Annotated[str | None, typer.Option(help="Its ERP, such as files, sql or none.")] = None,
    crm: Annotated[str | None, typer.Option(help="Its CRM, such as files, sql or none.")] = None,
    tracking: Annotated[
        str | None, typer.Option(help="Where tracked events are: files, sql or none.")
    ] = None,
    messages: Annotated[
        str | None, typer.Option(help="Where sent messages are logged: files or none.")
    ] = None,
    wechat: Annotated[
        list[str] | None,
        typer.Option(help="mini_program, service_account, merchant, callbacks: one or several."),
    ] = None,
    business_lines: Annotated[
        list[str] | None, typer.Option("--line", help="A business line; once for each.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Its name, as the report shows it.")] = None,
    first_day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The first business day to judge."),
    ] = None,
    drop: Annotated[
        Path | None, typer.Option(help="A folder of files that bear the landed columns.")
    ] = None,
    is_template: Annotated[
        bool, typer.Option("--template", help="A copy of the simulated company instead.")
    ] = False,
) -> None:
    """Make a company folder wired to its systems, or to a folder of files with --drop.

    Without options it asks which systems there are. Where nobody can be asked, it takes WeChat's
    own figures, and files for all else.
    """
    named = {
        "wechat": ",".join(wechat or ()), "tracking": tracking, "messages": messages, "erp": erp,
        "crm": crm,
    }  # fmt: skip
    chosen = {role: systems.split(",") for role, systems in named.items() if systems}
    ways = [
        way
        for way, is_taken in {
            "--drop": drop, "--template": is_template, **{f"--{role}": True for role in chosen},
        }.items()
        if is_taken
    ]  # fmt: skip
    if len(ways) > 1 and (drop or is_template):
        raise ConfigurationError(f"found {' and '.join(ways)}, allowed: one of them")
    if business_lines and (drop or is_template):
        raise ConfigurationError(
            f"found {ways[0]} and --line, allowed: one of them",
            next_step="rows say which line they are of; write loops/<line>.yml for a contract"
            " other than the usual one",
        )
    day = first_day.date() if first_day else None
    if drop is not None:
        _init_from_drop(folder, drop, name, day)
        return
    if is_template:
        _init_from_template(folder)
        return
    _init_from_systems(folder, chosen, name, day, business_lines)


def _init_from_systems(
    folder: Path,
    chosen: Mapping[str, Sequence[str]],
    name: str | None,
    first_day: date | None,
    business_lines: Sequence[str] | None,
) -> None:
    from pipeline import questions
    from pipeline.company import creation
    from pipeline.company.fragments import choose
    from pipeline.terminal import SHANGHAI, open_console, print_created

    console = open_console()
    wanted = creation.Wanted(
        name=name or folder.resolve().name,
        first_day=first_day or datetime.now(SHANGHAI).date() - creation.LOOKS_BACK,
        systems=choose(chosen or questions.USUAL),
        business_lines=business_lines or [creation.USUAL_LINE],
    )
    creation.refuse_to_overwrite(folder)  # before a person has answered all the questions
    if not chosen and sys.stdin.isatty():
        wanted = questions.ask(console, wanted)
    print_created(console, folder, wanted, creation.create_from_systems(folder, wanted))


def _init_from_template(folder: Path) -> None:
    from pipeline.company.creation import create_from_template
    from pipeline.terminal import line, open_console

    console = open_console()
    for name in create_from_template(folder):
        console.print(line(f"· fill in {folder / name}"))
    console.print(line(f"then: bihuan doctor --company {folder}"))


def _init_from_drop(folder: Path, drop: Path, name: str | None, first_day: date | None) -> None:
    from pipeline.company.creation import create_from_drop
    from pipeline.drop import read_drop
    from pipeline.terminal import line, open_console

    console = open_console()
    found = read_drop(drop)
    create_from_drop(folder, found, name=name, first_day=first_day)
    for note in found.notes:
        console.print(line(f"! {note}"))
    for dropped in found.tables:
        actors = ", ".join(dropped.interface_actors)
        told = f", interface actors {actors}" if actors else ""
        where = f"{dropped.table.name:<20} {dropped.pattern}"
        console.print(line(f"✓ {where}: {dropped.rows_count:,} rows{told}"))
    console.print(line(f"{folder}: {first_day or found.first_day} to {found.last_day}"))
    console.print(line(f"then: bihuan build --company {folder}"))


@app.command()
def doctor(company: CompanyOption = HERE, data: DataOption = None) -> None:
    """Check configuration, secrets, systems, landed data and the clock; say how to mend each."""
    from pipeline.doctor import examine
    from pipeline.terminal import line, open_console, print_findings

    console = open_console()
    problems = print_findings(console, examine(_load(company, data)))
    console.print(line(f"{problems} problems" if problems != 1 else "1 problem"))
    if problems:
        raise typer.Exit(FAILED)


@app.command()
def build(
    company: CompanyOption = HERE,
    data: DataOption = None,
    day: Day = None,
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"])] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"])] = None,
    is_json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
) -> None:
    """Land, transform, judge, publish, tell and report.

    Without a day: every day that is missing, incomplete or changed at its source. With --day, or
    --from and --to (both inclusive): those days again, whether they changed or not.
    """
    loaded = _load(company, data)
    days = choose_days(loaded, day, first, last)
    from pipeline.build import build as run
    from pipeline.terminal import BuildProgress, open_console, print_summary, without_chatter

    console = open_console(is_for_progress=True)
    with BuildProgress(console) as progress, without_chatter():
        summary = run(loaded, days=days, progress=progress)
    if is_json:
        import dataclasses
        import json

        told = dataclasses.asdict(summary)
        sys.stdout.write(json.dumps(told, default=_to_json, ensure_ascii=False, indent=1) + "\n")
    else:
        print_summary(open_console(), summary)


def _to_json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def choose_days(
    company: "Company", day: datetime | None, first: datetime | None, last: datetime | None
) -> list[date] | None:
    """The days asked for, or None where none is. Raises ConfigurationError."""
    if day is None and first is None and last is None:
        return None
    if day is not None:
        if first is not None or last is not None:
            raise ConfigurationError("found --day with --from or --to, allowed: one or the other")
        return [day.date()]
    begin = first.date() if first else company.first_day
    end = last.date() if last else company.last_day
    if end is None:
        raise ConfigurationError(
            "found --from without --to, allowed: both, for this company has no last day"
        )
    if end < begin:
        raise ConfigurationError(f"found --from {begin} --to {end}, allowed: --to on or after it")
    return [begin + timedelta(days=number) for number in range((end - begin).days + 1)]


@app.command()
def explain(
    case: Annotated[str, typer.Argument(help="An order number, or a case id: order:<number>.")],
    company: CompanyOption = HERE,
    data: DataOption = None,
) -> None:
    """Tell one case leg by leg: what was claimed, what was found where, the verdict and why."""
    from pipeline.explain import find_case, tell_case
    from pipeline.terminal import line, open_console
    from pipeline.warehouse import Warehouse

    console = open_console()
    for text in tell_case(find_case(Warehouse(_load(company, data).data), case)):
        console.print(line(text))


@app.command()
def report(
    company: CompanyOption = HERE,
    data: DataOption = None,
    lang: Annotated[Literal["zh", "en"], typer.Option(help="The language shown first.")] = "zh",
    out: Annotated[Path | None, typer.Option(help="Where to write it.")] = None,
) -> None:
    """Write the report of what is published: one self-contained page, Chinese and English."""
    from pipeline.report import write_report
    from pipeline.warehouse import Warehouse

    loaded = _load(company, data)
    written = write_report(
        Warehouse(loaded.data).published,
        out or loaded.data / "report.html",
        lang=lang,
        targets={
            (str(loop.business_line), loop.loop): loop.target_closure for loop in loaded.loops
        },
    )
    typer.echo(written)


@app.command()
def reported(
    on: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="As of the end of this day, or the last before."),
    ] = None,
    run: Annotated[int | None, typer.Option(min=1, help="The number of a run.")] = None,
    company: CompanyOption = HERE,
    data: DataOption = None,
) -> None:
    """What the marts said as of a past run, and what changed since, with the cause."""
    from pipeline.reported import tell_reported
    from pipeline.terminal import open_console, print_reported
    from pipeline.warehouse import Warehouse

    warehouse = Warehouse(_load(company, data).data)
    told = tell_reported(warehouse, run_no=run, on=on.date() if on else None)
    print_reported(open_console(), told)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="SQL over the schema marts of the published file.")],
    company: CompanyOption = HERE,
    data: DataOption = None,
) -> None:
    """Ask the published file a question, read-only."""
    import duckdb

    from pipeline.terminal import open_console, print_rows
    from pipeline.warehouse import Warehouse

    with Warehouse(_load(company, data).data).read() as connection:
        try:
            print_rows(open_console(), connection.execute(sql))
        except duckdb.Error as error:
            raise WarehouseError(str(error)) from error


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="The simulated company's folder.")],
    command: Annotated[
        list[str] | None, typer.Argument(help="After --: what to run while its systems are up.")
    ] = None,
    seed: SeedOption = 1,
    days: DaysOption = 30,
    orders: OrdersOption = 3000,
) -> None:
    """Write a simulated company's systems; with a command, run it while its servers are up."""
    from pipeline.demo import run_beside, simulate_company
    from pipeline.terminal import open_console

    console = open_console(is_for_progress=bool(command))
    simulate_company(folder, seed=seed, days=days, orders=orders, console=console)
    if command:
        raise typer.Exit(run_beside(folder, command))


@app.command()
def demo(
    company: CompanyOption = HERE,
    data: DataOption = None,
    seed: SeedOption = 1,
    days: DaysOption = 30,
    orders: OrdersOption = 3000,
    erp: Annotated[
        Literal["sqlite", "tryton"], typer.Option(help="Where its orders and receipts are booked.")
    ] = "sqlite",
) -> None:
    """Simulate a company, run the whole pipeline on it, hold what it found against the truth."""
    from pipeline.demo import show
    from pipeline.terminal import open_console

    found_all = show(
        company, data, seed=seed, days=days, orders=orders, console=open_console(),
        is_on_tryton=erp == "tryton",
    )  # fmt: skip
    if not found_all:
        raise typer.Exit(FAILED)


@app.command()
def bench(
    name: Annotated[str | None, typer.Argument(help="Which measurement; none lists them.")] = None,
    is_json: Annotated[bool, typer.Option("--json", help="The results as JSON.")] = False,
    seeds: Annotated[int | None, typer.Option(min=1, help="truth: how many companies.")] = None,
    events: Annotated[
        str | None, typer.Option(help="speed: how many tracked events, or `all` sizes of the page.")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="sql: how many rows.")] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write the page here, however small the measurement.")
    ] = None,
) -> None:
    """Measure the project itself: exit code 0 only where everything holds that must.

    A measurement as large as its page promises writes docs/<page>.
    """
    from bench import measurement, telling
    from pipeline.terminal import line, open_console

    console = open_console()
    if name is None:
        telling.print_list(console)
        return
    progress = open_console(is_for_progress=True)
    entry = measurement.find(name)
    measured = measurement.run(
        entry,
        measurement.Asked(seeds=seeds, events=events, rows=rows),
        tell=lambda text: progress.print(line(f"· {text}")),
    )
    if page or measured.is_whole:
        telling.write_page(entry, measured, page or telling.DOCS / entry.page)
    if is_json:
        sys.stdout.write(telling.to_json(entry, measured) + "\n")
    else:
        telling.print_measured(console, measured)
    if not measured.has_passed:
        raise typer.Exit(FAILED)


@alerts.command("list")
def list_alerts(
    company: CompanyOption = HERE,
    data: DataOption = None,
    with_resolved: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,
) -> None:
    """The alerts that are not resolved, and messages that no channel has taken."""
    from pipeline.alerts import list_alerts as find
    from pipeline.alerts import list_unsent
    from pipeline.terminal import line, open_console, print_alerts

    console, state = open_console(), _alert_state(company, data)
    print_alerts(console, find(state, with_resolved=with_resolved))
    for row in list_unsent(state):
        about = f"{row.transition.fingerprint} {row.transition.kind}"
        console.print(line(f"! not sent to {row.channel}: {about}: {row.last_error or 'waiting'}"))


@alerts.command("show")
def show_alert(fingerprint: str, company: CompanyOption = HERE, data: DataOption = None) -> None:
    """One alert and all that happened to it; a beginning of its fingerprint is enough."""
    from pipeline.alerts import show
    from pipeline.terminal import open_console, print_alert

    print_alert(open_console(), show(_alert_state(company, data), fingerprint))


@alerts.command("ack")
def acknowledge_alert(
    fingerprint: str,
    by: Annotated[str, typer.Option(help="Who takes it on.")],
    company: CompanyOption = HERE,
    data: DataOption = None,
) -> None:
    """Take an alert on: it escalates no more."""
    from pipeline.alerts import acknowledge
    from pipeline.terminal import open_console, print_alerts

    print_alerts(open_console(), [acknowledge(_alert_state(company, data), fingerprint, by)])


@alerts.command("silence")
def silence_alert(
    fingerprint: str,
    reason: Annotated[str, typer.Option(help="Why nobody should hear of it.")],
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Until this day.")],
    company: CompanyOption = HERE,
    data: DataOption = None,
) -> None:
    """Keep an alert quiet until the data of a day is in."""
    from pipeline.alerts import silence
    from pipeline.terminal import open_console, print_alerts

    state = _alert_state(company, data)
    print_alerts(open_console(), [silence(state, fingerprint, reason, until.date())])


@alerts.command("test")
def try_alert_channels(company: CompanyOption = HERE) -> None:
    """Send one test message to every channel."""
    from pipeline.alerts import try_channels
    from pipeline.terminal import line, open_console

    console, answers = open_console(), try_channels(_load(company))
    if not answers:
        console.print(line("· no channel in company.yml: nobody would be told"))
    for name, answer in answers.items():
        console.print(line(f"{'✓' if answer == 'ok' else '✗'} {name}: {answer}"))
    if any(answer != "ok" for answer in answers.values()):
        raise typer.Exit(FAILED)


@alerts.command("retry")
def retry_alerts(company: CompanyOption = HERE, data: DataOption = None) -> None:
    """Send again what failed for good, once its channel is mended."""
    from pipeline.alerts import retry_failed, send
    from pipeline.terminal import line, open_console

    console, loaded = open_console(), _load(company, data)
    state = loaded.data / "alerts.sqlite"
    retry_failed(state)
    sent = send(state, loaded)
    console.print(line(f"{sent.sent_count} sent, {sent.pending_count + sent.failed_count} left"))
    for error in sent.errors:
        console.print(line(f"! {error}"))
    if sent.errors:
        raise typer.Exit(FAILED)


def _alert_state(company: Path, data: Path | None) -> Path:
    return _load(company, data).data / "alerts.sqlite"


@callbacks.command("serve")
def serve_callbacks(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8700,
    company: CompanyOption = HERE,
) -> None:
    """Receive callbacks of every connection with a callback_token_env, and store them."""
    from pipeline.sources.wechat.callbacks.receiver import open_receivers
    from pipeline.sources.wechat.callbacks.server import serve
    from pipeline.terminal import line, open_console

    console, receivers = open_console(), open_receivers(_load(company))
    for name, receiver in receivers.items():
        mode = "encrypted" if receiver.seal else "plain"
        folder = receiver.journal.folder
        console.print(line(f"· http://{host}:{port}/{name}: {mode} bodies, to {folder}"))
    serve(receivers, host=host, port=port)


if __name__ == "__main__":
    main()
