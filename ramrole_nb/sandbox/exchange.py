"""One request on its way through the layers, read once."""

from __future__ import annotations

import email.utils
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, unquote_plus

from .journal import cut, masked

__all__ = ["Exchange", "Principal", "http_date", "parse_query"]

# What the journal keeps of an address and of a header; everything else: see `journal.cut`.
_LONGEST_URL = 2_000
_LONGEST_HEADER = 500


@dataclass(frozen=True)
class Principal:
    """Who signed a request. `kind` is `RAMUser` or `AssumedRoleUser`."""

    kind: str
    account_id: str
    name: str
    id: str
    access_key_id: str
    session_name: str = ""
    session_policy: str = ""

    @property
    def arn(self) -> str:
        """The ARN that sts:GetCallerIdentity answers."""
        if self.kind == "RAMUser":
            return f"acs:ram::{self.account_id}:user/{self.name}"
        return f"acs:ram::{self.account_id}:assumed-role/{self.name}/{self.session_name}"

    @property
    def principal_id(self) -> str:
        """The user id, or `<role id>:<session>`."""
        return self.id if self.kind == "RAMUser" else f"{self.id}:{self.session_name}"

    @property
    def auth_type(self) -> str:
        """The name AccessDeniedDetail has for this kind."""
        return "SubUser" if self.kind == "RAMUser" else "AssumedRoleUser"

    @property
    def display_name(self) -> str:
        """How AccessDeniedDetail shows it: a user's numeric id, or `role:session`."""
        return self.id if self.kind == "RAMUser" else f"{self.name}:{self.session_name}"


def parse_query(raw: str) -> list[tuple[str, str]]:
    """Decode a query string into pairs, blank values kept. `+` is a space: so the SDKs send one that they sign as `%20`."""
    pairs = []
    for part in raw.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((unquote_plus(name), unquote_plus(value)))
    return pairs


def http_date(text: str) -> float | None:
    """Return the moment of an HTTP date, or None where it is none (of the years 1970 to 9999)."""
    try:
        parsed = email.utils.parsedate_tz(text)
        moment = email.utils.mktime_tz(parsed) if parsed else None
        return float(moment) if moment is not None and 0 <= moment < 253_402_300_800 else None
    except (OverflowError, ValueError, TypeError, IndexError):  # the parser takes numbers of any size
        return None


@dataclass
class Exchange:
    """What a service needs of a request, and what the journal will say about it."""

    method: str
    scheme: str
    authority: str  # host and port the request is for: the absolute form's, else the Host header's
    host_header: str  # as sent; signatures cover this
    path: str  # raw, percent-encoded
    query: str  # raw
    headers: Mapping[str, str]  # lower-case names
    read_body: Callable[[], Awaitable[bytes]]
    stream_body: Callable[[], AsyncIterator[bytes]]
    peer: str = ""
    instance_id: str = ""  # which instance is asking, told by the proxy user or the instance's own socket
    principal: Principal | None = None
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()).upper())
    started: float = field(default_factory=time.perf_counter)
    service: str = ""
    notes: dict[str, Any] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)  # the policies that decided, by digest

    @property
    def host(self) -> str:
        """The host without port, lower case."""
        authority = self.authority.lower()
        if authority.startswith("["):
            return authority.partition("]")[0] + "]"
        return authority.partition(":")[0]

    def use_oss_request_id(self) -> None:
        """Take a request id of OSS's form: 24 hex digits."""
        self.request_id = secrets.token_hex(12).upper()

    def note(self, **facts: Any) -> None:
        """Add facts to the journal entry."""
        self.notes.update(facts)

    def journal_entry(self, status: int) -> dict[str, Any]:
        """Return the journal entry, secrets masked and long values cut (`left_out` counts the decisions left out)."""
        names = [
            name
            for name in self.headers
            if name.startswith(("x-acs-", "x-oss-", "x-aliyun-", "if-", "x-forwarded"))
            or name in ("authorization", "range", "user-agent", "content-type", "content-md5", "date")
        ]
        url = f"{self.scheme}://{self.authority}{self.path}"
        if self.query:
            pairs = (part.partition("=") for part in self.query.split("&"))
            url += "?" + "&".join(f"{n}{sep}{masked(unquote(n), v)}" for n, sep, v in pairs)
        entry: dict[str, Any] = {
            "request_id": self.request_id,
            "service": self.service,
            "method": self.method,
            "url": cut(url, _LONGEST_URL),
            "status": status,
            "ms": round((time.perf_counter() - self.started) * 1000, 2),
            "instance_id": self.instance_id,
            "headers": cut({name: masked(name, self.headers[name]) for name in names}, _LONGEST_HEADER),
        }
        if self.principal is not None:
            entry["principal"] = self.principal.arn
            entry["access_key_id"] = self.principal.access_key_id
        entry.update((name, cut(value)) for name, value in self.notes.items())
        decisions = self.notes.get("decisions") or ()
        if len(decisions) > len(entry.get("decisions") or ()):
            entry["left_out"] = len(decisions) - len(entry["decisions"])
        return entry
