"""Writes the pages of docs/ that are made from the code: ``make keys``."""

from __future__ import annotations

from pages_from_code import DOCS, PAGES

for name, page in PAGES.items():
    (DOCS / name).write_text(page(), encoding="utf-8")
    print(f"docs/{name}")
