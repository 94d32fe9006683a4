"""The landed tables: their columns, types, keys and the instant that gives a row its day.

The one definition of what extraction must deliver. No I/O and no connector knowledge here.
"""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

Kind = Literal["text", "integer", "decimal", "number", "instant", "day"]

ARROW_TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "decimal": pa.decimal128(18, 4),
    "number": pa.float64(),
    "instant": pa.timestamp("us", tz="UTC"),
    "day": pa.date32(),
}

CREATED_VIA = ("interface", "ui", "import")
CHANNELS = ("mini_program", "h5", "mobile_site", "app", "pc")
EVENTS = (
    "session_start", "page_view", "product_view", "add_to_cart", "checkout_start",
    "order_submit", "pay_start", "pay_success", "pay_fail", "booking_submit",
    "aftersale_submit", "member_register", "status_view", "message_click",
)  # fmt: skip
ERP_ORDER_STATES = ("draft", "confirmed", "paid", "fulfilling", "done", "cancelled")
SHIPMENT_STATES = ("waiting", "shipped", "delivered", "returned", "cancelled")
APPOINTMENT_STATES = ("requested", "confirmed", "attended", "no_show", "cancelled")
TICKET_STATES = ("open", "in_progress", "resolved", "cancelled")
MESSAGE_KINDS = ("template", "subscribe", "mass", "customer_service")
MESSAGE_NODES = (
    "order_notice", "payment_reminder", "service_confirm", "shipping_notice",
    "refund_notice", "marketing",
)  # fmt: skip
MESSAGE_STATUSES = ("success", "user_block", "system_failed", "freq_limit", "not_sent")

PERIODS = ("day", "week", "month")
VISITORS = ("visit_uv_new", "visit_uv")
ATTRIBUTES = ("province", "city", "genders", "platforms", "devices", "ages")
UPSTREAM_STATISTICS = (
    "day", "hour", "week", "month", "day_distribution", "week_distribution", "month_distribution",
)  # fmt: skip
FUND_ACCOUNTS = ("BASIC", "OPERATION", "FEES")
CALLBACK_EVENTS = (
    "subscribe", "unsubscribe", "scan", "click", "view", "view_miniprogram", "location",
    "subscription_accepted", "subscription_rejected", "subscription_withdrawn", "published",
    "publication_failed", "settlement_estimated", "order_settled", "shipping_reminded",
    "trade_controlled", "access_reminded",
)  # fmt: skip
# The figures of WeChat's visit trends, alike for a day, a week and a month.
VISITS = "session_cnt visit_pv visit_uv visit_uv_new stay_time_uv stay_time_session visit_depth"
FREE_TEXTS = ("page", "description", "attach", "remark", "event_key")
_NUMBERS = ("stay_time_uv", "stay_time_session", "visit_depth")


@dataclass(frozen=True)
class Column:
    """One landed column. `allowed` closes its vocabulary; of `is_hashed` only a hash ever lands.

    In `is_free_text` people write what they like: phone numbers in it are blanked.
    """

    name: str
    kind: Kind = "text"
    is_required: bool = False
    allowed: tuple[str, ...] = ()
    is_hashed: bool = False
    is_free_text: bool = False
    hashed_where_kind: str = ""
    """Name of the column beside it that says whether the value is a phone number."""


@dataclass(frozen=True)
class LandedTable:
    """One landed table. The first present instant among the columns `day_of` gives a row's day."""

    name: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    day_of: tuple[str, ...] = ()

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, ARROW_TYPES[c.kind]) for c in self.columns])

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.is_required)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def is_amount(self, name: str) -> bool:
        """Whether a column is money or a quantity: what may be added up."""
        return name.endswith("_fen") or self.column(name).kind == "decimal"


def _kind(name: str) -> Kind:
    if name.endswith("_at"):
        return "instant"
    if name.endswith("_date"):
        return "day"
    if name in _NUMBERS:
        return "number"
    if (
        name.endswith(("_fen", "_count", "_cnt", "_pv", "_uv", "_uv_new", "_user"))
        or name == "line_no"
    ):
        return "integer"
    return "decimal" if name == "quantity" else "text"


def _kind_beside(name: str) -> str:
    return name.replace("_value", "_kind") if name.endswith("_value") else ""


def _table(
    name: str,
    grain: str,
    columns: str,
    *,
    key: str,
    day_of: str = "",
    allowed: dict[str, tuple[str, ...]] | None = None,
    kinds: dict[str, Kind] | None = None,
) -> LandedTable:
    """Read a table from its column list as the documentation writes it, `*` marking required."""
    words = columns.replace(",", " ").split()
    closed = {"created_via": CREATED_VIA, "channel": CHANNELS} | (allowed or {})
    if name.startswith("erp_"):
        closed.pop("channel")  # an ERP may name channels of its own, such as a shop counter
    return LandedTable(
        name=name,
        grain=grain,
        columns=tuple(
            Column(
                name=word.rstrip("*"),
                kind=(kinds or {}).get(word.rstrip("*"), _kind(word.rstrip("*"))),
                is_required=word.endswith("*"),
                allowed=closed.get(word.rstrip("*"), ()),
                is_hashed=word.rstrip("*") == "phone",
                is_free_text=word.rstrip("*") in FREE_TEXTS,
                hashed_where_kind=_kind_beside(word.rstrip("*")),
            )
            for word in words
        ),
        key=tuple(key.split()),
        day_of=tuple(day_of.split()),
    )


TABLES: dict[str, LandedTable] = {
    table.name: table
    for table in (
        _table(
            "tracking_events",
            "tracked event of any channel",
            "event_id* event* occurred_at* channel* session_id* openid unionid member_no scene "
            "page business_line* case_no amount_fen message_id shown_state app_id sdk_version",
            key="event_id",
            day_of="occurred_at",
            allowed={"event": EVENTS},
        ),
        _table(
            "messages",
            "message the company meant to send or sent",
            "message_id* kind* template_id openid unionid business_line case_no node due_at "
            "sent_at status status_at",
            key="message_id",
            day_of="due_at sent_at status_at",
            allowed={"kind": MESSAGE_KINDS, "node": MESSAGE_NODES, "status": MESSAGE_STATUSES},
        ),
        _table(
            "pay_bill",
            "row of the WeChat Pay trade bill",
            "row_kind* transaction_id* order_no* app_id mch_id openid trade_type trade_state* "
            "happened_at* order_amount_fen* settled_amount_fen coupon_fen refund_id refund_no "
            "refund_amount_fen refund_requested_fen refund_state fee_milli_fen rate description "
            "attach",
            key="row_kind transaction_id refund_id",
            day_of="happened_at",
            allowed={"row_kind": ("payment", "refund")},
        ),
        _table(
            "pay_fund_flow",
            "movement of money in a merchant's account, as WeChat Pay books it",
            "account_type* booked_at* payment_no flow_no* business_name business_type direction* "
            "amount_fen* balance_fen remark voucher_no mch_id",
            key="account_type flow_no payment_no business_type direction booked_at",
            day_of="booked_at",
            allowed={"account_type": FUND_ACCOUNTS, "direction": ("income", "expense")},
        ),
        _table(
            "mp_orders",
            "order in WeChat's own order list",
            "transaction_id* order_no* order_state* paid_amount_fen* paid_at openid "
            "first_shipped_upload_at shipments",
            key="transaction_id",
            day_of="paid_at first_shipped_upload_at",
            kinds={"order_state": "integer"},
        ),
        _table(
            "mp_daily",
            "day of mini-program visits, as WeChat counts them",
            f"ref_date* {VISITS} visit_total share_pv share_uv",
            key="ref_date",
            day_of="ref_date",
            kinds={"visit_total": "integer"},
        ),
        _table(
            "mp_weekly",
            "week of mini-program visits, Monday to Sunday, as WeChat counts them",
            f"ref_date* until_date* {VISITS}",
            key="ref_date",
            day_of="until_date",
        ),
        _table(
            "mp_monthly",
            "calendar month of mini-program visits, as WeChat counts them",
            f"ref_date* until_date* {VISITS}",
            key="ref_date",
            day_of="until_date",
        ),
        _table(
            "mp_sources",
            "day, distribution of mini-program visits and its item",
            "ref_date* index* key* value*",
            key="ref_date index key",
            day_of="ref_date",
            kinds={"key": "integer", "value": "integer"},
        ),
        _table(
            "mp_pages",
            "day and page of the mini-program",
            "ref_date* page_path* page_visit_pv page_visit_uv page_staytime_pv entrypage_pv "
            "exitpage_pv page_share_pv page_share_uv",
            key="ref_date page_path",
            day_of="ref_date",
            kinds={"page_staytime_pv": "number"},
        ),
        _table(
            "mp_retention",
            "day, week or month of visitors, and a later one on which some of them came again",
            "period* ref_date* until_date* visitors* key* value*",
            key="period ref_date visitors key",
            day_of="until_date",
            allowed={"period": PERIODS, "visitors": VISITORS},
            kinds={"key": "integer", "value": "integer"},
        ),
        _table(
            "mp_portrait",
            "span of days and attribute of the visitors, such as a city",
            "ref_date* until_date* visitors* attribute* id name* value*",
            key="ref_date until_date visitors attribute name",
            day_of="until_date",
            allowed={"visitors": VISITORS, "attribute": ATTRIBUTES},
            kinds={"value": "integer"},
        ),
        _table(
            "oa_users",
            "day and source of new and lost followers of the service account",
            "ref_date* user_source* new_user cancel_user cumulate_user",
            key="ref_date user_source",
            day_of="ref_date",
            kinds={"user_source": "integer"},
        ),
        _table(
            "oa_articles",
            "article of the service account and day of its statistics",
            "ref_date* msgid* stat_date* publish_type title content_url read_user share_user "
            "zaikan_user like_user comment_count collection_user praise_money "
            "read_subscribe_user read_delivery_rate read_finish_rate read_avg_activetime "
            "read_user_source read_jump_position",
            key="ref_date msgid stat_date",
            day_of="ref_date",
            kinds={
                "publish_type": "integer",
                "praise_money": "integer",
                "read_delivery_rate": "number",
                "read_finish_rate": "number",
                "read_avg_activetime": "number",
            },
        ),
        _table(
            "oa_article_days",
            "day, article and scene of its readers; scene 全部 is the total of the others",
            "ref_date* msgid* scene_desc* read_user share_user",
            key="ref_date msgid scene_desc",
            day_of="ref_date",
        ),
        _table(
            "oa_account_days",
            "day and scene of the account's readers; scene 全部 is the total of the others",
            "ref_date* scene_desc* read_user share_user zaikan_user like_user comment_count "
            "collection_user redirect_ori_page_user send_page_count",
            key="ref_date scene_desc",
            day_of="ref_date",
        ),
        _table(
            "oa_upstream_messages",
            "figure of messages that users sent to the service account",
            "statistic* ref_date* until_date* ref_hour msg_type count_interval msg_user msg_count",
            key="statistic ref_date ref_hour msg_type count_interval",
            day_of="until_date",
            allowed={"statistic": UPSTREAM_STATISTICS},
            kinds={"ref_hour": "integer", "msg_type": "integer", "count_interval": "integer"},
        ),
        _table(
            "oa_interface_days",
            "day, or hour of a day, of calls to the service account's server",
            "ref_date* ref_hour callback_count fail_count total_time_cost max_time_cost",
            key="ref_date ref_hour",
            day_of="ref_date",
            kinds={
                "ref_hour": "integer",
                "total_time_cost": "integer",
                "max_time_cost": "integer",
            },
        ),
        _table(
            "wechat_quota",
            "call of an application and its quota, as asked for with the day",
            "ref_date* app_id* cgi_path* asked_at* daily_limit used remain call_count "
            "refresh_second",
            key="ref_date app_id cgi_path",
            day_of="ref_date",
            kinds={
                "daily_limit": "integer",
                "used": "integer",
                "remain": "integer",
                "refresh_second": "integer",
            },
        ),
        _table(
            "message_results",
            "result of a message, as WeChat called back",
            "message_id* kind* template_id openid app_id status* status_at* reason total_count "
            "filter_count sent_count error_count",
            key="message_id kind",
            day_of="status_at",
            allowed={"kind": MESSAGE_KINDS, "status": MESSAGE_STATUSES},
        ),
        _table(
            "callback_events",
            "callback of an account that is no result of a message",
            "event_id* event* occurred_at* app_id openid event_key template_id menu_id popup_scene",
            key="event_id",
            day_of="occurred_at",
            allowed={"event": CALLBACK_EVENTS},
        ),
        _table(
            "identities",
            "known pair of identifiers",
            "left_kind* left_value* right_kind* right_value* seen_at* source",
            key="left_kind left_value right_kind right_value",
            day_of="seen_at",
        ),
        _table(
            "erp_orders",
            "sales order of the ERP",
            "erp_order_no* order_no channel business_line customer_code phone state* ordered_at* "
            "created_at* created_by created_via updated_at* amount_fen* freight_fen discount_fen "
            "currency transaction_id",
            key="erp_order_no",
            day_of="ordered_at",
            allowed={"state": ERP_ORDER_STATES},
        ),
        _table(
            "erp_order_lines",
            "line of an ERP sales order",
            "erp_order_no* line_no* sku* quantity* amount_fen*",
            key="erp_order_no line_no",
        ),
        _table(
            "erp_receipts",
            "payment booked in the ERP, per order that it pays",
            "receipt_no* erp_order_no order_no transaction_id amount_fen* received_at* "
            "created_at* created_by created_via",
            key="receipt_no erp_order_no order_no",
            day_of="received_at",
        ),
        _table(
            "erp_shipments",
            "delivery document of the ERP",
            "shipment_no* erp_order_no* state* shipped_at created_at* created_by created_via "
            "tracking_no",
            key="shipment_no",
            day_of="created_at",
            allowed={"state": SHIPMENT_STATES},
        ),
        _table(
            "erp_stock_moves",
            "stock reserved, released or issued",
            "move_no* erp_order_no sku* quantity* kind* moved_at*",
            key="move_no",
            day_of="moved_at",
            allowed={"kind": ("reserve", "release", "issue")},
        ),
        _table(
            "erp_refunds",
            "refund or credit note of the ERP",
            "refund_doc_no* erp_order_no order_no refund_no refund_id amount_fen* posted_at* "
            "created_by created_via",
            key="refund_doc_no",
            day_of="posted_at",
        ),
        _table(
            "crm_contacts",
            "customer or member of the CRM",
            "contact_id* unionid openid member_no phone customer_code source created_at* "
            "updated_at* created_by created_via",
            key="contact_id",
            day_of="created_at",
        ),
        _table(
            "crm_appointments",
            "booking in the CRM",
            "appointment_no* booking_no contact_id business_line state* slot_at created_at* "
            "updated_at* created_by created_via",
            key="appointment_no",
            day_of="created_at",
            allowed={"state": APPOINTMENT_STATES},
        ),
        _table(
            "crm_cases",
            "after-sales or service ticket",
            "crm_case_no* ticket_no contact_id business_line state* opened_at* closed_at "
            "created_by created_via",
            key="crm_case_no",
            day_of="opened_at",
            allowed={"state": TICKET_STATES},
        ),
        _table(
            "crm_opportunities",
            "lead or opportunity",
            "opportunity_no* contact_id business_line state* amount_fen created_at* updated_at*",
            key="opportunity_no",
            day_of="created_at",
        ),
    )
}
