"""Kingdee K3Cloud (金蝶云星空), read through its WebAPI: signing, calls, forms and bills.

What its fields mean for a company is said by `columns` in sources.yml.
"""
