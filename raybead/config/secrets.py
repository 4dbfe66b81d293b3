"""Keeps credentials out of job files, which are copied into every run and shown in its report."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from raybead.errors import JobError

SECRET_WORDS = {
    "auth", "bearer", "jwt", "key", "pass", "passwd", "password", "pwd", "secret", "sig", "token",
}  # fmt: skip
SECRET_PARTS = ("accesskey", "apikey", "credential", "secret", "signature", "token")
"""Names of an address's parameters, word by word or anywhere in them, that let in whoever reads
them: signed addresses of stores have ``X-Amz-Signature``, ``GoogleAccessId``, ``sig``."""
PASSWORD = re.compile(
    r"://[^/?#@]*:[^/?#@]*@"  # also one with :: in it, that looks like a chain of addresses
    r"|\b(postgresql|mysql|mssql)[\w+]*://[^:/@]*:[^@]*@"  # SQLAlchemy's may hold slashes
)
ENVIRONMENT = {
    "loggers.mlflow.uri": "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the"
    " environment, or for a database MLFLOW_TRACKING_URI, and leave it out here"
}
"""Where a key's credentials go instead, where it is known."""


def refuse_secrets(raw: Any, *, origin: str) -> None:
    """Refuse a job that holds credentials in one of its addresses.

    Args:
        raw: the job as it is written.
        origin: of the job, for errors.

    Raises:
        JobError: under which key; never with the credential itself.
    """
    for key, text in _texts(raw, ""):
        why = _secret_in(text)
        if why is not None:
            instead = ENVIRONMENT.get(
                key, "give credentials to the process, by its environment or its node's role"
            )
            raise JobError(
                f"{origin}: {key} has {why}; a job file is copied into its run, where all can"
                f" read it: {instead}"
            )


def _secret_in(text: str) -> str | None:
    """What of an address is secret, in words."""
    # Chained addresses, such as simplecache::https://..., hold several.
    for address in text.split("::"):
        if "://" not in address:
            continue
        try:
            parts = urlsplit(address)
        except ValueError:  # no address, which whoever opens it will say in full
            if "@" in address:
                return "what may be a password in its address"
            continue
        # Over HTTP a name by itself is a token; sftp://me@host is a name.
        web = parts.scheme in ("http", "https") and parts.username is not None
        if parts.password is not None or web:
            return "a password in its address"
        for name, _ in parse_qsl(
            f"{parts.query}&{parts.fragment}".replace(";", "&"), keep_blank_values=True
        ):
            words = set(re.split(r"[-_.]", name.lower()))
            if words & SECRET_WORDS or any(part in name.lower() for part in SECRET_PARTS):
                return f"a credential in its address, {name}"
    return "a password in its address" if PASSWORD.search(text) else None


def _texts(raw: Any, key: str) -> Iterator[tuple[str, str]]:
    match raw:
        case str():
            yield key, raw
        case dict():
            for name, value in raw.items():
                yield from _texts(value, f"{key}.{name}" if key else str(name))
        case list() | tuple():
            for place, value in enumerate(raw):
                yield from _texts(value, f"{key}.{place}")
