"""From a service's error to ours: which class, why, and what to do next. A table, so that it can be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import (
    AccessDenied,
    BadSignature,
    Conflict,
    InvalidRequest,
    NotFound,
    ServerFault,
    ServiceError,
    Throttled,
)

__all__ = ["advice", "reason_for", "service_error"]


@dataclass(frozen=True)
class _Rule:
    kind: type[ServiceError]
    reason: str
    next_step: str


# By the service's code; the sources are those of ../errors and of each code's page.
_RULES: dict[str, _Rule] = {
    "EntityNotExist.Role": _Rule(NotFound, "no role has this name", "list the roles: cloud.roles"),
    "EntityNotExist.Policy": _Rule(
        NotFound, "no policy has this name and type", "list them: cloud.roles.policies()"
    ),
    "EntityNotExist.Role.Policy": _Rule(
        NotFound, "the role does not hold this policy", "see what it holds: role.policies()"
    ),
    "EntityAlreadyExists.Role": _Rule(
        Conflict, "a role of this name exists", "take another name, or use it: cloud.roles[name]"
    ),
    "EntityAlreadyExists.Policy": _Rule(Conflict, "a policy of this name exists", "take another name"),
    "EntityAlreadyExists.Role.Policy": _Rule(Conflict, "the role holds this policy already", "nothing to do"),
    "DeleteConflict.Role.Policy": _Rule(
        Conflict,
        "the role still holds policies",
        "first detach it from its instances: an attached role may be deleted, and they then have none that works; "
        "then role.delete(revoke=True)",
    ),
    "DeleteConflict.Policy.Role": _Rule(
        Conflict, "a role still holds the policy", "revoke it first: role.revoke(name)"
    ),
    "MalformedPolicyDocument": _Rule(
        InvalidRequest,
        "the policy document does not follow the policy grammar",
        "check it: rr.policy.parse_policy(text)",
    ),
    "InvalidUser.PassRoleForbidden": _Rule(
        AccessDenied,
        "the caller lacks ram:PassRole on the role, so it may not hand the role to ECS",
        "allow ram:PassRole on the role (condition acs:Service = ecs.aliyuncs.com), then attach again",
    ),
    "InvalidRamRole.NotEcsRole": _Rule(
        InvalidRequest,
        "the role's trust policy does not name ecs.aliyuncs.com, so ECS may not assume it",
        "set the trust policy: role.set_trust(rr.policy.trust_for_service('ecs.aliyuncs.com'))",
    ),
    "InvalidRamRole.NotFound": _Rule(
        NotFound, "no role has this name", "create it: cloud.roles.create(name)"
    ),
    "InvalidInstanceId.NotFound": _Rule(
        NotFound, "no instance has this id in this region", "list them: cloud.instances"
    ),
    # The service tells these two of one instance among many; that it does so by these names is the sandbox's guess.
    "InvalidInstance.RamRoleAttached": _Rule(
        Conflict,
        "an instance has one role at most",
        "replace it: cloud.instances.replace(role, ids), or detach it first",
    ),
    "InvalidInstance.RamRoleNotAttached": _Rule(
        Conflict, "the instance has no role, or another one", "nothing to do: it does not have the role"
    ),
    "InvalidNetworkType.MismatchRamRole": _Rule(
        InvalidRequest,
        "the instance is in a classic network; RAM roles need a VPC",
        "use an instance in a VPC, or migrate this one",
    ),
    "InvalidHttpTokens.NotSupported": _Rule(
        InvalidRequest,
        "this instance cannot be set so (Windows cannot be hardened-only)",
        "leave it at optional",
    ),
    "Forbidden.RAM": _Rule(AccessDenied, "", ""),
    "NoPermission": _Rule(AccessDenied, "", ""),
    "NoSuchBucket": _Rule(NotFound, "no bucket has this name", "list the buckets: cloud.buckets"),
    "NoSuchKey": _Rule(
        NotFound,
        "no object has exactly this key; keys are case-sensitive and do not begin with a slash",
        "look around: bucket.list('folder/')",
    ),
    "InvalidAccessKeyId": _Rule(
        BadSignature, "the service does not know this AccessKey", "check which credential signs"
    ),
    "InvalidAccessKeyId.NotFound": _Rule(
        BadSignature,
        "the service does not know this AccessKey",
        "check which credential signs: cloud.identity()",
    ),
    "SignatureDoesNotMatch": _Rule(
        BadSignature,
        "the secret does not belong to the key, or the request was changed on its way",
        "check the secret",
    ),
    "SecurityTokenExpired": _Rule(
        BadSignature, "the temporary credential has expired", "fetch a new one: vm.credentials(refresh=True)"
    ),
    "InvalidSecurityToken.Expired": _Rule(
        BadSignature, "the temporary credential has expired", "fetch a new one: vm.credentials(refresh=True)"
    ),
    "RequestTimeTooSkewed": _Rule(
        BadSignature,
        "this machine's clock is more than 15 minutes off",
        "set the clock (NTP), then try again",
    ),
    "InvalidTimeStamp.Expired": _Rule(
        BadSignature,
        "this machine's clock is more than 15 minutes off",
        "set the clock (NTP), then try again",
    ),
    # Source: https://www.alibabacloud.com/help/en/oss/user-guide/0048-00000401
    "PublicEndpointForbidden": _Rule(
        InvalidRequest,
        "a new account may not read or write objects over the public endpoint of a region in the Chinese mainland",
        "go over the internal endpoint, as the role on an instance in the bucket's region: bucket.using(vm)",
    ),
    "FileAlreadyExists": _Rule(
        Conflict, "the object exists and overwriting was forbidden", "upload with overwrite=True"
    ),
    "SecondLevelDomainForbidden": _Rule(
        InvalidRequest,
        "a bucket is addressed by its own host name",
        "use https://BUCKET.oss-REGION.aliyuncs.com",
    ),
}

# What to do where no rule knows the code.
_OF_CLASS: dict[type[ServiceError], tuple[str, str]] = {
    Throttled: ("too many calls in a short time", "wait a few seconds, then try again"),
    ServerFault: (
        "the service itself failed; the request was not at fault",
        "try again in a moment; if it stays, tell the vendor's support the request id",
    ),
    BadSignature: ("", "check which credential signs: cloud.identity()"),
    NotFound: ("", "check the name and the region"),
    Conflict: ("", "look at what is there now, then decide"),
    InvalidRequest: ("", "correct what the message names; the vendor's page of the code has more"),
}


def advice(code: str) -> str:
    """Return what to do about a code that an answer gives for one item of many."""
    if (rule := _RULES.get(code)) is not None and rule.next_step:
        return rule.next_step
    if code.startswith("Throttling"):
        return _OF_CLASS[Throttled][1]
    if code == "Cancelled":
        return "run it again for these"
    return "see the message, then try again for those that failed"


_WRONG_ENDPOINT = "must be addressed using the specified endpoint"


def reason_for(code: str) -> str:
    """Return why a service answers with `code`, as a clause, or an empty string where the code alone does not tell."""
    rule = _RULES.get(code)
    return rule.reason if rule else ""


def service_error(
    *,
    service: str,
    action: str,
    status: int,
    code: str,
    message: str,
    request_id: str,
    ec: str = "",
    detail: Mapping[str, Any] | None = None,
    extra: Mapping[str, str] | None = None,
) -> ServiceError:
    """Return the error for a service's answer, with its reason and next step."""
    detail = dict(detail or {})
    rule = _RULES.get(code) or _Rule(_class_of(code, status), "", "")
    reason, next_step = rule.reason, rule.next_step
    if code == "AccessDenied" or rule.kind is AccessDenied:
        reason, next_step = _why_denied(reason, next_step, message, detail, extra or {})
    of_class = _OF_CLASS.get(rule.kind, ("", ""))
    reason, next_step = reason or of_class[0], next_step or of_class[1]
    error = rule.kind(
        f"{service} refused {action}."
        if rule.kind is AccessDenied
        else f"{service} {action} failed: {code or status}.",
        code=code,
        message=message,
        request_id=request_id,
        status=status,
        ec=ec,
        service=service,
        action=action,
        access_denied_detail=detail,
        reason=reason,
        next_step=next_step,
    )
    if _WRONG_ENDPOINT in message:
        error.access_denied_detail = {"Endpoint": (extra or {}).get("Endpoint", "")}
    return error


def _class_of(code: str, status: int) -> type[ServiceError]:
    if code.startswith("Throttling"):
        return Throttled
    if code.startswith(
        ("InvalidAccessKeyId", "InvalidSecurityToken", "SignatureNonce", "IncompleteSignature")
    ):
        return BadSignature
    if status >= 500 or status == 0:
        return ServerFault
    return {403: AccessDenied, 404: NotFound, 409: Conflict, 401: BadSignature}.get(status, InvalidRequest)


def _why_denied(
    reason: str, next_step: str, message: str, detail: Mapping[str, Any], extra: Mapping[str, str]
) -> tuple[str, str]:
    if _WRONG_ENDPOINT in message:
        endpoint = extra.get("Endpoint", "")
        return f"the bucket is in another region: {endpoint}", f"use the endpoint {endpoint}"
    kind, shown = detail.get("NoPermissionType", ""), detail.get("AuthPrincipalDisplayName", "")
    # The display name of a user is its id, which tells a person little.
    who = f"the caller ({shown})" if shown else "the caller"
    wanted = detail.get("AuthAction", "")
    if kind == "ExplicitDeny":
        # OSS says "by bucket policy" here even where a RAM policy denies.
        return (
            f"a policy explicitly denies {wanted} to {who}",
            "find the Deny statement in the caller's policies (or the bucket's) and narrow it",
        )
    if detail.get("PolicyType") == "SessionPolicy":
        return (
            f"the session policy given at attach does not allow {wanted}",
            "attach the role again with a wider session_policy, or without one",
        )
    if wanted:
        return (
            reason or f"no policy of {who} allows {wanted}",
            next_step or f"have {wanted} granted to the caller, or use another identity",
        )
    return (
        reason or "no policy of the caller allows this",
        next_step or "ask for the permission, or use another identity",
    )
