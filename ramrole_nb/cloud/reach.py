"""What a role may do with a bucket: its policy documents and the bucket's own, given to the evaluator. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..policy import NamedDocument, Outcome, Request, action_matches, evaluate, matches

__all__ = ["Access", "Reach", "reach"]

# Stands for "some object": no pattern that a person writes names it, so only what covers every key covers it.
_ANY_KEY = "ramrole-nb-any-7f3ab2"

_ACTIONS = {"list": "oss:ListObjects", "read": "oss:GetObject", "write": "oss:PutObject"}
_MARKS = {"yes": "✓", "in part": "◐", "no": "✕", "cannot tell": "?"}


@dataclass(frozen=True)
class Access:
    """One answer: `state` is "yes", "in part", "no" or "cannot tell"; `where` the patterns it holds for (or not)."""

    state: str
    why: str = ""
    where: tuple[str, ...] = ()

    def said(self, verb: str) -> str:
        """Say it with a mark and a word."""
        told = f"{_MARKS[self.state]} {verb}"
        if self.state == "in part":
            return f"{told} {', '.join(self.where)}"
        return {"yes": told, "no": f"{_MARKS['no']} no {verb}"}.get(self.state, f"{told}: cannot tell")


@dataclass(frozen=True)
class Reach:
    """What a role may do with one bucket: `list` names, `read` and `write` objects."""

    bucket: str
    region_id: str
    list: Access
    read: Access
    write: Access

    @property
    def any(self) -> bool:
        """Whether there is something it may do, or may be."""
        return any(access.state != "no" for access in (self.list, self.read, self.write))

    def lines(self) -> tuple[str, ...]:
        """Say all three."""
        return self.list.said("list"), self.read.said("read"), self.write.said("write")


def reach(
    bucket: str,
    region_id: str,
    account_id: str,
    principal: str,
    names: Sequence[str],
    documents: Iterable[NamedDocument],
    *,
    unread: str = "",
) -> Reach:
    """Evaluate what `principal` (an ARN; also known by `names`) may do with a bucket.

    `documents` are the role's policies and the bucket's; `unread` names what could not be read of the role's: then
    nothing can be told for sure.
    """
    documents = tuple(documents)
    base = f"acs:oss:oss-{region_id}:{account_id}:{bucket}"
    answers: dict[str, Access] = {}
    for verb, action in _ACTIONS.items():
        if unread:
            answers[verb] = Access("cannot tell", f"could not read {unread}")
            continue
        if verb == "list":
            probes = {"": Request(action, base, principal, _context(principal, ""), tuple(names))}
            for pattern in _prefixes(documents, action):
                context = _context(principal, _sample(pattern))
                probes[pattern] = Request(action, base, principal, context, tuple(names))
        else:
            context = _context(principal)
            probes = {"": Request(action, f"{base}/{_ANY_KEY}", principal, context, tuple(names))}
            for pattern in _keys(documents, action, bucket):
                probes[pattern] = Request(
                    action, f"{base}/{_sample(pattern)}", principal, context, tuple(names)
                )
        answers[verb] = _answer(probes, documents)
    return Reach(bucket, region_id, answers["list"], answers["read"], answers["write"])


def _answer(probes: Mapping[str, Request], documents: Sequence[NamedDocument]) -> Access:
    decisions = {pattern: evaluate(request, documents) for pattern, request in probes.items()}
    general = decisions.pop("")
    if general.outcome is Outcome.ALLOW:
        refused = [p for p, d in decisions.items() if d.outcome is not Outcome.ALLOW]
        if refused:
            return Access("in part", decisions[refused[0]].because, tuple(f"all but {p}" for p in refused))
        return Access("yes", general.because)
    allowed = [p for p, d in decisions.items() if d.outcome is Outcome.ALLOW]
    if allowed:
        return Access("in part", decisions[allowed[0]].because, tuple(f"only {p}" for p in allowed))
    unsure = [d for d in (general, *decisions.values()) if d.outcome is Outcome.UNKNOWN]
    if unsure:
        return Access("cannot tell", unsure[0].because)
    return Access("no", general.because)


def _context(principal: str, prefix: str | None = None) -> dict[str, str]:
    known = {"acs:PrincipalARN": principal, "acs:MFAPresent": "false"}
    return known if prefix is None else {**known, "oss:Prefix": prefix, "oss:Delimiter": ""}


def _prefixes(documents: Sequence[NamedDocument], action: str) -> list[str]:
    """Return the prefixes that conditions on a listing name."""
    found: dict[str, None] = {}
    for statement in (s for named in documents for s in named.document.statements):
        if any(action_matches(pattern, action) for pattern in statement.actions):
            for test in statement.condition:
                if test.key.lower() == "oss:prefix":
                    found |= dict.fromkeys(value for value in test.values if value.strip("*"))
    return list(found)


def _keys(documents: Sequence[NamedDocument], action: str, bucket: str) -> list[str]:
    """Return the patterns of keys in this bucket that statements on `action` name."""
    found: dict[str, None] = {}
    for statement in (s for named in documents for s in named.document.statements):
        if not any(action_matches(pattern, action) for pattern in statement.actions):
            continue
        for resource in statement.resources:
            holder, slash, pattern = resource.split(":", 5)[-1].partition("/")
            if slash and matches(holder, bucket) and pattern.strip("*"):
                found[pattern] = None
    return list(found)


def _sample(pattern: str) -> str:
    """Return a text that fits the pattern."""
    return pattern.replace("*", "x").replace("?", "x")
