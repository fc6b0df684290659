"""Does the caller have the permissions a call needs? Read from the caller's own policies, before the call.

What cannot be read is UNKNOWN: it is said, and the call is tried all the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..errors import PreflightRefused, ServiceError
from ..models import CallerIdentity
from ..policy import (
    Decision,
    MalformedPolicyDocument,
    NamedDocument,
    Outcome,
    Request,
    evaluate,
    parse_policy,
)
from .calls import Calls

__all__ = ["Need", "Preflight"]

# Seconds the caller's policies are kept: long enough for the checks of one action, short enough for an edit to count.
_KEEP_SECONDS = 5.0


@dataclass(frozen=True)
class Need:
    """One permission: an action on a resource; `context` for conditions (as pairs)."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


@dataclass
class _Own:
    """What was read of the caller."""

    identity: CallerIdentity
    documents: list[NamedDocument] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


class Preflight:
    """Reads the caller's identity and policies, and evaluates needs against them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._own: _Own | None = None
        self._read_at = 0.0
        self._lock = threading.Lock()
        self.notes: list[str] = []

    def identity(self) -> CallerIdentity:
        """Return who the caller is (sts:GetCallerIdentity, which needs no permission)."""
        found = self._calls.sts("GetCallerIdentity")
        return CallerIdentity(
            type=found.get("IdentityType", ""),
            arn=found.get("Arn", ""),
            account_id=found.get("AccountId", ""),
            principal_id=found.get("PrincipalId", ""),
            user_id=found.get("UserId", "") or "",
            role_id=found.get("RoleId", "") or "",
        )

    @property
    def account_id(self) -> str:
        """The caller's account."""
        return self._caller().identity.account_id

    def _caller(self) -> _Own:
        with self._lock:
            if self._own is None or time.monotonic() - self._read_at > _KEEP_SECONDS:
                with self._calls.checking():
                    self._own = self._read()
                self._read_at = time.monotonic()
            return self._own

    def _read(self) -> _Own:
        own = _Own(self.identity())
        kind, _, rest = own.identity.arn.rpartition(":")[2].partition("/")
        if kind == "user":
            self._add(own, "ListPoliciesForUser", f"User {rest}", user_name=rest)
            for group in self._groups(own, rest):
                self._add(own, "ListPoliciesForGroup", f"Group {group}", group_name=group)
        elif kind == "assumed-role":
            self._add(own, "ListPoliciesForRole", f"Role {rest.split('/')[0]}", role_name=rest.split("/")[0])
            own.unread.append("the session policy, if one was given")
        elif own.identity.type != "Account":
            own.unread.append(f"the policies of {own.identity.arn}")
        return own

    def _groups(self, own: _Own, user: str) -> list[str]:
        try:
            found = self._calls.ram("ListGroupsForUser", user_name=user)
        except ServiceError as error:
            own.unread.append(f"the groups of {user} ({error.code})")
            return []
        return [group["GroupName"] for group in found.get("Groups", {}).get("Group", [])]

    def _add(self, own: _Own, action: str, holder: str, **params: str) -> None:
        try:
            listed = self._calls.ram(action, **params).get("Policies", {}).get("Policy", [])
        except ServiceError as error:
            own.unread.append(f"the policies of {holder} ({error.code})")
            return
        for policy in listed:
            name, kind = policy["PolicyName"], policy["PolicyType"]
            try:
                text = self._calls.ram("GetPolicy", policy_name=name, policy_type=kind)[
                    "DefaultPolicyVersion"
                ]
                document = parse_policy(text["PolicyDocument"])
            except ServiceError as error:
                own.unread.append(f"the policy {name} ({error.code})")
            except (KeyError, MalformedPolicyDocument):
                own.unread.append(f"the policy {name} (not understood here)")
            else:
                own.documents.append(NamedDocument(name, kind, document, text.get("VersionId", "v1"), holder))

    def decide(self, need: Need) -> Decision:
        """Evaluate one need against what could be read."""
        own = self._caller()
        context = {"acs:PrincipalARN": own.identity.arn, **dict(need.context)}
        return evaluate(Request(need.action, need.resource, own.identity.arn, context), own.documents)

    def tell(self, need: Need) -> tuple[str, str, str]:
        """Say of one need whether the caller has it: a mark and a word, the action, and why."""
        own = self._caller()
        if own.identity.type == "Account":
            return "✓ yes", need.action, "the account itself may do everything"
        decision = self.decide(need)
        if decision.outcome is Outcome.ALLOW:
            return "✓ yes", need.action, decision.because
        if decision.outcome is Outcome.UNKNOWN or (decision.outcome is Outcome.IMPLICIT_DENY and own.unread):
            unread = "; ".join(own.unread or [decision.because])
            return "? cannot tell", need.action, f"could not read {unread}" if own.unread else unread
        return "✕ missing", need.action, decision.because

    def check(self, what: str, needs: Iterable[Need]) -> None:
        """Raise PreflightRefused where a permission is surely missing; note what could not be told."""
        self.check_all([(what, tuple(needs))])

    def check_all(self, changes: Iterable[tuple[str, Sequence[Need]]]) -> None:
        """Check several changes, each in words with its needs, and name everything that is missing at once."""
        changes = [(what, needs) for what, needs in changes if needs]
        if not changes:
            return
        own = self._caller()
        if own.identity.type == "Account":
            return  # the account itself may do everything
        missing: list[tuple[str, str]] = []
        refused: list[str] = []
        because: list[str] = []
        for what, needs in changes:
            lacking, unsure, why = self._lacking(own, needs)
            if lacking:
                refused.append(what)
                missing += lacking
                because += why
            elif unsure:
                note = f"cannot tell whether {own.identity.name} may {what} ({', '.join(unsure)}): could not read "
                self.notes.append(note + "; ".join(own.unread or ["a condition"]))
        if missing:
            names = ", ".join(dict.fromkeys(action for action, _ in missing))
            raise PreflightRefused(
                f"{own.identity.name} may not {'; nor '.join(refused)}: {names} is missing. Nothing was changed.",
                missing=missing,
                reason=because[0],
                next_step=f"have {names} granted to {own.identity.name}, or connect as someone who may",
            )

    def _lacking(
        self, own: _Own, needs: Sequence[Need]
    ) -> tuple[list[tuple[str, str]], list[str], list[str]]:
        """Return what is surely missing, what could not be told, and the reasons of the missing."""
        missing, unsure, because = [], [], []
        for need in needs:
            decision = self.decide(need)
            if decision.outcome is Outcome.ALLOW:
                continue
            if decision.outcome is Outcome.EXPLICIT_DENY or (
                decision.outcome is Outcome.IMPLICIT_DENY and not own.unread
            ):
                missing.append((need.action, need.resource))
                because.append(decision.because)
            else:
                unsure.append(need.action)
        return missing, unsure, because

    def forget(self) -> None:
        """Read the caller's policies anew at the next check."""
        with self._lock:
            self._own = None
