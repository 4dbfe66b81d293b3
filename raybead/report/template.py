"""The templates of all pages, and what stands in all of them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

if TYPE_CHECKING:
    from raybead.report.figures.chart import Chart


def page_template(name: str, **filters: Callable[..., Any]) -> Template:
    """A page's template; ``templates/base.html.j2`` says how a page is made of it.

    Paths and notes of a job are anyone's text: all of it is escaped, whatever it holds.

    Args:
        name: of the file in ``templates/``.
        **filters: the page's own, beside ``base64`` (of an image) and ``embedded`` (a chart's
            numbers, for the script).
    """
    environment = Environment(
        loader=PackageLoader("raybead", "report/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        base64=lambda content: base64.b64encode(content).decode(), embedded=_embedded, **filters
    )
    environment.globals["asset"] = asset
    return environment.get_template(name)


@cache
def asset(name: str) -> Markup:
    """A style sheet or script of ``assets/``, as it goes into a page.

    Raises:
        ValueError: it holds what would end the element that it is put into.
    """
    text = (files("raybead.report") / "assets" / name).read_text(encoding="utf-8")
    if "</script" in text or "</style" in text or "<!--" in text:
        raise ValueError(f"{name}: would end its element in a page")
    return Markup(text)  # ours, not a job's


def _embedded(chart: Chart) -> Markup:
    # JSON in an element of a page: nothing in it may look like a tag.
    text = chart.json().decode()
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)
