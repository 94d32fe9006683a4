"""The report: one self-contained HTML file for a management meeting, Chinese and English in one.

`write_report` reads the published marts and writes the page. No script, no link, no clock: equal
marts give equal bytes.
"""

from pipeline.report.page import write_report

__all__ = ["write_report"]
