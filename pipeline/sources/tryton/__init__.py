"""Tryton by JSON-RPC, as its own clients speak to it. Tryton by SQL is the concern of `sql`."""
