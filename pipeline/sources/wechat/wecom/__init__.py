"""WeCom: the customers whom the company's members have added, as contacts of the CRM."""

from pipeline.sources.wechat.wecom.contacts import ExternalContacts

__all__ = ["ExternalContacts"]
