"""Figures and the page that holds them."""

from raybead.report.emd import write_emd_report
from raybead.report.page import write_report
from raybead.report.sweep import board_rows, write_sweep_report

__all__ = ["board_rows", "write_emd_report", "write_report", "write_sweep_report"]
