"""A line of a log for machines: one JSON object, with the same keys wherever it comes from."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any, Literal

Event = Literal["started", "progress", "finished", "note", "fault"]
LogForm = Literal["auto", "json"]
"""How a command tells what it does: bars or plain lines for people, or JSON."""
LOG_FORM = "RAYBEAD_LOG"
"""Environment variable that says the form where the command doesn't."""


def log_line(event: Event, message: str, **facts: Any) -> str:
    """One line: ``time`` (UTC, ISO 8601), ``level``, ``event``, ``message``, and what is known.

    Args:
        event: what kind of news it is.
        message: for people; line breaks stay inside the JSON.
        facts: such as ``run``, ``stage``, ``done``, ``total``; those that are None are left out.
    """
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    level = "error" if event == "fault" else "info"
    known = {name: value for name, value in facts.items() if value is not None}
    return json.dumps(
        {"time": time, "level": level, "event": event, **known, "message": message},
        ensure_ascii=False,
        default=str,
    )


def asked_form(arguments: list[str]) -> LogForm:
    """The form that a command line asks for, also one that can't be understood otherwise."""
    for before, word in zip(["", *arguments], arguments, strict=False):
        if word == "--log=json" or (before, word) == ("--log", "json"):
            return "json"
    return "json" if os.environ.get(LOG_FORM) == "json" else "auto"
