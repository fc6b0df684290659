"""May this principal do this? Policies of users, groups and roles, session policies, and the evaluator's verdict."""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..policy import (
    SYSTEM_POLICIES,
    Decision,
    NamedDocument,
    Outcome,
    Request,
    TraceRow,
    evaluate,
    parse_policy,
)
from .diagnosis import sealed, sealing_key
from .exchange import Exchange, Principal
from .store import Store

__all__ = ["Authorizer", "Judged", "denied_detail"]

# Of the policies looked at, the journal names so many.
_MOST_NAMED = 20

# Identity policies are held by one of these. Source:
# https://help.aliyun.com/en/ram/developer-reference/api-ram-2015-05-01-decodediagnosticmessage
_ENTITY_TYPES = {"User": "RamUser", "Group": "RamGroup", "Role": "RamRole"}


@dataclass(frozen=True, slots=True)
class Judged(Decision):
    """A decision with the sealed message that ram:DecodeDiagnosticMessage opens (empty where it allows)."""

    encoded: str = ""


class Authorizer:
    """Collects the documents that apply to a principal and asks the evaluator."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: dict[tuple[str, str], tuple[NamedDocument, ...]] = {}
        self._cached_at = -1
        self._key = b""

    def decide(
        self,
        ex: Exchange,
        principal: Principal | None,
        action: str,
        resource: str,
        context: Mapping[str, str | Sequence[str]] | None = None,
        *,
        also: Sequence[NamedDocument] = (),
        other_names: Sequence[str] = (),
    ) -> Decision:
        """Evaluate, and write the decision into the exchange's journal entry. UNKNOWN counts as denied.

        `principal` None: an anonymous caller. `also`: the policy of the resource itself (a bucket's);
        `other_names`: by what else than its ARN that may name the caller.
        """
        session = None
        if principal is not None and principal.session_policy:
            session = NamedDocument(
                "session policy", "Session", parse_policy(principal.session_policy, kind="session")
            )
        given = self.context(ex, principal, context)
        arn = principal.arn if principal is not None else ""
        request = Request(action, resource, arn, given, tuple(other_names))
        documents = (*(self.documents(principal) if principal is not None else ()), *also)
        decision = evaluate(request, documents, session=session)
        held = (*documents, session) if session else documents
        return self.judged(ex, principal, action, resource, given, decision, held)

    def context(
        self,
        ex: Exchange,
        principal: Principal | None,
        more: Mapping[str, str | Sequence[str]] | None = None,
    ) -> dict[str, str | Sequence[str]]:
        """Return the condition keys of a request."""
        return {**_context(ex, principal), **(more or {})}

    def judged(
        self,
        ex: Exchange,
        principal: Principal | None,
        action: str,
        resource: str,
        context: Mapping[str, str | Sequence[str]],
        decision: Decision,
        documents: Iterable[NamedDocument],
    ) -> Judged:
        """Write a decision into the journal entry; a refusal gets its diagnostic message."""
        because = decision.because
        if decision.outcome is Outcome.UNKNOWN:
            because = f"not modelled: {because}"
        row = decision.matched
        documents = tuple(documents)
        nearest = _nearest(decision) if row is None else None
        digest = ""
        if (shown := row or nearest) is not None:
            named = (d for d in documents if (d.name, d.type) == (shown.policy, shown.policy_type))
            text = next((d.document.source_text for d in named), "")
            digest = _digest(text)
            ex.documents[digest] = text
        ex.notes.setdefault("decisions", []).append(
            {
                "action": action,
                "resource": resource,
                "outcome": decision.outcome.name,
                "because": because,
                "policy": row.policy if row else "",
                "policy_type": row.policy_type if row else "",
                "statement": row.statement if row else None,
                "document": digest,
                "nearest": {
                    "policy": nearest.policy,
                    "policy_type": nearest.policy_type,
                    "statement": nearest.statement,
                }
                if nearest
                else None,
                "looked_at": [f"{named.name} ({named.type})" for named in documents[:_MOST_NAMED]],
            }
        )
        encoded = ""
        if decision.outcome is not Outcome.ALLOW and principal is not None:
            if not self._key:
                self._key = sealing_key(self._store.get_meta("master"))
            encoded = sealed(self._key, _told(principal, action, resource, context, decision, documents))
        return Judged(
            decision.outcome,
            decision.because,
            decision.matched,
            decision.trace,
            decision.policy_type,
            encoded,
        )

    def documents(self, principal: Principal) -> tuple[NamedDocument, ...]:
        """Return the identity policies of a user (its groups' too) or of a role that still exists."""
        if self._cached_at != self._store.generation:
            self._cache.clear()
            self._cached_at = self._store.generation
        key = (principal.kind, principal.id)
        if key not in self._cache:
            self._cache[key] = tuple(self._collect(principal))
        return self._cache[key]

    def _collect(self, principal: Principal) -> list[NamedDocument]:
        store = self._store
        if principal.kind == "RAMUser":
            holders = [("User", principal.name)]
            holders += [
                ("Group", row["group_name"])
                for row in store.all("SELECT group_name FROM group_members WHERE user_name=?", principal.name)
            ]
        else:
            # A role deleted, or deleted and made again, takes the permissions of its old sessions with it.
            # Source: https://help.aliyun.com/en/ram/support/faq-about-ram-roles-and-sts-tokens
            role = store.one("SELECT role_id FROM roles WHERE name=?", principal.name)
            if role is None or role["role_id"] != principal.id:
                return []
            holders = [("Role", principal.name)]
        found = []
        for kind, name in holders:
            for row in store.all(
                "SELECT policy_type, policy_name FROM policy_attachments WHERE entity_type=? AND entity_name=?"
                " ORDER BY rowid",
                kind,
                name,
            ):
                text, version = policy_text(store, row["policy_type"], row["policy_name"])
                found.append(
                    NamedDocument(
                        row["policy_name"], row["policy_type"], parse_policy(text), version, f"{kind} {name}"
                    )
                )
        return found


def _nearest(decision: Decision) -> TraceRow | None:
    """Return the Allow statement that got furthest, if one covers the action."""
    near = [row for row in decision.trace if row.effect == "Allow" and row.action == "matched"]
    return max(near, key=lambda row: (row.condition == "failed", row.resource != "skipped"), default=None)


@functools.lru_cache(maxsize=256)
def _digest(text: str) -> str:
    """Return what the journal knows a policy's text by."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def policy_text(store: Store, policy_type: str, name: str) -> tuple[str, str]:
    """Return (document, version id) of a policy's default version; KeyError if there is none."""
    if policy_type == "System":
        system = SYSTEM_POLICIES[name]
        return system.document, system.version
    row = store.one(
        "SELECT v.document, v.version_id FROM policies p JOIN policy_versions v"
        " ON v.policy_name = p.name AND v.version_id = p.default_version WHERE p.name=?",
        name,
    )
    if row is None:
        raise KeyError(name)
    return row["document"], row["version_id"]


def denied_detail(principal: Principal, action: str, decision: Decision) -> dict[str, str]:
    """Return AccessDeniedDetail. It has no AuthResource: that comes only from DecodeDiagnosticMessage.

    Source: https://www.alibabacloud.com/help/en/oss/support/0003-00000201 and the RDS and ACK samples.
    """
    detail = {
        "AuthAction": action,
        "AuthPrincipalType": principal.auth_type,
        "AuthPrincipalOwnerId": principal.account_id,
        "AuthPrincipalDisplayName": principal.display_name,
        "PolicyType": decision.policy_type,
        "NoPermissionType": decision.no_permission_type,
    }
    if isinstance(decision, Judged) and decision.encoded:
        detail["EncodedDiagnosticMessage"] = decision.encoded
    return detail


def _told(
    principal: Principal,
    action: str,
    resource: str,
    context: Mapping[str, str | Sequence[str]],
    decision: Decision,
    documents: Iterable[NamedDocument],
) -> dict[str, Any]:
    """Return the decoded form of a refusal's diagnostic message.

    MatchedPolicies are those with a statement that denies; nothing matched where nothing allows. The documented
    sample shows one condition; that all keys of the request are listed is ours. Source:
    https://help.aliyun.com/en/ram/developer-reference/api-ram-2015-05-01-decodediagnosticmessage
    """
    denying = {
        (row.policy, row.policy_type) for row in decision.trace if row.matched and row.effect == "Deny"
    }
    return {
        "ExplicitDeny": decision.outcome is Outcome.EXPLICIT_DENY,
        "NoPermissionPolicyType": decision.policy_type,
        "AuthAction": action,
        "AuthResource": resource,
        "AuthPrincipal": {
            "AuthPrincipalType": principal.auth_type,
            "AuthPrincipalOwnerId": principal.account_id,
            "AuthPrincipalDisplayName": principal.display_name,
        },
        "AuthConditions": [
            {"ConditionKey": key, "ConditionValues": [value] if isinstance(value, str) else list(value)}
            for key, value in sorted(context.items())
        ],
        "MatchedPolicies": [_matched(named) for named in documents if (named.name, named.type) in denying],
    }


def _matched(named: NamedDocument) -> dict[str, str]:
    shown = {"Effect": "Deny", "PolicyIdentifier": named.name, "PolicyType": str(named.type)}
    if named.type == "Custom":  # "only custom policies have version numbers": the SDK's doc-string
        shown["PolicyVersion"] = named.version
    holder = _ENTITY_TYPES.get(named.attached_to.partition(" ")[0])
    if holder:
        shown |= {"AttachedEntityType": holder, "AttachedScope": "Account"}
    return shown


def _context(ex: Exchange, principal: Principal | None) -> dict[str, str]:
    address = ex.peer
    try:
        ipaddress.ip_address(address)
    except ValueError:
        address = "127.0.0.1"  # a Unix socket: the caller is on this machine
    known = {
        "acs:CurrentTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "acs:SecureTransport": "true" if ex.scheme == "https" else "false",
        "acs:SourceIp": str(ex.notes.get("source_ip", address)),
        "acs:UserAgent": ex.headers.get("user-agent", ""),
    }
    if principal is not None:
        known["acs:MFAPresent"] = "false"
        known["acs:PrincipalARN"] = principal.arn
        known["acs:AccessId"] = principal.access_key_id
    return known
