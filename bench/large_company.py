"""A company as large as one asks for, made by DuckDB itself and put straight into the landing.

No loop over rows: a thousand times the rows takes a thousand times the scan. Everything follows
from the row's own number, so that the same size gives the same company. Its systems and files do
not exist; what is measured with it begins at the landed tables.

Rows are as untidy as real ones: a few people come far more often than others, one event in two
hundred is delivered again with a later day, one in fifty arrives a day or two late, sessions run
over midnight, and orders lack or bend what they should have in a dozen ways.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from bench.measurement import Tell
from pipeline.company import Company, load_company
from pipeline.landed import TABLES, LandedTable
from pipeline.landing import Landing, day_end, day_start
from pipeline.registration import DUCKDB_TYPES

FIRST_DAY = date(2026, 10, 1)
DAYS = 30
CONNECTOR = "files"
INTERFACE = "svc_bridge"

# What the mix of sessions below comes to: half of them order, five in six of those pay.
EVENTS_PER_SESSION = 5.1
# About as many people per event as in the data that the engines were compared on.
PEOPLE_PER_EVENT = 0.027
# Orders and list entries of the last week still change: they ship, and are shipped.
DAYS_THAT_CHANGE = 7
# The exponent of a Zipf law is 1 - 1/2.5: the busiest of half a million people, in truth a robot,
# has one session in two hundred.
SKEW = 2.5

_CHANCE = """
    -- A number in [0, 1) that depends on a row's own number and on what is decided by it.
    create macro chance(row_number, decided) as
        cast(hash(row_number, decided) % 1000003 as double) / 1000003.0;
    create macro seconds(least, most, row_number, decided) as
        to_seconds(cast(least + (most - least) * chance(row_number, decided) as bigint));
    create macro shanghai_day(instant) as cast(instant + interval 8 hours as date);
"""

_SESSIONS = """
    create table sessions as
    with numbered as (
        select
            session_no,
            cast(floor({people} * pow(chance(session_no, 'who'), {skew})) as bigint) as person_no,
            timestamptz '{start}' + to_days(cast(session_no * {days} // {sessions} as integer))
                -- Nobody shops between midnight and six.
                + to_microseconds(cast(1e6 * 86400 * (0.25 + 0.75 * chance(session_no, 'when'))
                as bigint)) as started_at,
            chance(session_no, 'channel') as channel_chance,
            chance(session_no, 'line') < 0.7 as is_retail,
            chance(session_no, 'orders') < 0.5 as has_order,
            chance(session_no, 'pays') < 0.83 as is_paid
        from (select range as session_no from range({sessions}))
    )
    select
        session_no,
        person_no,
        started_at,
        case
            when channel_chance < 0.50 then 'mini_program'
            when channel_chance < 0.64 then 'h5'
            when channel_chance < 0.72 then 'mobile_site'
            when channel_chance < 0.90 then 'app'
            else 'pc'
        end as channel,
        case when is_retail then 'retail' else 'flash_sale' end as business_line,
        has_order,
        has_order and is_paid as is_paid
    from numbered
"""

# One order in four hundred has each of these faults.
_ORDERS = """
    create table orders as
    with ordered as (
        select
            session_no,
            person_no,
            channel,
            business_line,
            is_paid,
            'N' || lpad(cast(session_no as varchar), 12, '0') as order_no,
            cast(1000 + 100 * floor(900 * chance(session_no, 'amount')) as bigint) as amount_fen,
            started_at + seconds(90, 900, session_no, 'submits') as submitted_at,
            case cast(floor(400 * chance(session_no, 'fault')) as integer)
                when 0 then 'surface_only'
                when 1 then 'paid_not_booked'
                when 2 then 'booked_not_paid'
                when 3 then 'backend_only'
                when 4 then 'not_received'
                when 5 then 'not_fulfilled'
                when 6 then 'not_reflowed'
                when 7 then 'not_notified'
                when 8 then 'amount_mismatch'
                when 9 then 'manual_rekey'
                when 10 then 'late'
                when 11 then 'duplicate'
                else 'none'
            end as fault
        from sessions
        where has_order
    ),
    paid as (
        select
            *,
            submitted_at + seconds(10, 90, session_no, 'pays at') as paid_at
        from ordered
    ),
    booked as (
        select
            *,
            paid_at + seconds(5, 300, session_no, 'books')
                + case fault when 'late' then interval 3 hours else interval 0 hours end
                as booked_at,
            paid_at + seconds(3600, 40000, session_no, 'receives') as received_at
        from paid
    ),
    shipped as (
        select
            *,
            booked_at + seconds(7200, 200000, session_no, 'ships') as shipped_at
        from booked
    )
    select
        *,
        shipped_at + seconds(60, 3600, session_no, 'uploads') as uploaded_at,
        case
            when chance(session_no, 'refunds') < 0.02 and fault = 'none'
                then shipped_at + seconds(86400, 345600, session_no, 'refunds at')
        end as refunded_at
    from shipped
"""

# Each step of a session: its event, which sessions take it, and when.
_EVENTS = """
    create table events as
    with steps as (
        select
            sessions.*,
            orders.order_no,
            orders.amount_fen,
            orders.fault,
            unnest([
                {{'event': 'session_start', 'at': started_at, 'is_taken': true}},
                {{'event': 'page_view', 'at': started_at + interval 8 seconds,
                    'is_taken': not has_order}},
                {{'event': 'product_view', 'at': started_at + interval 20 seconds,
                    'is_taken': has_order or chance(sessions.session_no, 'views') < 0.7}},
                {{'event': 'add_to_cart', 'at': started_at + interval 50 seconds,
                    'is_taken': has_order or chance(sessions.session_no, 'adds') < 0.3}},
                {{'event': 'checkout_start', 'at': started_at + interval 70 seconds,
                    'is_taken': has_order}},
                {{'event': 'order_submit', 'at': submitted_at, 'is_taken': has_order}},
                {{'event': 'pay_start', 'at': submitted_at + interval 5 seconds,
                    'is_taken': has_order}},
                {{'event': 'pay_success', 'at': paid_at, 'is_taken': sessions.is_paid}},
                {{'event': 'pay_fail', 'at': submitted_at + interval 60 seconds,
                    'is_taken': has_order and not sessions.is_paid
                    and chance(sessions.session_no, 'fails') < 0.3}},
                {{'event': 'status_view', 'at': uploaded_at,
                    'is_taken': sessions.is_paid and sessions.channel <> 'mini_program'
                    and fault not in (
                        'surface_only', 'paid_not_booked', 'not_fulfilled', 'not_reflowed'
                    )}}
            ]) as step
        from sessions
        left join orders on sessions.session_no = orders.session_no
        where orders.session_no is null or orders.fault <> 'backend_only'
    ),
    taken as (
        select
            *,
            step.event as event,
            step.at as occurred_at,
            hash(session_no, step.event) as event_no
        from steps
        where step.is_taken and step.at < timestamptz '{end}'
    ),
    -- Some arrive a day late, fewer two days; the batch is that of the day they arrived.
    delayed as (
        select
            *,
            shanghai_day(occurred_at) + case
                when chance(event_no, 'late') < 0.003 then 2
                when chance(event_no, 'late') < 0.02 then 1
                else 0
            end as landed_day
        from taken
    ),
    delivered as (
        select * from delayed
        union all
        select * replace (landed_day + 1 as landed_day) from delayed
        where chance(event_no, 'again') < 0.005
    )
    select
        lpad(to_hex(event_no), 16, '0') as event_id,
        event,
        occurred_at,
        channel,
        'S' || session_no as session_id,
        case
            when channel in ('mini_program', 'h5') then channel[1] || 'o' || person_no
        end as openid,
        -- One visit in ten outside WeChat shows no person at all.
        case
            when has_order or channel in ('mini_program', 'h5')
                or chance(session_no, 'anonymous') < 0.9
                then 'u' || person_no
        end as unionid,
        case when person_no % 3 = 0 and channel in ('app', 'pc') then 'M' || person_no end
            as member_no,
        case when event = 'session_start' then '10' || lpad(
            cast(cast(1 + 88 * chance(session_no, 'scene') as integer) as varchar), 2, '0') end
            as scene,
        'pages/' || event as page,
        business_line,
        case when event in ('order_submit', 'pay_start', 'pay_success', 'pay_fail', 'status_view')
            then order_no end as case_no,
        case when event in ('order_submit', 'pay_start', 'pay_success', 'pay_fail')
            then amount_fen end as amount_fen,
        case when event = 'status_view' then 'shipped' end as shown_state,
        case when channel = 'mini_program' then 'wx_large' end as app_id,
        '3.1' as sdk_version,
        landed_day
    from delivered
"""

_PEOPLE = """
    create table people as
    with met as (
        select person_no, min(started_at) as met_at from sessions
        group by person_no
    )
    select
        person_no,
        -- Two in three were customers before; of the others, some are known as soon as they come.
        case
            when chance(person_no, 'old') < 0.66 then timestamptz '{start}' - interval 90 days
            else met_at + interval 90 seconds
        end as known_at,
        chance(person_no, 'unknown') >= 0.005 as is_known
    from met
"""

_MADE = f"'{INTERFACE}' as created_by, 'interface' as created_via"
_HAS_BILL = "is_paid and fault not in ('surface_only', 'booked_not_paid')"
_HAS_BOOKING = "is_paid and fault not in ('surface_only', 'paid_not_booked')"
_IS_SHIPPED = f"{_HAS_BOOKING} and fault <> 'not_fulfilled'"

# Every landed table but the events, as of an instant: what happens later is not there yet.
_TABLES = {
    "pay_bill": f"""
        select
            'payment' as row_kind, 'T' || session_no as transaction_id, order_no,
            'wx_large' as app_id, '1900000109' as mch_id, 'mo' || person_no as openid,
            'JSAPI' as trade_type, 'SUCCESS' as trade_state, paid_at as happened_at,
            amount_fen as order_amount_fen, amount_fen as settled_amount_fen,
            amount_fen * 6 as fee_milli_fen, null as refund_id, null as refund_no,
            null as refund_amount_fen, null as refund_state
        from orders
        where {_HAS_BILL}
        union all
        select
            'refund', 'T' || session_no, order_no, 'wx_large', '1900000109', 'mo' || person_no,
            'JSAPI', 'REFUND', refunded_at, amount_fen, 0, 0, 'F' || session_no,
            'W' || session_no, amount_fen, 'SUCCESS'
        from orders
        where {_HAS_BILL} and refunded_at is not null
    """,
    "mp_orders": f"""
        select
            'T' || session_no as transaction_id, order_no,
            case
                when uploaded_at < timestamptz '{{as_of}}' and {_IS_SHIPPED}
                    and fault <> 'not_reflowed'
                    then 2
                else 1
            end as order_state,
            amount_fen as paid_amount_fen, paid_at, 'mo' || person_no as openid,
            case when order_state = 2 then uploaded_at end as first_shipped_upload_at
        from orders
        where {_HAS_BILL} and channel = 'mini_program'
    """,
    "erp_orders": f"""
        select
            'E' || session_no || suffix as erp_order_no, order_no, channel, business_line,
            'K' || person_no as customer_code, md5('phone' || person_no) as phone,
            case
                when {_IS_SHIPPED} and shipped_at < timestamptz '{{as_of}}' then 'done'
                else 'paid'
            end as state,
            paid_at as ordered_at, booked_at + extra as created_at,
            case when fault = 'manual_rekey' then 'clerk' else '{INTERFACE}' end as created_by,
            case when fault = 'manual_rekey' then 'ui' else 'interface' end as created_via,
            case when state = 'done' then greatest(shipped_at, created_at) else created_at end
                as updated_at,
            amount_fen - case fault when 'amount_mismatch' then 137 else 0 end as amount_fen,
            0 as freight_fen, 0 as discount_fen, 'CNY' as currency,
            'T' || session_no as transaction_id
        from orders, (values ('', interval 0 minutes), ('D', interval 9 minutes)) _(suffix, extra)
        where {_HAS_BOOKING} and (suffix = '' or fault = 'duplicate')
    """,
    "erp_receipts": f"""
        select
            'R' || session_no as receipt_no, 'E' || session_no as erp_order_no, order_no,
            'T' || session_no as transaction_id, amount_fen, received_at,
            received_at as created_at, {_MADE}
        from orders
        where {_HAS_BOOKING} and fault not in ('not_received', 'booked_not_paid')
    """,
    "erp_shipments": f"""
        select
            'H' || session_no as shipment_no, 'E' || session_no as erp_order_no,
            'shipped' as state, shipped_at, shipped_at as created_at, {_MADE}
        from orders
        where {_IS_SHIPPED}
    """,
    "erp_refunds": f"""
        select
            'C' || session_no as refund_doc_no, 'E' || session_no as erp_order_no, order_no,
            'W' || session_no as refund_no, 'F' || session_no as refund_id, amount_fen,
            refunded_at + interval 30 minutes as posted_at, {_MADE}
        from orders
        where {_HAS_BILL} and refunded_at is not null
    """,
    "messages": f"""
        select
            'G' || session_no as message_id, 'subscribe' as kind, 'ship' as template_id,
            'mo' || person_no as openid, business_line, order_no as case_no,
            'shipping_notice' as node, shipped_at as due_at,
            case when fault <> 'not_notified' then shipped_at + interval 40 seconds end
                as sent_at,
            case when fault = 'not_notified' then 'user_block' else 'success' end as status,
            shipped_at + interval 60 seconds as status_at
        from orders
        where {_IS_SHIPPED}
    """,
    "crm_contacts": f"""
        select
            'P' || person_no as contact_id, 'u' || person_no as unionid,
            case when person_no % 3 = 0 then 'M' || person_no end as member_no,
            md5('phone' || person_no) as phone, 'K' || person_no as customer_code,
            known_at as created_at, known_at as updated_at, {_MADE}
        from people
        where is_known
    """,
    "identities": """
        select
            'openid' as left_kind, 'mo' || person_no as left_value, 'unionid' as right_kind,
            'u' || person_no as right_value, known_at as seen_at, 'crm' as source
        from people
        where is_known
    """,
}
_CHANGING = ("erp_orders", "mp_orders")
CONNECTED = ("tracking_events", *_TABLES)


@dataclass(frozen=True)
class Size:
    """How many events, about, over how many days of which the last is landed separately."""

    events: int
    days: int = DAYS

    @property
    def sessions(self) -> int:
        """Sessions of the days and of one more, equally busy."""
        a_day = max(1, round(self.events / EVENTS_PER_SESSION / self.days))
        return a_day * (self.days + 1)

    @property
    def people(self) -> int:
        return max(50, int(self.events * PEOPLE_PER_EVENT))


class LargeCompany:
    """A made-up company under `folder`, of which any day can be landed."""

    def __init__(self, folder: Path, size: Size, tell: Tell) -> None:
        self.size = size
        self.company = _write_company(folder / "company")
        self.landing = Landing(self.company.data / "landing", hash_key=self.company.hash_key)
        self._made = folder / "made.duckdb"
        self._writing = folder / "writing.parquet"
        with self._open() as connection:
            end = day_start(FIRST_DAY + timedelta(days=size.days + 1))
            for statement in (_CHANCE, _SESSIONS, _ORDERS, _EVENTS, _PEOPLE):
                connection.execute(
                    statement.format(
                        sessions=size.sessions, people=size.people, days=size.days + 1, skew=SKEW,
                        start=day_start(FIRST_DAY).isoformat(), end=end.isoformat(),
                    )
                )  # fmt: skip
        tell(f"made {size.sessions:,} sessions")

    @property
    def first_days(self) -> list[date]:
        return [FIRST_DAY + timedelta(days=number) for number in range(self.size.days)]

    @property
    def next_day(self) -> date:
        return FIRST_DAY + timedelta(days=self.size.days)

    def land_first_days(self, tell: Tell) -> int:
        """Land all days but the last, as of the end of the last of them; return the rows."""
        days = self.first_days
        rows = 0
        with self._open() as connection:
            for table in self._tables():
                for day in days:
                    rows += self._land(connection, table, day, as_of=days[-1])
                tell(f"landed {table.name}")
        return rows

    def land_next_day(self) -> int:
        """Land one more day, and again the days before it whose rows it changed."""
        changed = [self.next_day - timedelta(days=back) for back in range(DAYS_THAT_CHANGE, 0, -1)]
        rows = 0
        with self._open() as connection:
            for table in self._tables():
                again = [day for day in changed if table.name in _CHANGING and day >= FIRST_DAY]
                for day in (*again, self.next_day):
                    rows += self._land(connection, table, day, as_of=self.next_day)
        return rows

    def events_count(self) -> int:
        """Events in the landing, those that were delivered again included."""
        return sum(batch.rows for batch in self.landing.batches("tracking_events"))

    def _tables(self) -> Iterator[LandedTable]:
        return (TABLES[name] for name in CONNECTED)

    def _open(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(str(self._made))
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set preserve_insertion_order = false")
        return connection

    def _land(
        self, connection: duckdb.DuckDBPyConnection, table: LandedTable, day: date, *, as_of: date
    ) -> int:
        """Write one batch as the landing would: the table's columns, in the order of its key."""
        until = day_end(as_of)
        if table.name == "tracking_events":
            made = f"select * from events where landed_day = date '{day}'"
        else:
            instant = f"coalesce({', '.join(table.day_of)})"
            # What is older than the first day is that day's opening balance.
            made = (
                f"select * from ({_TABLES[table.name].format(as_of=until.isoformat())})"
                f" where greatest(shanghai_day({instant}), date '{FIRST_DAY}') = date '{day}'"
                f" and {instant} < timestamptz '{until.isoformat()}'"
            )
        known = {name for name, *_ in connection.execute(f"describe {made}").fetchall()}
        columns = ", ".join(
            f"cast({column.name if column.name in known else 'null'}"
            f" as {DUCKDB_TYPES[column.kind]}) as {column.name}"
            for column in table.columns
        )
        connection.execute(
            f"copy (select {columns} from ({made}) order by {', '.join(table.key)})"
            f" to '{self._writing}' (format parquet, compression zstd)"
        )
        batch = self.landing.adopt(
            table, day, self._writing, complete_until=day_end(day), connector=CONNECTOR
        )
        return batch.rows


def _write_company(folder: Path) -> Company:
    """A company folder that says of each table that files deliver it; none of them exists."""
    folder.mkdir(parents=True)
    (folder / "company.yml").write_text(
        f"name: 大公司 Large company\nfirst_day: {FIRST_DAY}\n", encoding="utf-8"
    )
    wired = "".join(
        f"  {name}: {{connector: {CONNECTOR}, connection: drop, files: {name}.parquet,"
        f" interface_actors: [{INTERFACE}]}}\n"
        for name in CONNECTED
    )
    (folder / "sources.yml").write_text(
        f"connections: {{drop: {{folder: drop}}}}\ntables:\n{wired}", encoding="utf-8"
    )
    return load_company(folder, environment={"BIHUAN_HASH_KEY": "k" * 32})
