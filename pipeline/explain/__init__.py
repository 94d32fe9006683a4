"""One case, leg by leg, in plain words: what was claimed, what was found where, and the verdict.

Reads the published file alone; how it looks on a terminal is the concern of `pipeline.terminal`.
"""

from pipeline.explain.finding import CaseStory, UnknownCaseError, find_case
from pipeline.explain.telling import tell_case

__all__ = ["CaseStory", "UnknownCaseError", "find_case", "tell_case"]
