"""OSS's operations, found by method, level, sub-resource and copy source; and the call each handler gets.

Each operation declares the parameters and `x-oss-*` headers it honours; what else OSS knows is refused, never ignored.
`docs/oss.md` shows these declarations.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from ...answers import Answer
from ...authorize import Authorizer
from ...errors import OssError
from ...exchange import Exchange
from ...knobs import Knobs
from ...signing.oss_v1 import SUBRESOURCES
from ...store import Store
from . import permissions
from .address import Address

__all__ = [
    "OssCall",
    "OssOperation",
    "find",
    "no_such_key",
    "oss_operation",
    "oss_operations",
    "refuse_unmodelled",
]

COPY_SOURCE = "x-oss-copy-source"

# Signed parameters that do not select another resource.
_PLAIN = {
    "continuation-token",
    "security-token",
    *(name for name in SUBRESOURCES if name.startswith("response-")),
}

# Headers every request may carry: the signature's, and what ali-oss sends in place of User-Agent.
_COMMON = frozenset(["x-oss-content-sha256", "x-oss-date", "x-oss-security-token", "x-oss-user-agent"])
_CONDITIONS = frozenset(["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"])


@dataclass(frozen=True)
class OssOperation:
    """One operation: `level` is service, bucket or object; `sub` the sub-resources that select it, joined by `&`.

    `params` and `headers` are what it honours beyond those; `x-oss-meta-*` stands for all user metadata.
    """

    name: str
    method: str
    level: str
    sub: str
    handler: Callable[[OssCall], Awaitable[Answer]]
    copies: bool = False
    params: frozenset[str] = frozenset()
    headers: frozenset[str] = frozenset()


_OPERATIONS: dict[tuple[str, str, str, bool], OssOperation] = {}
# Parameters that may be there without a value and select nothing.
_may_be_empty: set[str] = {"list-type", *_PLAIN}

_Handler = Callable[["OssCall"], Awaitable[Answer]]


def oss_operation(
    name: str,
    method: str,
    level: str,
    sub: str = "",
    *,
    copies: bool = False,
    params: str = "",
    headers: str = "",
) -> Callable[[_Handler], _Handler]:
    """Register a handler; `params` and `headers` are names separated by spaces."""

    def register(handler: _Handler) -> _Handler:
        operation = OssOperation(
            name, method, level, sub, handler, copies, frozenset(params.split()), frozenset(headers.split())
        )
        _OPERATIONS[method, level, sub, copies] = operation
        _may_be_empty.update(operation.params)
        return handler

    return register


def oss_operations() -> list[OssOperation]:
    """Return every registered operation."""
    return list(_OPERATIONS.values())


def find(
    method: str, address: Address, query: list[tuple[str, str]], headers: Mapping[str, str]
) -> OssOperation:
    """Return the operation a request is for; what the sandbox lacks is refused, never ignored."""
    level = "object" if address.key else "bucket" if address.bucket else "service"
    subs = sorted(
        # A name without a value selects a sub-resource, also one that the signature's list does not know.
        {n for n, v in query if (n in SUBRESOURCES and n not in _PLAIN) or (not v and n not in _may_be_empty)}
    )
    if level == "bucket" and ("list-type", "2") in query:
        subs.append("list-type=2")
    copies = method == "PUT" and level == "object" and COPY_SOURCE in headers
    found = _OPERATIONS.get((method, level, "&".join(subs), copies))
    if found is not None:
        return found
    what = f"{method} on a {level}" + (f" with ?{'&'.join(subs)}" if subs else "")
    raise OssError(
        501, "NotImplemented", f"The sandbox does not have {what}. It is part of OSS, but not modelled here."
    )


def refuse_unmodelled(operation: OssOperation, headers: Mapping[str, str]) -> None:
    """Raise NotImplemented for a header of OSS's, or a condition, that this operation does not honour."""
    for name in headers:
        if not (name.startswith("x-oss-") or name in _CONDITIONS):
            continue
        if name in _COMMON or name in operation.headers:
            continue
        if name.startswith("x-oss-meta-") and "x-oss-meta-*" in operation.headers:
            continue
        raise OssError(
            501,
            "NotImplemented",
            f"The sandbox does not have the header {name[:100]} in {operation.name}. It is not modelled.",
        )


def no_such_key(key: str) -> OssError:
    """Return the error for an object that is not there."""
    return OssError(
        404, "NoSuchKey", "The specified key does not exist.", ec="0026-00000001", extra={"Key": key}
    )


@dataclass
class OssCall:
    """One call of an OSS operation."""

    operation: OssOperation
    address: Address
    query: list[tuple[str, str]]
    exchange: Exchange
    store: Store
    knobs: Knobs
    authorizer: Authorizer
    _buckets: dict[str, sqlite3.Row] = field(default_factory=dict, repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers, lower-case names."""
        return self.exchange.headers

    def param(self, name: str, default: str = "") -> str:
        """Return a query parameter (the first of its name)."""
        return next((value for key, value in self.query if key == name), default)

    def bucket(self, name: str = "") -> sqlite3.Row:
        """Return a bucket's row (the addressed one's), or raise NoSuchBucket or the refusal of a wrong endpoint."""
        name = name or self.address.bucket
        if name not in self._buckets:
            row = self.store.one(
                "SELECT b.*, p.document AS policy FROM buckets b LEFT JOIN bucket_policies p ON p.bucket = b.name"
                " WHERE b.name=?",
                name,
            )
            if row is None:
                raise OssError(
                    404,
                    "NoSuchBucket",
                    "The specified bucket does not exist.",
                    ec="0015-00000101",
                    extra={"BucketName": name},
                )
            self._buckets[name] = row
        row = self._buckets[name]
        region = row["region_id"]
        if self.address.region_id and self.address.region_id != region and name == self.address.bucket:
            raise OssError(
                403,
                "AccessDenied",
                "The bucket you are attempting to access must be addressed using the specified endpoint. "
                "Please send all future requests to this endpoint.",
                ec="0003-00001403",
                extra={"Bucket": self.address.bucket, "Endpoint": f"oss-{region}.aliyuncs.com"},
            )
        return row

    def fresh_bucket(self) -> sqlite3.Row:
        """Return the addressed bucket's row as it is now: for the moment of writing, after a body has been read."""
        self._buckets.clear()
        return self.bucket()

    def object(self, key: str = "", bucket: str = "") -> sqlite3.Row | None:
        """Return an object's row as it is now (the addressed one's), or None."""
        return self.store.one(
            "SELECT * FROM objects WHERE bucket=? AND key=?",
            bucket or self.address.bucket,
            key or self.address.key,
        )

    def need(
        self,
        action: str,
        *,
        on_object: bool,
        context: Mapping[str, str] | None = None,
        key: str = "",
        bucket: str = "",
    ) -> None:
        """Raise AccessDenied unless the caller may do `action` on a bucket or object (the addressed one)."""
        row = self.bucket(bucket)
        permissions.need(self, row, action, (key or self.address.key) if on_object else "", context or {})

    def need_service(self, action: str) -> None:
        """Raise AccessDenied unless the caller may do `action` on the service."""
        permissions.need_service(self, action)


def stored_headers(row: sqlite3.Row) -> dict[str, str]:
    """Return the headers kept with an object."""
    kept: dict[str, str] = json.loads(row["headers"])
    return kept
