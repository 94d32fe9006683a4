"""The report's vocabulary: legs, divergence classes, sources, channels in Chinese and English.

Classes and bridge steps bear the names of the seeds `divergence_classes` and `bridge_steps`.
Names a company gives itself (lines, owners) are shown as they are where they are not listed here.
"""

from collections.abc import Collection
from dataclasses import dataclass

from pipeline.report.notation import Words


@dataclass(frozen=True)
class LegWords:
    """A leg as the system where its evidence lives, and as the act that it proves."""

    system: Words
    act: Words


LEGS: dict[str, LegWords] = {
    "submitted": LegWords(Words("前端", "Front end"), Words("前端下单", "Submitted")),
    "paid": LegWords(Words("微信支付", "WeChat Pay"), Words("支付到账", "Paid")),
    "booked": LegWords(Words("ERP 订单", "ERP order"), Words("订单入账", "Booked in ERP")),
    "received": LegWords(Words("ERP 收款", "ERP receipt"), Words("收款入账", "Receipt in ERP")),
    "fulfilled": LegWords(Words("履约发货", "Fulfilment"), Words("履约发货", "Fulfilled")),
    "known": LegWords(Words("CRM 客户", "CRM"), Words("客户归属", "Known in CRM")),
    "reflowed": LegWords(Words("状态回流", "Reflow"), Words("状态回流", "Status reflowed")),
    "notified": LegWords(Words("消息触达", "Messages"), Words("消息触达", "Notified")),
    "refunded": LegWords(Words("退款", "Refunds"), Words("退款两清", "Refunded")),
    "confirmed": LegWords(Words("CRM 预约", "CRM booking"), Words("预约确认", "Confirmed")),
    "served": LegWords(Words("到店服务", "Service"), Words("服务完成", "Served")),
    "ticketed": LegWords(Words("CRM 工单", "CRM ticket"), Words("工单建立", "Ticketed")),
    "resolved": LegWords(Words("工单处理", "Resolution"), Words("处理完成", "Resolved")),
}


@dataclass(frozen=True)
class DivergenceWords:
    """A divergence class as a short label and as the sentence that follows a number of cases."""

    label: Words
    meaning: Words


DIVERGENCES: dict[str, DivergenceWords] = {
    "identity_conflict": DivergenceWords(
        Words("身份冲突", "Identity conflict"),
        Words("同一客户的标识指向多个 CRM 客户", "leading to more than one CRM contact"),
    ),
    "duplicate": DivergenceWords(
        Words("重复入账", "Duplicate record"),
        Words("同一单号在后台有多条记录", "carried by more than one back-end record"),
    ),
    "key_lost": DivergenceWords(
        Words("单号丢失", "Key lost"),
        Words("后台记录没带前端单号", "found in the back end without the front end's number"),
    ),
    "surface_only": DivergenceWords(
        Words("仅前端有", "Surface only"),
        Words("前端显示成功，后台各系统都没有记录", "shown as done, known to no back-end system"),
    ),
    "paid_not_booked": DivergenceWords(
        Words("已付未入账", "Paid, not booked"),
        Words("微信支付已到账，ERP 没有订单", "paid in WeChat, with no ERP order"),
    ),
    "booked_not_paid": DivergenceWords(
        Words("已入账未付", "Booked, not paid"),
        Words("ERP 有订单，账单里没有付款", "in the ERP, with no payment in the bill"),
    ),
    "shipped_unpaid": DivergenceWords(
        Words("未付已发货", "Shipped, unpaid"),
        Words("货已发出，账单里没有付款", "shipped, with no payment in the bill"),
    ),
    "backend_only": DivergenceWords(
        Words("仅后端有", "Back end only"),
        Words("后台有记录，前端没有任何事件", "in the back end, never seen by the front end"),
    ),
    "amount_mismatch": DivergenceWords(
        Words("金额不符", "Amount mismatch"),
        Words("两边金额不一致", "with another amount on the other side"),
    ),
    "state_conflict": DivergenceWords(
        Words("状态矛盾", "State conflict"),
        Words("两边状态不可能同时成立", "in states that cannot both hold"),
    ),
    "refund_missing": DivergenceWords(
        Words("退款未入账", "Refund missing"),
        Words("账单已退款，ERP 没有退款单", "refunded in the bill, not in the ERP"),
    ),
    "refund_unbacked": DivergenceWords(
        Words("退款无支付凭据", "Refund unbacked"),
        Words("ERP 有退款单，账单没有退款", "refunded in the ERP, not in the bill"),
    ),
    "channel_mislabelled": DivergenceWords(
        Words("渠道标错", "Channel mislabelled"),
        Words("ERP 记的渠道与前端不同", "booked under another channel"),
    ),
    "not_received": DivergenceWords(
        Words("收款未入账", "Not received"),
        Words("已入单，ERP 没有收款", "booked, with no receipt in the ERP"),
    ),
    "not_fulfilled": DivergenceWords(
        Words("未履约", "Not fulfilled"),
        Words("已入单，期限内没有发货", "booked, not shipped inside the window"),
    ),
    "not_known": DivergenceWords(
        Words("客户未识别", "Buyer unknown"),
        Words("买家不在 CRM 里", "bought by someone the CRM does not know"),
    ),
    "not_confirmed": DivergenceWords(
        Words("未确认", "Not confirmed"),
        Words("前端显示已预约，CRM 没有预约", "booked on the page, not in the CRM"),
    ),
    "not_served": DivergenceWords(
        Words("未服务", "Not served"),
        Words("预约时间已过，没有服务结果", "past their slot, without an outcome"),
    ),
    "not_ticketed": DivergenceWords(
        Words("未建工单", "Not ticketed"),
        Words("前端已提交，CRM 没有工单", "submitted, with no ticket in the CRM"),
    ),
    "not_resolved": DivergenceWords(
        Words("未解决", "Not resolved"),
        Words("工单超过期限仍未解决", "not resolved inside the window"),
    ),
    "not_reflowed": DivergenceWords(
        Words("状态未回流", "Not reflowed"),
        Words("后台已变化，前端一直没显示", "moved in the back end, never shown in front"),
    ),
    "late_reflow": DivergenceWords(
        Words("回流迟到", "Late reflow"),
        Words("后台状态很晚才回到前端", "shown in front too late"),
    ),
    "not_notified": DivergenceWords(
        Words("未通知", "Not notified"),
        Words("应发的消息没有发送", "due a message that was never sent"),
    ),
    "notify_failed": DivergenceWords(
        Words("通知失败", "Notify failed"),
        Words("消息已发送，没有送达", "sent a message that did not arrive"),
    ),
    "manual_rekey": DivergenceWords(
        Words("人工重录", "Manual re-keying"),
        Words("记录一致，但由人工录入", "matching only because someone typed them in"),
    ),
    "late": DivergenceWords(
        Words("迟到", "Late"),
        Words("有记录，但晚于时限", "recorded later than agreed"),
    ),
}

SUB_CLASSES: dict[str, Words] = {
    "unit": Words("元分单位", "unit"),
    "coupon": Words("优惠券", "coupon"),
    "freight": Words("运费", "freight"),
    "fee": Words("手续费", "fee"),
    "rounding": Words("抹零", "rounding"),
    "partial": Words("部分", "partial"),
    "unexplained": Words("原因不明", "unexplained"),
}

BRIDGE_STEPS: dict[str, Words] = {
    "surface_total": Words("前端成交额", "Claimed by the front end"),
    "refunded": Words("取消并已退款", "Cancelled and refunded"),
    "cancelled": Words("后端取消未付", "Cancelled unpaid"),
    "pending": Words("尚未到期", "Not due yet"),
    "unverifiable": Words("无法核实", "Cannot be verified"),
    "unclaimed": Words("前端未确认", "No success shown"),
    "abandoned": Words("未付草单", "Open and unpaid"),
    "cut_off": Words("跨日归属", "Booked on another day"),
    "erp_total": Words("ERP 销售额", "Sales orders in the ERP"),
}

SOURCES: dict[str, Words] = {
    "tracking_events": Words("前端埋点", "Tracked events"),
    "messages": Words("服务号消息", "Messages"),
    "pay_bill": Words("微信支付账单", "WeChat Pay bill"),
    "mp_orders": Words("微信订单列表", "WeChat order list"),
    "mp_daily": Words("小程序访问日报", "Mini-program visits"),
    "identities": Words("身份对照", "Identities"),
    "erp_orders": Words("ERP 订单", "ERP orders"),
    "erp_order_lines": Words("ERP 订单行", "ERP order lines"),
    "erp_receipts": Words("ERP 收款", "ERP receipts"),
    "erp_shipments": Words("ERP 发货", "ERP shipments"),
    "erp_stock_moves": Words("ERP 库存变动", "ERP stock moves"),
    "erp_refunds": Words("ERP 退款", "ERP refunds"),
    "crm_contacts": Words("CRM 客户", "CRM contacts"),
    "crm_appointments": Words("CRM 预约", "CRM appointments"),
    "crm_cases": Words("CRM 工单", "CRM tickets"),
    "crm_opportunities": Words("CRM 商机", "CRM opportunities"),
}

CHANNELS: dict[str, Words] = {
    "mini_program": Words("小程序", "mini-program"),
    "h5": Words("H5", "H5"),
    "mobile_site": Words("移动网站", "mobile site"),
    "app": Words("App", "app"),
    "pc": Words("PC", "PC"),
}

# A loop as the kind of business that it carries.
LOOPS: dict[str, Words] = {
    "order": Words("订单", "orders"),
    "booking": Words("预约", "bookings"),
    "aftersale": Words("售后", "after-sales"),
    "member": Words("注册", "registrations"),
}

COMMON_LINES: dict[str, Words] = {
    "retail": Words("商城零售", "Retail"),
    "flash_sale": Words("限时抢购", "Flash sale"),
    "wholesale": Words("批发采购", "Wholesale"),
    "member": Words("会员注册", "Membership"),
    "booking": Words("服务预约", "Service booking"),
    "aftersale": Words("售后服务", "After-sales"),
    "fitting": Words("到店试穿", "Fitting"),
    "membership": Words("会员注册", "Membership"),
}

COMMON_OWNERS: dict[str, Words] = {
    "front_end": Words("前端组", "Front end"),
    "payments": Words("支付组", "Payments"),
    "erp_interface": Words("ERP 接口组", "ERP interface"),
    "crm_interface": Words("CRM 接口组", "CRM interface"),
    "finance": Words("财务部", "Finance"),
    "warehouse": Words("仓储物流部", "Warehouse"),
    "membership": Words("会员中心", "Membership"),
    "mini_program": Words("小程序组", "Mini-program"),
    "service_account": Words("服务号运营", "Service account"),
    "messaging": Words("消息运营", "Messaging"),
    "service": Words("服务组", "Service"),
    "store_service": Words("门店服务", "Store service"),
    "after_sales": Words("售后组", "After-sales"),
}

NUMERALS_ZH = ("零", "一", "两", "三", "四", "五", "六", "七", "八", "九", "十")
NUMERALS_EN = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
)  # fmt: skip


def name_leg(leg: str) -> Words:
    """The act that a leg proves."""
    return LEGS[leg].act if leg in LEGS else _as_written(leg)


def name_system(leg: str) -> Words:
    """The system where a leg's evidence lives."""
    return LEGS[leg].system if leg in LEGS else _as_written(leg)


def name_divergence(divergence: str) -> Words:
    """The short label of a divergence class."""
    known = DIVERGENCES.get(divergence)
    return known.label if known else _as_written(divergence)


def explain_divergence(divergence: str) -> Words:
    """What is wrong with a case of the class, in words that follow a number of cases."""
    known = DIVERGENCES.get(divergence)
    return known.meaning if known else _as_written(divergence)


def name_step(step: str) -> Words:
    """A step of the bridge: a total, a divergence class or a lawful difference."""
    return BRIDGE_STEPS.get(step) or name_divergence(step)


def name_sub_class(sub_class: str) -> Words:
    """The term that closes the equation of two amounts."""
    return SUB_CLASSES.get(sub_class) or _as_written(sub_class)


def name_source(table: str) -> Words:
    """A landed table."""
    return SOURCES.get(table) or _as_written(table)


def name_channel(channel: str | None) -> Words:
    """A channel of the front end; a dash where the back end alone knows the case."""
    return CHANNELS.get(channel) or _as_written(channel) if channel else Words("–", "–")


def name_line(line: str) -> Words:
    """A business line, as the company calls it unless it is one of the common ones."""
    return COMMON_LINES.get(line) or _as_written(line)


def name_loop(loop: str) -> Words:
    """The kind of business that a loop carries."""
    return LOOPS.get(loop) or _as_written(loop)


def name_line_and_loop(line: str, loop: str, loops: Collection[str]) -> Words:
    """A business line, and which of its loops, where the report tells of several `loops`."""
    named = name_line(line)
    if len(set(loops)) < 2:
        return named
    told = name_loop(loop)
    return Words(f"{named.zh} · {told.zh}", f"{named.en} · {told.en}")


def name_owners(owners: str) -> Words:
    """Comma-separated owner names; divergences without one say so."""
    if not owners:
        return Words("未指定负责人", "Nobody named")
    named = [COMMON_OWNERS.get(owner) or _as_written(owner) for owner in owners.split(",")]
    return Words("、".join(n.zh for n in named), ", ".join(n.en for n in named))


def spell_lines(number: int) -> Words:
    """A number of business lines, in words up to ten."""
    return _spell(number, Words("条业务线", "business line"))


def spell_loops(number: int) -> Words:
    """A number of loops, in words up to ten."""
    return _spell(number, Words("个业务流程", "loop"))


def _spell(number: int, counted: Words) -> Words:
    plural = counted.en if number == 1 else f"{counted.en}s"
    if number < len(NUMERALS_ZH):
        return Words(f"{NUMERALS_ZH[number]}{counted.zh}", f"{NUMERALS_EN[number]} {plural}")
    return Words(f"{number} {counted.zh}", f"{number} {plural}")


def _as_written(name: str) -> Words:
    readable = name.replace("_", " ")
    return Words(readable, readable[:1].upper() + readable[1:])
