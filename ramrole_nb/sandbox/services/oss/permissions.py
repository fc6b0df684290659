"""May the caller do this to a bucket or an object? RAM and bucket policies first, then the ACL.

An explicit Deny of any policy wins, an Allow of any lets through; where neither speaks, the ACL of the object (else of its
bucket) decides about reading and writing objects. Bucket operations have no ACL to fall back on.
Sources: https://github.com/AlibabaCloudDocs/oss (Developer Guide, authentication; API Reference, PutObjectACL),
https://www.alibabacloud.com/help/en/oss/user-guide/authorization-syntax-and-elements (bucket policies).
"""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ....policy import Decision, NamedDocument, Outcome, parse_policy
from ...authorize import denied_detail
from ...errors import OssError
from ...exchange import Principal

if TYPE_CHECKING:
    from .registry import OssCall

__all__ = ["denied", "may", "need", "need_service", "refusal"]

_IMPLICIT = "You have no right to access this object because of bucket acl."


def need(call: OssCall, bucket: sqlite3.Row, action: str, key: str, context: Mapping[str, str]) -> None:
    """Raise AccessDenied unless the caller may do `action`; `key` empty: on the bucket itself."""
    who = call.exchange.principal
    row = call.object(key, bucket["name"]) if key else None
    own_acl = row["acl"] if row is not None else "default"
    acl = bucket["acl"] if own_acl == "default" else own_acl
    open_to_all = bool(key) and _acl_allows(acl, action)
    decision = _decide(call, bucket, action, key, row, context)
    if who is None:
        call.exchange.note(anonymous=True)
    if decision is not None and decision.outcome is Outcome.ALLOW:
        return
    if decision is not None and decision.outcome is Outcome.EXPLICIT_DENY:
        raise refusal(who, action, decision)
    if open_to_all and (
        decision is None
        or (decision.outcome is Outcome.IMPLICIT_DENY and decision.policy_type != "SessionPolicy")
    ):
        if who is not None:
            where = "bucket" if own_acl == "default" else "object"
            call.exchange.note(allowed_by=f"{where} ACL {acl}")
        return
    if who is None:
        if key:
            raise denied(_IMPLICIT, "0003-00000001")
        raise denied("Anonymous access is forbidden for this operation.", "0003-00000002")
    assert decision is not None  # noqa: S101 - there is one for everybody who has a name
    raise refusal(who, action, decision)


def may(call: OssCall, action: str, key: str) -> bool:
    """Tell whether the policies allow `action` on an object, leaving no trace in the journal."""
    if call.exchange.principal is None:
        return False
    decisions = list(call.exchange.notes.get("decisions", []))
    decision = _decide(call, call.bucket(), action, key, call.object(key), {})
    call.exchange.notes["decisions"] = decisions
    return decision is not None and decision.outcome is Outcome.ALLOW


def need_service(call: OssCall, action: str, resource: str = "*", region_id: str = "*") -> None:
    """Raise AccessDenied unless the caller may do `action` on the service (or on a bucket that is not there yet)."""
    who = call.exchange.principal
    if who is None:
        raise denied("Anonymous access is forbidden for this operation.", "0003-00000002")
    place = region_id if region_id == "*" else f"oss-{region_id}"
    full = f"acs:oss:{place}:{call.store.account_id}:{resource}"
    decision = call.authorizer.decide(call.exchange, who, action, full)
    if decision.outcome is not Outcome.ALLOW:
        raise refusal(who, action, decision)


def refusal(who: Principal | None, action: str, decision: Decision) -> OssError:
    """Return the AccessDenied of a decision.

    The texts mislead, but they are OSS's: an implicit RAM deny speaks of the bucket ACL, an explicit one of a bucket
    policy. Source: https://help.aliyun.com/en/oss/user-guide/0003-00000201 and .../0003-00000001
    """
    detail = denied_detail(who, action, decision) if who is not None else {}
    if decision.outcome is Outcome.EXPLICIT_DENY:
        return denied("Access denied by bucket policy.", "0003-00000201", detail)
    if decision.policy_type == "SessionPolicy":
        # Sources: https://www.alibabacloud.com/help/doc-detail/161911.htm (text),
        # https://alibabacloud.com/help/en/oss/support/0003-00000301 (the EC of this cause).
        return denied("Access denied by authorizer's policy.", "0003-00000301", detail)
    return denied(_IMPLICIT, "0003-00000001", detail)


def denied(message: str, ec: str, detail: Mapping[str, str] | None = None) -> OssError:
    """Return an AccessDenied."""
    return OssError(403, "AccessDenied", message, ec=ec, detail=detail)


def _decide(
    call: OssCall,
    bucket: sqlite3.Row,
    action: str,
    key: str,
    row: sqlite3.Row | None,
    context: Mapping[str, str],
) -> Decision | None:
    """Evaluate RAM policies and the bucket's together; None: an anonymous caller, and no bucket policy."""
    who = call.exchange.principal
    policy = bucket["policy"]
    if who is None and not policy:
        return None
    name = bucket["name"] + (f"/{key}" if key else "")
    resource = f"acs:oss:oss-{bucket['region_id']}:{call.store.account_id}:{name}"
    full = dict(context)
    if row is not None and (action.startswith("oss:GetObject") or action.endswith("ObjectTagging")):
        # "Applies to operations used to read objects and operations related to object tags."
        # Source: https://github.com/AlibabaCloudDocs/oss (RAM policy overview, conditions)
        full |= {f"oss:ExistingObjectTag/{tag}": value for tag, value in json.loads(row["tags"]).items()}
    also = (_bucket_policy(bucket["name"], policy),) if policy else ()
    return call.authorizer.decide(
        call.exchange, who, action, resource, full, also=also, other_names=_names(who) if policy else ()
    )


@functools.lru_cache(maxsize=64)
def _bucket_policy(bucket: str, text: str) -> NamedDocument:
    return NamedDocument(
        f"policy of bucket {bucket}", "Bucket", parse_policy(text, kind="bucket"), "", f"Bucket {bucket}"
    )


def _names(who: Principal | None) -> tuple[str, ...]:
    """Return by what names a bucket policy means this caller.

    Documented: a RAM user's UID, and `arn:sts::<account>:assumed-role/<role>/<session>`, also with wildcards
    (https://github.com/AlibabaCloudDocs/oss, Configure bucket policies to authorize other users). The role's id is ours.
    Whether an account's UID means its RAM users too is documented nowhere: here it does not. That a `*` without condition
    leaves out the bucket's owner (https://help.aliyun.com/en/oss/user-guide/bucket-policy/) changes nothing here: the
    owner is the account itself, and the sandbox has only its users and roles.
    """
    if who is None:
        return ()
    if who.kind == "RAMUser":
        return (who.id,)
    return (who.id, f"arn:sts::{who.account_id}:assumed-role/{who.name}/{who.session_name}")


def _acl_allows(acl: str, action: str) -> bool:
    if action == "oss:GetObject":
        return acl in ("public-read", "public-read-write")
    return action in ("oss:PutObject", "oss:DeleteObject") and acl == "public-read-write"
