"""WeChat's own systems: visits, the order list and the bills, each as one landed table.

Thin clients over httpx. They know the protocols of WeChat and nothing of scheduling or storage.
"""

from pipeline.sources.wechat.miniprogram import MiniProgramVisits
from pipeline.sources.wechat.orders import OrderList
from pipeline.sources.wechat.pay import MerchantBills

__all__ = ["MerchantBills", "MiniProgramVisits", "OrderList"]
