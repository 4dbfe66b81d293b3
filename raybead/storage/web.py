"""Asking a web server: which faults may pass, how long to wait, when to give up."""

from __future__ import annotations

import contextlib
import email.utils
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.client import HTTPException, HTTPResponse, InvalidURL
from typing import cast

import raybead
from raybead.config import Download
from raybead.errors import DownloadError

MAY_PASS = (408, 425, 429)
"""Statuses below 500 after which a later try may fare better."""


class Again(Exception):
    """A try failed in a way that the next may not.

    Attributes:
        asked: seconds that the server asks to wait, 0 if it doesn't say.
    """

    def __init__(self, why: str, asked: float = 0.0) -> None:
        super().__init__(why)
        self.asked = asked


class RangeRefused(Exception):
    """The server doesn't go on at the byte that was asked for."""


class Patience:
    """Counts failures in a row, and waits longer after each."""

    def __init__(self, how: Download, what: str, say: Callable[[str], None]) -> None:
        self._how, self._what, self._say = how, what, say
        self._failures = 0

    def refresh(self) -> None:
        """There was progress: failures count from none again."""
        self._failures = 0

    def spend(self, fault: Again) -> None:
        """Wait for the next try.

        Raises:
            DownloadError: that was the last one.
        """
        self._failures += 1
        if self._failures >= self._how.tries:
            tries = "1 try" if self._failures == 1 else f"{self._failures} tries"
            raise DownloadError(f"{self._what}: {fault}; given up after {tries}")
        # The exponent is held where floats still are.
        own = self._how.wait * 2.0 ** min(self._failures - 1, 60)
        wait = min(max(own, fault.asked), self._how.longest_wait)
        self._say(f"{self._what}: {fault}; again in {wait:.3g} s")
        time.sleep(wait)


@contextlib.contextmanager
def answer(url: str, how: Download, start: int = 0) -> Iterator[HTTPResponse]:
    """A server's answer to a GET; faults of the network inside the block count too.

    Args:
        url: what to get.
        how: the time to wait for an answer.
        start: first byte to ask for; 0 asks for the whole.

    Raises:
        Again: a fault that may pass: a cut connection, no answer, 429, 5xx.
        RangeRefused: the server has nothing from ``start`` on.
        DownloadError: a fault that stays.
    """
    headers = {"User-Agent": f"raybead/{raybead.__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        request = urllib.request.Request(url, headers=headers)
    except ValueError as error:
        raise DownloadError(f"{url}: {error}") from None
    try:
        with urllib.request.urlopen(request, timeout=how.timeout) as response:
            yield cast(HTTPResponse, response)
    except urllib.error.HTTPError as error:
        error.close()
        if start and error.code == 416:
            raise RangeRefused from None
        says = f"HTTP {error.code} {error.reason or ''}".rstrip()
        if error.code >= 500 or error.code in MAY_PASS:
            raise Again(says, _asked(error.headers.get("Retry-After", ""))) from None
        raise DownloadError(f"{url}: {says}") from None
    except (ssl.SSLCertVerificationError, InvalidURL, UnicodeError) as error:
        raise DownloadError(f"{url}: {error}") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DownloadError(f"{url}: {error.reason}") from None
        raise Again(_words(error.reason)) from None
    except (OSError, HTTPException) as error:
        raise Again(_words(error)) from None


def _asked(header: str) -> float:
    """Seconds of a Retry-After header, which gives a number or a date."""
    if header.strip().isdigit():
        return float(header)
    with contextlib.suppress(ValueError):
        when = email.utils.parsedate_to_datetime(header)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max((when - datetime.now(UTC)).total_seconds(), 0.0)
    return 0.0


def _words(fault: object) -> str:
    if isinstance(fault, OSError) and fault.strerror:
        return fault.strerror
    return " ".join(str(fault).split()) or type(fault).__name__
