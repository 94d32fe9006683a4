"""Callbacks: what WeChat posts to the company's own server, received, stored and read back.

Scheduling and landing do not belong here.
"""

from pipeline.sources.wechat.callbacks.source import Callbacks

__all__ = ["Callbacks"]
