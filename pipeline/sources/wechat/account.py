"""A landed table of one account at api.weixin.qq.com: the line that all of its calls share."""

from functools import cached_property

from pipeline.sources.days import DailySource
from pipeline.sources.wechat.api import WechatApi


class AccountSource(DailySource):
    """One landed table that is asked for on behalf of an application."""

    @cached_property
    def _api(self) -> WechatApi:
        return WechatApi(self._connection, self._company, self._wire)
