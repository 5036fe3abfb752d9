"""The report: one self-contained HTML page about one or more runs of the same questions."""

from eval.report.page import Entry, write_report

__all__ = ["Entry", "write_report"]
