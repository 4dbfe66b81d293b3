"""Figures and the page that holds them."""

from raybead.report.emd import write_emd_report
from raybead.report.page import write_report

__all__ = ["write_emd_report", "write_report"]
