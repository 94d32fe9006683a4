"""Decisions: statistics on small frames, in plain functions. No I/O, no orchestration here."""
