"""A document's statements, prepared once: found by action and by how a resource begins, and tested without a trace.

What a test answers is what `ramrole_nb.policy.statements` answers with its sentences; a property test holds them
together. Only the document's own words are kept, never a request's verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from ramrole_nb.policy.conditions import Context, Holds, folded, prepare_test
from ramrole_nb.policy.matching import Resource, pattern_test, resource_test
from ramrole_nb.policy.model import Request
from ramrole_nb.policy.principals import principal_state
from ramrole_nb.policy.values import PolicyDocument, Statement

Part = Literal["", "action", "principal", "resource", "condition"]

# Actions looked up are few (a service has some hundreds); who asks for ever new ones must not fill the memory.
_KEEP_ACTIONS = 1024
# Below this many statements, looking at each is as quick as finding the right ones.
_FEW = 4


class Asked:
    """A request, taken apart once."""

    __slots__ = ("_context", "action", "request", "resource")

    def __init__(self, request: Request) -> None:
        """Read what each statement would read anew."""
        self.request = request
        self.action = request.action.lower()
        self.resource = Resource(request.resource)
        self._context: Context | None = None

    @property
    def context(self) -> Context:
        """The condition keys, in lower case."""
        if self._context is None:
            self._context = folded(self.request.context)
        return self._context


class Prepared:
    """One statement, ready to be held against many requests."""

    __slots__ = ("_conditions", "_excepts", "_patterns", "_resources", "_words", "services", "statement")

    def __init__(self, statement: Statement) -> None:
        """Turn the patterns into tests."""
        self.statement = statement
        self._excepts = bool(statement.not_actions)
        patterns = [p.lower() for p in statement.not_actions or statement.actions]
        self._words = frozenset(p for p in patterns if "*" not in p and "?" not in p)
        self._patterns: tuple[Callable[[str], bool], ...] = tuple(
            pattern_test(p) for p in patterns if p not in self._words
        )
        self._resources = tuple(resource_test(p) for p in statement.resources)
        self._conditions: tuple[Holds, ...] = tuple(prepare_test(test) for test in statement.condition)
        heads = {p.partition(":")[0] for p in patterns}
        anything = self._excepts or any("*" in head or "?" in head for head in heads)
        #: The services whose actions it may speak about; None: any.
        self.services: frozenset[str] | None = None if anything else frozenset(heads)

    def covers(self, action: str) -> bool:
        """Tell whether the Action or NotAction element covers an action given in lower case."""
        if action in self._words:
            return not self._excepts
        return any(test(action) for test in self._patterns) is not self._excepts

    def judge(self, asked: Asked) -> tuple[bool | None, Part]:
        """Tell whether a statement that covers the action matches (None: not modelled), and which part failed."""
        verdict: bool | None = True
        principal = self.statement.principal
        if principal is not None:
            state = principal_state(principal, asked.request)[0]
            if state == "failed":
                return False, "principal"
            if state == "unknown":
                verdict = None
        if self._resources:
            covered: bool | None = False
            resource = asked.resource
            for test in self._resources:
                found = test(resource)
                if found:
                    covered = True
                    break
                if found is None:
                    covered = None
            if covered is False:
                return False, "resource"
            if covered is None:
                verdict = None
        if self._conditions:
            context = asked.context
            for holds in self._conditions:
                held = holds(context)
                if held is False:
                    return False, "condition"
                if held is None:
                    verdict = None
        return verdict, ""


class Shelf:
    """Statements of one effect that cover one action, found by how the relative id of their resources begins."""

    __slots__ = ("_always", "_by_length", "statements")

    def __init__(self, statements: Sequence[Prepared]) -> None:
        """Sort the statements by the literal beginnings of their Resource values."""
        self.statements = tuple(statements)
        self._always: tuple[int, ...] = tuple(range(len(statements)))
        self._by_length: tuple[tuple[int, dict[str, tuple[int, ...]]], ...] = ()
        if len(statements) <= _FEW:
            return
        tables: dict[int, dict[str, tuple[int, ...]]] = {}
        always = []
        for at, one in enumerate(statements):
            starts = {_beginning(pattern) for pattern in one.statement.resources}
            if not starts or "" in starts:
                always.append(at)
                continue
            for start in starts:
                table = tables.setdefault(len(start), {})
                table[start] = (*table.get(start, ()), at)
        self._always, self._by_length = tuple(always), tuple(tables.items())

    def near(self, resource: Resource) -> Sequence[Prepared]:
        """Return the statements that may match, in the document's order; each other one fails by its resource."""
        if not self._by_length or len(resource.parts) < 5:
            return self.statements
        # Lower case throughout finds what compares without letter case, and a little more.
        relative = resource.parts[4].lower()
        places = list(self._always)
        for length, table in self._by_length:
            places += table.get(relative[:length], ())
        if len(places) > 1:
            places = sorted(set(places))
        return [self.statements[at] for at in places]


def _beginning(pattern: str) -> str:
    """Return how the relative id of each resource that a pattern covers begins, in lower case; empty: anyhow."""
    parts = pattern.split(":", 4)
    if len(parts) < 5 or "${" in pattern:
        return ""
    relative = parts[4]
    ends = [at for at in (relative.find("*"), relative.find("?")) if at >= 0]
    return relative[: min(ends, default=len(relative))].lower()


class Index:
    """The statements of a document by action."""

    __slots__ = ("_any", "_by_action", "_by_service")

    def __init__(self, document: PolicyDocument) -> None:
        """Prepare every statement."""
        made = tuple(Prepared(statement) for statement in document.statements)
        named = {service for one in made if one.services is not None for service in one.services}
        self._any = tuple(one for one in made if one.services is None)
        self._by_service = {
            service: tuple(one for one in made if one.services is None or service in one.services)
            for service in named
        }
        self._by_action: dict[str, tuple[Shelf, Shelf]] = {}

    def of(self, action: str) -> tuple[Shelf, Shelf]:
        """Return the statements that deny, and those that allow, an action given in lower case (and what else it needs)."""
        found = self._by_action.get(action)
        if found is None:
            of_service = self._by_service.get(action.partition(":")[0], self._any)
            covering = [one for one in of_service if one.covers(action)]
            found = (
                Shelf([one for one in covering if one.statement.effect == "Deny"]),
                Shelf([one for one in covering if one.statement.effect == "Allow"]),
            )
            if len(self._by_action) >= _KEEP_ACTIONS:
                self._by_action.clear()
            self._by_action[action] = found
        return found


def index_of(document: PolicyDocument) -> Index:
    """Return a document's index, made at its first use and kept with it."""
    found = document._index  # noqa: SLF001 - the field is kept for this function
    if not isinstance(found, Index):
        found = Index(document)
        object.__setattr__(document, "_index", found)
    return found
