"""Figures and the page that holds them."""

from raybead.report.page import write_report

__all__ = ["write_report"]
