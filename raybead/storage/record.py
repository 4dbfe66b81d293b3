"""What a Zenodo record says of its files: size, checksum, address."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from urllib.parse import urljoin

from pydantic import BaseModel, Field, NonNegativeInt, ValidationError

from raybead.config import Download
from raybead.errors import DownloadError
from raybead.storage.download import RemoteFile
from raybead.storage.web import Again, Patience, answer

CHECKSUM = re.compile(r"(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})", re.I)


class _Links(BaseModel):
    content: str = Field(alias="self")


class _File(BaseModel):
    key: str
    size: NonNegativeInt
    checksum: str
    links: _Links


class _Record(BaseModel):
    files: list[_File]


def record_files(
    record: int, keys: Sequence[str], how: Download, say: Callable[[str], None]
) -> list[RemoteFile]:
    """The files ``keys`` of a record, as its API describes them now.

    Raises:
        DownloadError: the record can't be read, lacks a file, or gives no checksum that can be
            checked.
    """
    url = f"{how.record_api.rstrip('/')}/{record}"
    try:
        held = {file.key: file for file in _Record.model_validate_json(_get(url, how, say)).files}
    except ValidationError as error:
        fault = error.errors()[0]
        named = ".".join(str(part) for part in fault["loc"])
        raise DownloadError(
            f"{url}: not a record with files: {named + ': ' if named else ''}{fault['msg']}"
        ) from None
    return [_remote(url, key, held) for key in keys]


def _get(url: str, how: Download, say: Callable[[str], None]) -> bytes:
    patience = Patience(how, url, say)
    while True:
        try:
            with answer(url, how) as response:
                return response.read()
        except Again as fault:
            patience.spend(fault)


def _remote(url: str, key: str, held: dict[str, _File]) -> RemoteFile:
    if key not in held:
        names = ", ".join(sorted(held)) or "none at all"
        raise DownloadError(f"{url}: the record has no file {key!r}; it has {names}")
    file = held[key]
    if not CHECKSUM.fullmatch(file.checksum):
        raise DownloadError(
            f"{url}: {key} has the checksum {file.checksum!r}, and only md5, sha256 and sha512"
            " can be checked"
        )
    content = urljoin(url, file.links.content)
    if not content.startswith(("http://", "https://")):
        raise DownloadError(f"{url}: {key} lies at {content!r}, which isn't on the web")
    kind, _, digits = file.checksum.partition(":")
    return RemoteFile(key, content, file.size, f"{kind.lower()}:{digits.lower()}")
