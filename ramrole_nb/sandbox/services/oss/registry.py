"""OSS's operations, found by method, level and sub-resource; and the call each handler gets."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from ....policy import Decision, Outcome
from ...answers import Answer
from ...authorize import Authorizer, denied_detail
from ...errors import OssError
from ...exchange import Exchange, Principal
from ...knobs import Knobs
from ...signing.oss_v1 import SUBRESOURCES
from ...store import Store
from .address import Address

__all__ = ["OssCall", "OssOperation", "find", "oss_operation", "oss_operations"]

# Signed parameters that do not select another resource.
_PLAIN = {
    "continuation-token",
    "security-token",
    *(name for name in SUBRESOURCES if name.startswith("response-")),
}

# Parameters that may be there without a value and select nothing.
_LIST = "prefix delimiter marker max-keys encoding-type start-after fetch-owner list-type continuation-token"
_MAY_BE_EMPTY = frozenset(_LIST.split(" ")) | frozenset(_PLAIN)


@dataclass(frozen=True)
class OssOperation:
    """One operation: `level` is service, bucket or object; `sub` the sub-resource that selects it."""

    name: str
    method: str
    level: str
    sub: str
    handler: Callable[[OssCall], Awaitable[Answer]]


_OPERATIONS: dict[tuple[str, str, str], OssOperation] = {}


def oss_operation(
    name: str, method: str, level: str, sub: str = ""
) -> Callable[[Callable[[OssCall], Awaitable[Answer]]], Callable[[OssCall], Awaitable[Answer]]]:
    """Register a handler."""

    def register(handler: Callable[[OssCall], Awaitable[Answer]]) -> Callable[[OssCall], Awaitable[Answer]]:
        _OPERATIONS[method, level, sub] = OssOperation(name, method, level, sub, handler)
        return handler

    return register


def oss_operations() -> list[OssOperation]:
    """Return every registered operation."""
    return list(_OPERATIONS.values())


def find(method: str, address: Address, query: list[tuple[str, str]]) -> OssOperation:
    """Return the operation a request is for; what the sandbox lacks is refused, never ignored."""
    level = "object" if address.key else "bucket" if address.bucket else "service"
    subs = sorted(
        # A name without a value selects a sub-resource, also one that the signature's list does not know.
        {n for n, v in query if (n in SUBRESOURCES and n not in _PLAIN) or (not v and n not in _MAY_BE_EMPTY)}
    )
    if level == "bucket" and ("list-type", "2") in query:
        subs.append("list-type=2")
    if len(subs) <= 1:
        found = _OPERATIONS.get((method, level, subs[0] if subs else ""))
        if found is not None:
            return found
    what = f"{method} on a {level}" + (f" with ?{'&'.join(subs)}" if subs else "")
    raise OssError(
        501, "NotImplemented", f"The sandbox does not have {what}. It is part of OSS, but not modelled here."
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
    _bucket: sqlite3.Row | None = field(default=None, repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers, lower-case names."""
        return self.exchange.headers

    def param(self, name: str, default: str = "") -> str:
        """Return a query parameter (the first of its name)."""
        return next((value for key, value in self.query if key == name), default)

    def bucket(self) -> sqlite3.Row:
        """Return the bucket's row, or raise NoSuchBucket or the refusal of a wrong region's endpoint."""
        if self._bucket is None:
            name = self.address.bucket
            self._bucket = self.store.one("SELECT * FROM buckets WHERE name=?", name)
            if self._bucket is None:
                raise OssError(
                    404,
                    "NoSuchBucket",
                    "The specified bucket does not exist.",
                    ec="0015-00000101",
                    extra={"BucketName": name},
                )
        region = self._bucket["region_id"]
        if self.address.region_id and self.address.region_id != region:
            raise OssError(
                403,
                "AccessDenied",
                "The bucket you are attempting to access must be addressed using the specified endpoint. "
                "Please send all future requests to this endpoint.",
                ec="0003-00001403",
                extra={"Bucket": self.address.bucket, "Endpoint": f"oss-{region}.aliyuncs.com"},
            )
        return self._bucket

    def need(self, action: str, *, on_object: bool, context: Mapping[str, str] | None = None) -> None:
        """Raise AccessDenied unless the caller may do `action` on this bucket or object.

        Object reads and writes fall back on the bucket's ACL, bucket operations do not.
        Source: https://github.com/AlibabaCloudDocs/oss (Developer Guide, authentication)
        """
        row = self.bucket()
        who = self.exchange.principal
        name = row["name"] + (f"/{self.address.key}" if on_object else "")
        resource = f"acs:oss:oss-{row['region_id']}:{self.store.account_id}:{name}"
        open_to_all = on_object and _acl_allows(row["acl"], action)
        if who is None:
            self.exchange.note(anonymous=True)
            if open_to_all:
                return
            if on_object:
                raise _denied(
                    "You have no right to access this object because of bucket acl.", "0003-00000001", {}
                )
            raise _denied("Anonymous access is forbidden for this operation.", "0003-00000002", {})
        decision = self.authorizer.decide(self.exchange, who, action, resource, context)
        if decision.outcome is Outcome.ALLOW:
            return
        if (
            open_to_all
            and decision.outcome is Outcome.IMPLICIT_DENY
            and decision.policy_type != "SessionPolicy"
        ):
            self.exchange.note(allowed_by=f"bucket ACL {row['acl']}")
            return
        raise refusal(who, action, decision)

    def need_service(self, action: str) -> None:
        """Raise AccessDenied unless the caller may do `action` on the service."""
        who = self.exchange.principal
        if who is None:
            raise _denied("Anonymous access is forbidden for this operation.", "0003-00000002", {})
        resource = f"acs:oss:*:{self.store.account_id}:*"
        decision = self.authorizer.decide(self.exchange, who, action, resource)
        if decision.outcome is not Outcome.ALLOW:
            raise refusal(who, action, decision)


def refusal(who: Principal, action: str, decision: Decision) -> OssError:
    """Return the AccessDenied of a decision.

    The texts mislead, but they are OSS's: an implicit RAM deny speaks of the bucket ACL, an explicit one of a bucket
    policy. Source: https://help.aliyun.com/en/oss/user-guide/0003-00000201 and .../0003-00000001
    """
    detail = denied_detail(who, action, decision)
    if decision.outcome is Outcome.EXPLICIT_DENY:
        return _denied("Access denied by bucket policy.", "0003-00000201", detail)
    if decision.policy_type == "SessionPolicy":
        # Source: https://www.alibabacloud.com/help/doc-detail/161911.htm; its EC is not documented.
        return _denied("Access denied by authorizer's policy.", "", detail)
    return _denied("You have no right to access this object because of bucket acl.", "0003-00000001", detail)


def _denied(message: str, ec: str, detail: Mapping[str, str]) -> OssError:
    return OssError(403, "AccessDenied", message, ec=ec, detail=detail)


def _acl_allows(acl: str, action: str) -> bool:
    if action == "oss:GetObject":
        return acl in ("public-read", "public-read-write")
    return action in ("oss:PutObject", "oss:DeleteObject") and acl == "public-read-write"


def stored_headers(row: sqlite3.Row) -> dict[str, str]:
    """Return the headers kept with an object."""
    kept: dict[str, str] = json.loads(row["headers"])
    return kept
