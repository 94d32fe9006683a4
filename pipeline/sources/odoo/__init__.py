"""Odoo, spoken to by JSON-RPC or JSON-2: its calls, its records and its payments.

What its fields mean for a company is said by `columns` in sources.yml.
"""
