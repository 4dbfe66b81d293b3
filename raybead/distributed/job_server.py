"""The job server of a cluster's head: who is there, and what a job is at."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from raybead.errors import RunError

if TYPE_CHECKING:
    import requests
    from ray.job_submission import JobSubmissionClient

ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Variables that an address is taken from, as Ray does."""
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
ANSWER_S = 30.0
"""How long a server may take to answer."""

Info = Mapping[str, Any]
"""What a server says of a job; ``status``, ``driver_exit_code``, ``message``, ``metadata``..."""


class UnreachableError(RunError):
    """Nobody answers now; later somebody may."""


@dataclass(frozen=True)
class JobServer:
    """A cluster's job server, over HTTP."""

    address: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """With the token, if there is one."""

    @classmethod
    def at(cls, address: str | None = None, token_file: Path | None = None) -> JobServer:
        """The server at an address, else at that of the environment.

        Args:
            address: such as ``http://HEAD:8265``.
            token_file: holds the token; if not given, it is looked for where Ray does: in
                RAY_AUTH_TOKEN, in the file that RAY_AUTH_TOKEN_PATH names, in ~/.ray/auth_token.

        Raises:
            RunError: nobody is there, or somebody else, or the token isn't theirs.
        """
        server = cls(_address(address), _headers(token_file))
        answer = server.get("/api/version")
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if answer.status_code == 200 and answer.json()["ray_version"]:
                return server
        raise RunError(f"{server.address}: answers, but is no Ray dashboard")

    def get(self, path: str) -> requests.Response:
        """Ask for a path.

        Raises:
            UnreachableError: nobody answers, or a proxy has nobody to ask.
            RunError: the token is missing or wrong.
        """
        import requests

        try:
            # Who redirects elsewhere isn't a dashboard, and the token is for nobody else.
            with no_netrc():
                answer = requests.get(
                    self.address + path,
                    headers=dict(self.headers),
                    timeout=ANSWER_S,
                    allow_redirects=False,
                )
        except requests.exceptions.SSLError as error:
            raise RunError(
                f"{self.address}: no TLS that can be trusted: {_first(error)}"
            ) from None
        except requests.Timeout:
            raise UnreachableError(f"{self.address}: no answer in {ANSWER_S:.0f} s") from None
        except requests.ConnectionError as error:
            if "Connection aborted" in str(error):
                raise UnreachableError(
                    f"{self.address}: closed the connection; does it speak"
                    f" {'HTTP' if self.address.startswith('https') else 'HTTPS'} instead?"
                ) from None
            raise UnreachableError(f"{self.address}: nobody answers there") from None
        except (requests.RequestException, ValueError) as error:
            raise RunError(f"{self.address}: {_first(error)}") from None
        if answer.status_code == 401:
            raise RunError(
                f"{self.address}: wants a token; say --token-file, or set RAY_AUTH_TOKEN_PATH"
            )
        if answer.status_code == 403:
            raise RunError(f"{self.address}: refuses the token; it is another cluster's")
        if answer.status_code >= 500:
            raise UnreachableError(f"{self.address}: answers {answer.status_code} {answer.reason}")
        return answer

    def info(self, job_id: str) -> Info:
        """What is known of a job.

        Raises:
            RunError: there is no such job, or no job server.
        """
        answer = self.get(f"/api/jobs/{quote(job_id, safe='')}")
        if answer.status_code == 200:
            return answer.json()
        if answer.status_code == 404 and "does not exist" in answer.text:
            raise RunError(f"{self.address}: there is no job {job_id}")
        raise RunError(
            f"{self.address}: is a dashboard without a job server; the head needs ray[default]"
        )

    def knows(self, job_id: str) -> bool:
        """Whether there is such a job.

        Raises:
            RunError: there is no job server.
        """
        try:
            self.info(job_id)
        except RunError as error:
            if "there is no job" in str(error):
                return False
            raise
        return True

    @contextlib.contextmanager
    def client(self) -> Iterator[JobSubmissionClient]:
        """Ray's own client, which packs and sends a working directory."""
        from ray.job_submission import JobSubmissionClient

        for chatty in ("dashboard.modules.dashboard_sdk", "_private.runtime_env"):
            logging.getLogger(f"ray.{chatty}").setLevel(logging.CRITICAL)
        # What the environment says would be taken before what is given.
        with _environment(ADDRESSES[0], self.address), no_netrc():
            yield JobSubmissionClient(self.address, headers=dict(self.headers))

    def stop(self, job_id: str) -> bool:
        """Ask for a job's end; false if it had ended.

        Raises:
            RunError: there is no such job.
        """
        if self.info(job_id)["status"] in ENDED:
            return False
        try:
            with self.client() as client:
                return client.stop_job(job_id)
        except (RuntimeError, OSError) as error:
            raise RunError(f"{self.address}: {job_id} can't be stopped: {_first(error)}") from None


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    held = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if held is None:
            del os.environ[name]
        else:
            os.environ[name] = held


def no_netrc() -> contextlib.AbstractContextManager[None]:
    """For the length of a block, no password of ~/.netrc is sent in place of the token."""
    return _environment("NETRC", os.devnull)


def _address(given: str | None) -> str:
    origin, address = "--address", given
    for name in ADDRESSES:
        if not address:
            origin, address = name, os.environ.get(name)
    if not address:
        raise RunError("no cluster to submit to; say --address http://HEAD:8265")
    address = address.strip().rstrip("/")
    parts = urlsplit(address)
    if "@" in parts.netloc:  # not told, for what stands before it may be a password
        raise RunError(f"{origin}: takes no name or password; a cluster is entered by its token")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RunError(
            f"{origin} {address}: jobs go to the dashboard's address, such as http://HEAD:8265"
        )
    return address


def _headers(token_file: Path | None) -> dict[str, str]:
    token = _token(token_file)
    if token is None:
        return {}
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise RunError("what is given as token is none: it isn't one word")
    return {"Authorization": f"Bearer {token}"}


def _token(token_file: Path | None) -> str | None:
    if token_file is None:
        if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
            return None  # none is wanted, or Ray knows another way
        if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
            return token
        if named := os.environ.get("RAY_AUTH_TOKEN_PATH"):
            token_file = Path(named)
        else:
            token_file = Path.home() / ".ray" / "auth_token"
            if not token_file.exists():
                return None
    try:
        token = token_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no text"
        raise RunError(f"{token_file}: the token can't be read: {why}") from None
    if not token:
        raise RunError(f"{token_file}: holds no token")
    return token


def _first(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
