"""WeChat's own systems: figures, order list, bills and quotas, each as landed tables.

Thin clients over httpx. They know the protocols of WeChat and nothing of scheduling or storage.
"""

from pipeline.sources.wechat.callbacks import Callbacks
from pipeline.sources.wechat.miniprogram import MiniProgramFigures
from pipeline.sources.wechat.official_account import OfficialAccountFigures
from pipeline.sources.wechat.orders import OrderList
from pipeline.sources.wechat.pay import MerchantBills
from pipeline.sources.wechat.quota import CallQuotas

__all__ = [
    "CallQuotas",
    "Callbacks",
    "MerchantBills",
    "MiniProgramFigures",
    "OfficialAccountFigures",
    "OrderList",
]  # fmt: skip
