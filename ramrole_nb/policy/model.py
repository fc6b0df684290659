"""The values of an evaluation: the request, the named documents, the trace and the decision."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, overload

from ramrole_nb.policy.conditions import Context
from ramrole_nb.policy.documents import PolicyDocument

PolicyType = Literal["System", "Custom", "Session", "Trust", "Bucket", "Control"]
PartState = Literal["matched", "failed", "unknown", "none", "skipped"]

#: What AccessDeniedDetail calls the origin of a refusal
#: (https://help.aliyun.com/en/ram/developer-reference/api-ram-2015-05-01-decodediagnosticmessage).
REPORTED_TYPE = {
    "System": "AccountLevelIdentityBasedPolicy",
    "Custom": "AccountLevelIdentityBasedPolicy",
    "Session": "SessionPolicy",
    "Control": "ControlPolicy",
    "Trust": "AssumeRolePolicy",
    "Bucket": "ResourceBasedPolicy",
}


class Outcome(enum.Enum):
    """What a request comes to; only ALLOW lets it through."""

    ALLOW = "Allow"
    EXPLICIT_DENY = "ExplicitDeny"
    IMPLICIT_DENY = "ImplicitDeny"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Request:
    """One call to decide.

    ``principal`` is the caller's ARN; ``principal_ids`` are other names of the caller that a bucket policy
    may use (account UID, user id, role id). ``context`` holds condition keys; give every key that the request
    carries, with the value None for one whose value is not known, and ``oss:Prefix`` as ``""`` for a listing
    without prefix.
    """

    action: str
    resource: str
    principal: str = ""
    context: Context = field(default_factory=dict, hash=False)
    principal_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NamedDocument:
    """A policy document with the name and type under which a person knows it."""

    name: str
    type: PolicyType
    document: PolicyDocument
    version: str = "v1"
    attached_to: str = ""


@dataclass(frozen=True, slots=True)
class TraceRow:
    """How one statement met the request: each part's state, and in ``why`` the value that decided.

    Parts after the first that failed are ``skipped``; a part that the statement does not have is ``none``.
    ``matched`` is None when it cannot be told.
    """

    policy: str
    policy_type: PolicyType
    statement: int
    effect: str
    action: PartState
    resource: PartState
    condition: PartState
    matched: bool | None
    why: str
    principal: PartState = "none"

    @property
    def place(self) -> str:
        """The statement's name for a person, such as ``Statement[0] of MyPolicy``."""
        return f"Statement[{self.statement}] of {self.policy}"


class Trace(Sequence[TraceRow]):
    """The rows of a decision, one per statement; they are worked out when somebody first looks at them."""

    __slots__ = ("_make", "_rows")

    def __init__(self, make: Callable[[], tuple[TraceRow, ...]]) -> None:
        """``make`` returns the rows."""
        self._make: Callable[[], tuple[TraceRow, ...]] | None = make
        self._rows: tuple[TraceRow, ...] = ()

    def _all(self) -> tuple[TraceRow, ...]:
        make = self._make
        if make is not None:
            self._rows = make()
            self._make = None
        return self._rows

    @overload
    def __getitem__(self, at: int) -> TraceRow: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[TraceRow, ...]: ...
    def __getitem__(self, at: int | slice) -> TraceRow | tuple[TraceRow, ...]:
        return self._all()[at]

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[TraceRow]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trace | tuple):
            return NotImplemented
        return self._all() == tuple(other)

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return repr(self._all())

    def __reduce__(self) -> tuple[object, ...]:
        return tuple, (self._all(),)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer: ``because`` is one sentence for a person, ``matched`` the deciding row if one decided.

    ``trace`` has a row per statement, worked out when it is first looked at. ``policy_type`` is the name that
    AccessDeniedDetail would report for the deciding level.
    """

    outcome: Outcome
    because: str
    matched: TraceRow | None
    trace: Sequence[TraceRow]
    policy_type: str

    @property
    def allowed(self) -> bool:
        """True for ALLOW only."""
        return self.outcome is Outcome.ALLOW

    @property
    def no_permission_type(self) -> str:
        """NoPermissionType of AccessDeniedDetail; empty when allowed, ImplicitDeny when not modelled."""
        if self.outcome is Outcome.ALLOW:
            return ""
        return "ExplicitDeny" if self.outcome is Outcome.EXPLICIT_DENY else "ImplicitDeny"
