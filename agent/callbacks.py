"""Callback URLs, signed and expiring: who does a job's work reports on it by them, without a key."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal, get_args
from urllib.parse import quote, urlencode

ReportName = Literal["progress", "completed", "failed"]
REPORT_NAMES: tuple[ReportName, ...] = get_args(ReportName)
# What is signed says what it is for: a signature made with this secret for anything else does not hold here.
PURPOSE = "afterword callback 1"
# Digits alone, as we write them: int() takes signs, blanks, underscores and the digits of other scripts too.
SECONDS = re.compile(r"[1-9][0-9]{0,11}")


def report_name(text: str) -> ReportName | None:
    """The name of a report that ``text`` is, if it is one."""
    return next((name for name in REPORT_NAMES if name == text), None)


class CallbacksOff(Exception):
    """No URL can be handed out: the app setting that the message names is missing."""


class Callbacks:
    """Signs callback URLs and checks them. Of ``secrets`` the first signs, and all are accepted."""

    def __init__(self, *, secrets: Sequence[str], public_url: str, now: Callable[[], datetime]) -> None:
        self._secrets = tuple(secret.encode() for secret in secrets)
        self._public_url = public_url.rstrip("/")
        self._now = now

    @property
    def are_accepted(self) -> bool:
        """Whether there is a secret to check URLs by."""
        return bool(self._secrets)

    def url(self, job_id: str, name: ReportName, *, expires_in: timedelta) -> str:
        """The URL by which ``name`` is reported of the job. Whoever has it can do so: do not log it.

        Raises CallbacksOff where the app's settings do not allow for it.
        """
        if not self._secrets:
            raise CallbacksOff("No callback URL can be signed: the app setting CallbackSecret is missing")
        if not self._public_url:
            raise CallbacksOff("No callback URL can be made: the app setting PublicUrl is missing")
        if name not in REPORT_NAMES or expires_in <= timedelta(0):
            raise ValueError("a callback URL is for progress, completed or failed, and for a while")
        expires = str(int((self._now() + expires_in).timestamp()))
        signature = _signature(self._secrets[0], job_id, name, expires)
        path = f"/api/jobs/{quote(job_id, safe='')}/events/{name}"
        return f"{self._public_url}{path}?{urlencode({'expires': expires, 'signature': signature})}"

    def is_genuine(self, job_id: str, name: str, *, expires: str, signature: str) -> bool:
        """Whether we signed this, and it has not expired. What is missing may be given as empty."""
        # As text, and so in one spelling alone: base64 has several for the same bytes. All secrets are tried,
        # each in a time that does not tell how much of the signature is right.
        given = signature.encode(errors="replace")
        holds = [
            hmac.compare_digest(_signature(secret, job_id, name, expires).encode(), given)
            for secret in self._secrets
        ]
        is_time = bool(SECONDS.fullmatch(expires))
        return any(holds) and is_time and self._now().timestamp() < int(expires)


def _signature(secret: bytes, job_id: str, name: str, expires: str) -> str:
    # As JSON, so that no two different lists are the same text, whatever characters they hold.
    signed = json.dumps([PURPOSE, job_id, name, expires]).encode()
    digest = hmac.digest(secret, signed, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
