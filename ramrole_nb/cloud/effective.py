"""What a role's real policies say, beside what the service really answered.

The policies are read, never changed. Where the verdict of RAM policies and the service's answer differ, something outside
of them decided: the order of evaluation is https://www.alibabacloud.com/help/en/ram/policy-evaluation-process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ServiceError
from ..policy import (
    Decision,
    MalformedPolicyDocument,
    Matrix,
    NamedDocument,
    Outcome,
    Request,
    asked_by,
    evaluate,
    matrix,
    parse_policy,
)
from ..render import html_table, text_table
from .calls import Calls, checking

if TYPE_CHECKING:
    from .session import Cloud
    from .wire import WireCall

__all__ = ["Comparison", "Comparisons", "Held", "compare", "compare_wire", "policy_lab", "read_documents"]


@dataclass(frozen=True)
class Held:
    """The documents that a role holds. `unread` says of those that could not be read why."""

    documents: tuple[NamedDocument, ...]
    unread: tuple[str, ...] = ()


def read_documents(calls: Calls, role: str) -> Held:
    """Read the documents of a role's policies (ram:ListPoliciesForRole, ram:GetPolicy).

    Raises AccessDenied or NotFound where not even the list can be read; a single policy that cannot is in `unread`.
    """
    documents: list[NamedDocument] = []
    unread: list[str] = []
    with checking():
        listed = calls.ram("ListPoliciesForRole", role_name=role).get("Policies", {}).get("Policy", [])
        for policy in listed:
            name, kind = policy["PolicyName"], policy["PolicyType"]
            try:
                found = calls.ram("GetPolicy", policy_name=name, policy_type=kind)["DefaultPolicyVersion"]
                document = parse_policy(found["PolicyDocument"])
            except ServiceError as error:
                unread.append(f"policy {name}: {error.code}")
            except (KeyError, MalformedPolicyDocument) as problem:
                unread.append(f"policy {name}: not understood here ({problem})")
            else:
                documents.append(
                    NamedDocument(name, kind, document, found.get("VersionId", "v1"), f"Role {role}")
                )
    return Held(tuple(documents), tuple(unread))


def policy_lab(
    cloud: Cloud,
    role: str,
    actions: Iterable[str],
    resources: Iterable[str],
    *,
    context: Mapping[str, str] | None = None,
) -> Matrix:
    """Decide actions × resources with the policies that a role really holds.

    Parameters: `role` its name; `actions` such as `oss:GetObject`; `resources` ARNs or `oss://bucket/key`; `context`
    condition keys that the requests carry. Raises NotFound where there is no such role, AccessDenied where its policies
    cannot be read.
    """
    found = cloud.roles[role]
    principal = session_arn(found.arn)
    keys = {"acs:PrincipalARN": principal, **(context or {})}
    wanted = [arn_of(resource) for resource in resources]
    return matrix(found.documents(), actions, wanted, context=keys, principal=principal)


def session_arn(role_arn: str) -> str:
    """Return the ARN of a session of a role, as `acs:PrincipalARN` holds it; the session's own name is made up."""
    return role_arn.replace(":role/", ":assumed-role/", 1) + "/session"


def arn_of(resource: str) -> str:
    """Return the ARN of `oss://bucket/key`; whatever else is given is returned as it is."""
    return f"acs:oss:*:*:{resource[len('oss://') :]}" if resource.startswith("oss://") else resource


# -- verdict and answer ----------------------------------------------------------------------------------------

_CANDIDATES_DENIED = (
    "a bucket policy that denies",
    "the session policy given when the role was attached",
    "a control policy of the resource directory",
    "a policy granted to a resource group only, which reaches less than the account",
    "a policy changed between the call and now",
)
_CANDIDATES_ALLOWED = (
    "a bucket policy that allows",
    "an ACL of the bucket or object that is open to all (public-read)",
    "a policy granted to a resource group",
    "a policy changed between the call and now",
)
# By what AccessDeniedDetail calls the level that refused.
_NAMED = {
    "SessionPolicy": _CANDIDATES_DENIED[1],
    "ControlPolicy": _CANDIDATES_DENIED[2],
    "ResourceGroupLevelIdentityBasedPolicy": _CANDIDATES_DENIED[3],
    "ResourceBasedPolicy": _CANDIDATES_DENIED[0],
}


@dataclass(frozen=True)
class Comparison:
    """One request: the verdict of the RAM policies, whether the service let it through, and what follows.

    `agrees` is None where the policies cannot tell. `candidates` are what may have decided instead, the likeliest first.
    """

    request: Request
    decision: Decision
    allowed: bool
    agrees: bool | None
    sentence: str
    candidates: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "\n".join([self.sentence, *(f"  perhaps {candidate}" for candidate in self.candidates)])


def compare(
    request: Request,
    documents: Iterable[NamedDocument],
    *,
    allowed: bool,
    error: ServiceError | None = None,
    unread: Sequence[str] = (),
) -> Comparison:
    """Hold the verdict of RAM policies beside the service's answer.

    Parameters: `documents` the caller's RAM policies; `allowed` whether the service let the request through; `error` its
    refusal, whose AccessDeniedDetail narrows the candidates; `unread` policies that could not be read.
    """
    decision = evaluate(request, tuple(documents))
    call = f"{request.action} on {request.resource}"
    if decision.outcome is Outcome.UNKNOWN:
        sentence = f"The RAM policies cannot tell about {call}: {decision.because}"
        return Comparison(request, decision, allowed, None, sentence)
    if decision.allowed is allowed:
        answer = "let it through" if allowed else "refused it"
        return Comparison(
            request,
            decision,
            allowed,
            True,
            f"The service {answer}, as the RAM policies say: {decision.because}",
        )
    missing = tuple(f"a policy that could not be read ({name})" for name in unread)
    if allowed:
        candidates = missing + tuple(c for c in _CANDIDATES_ALLOWED if _is_oss(request) or "bucket" not in c)
        sentence = f"The service let {call} through, which the RAM policies do not allow: something outside them decided."
    else:
        detail = error.access_denied_detail if error is not None else {}
        first = _NAMED.get(str(detail.get("PolicyType", "")), "")
        rest = (c for c in _CANDIDATES_DENIED if _is_oss(request) or "bucket" not in c)
        candidates = tuple(dict.fromkeys([*([first] if first else []), *missing, *rest]))
        sentence = (
            f"The service refused {call}, which the RAM policies allow: something outside them decided."
        )
    return Comparison(request, decision, allowed, False, sentence, candidates)


def _is_oss(request: Request) -> bool:
    return request.action.lower().startswith("oss:")


class Comparisons(tuple[Comparison, ...]):
    """Comparisons as a table, in a notebook and as text."""

    __slots__ = ()
    _HEAD = ("request", "RAM policies", "the service", "what follows")

    def _rows(self) -> list[list[str]]:
        return [
            [
                f"{one.request.action} on {one.request.resource}",
                one.decision.outcome.value,
                "let it through" if one.allowed else "refused it",
                one.sentence + (f" Perhaps {'; or '.join(one.candidates)}." if one.candidates else ""),
            ]
            for one in self
        ]

    def _repr_html_(self) -> str:
        return html_table(
            self._HEAD, self._rows(), title="Verdict and answer", empty="no call of this role yet"
        )

    def __repr__(self) -> str:
        return text_table(self._HEAD, self._rows(), widest=400) or "no call of this role yet"


def compare_wire(cloud: Cloud, role: str, *, since: int = 0) -> Comparisons:
    """Compare every call that a role signed on the wire with what its RAM policies say now.

    Parameters: `since` a mark of the wire (0: all). Calls whose action is not known, and those that failed for other
    reasons than permissions, are left out. Raises NotFound, AccessDenied.
    """
    found = cloud.roles[role]
    held = read_documents(cloud.context.calls, found.name)
    result: list[Comparison] = []
    for call in cloud.wire.since(since, explain=True):
        allowed = _let_through(call)
        if allowed is None or not _signed_by(call, found.name):
            continue
        for action, resource in asked_by(call):
            principal = session_arn(found.arn)
            request = Request(action, resource, principal, {"acs:PrincipalARN": principal})
            result.append(compare(request, held.documents, allowed=allowed, unread=held.unread))
    return Comparisons(result)


def _let_through(call: WireCall) -> bool | None:
    """Tell whether a call was let through, by its status; None where the status says nothing about it."""
    if call.ok or call.status in (404, 409):
        return True
    return False if call.status == 403 else None


def _signed_by(call: WireCall, role: str) -> bool:
    """Tell whether a role signed a call; live, where only "role on INSTANCE" is known, any role's call counts."""
    principal = str(call.decision.get("principal", ""))
    if principal:
        return f":assumed-role/{role}/".lower() in principal.lower()
    return call.caller.startswith("role on ")
