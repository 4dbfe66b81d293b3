"""The templates of all pages."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def page_template(name: str, **filters: Callable[..., Any]) -> Template:
    """A page's template, with its filters and ``base64``, by which figures are put into it.

    Paths and notes of a job are anyone's text: all of it is escaped, whatever it holds.
    """
    environment = Environment(
        loader=PackageLoader("raybead", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        base64=lambda content: base64.b64encode(content).decode(), **filters
    )
    return environment.get_template(name)
