"""Security Token Service, API version 2015-04-01.

Source: https://api.aliyun.com/meta/v1/products/Sts/versions/2015-04-01/api-docs.json
"""

from __future__ import annotations

import re
import time
from typing import Any

from ...policy import (
    MAX_ASSUME_SESSION_POLICY,
    Decision,
    MalformedPolicyDocument,
    NamedDocument,
    Outcome,
    evaluate_trust,
    parse_policy,
)
from ..authorize import denied_detail
from ..errors import OpenApiError
from ..issued import new_access_key_id, new_secret, new_security_token
from ..openapi import Call, operation

__all__ = ["assume_role", "get_caller_identity"]

ASSUME_ROLE = "sts:AssumeRole"
MIN_SECONDS = 900
DEFAULT_SECONDS = 3600

_ROLE_ARN = re.compile(r"acs:ram::(\d{1,20}):role/([A-Za-z0-9.\-]{1,64})")
_SESSION_NAME = re.compile(r"[A-Za-z0-9.@\-_]{2,64}")
# The SDK's doc-string of AssumeRoleRequest.external_id (alibabacloud_sts20150401 1.2.0).
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/\-]{2,1224}", re.ASCII)
# The characters of a source identity were not found; these are the external id's without the slashes, so ours.
_SOURCE_IDENTITY = re.compile(r"[\w+=,.@\-]{2,64}", re.ASCII)


@operation("Sts", "GetCallerIdentity")
def get_caller_identity(call: Call) -> dict[str, Any]:
    """Tell the caller who they are; needs no permission. UserId for users only, RoleId for roles only."""
    who = call.principal
    return {
        "IdentityType": who.kind,
        "AccountId": who.account_id,
        "PrincipalId": who.principal_id,
        ("UserId" if who.kind == "RAMUser" else "RoleId"): who.id,
        "Arn": who.arn,
    }


def _wrong(name: str) -> OpenApiError:
    return OpenApiError(400, f"InvalidParameter.{name}", f"The parameter {name} is wrongly formed.")


def _session_policy(call: Call) -> str:
    text = call.get("Policy")
    if len(text.encode()) > MAX_ASSUME_SESSION_POLICY:
        raise OpenApiError(
            400, "InvalidParameter.PolicySize", "The size of Policy must be smaller than 2048 bytes."
        )
    if text:
        try:
            parse_policy(text, kind="session")
        except MalformedPolicyDocument:
            raise OpenApiError(
                400,
                "InvalidParameter.PolicyGrammar",
                "The parameter Policy has not passed grammar check.",
            ) from None
    return text


def _seconds(call: Call, longest: int) -> int:
    text = call.get("DurationSeconds") or str(min(DEFAULT_SECONDS, longest))
    if not re.fullmatch(r"\d{1,6}", text) or not MIN_SECONDS <= int(text) <= longest:
        # The text speaks of one hour; the limit is the role's MaxSessionDuration.
        raise OpenApiError(
            400,
            "InvalidParameter.DurationSeconds",
            "The Min/Max value of DurationSeconds is 15min/1hr.",
        )
    return int(text)


def _source_identity(call: Call) -> str:
    """Return the source identity of the new session: once set, a chain of roles keeps it.

    Source: https://www.alibabacloud.com/help/en/ram/user-guide/session-tagging-and-fine-grained-access-control-for-assumed-roles-using-sourceidentity.
    The refusal of another one is documented in words; its code is ours.
    """
    wanted = call.get("SourceIdentity")
    if wanted and not _SOURCE_IDENTITY.fullmatch(wanted):
        raise _wrong("SourceIdentity")
    row = call.store.one(
        "SELECT value FROM source_identities WHERE access_key_id=?", call.principal.access_key_id
    )
    held = str(row["value"]) if row else ""
    if held and wanted and wanted != held:
        raise OpenApiError(
            403,
            "NoPermission.SourceIdentity",
            "The session has a SourceIdentity already, which cannot be changed.",
        )
    return held or wanted


def _denied(call: Call, decision: Decision) -> OpenApiError:
    return OpenApiError(
        403,
        "NoPermission",
        "You are not authorized to do this action. You should be authorized by RAM.",
        detail=denied_detail(call.principal, ASSUME_ROLE, decision),
    )


@operation(
    "Sts",
    "AssumeRole",
    required=["RoleArn", "RoleSessionName"],
    optional=["DurationSeconds", "Policy", "ExternalId", "SourceIdentity"],
)
def assume_role(call: Call) -> dict[str, Any]:
    """Give a user, or a session of another role, a session of a role.

    The caller's own policies must allow sts:AssumeRole on the role, and its trust policy must name the caller; the
    session has the role's permissions, at most those of `Policy`. The order of the checks is ours, and so is the key
    `sts:ExternalId`, by which a trust policy reads the external id.
    """
    arn = _ROLE_ARN.fullmatch(call.get("RoleArn"))
    if arn is None:
        raise _wrong("RoleArn")
    session_name = call.get("RoleSessionName")
    if not _SESSION_NAME.fullmatch(session_name):
        raise _wrong("RoleSessionName")
    external_id = call.get("ExternalId")
    if external_id and not _EXTERNAL_ID.fullmatch(external_id):
        raise _wrong("ExternalId")
    policy = _session_policy(call)
    source_identity = _source_identity(call)
    resource = f"acs:ram:*:{arn[1]}:role/{arn[2]}"
    own = call.may(ASSUME_ROLE, resource)
    if own.outcome is not Outcome.ALLOW:
        raise _denied(call, own)
    role = call.store.one("SELECT * FROM roles WHERE name=? COLLATE NOCASE", arn[2])
    if role is None or arn[1] != call.account_id:
        raise OpenApiError(404, "EntityNotExist.Role", "The specified Role not exists .")
    _check_trust(call, role["trust_policy"], resource, external_id)
    seconds = _seconds(call, role["max_session_duration"])
    key_id, secret, token, now = new_access_key_id("STS."), new_secret(), new_security_token(), time.time()
    with call.store.transaction():
        call.store.run(
            "INSERT INTO sts_sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            key_id,
            secret,
            token,
            role["role_id"],
            role["name"],
            session_name,
            policy,
            now,
            now + seconds,
        )
        if source_identity:
            call.store.run("INSERT INTO source_identities VALUES (?, ?)", key_id, source_identity)
    call.exchange.note(issued_access_key_id=key_id)
    answer: dict[str, Any] = {
        "AssumedRoleUser": {
            "AssumedRoleId": f"{role['role_id']}:{session_name}",
            # Here `role/`, where GetCallerIdentity says `assumed-role/`: both as documented.
            "Arn": f"acs:ram::{call.account_id}:role/{role['name']}/{session_name}",
        },
        "Credentials": {
            "SecurityToken": token,
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + seconds)),
            "AccessKeySecret": secret,
            "AccessKeyId": key_id,
        },
    }
    if source_identity:
        answer["SourceIdentity"] = source_identity
    return answer


def _check_trust(call: Call, trust_policy: str, resource: str, external_id: str) -> None:
    context = {"sts:ExternalId": external_id} if external_id else {}
    who = call.principal
    full = call.authorizer.context(call.exchange, who, context)
    decision = evaluate_trust(
        trust_policy, arn=who.arn, account_id=who.account_id, context=full, role=resource
    )
    trust = NamedDocument("the trust policy", "Trust", parse_policy(trust_policy, kind="trust"))
    judged = call.authorizer.judged(call.exchange, who, ASSUME_ROLE, resource, full, decision, [trust])
    call.decisions.append(judged)
    if judged.outcome is not Outcome.ALLOW:
        raise _denied(call, judged)
