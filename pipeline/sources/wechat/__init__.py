"""WeChat's own systems: visits, the order list and the trade bill, each as one landed table.

Thin clients over httpx. They know the protocols of WeChat and nothing of scheduling or storage.
"""

from pipeline.sources.wechat.callbacks import Callbacks
from pipeline.sources.wechat.miniprogram import MiniProgramVisits
from pipeline.sources.wechat.orders import OrderList
from pipeline.sources.wechat.pay import TradeBills

__all__ = ["Callbacks", "MiniProgramVisits", "OrderList", "TradeBills"]
