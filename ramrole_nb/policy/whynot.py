"""Why a request is refused, in plain sentences, and the smallest change of the RAM policies that would allow it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Literal

from ramrole_nb.policy.covering import resource_covers
from ramrole_nb.policy.documents import MAX_CUSTOM_POLICY, PolicyDocument, PolicyKind, dump, parse_policy
from ramrole_nb.policy.evaluate import evaluate
from ramrole_nb.policy.markup import BOX, PRE
from ramrole_nb.policy.model import Decision, NamedDocument, Outcome, Request, TraceRow

__all__ = ["Change", "Edit", "WhyNot", "smallest_change", "why_not"]

EditKind = Literal[
    "add-statement", "add-action", "add-resource", "narrow-deny", "remove-deny", "detach-policy", "new-policy"
]
NEW_POLICY = "a new custom policy"

# What else decides, by the name that AccessDeniedDetail reports.
_OUTSIDE = {
    "Control": "a control policy of the resource directory",
    "Session": "the session policy that was given when the role was attached or assumed",
    "Bucket": "the bucket policy",
    "Trust": "the trust policy of the role",
}


@dataclass(frozen=True)
class WhyNot:
    """Why a request is refused. `nearest` is the statement that came nearest to allowing it (or that denies it)."""

    request: Request
    decision: Decision
    nearest: TraceRow | None
    sentences: tuple[str, ...]

    def text(self) -> str:
        """Return the sentences, one a line."""
        return "\n".join(self.sentences)

    def html(self) -> str:
        """Return the sentences as a card."""
        rest = "".join(f"<li>{escape(text)}</li>" for text in self.sentences[1:])
        listed = f"<ul>{rest}</ul>" if rest else ""
        return f'<div style="{BOX}"><strong>{escape(self.sentences[0])}</strong>{listed}</div>'

    def _repr_html_(self) -> str:
        return self.html()

    def __repr__(self) -> str:
        return self.text()


def why_not(
    request: Request,
    documents: Iterable[NamedDocument],
    *,
    session: NamedDocument | None = None,
    control: Iterable[NamedDocument] = (),
) -> WhyNot:
    """Say why a request is refused, and which statement came nearest.

    Args: as for `evaluate`.

    Returns:
        The explanation; of an allowed request it says what allows it.
    """
    held, limits = tuple(documents), tuple(control)
    decision = evaluate(request, held, session=session, control=limits)
    call = f"{request.action} on {request.resource}"
    if decision.allowed:
        return WhyNot(request, decision, decision.matched, (f"It is allowed: {call}.", decision.because))
    if decision.outcome is Outcome.EXPLICIT_DENY and decision.matched is not None:
        sentences = [f"{call} is denied.", decision.because, *_other_denies(decision)]
        sentences.append("A Deny wins over every Allow, so no added permission helps while it stands.")
        return WhyNot(request, decision, decision.matched, tuple(sentences))
    if decision.outcome is Outcome.UNKNOWN and decision.matched is not None:
        sentences = [f"Whether {call} is allowed cannot be told.", decision.because]
        sentences.append("The sandbox denies what is not known; the cloud may answer otherwise.")
        return WhyNot(request, decision, decision.matched, tuple(sentences))
    level = [row for row in decision.trace if _same_level(row, decision.policy_type)]
    nearest = _nearest(level)
    return WhyNot(request, decision, nearest, tuple(_not_allowed(call, decision, level, nearest)))


def _other_denies(decision: Decision) -> Iterator[str]:
    others = [r for r in decision.trace if r.matched and r.effect == "Deny" and r != decision.matched]
    if others:
        yield f"{len(others)} more deny it: {', '.join(row.place for row in others[:3])}."


_LEVELS = {"ControlPolicy": ("Control",), "SessionPolicy": ("Session",)}


def _same_level(row: TraceRow, reported: str) -> bool:
    return row.policy_type in _LEVELS.get(reported, ("System", "Custom", "Bucket"))


def _nearest(rows: Sequence[TraceRow]) -> TraceRow | None:
    near = [row for row in rows if row.effect == "Allow"]
    return max(near, key=_progress, default=None) if any(_progress(row) for row in near) else None


def _progress(row: TraceRow) -> int:
    """How many parts of a statement fit before one failed."""
    return sum(
        getattr(row, part) in ("matched", "unknown")
        for part in ("action", "principal", "resource", "condition")
    )


def _not_allowed(
    call: str, decision: Decision, level: Sequence[TraceRow], nearest: TraceRow | None
) -> Iterator[str]:
    noun = {"ControlPolicy": "control policy", "SessionPolicy": "session policy"}.get(
        decision.policy_type, "policy"
    )
    yield f"{call} is not allowed: no {noun} has a statement that allows it."
    if not level:
        yield f"No {noun} is attached at all."
    elif nearest is None:
        names = ", ".join(dict.fromkeys(row.policy for row in level))
        yield f"None of the {len(level)} statements of {names} is an Allow for this action."
    else:
        fits = [
            part.capitalize()
            for part in ("action", "principal", "resource")
            if getattr(nearest, part) == "matched"
        ]
        failed = next(
            (p for p in ("principal", "resource", "condition") if getattr(nearest, p) == "failed"), ""
        )
        yield f"Nearest is {nearest.place}: its {' and '.join(fits)} fit{'s' if len(fits) == 1 else ''}."
        yield f"Its {failed.capitalize()} does not: {nearest.why}."
        if failed == "condition":
            yield "If the request can be made so that the condition holds, nothing has to be changed."
    if noun == "session policy":
        yield "A session policy takes away from what the role's policies grant; both must allow."


@dataclass(frozen=True)
class Edit:
    """One step of a change: `where` names the policy and statement, `before` and `after` are JSON (empty: nothing)."""

    kind: EditKind
    policy: str
    statement: int | None
    what: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Change:
    """A change that allows a request.

    `possible` tells whether changing RAM policies can allow it; where not, `sentence` says what decides instead.
    `documents` holds each changed policy's new document by name, indented JSON, ready to be saved (empty text: the policy
    is to be taken away). `decision` is the evaluator's answer with the change made.
    """

    possible: bool
    sentence: str
    edits: tuple[Edit, ...]
    documents: Mapping[str, str]
    decision: Decision

    def text(self) -> str:
        """Return the change in words, with the new documents."""
        lines = [self.sentence, *(f"  {n}. {edit.what}" for n, edit in enumerate(self.edits, 1))]
        for name, document in self.documents.items():
            lines += [f"{name}:", document or "(taken from the role)"]
        return "\n".join(lines)

    def html(self, *, documents: bool = True) -> str:
        """Return the same as a card; without `documents` only the steps."""
        steps = "".join(f"<li>{escape(edit.what)}</li>" for edit in self.edits)
        shown = "".join(
            f'<p>{escape(name)}:</p><pre style="{PRE}">{escape(document or "(taken from the role)")}</pre>'
            for name, document in self.documents.items()
            if documents
        )
        listed = f"<ol>{steps}</ol>" if steps else ""
        return f'<div style="{BOX}"><strong>{escape(self.sentence)}</strong>{listed}{shown}</div>'

    def _repr_html_(self) -> str:
        return self.html()

    def __repr__(self) -> str:
        return self.text()


def smallest_change(
    request: Request,
    documents: Iterable[NamedDocument],
    *,
    session: NamedDocument | None = None,
    control: Iterable[NamedDocument] = (),
) -> Change:
    """Find the smallest change of the RAM policies that would allow a request, and prove it by evaluating it.

    It grants nothing but the request: an action or a resource joins an existing statement only where that says no more,
    else a statement is added. A Deny in the way is narrowed where that is enough, else removed; each is named.

    Args: as for `evaluate`.

    Returns:
        The change; with ``possible=False`` where a bucket, session or control policy decides.
    """
    held, limits = tuple(documents), tuple(control)
    before = evaluate(request, held, session=session, control=limits)
    if before.allowed:
        return Change(True, f"No change is needed: {before.because}", (), {}, before)
    outside = _decided_outside(request, before, session, limits)
    if outside:
        return Change(False, outside, (), {}, before)
    changed, edits = list(held), list[Edit]()
    for at, named in enumerate(held):
        changed[at] = _without_denies(request, named, edits)
    changed = [named for named in changed if named.document.statements]
    if not evaluate(request, changed).allowed:
        changed = _with_allow(request, changed, edits)
    after = evaluate(request, changed, session=session, control=limits)
    if not after.allowed:
        why = f"No RAM policy change is known to allow it: {after.because}"
        return Change(False, why, (), {}, after)
    documents_now = {(n.name, n.type): n for n in changed}
    shown: dict[str, str] = {}
    for name in dict.fromkeys(edit.policy for edit in edits):
        now = next((n for n in documents_now.values() if n.name == name), None)
        shown[name] = now.document.to_json(2) if now is not None else ""
    words = "this change allows" if len(edits) == 1 else f"these {len(edits)} changes together allow"
    return Change(
        True, f"Checked: {words} {request.action} on {request.resource}.", tuple(edits), shown, after
    )


def _decided_outside(
    request: Request, decision: Decision, session: NamedDocument | None, limits: Sequence[NamedDocument]
) -> str:
    """Say what decides where no identity policy can change it; empty where one can."""
    call = f"{request.action} on {request.resource}"
    for row in decision.trace:
        if row.effect == "Deny" and row.matched is not False and row.policy_type in _OUTSIDE:
            does = "denies" if row.matched else "may deny"
            return f"No RAM policy change can: {_OUTSIDE[row.policy_type]} {does} {call} ({row.place}). Change that."
    for named, kind in ((limits, "Control"), ((session,) if session is not None else (), "Session")):
        if not named:
            continue
        rows = [row for row in decision.trace if row.policy_type == kind]
        if not any(row.effect == "Allow" and row.matched for row in rows):
            fix = (
                "Attach the role again with a wider one, or without."
                if kind == "Session"
                else "Ask who manages it."
            )
            return f"No RAM policy change can: {_OUTSIDE[kind]} does not allow {call}. {fix}"
    return ""


def _trees(document: PolicyDocument) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads(document.to_json())["Statement"]
    return statements


def _rebuilt(named: NamedDocument, trees: Sequence[Mapping[str, Any]]) -> NamedDocument:
    if not trees:
        return replace(named, document=PolicyDocument("1", ()))
    kind: PolicyKind = "bucket" if named.type == "Bucket" else "identity"
    return replace(named, document=parse_policy({"Version": "1", "Statement": list(trees)}, kind))


def _fits(request: Request, named: NamedDocument, tree: Mapping[str, Any]) -> bool:
    """Tell whether a statement matches the request, or may."""
    one = _rebuilt(named, [tree])
    return evaluate(request, [one]).trace[0].matched is not False


def _without_denies(request: Request, named: NamedDocument, edits: list[Edit]) -> NamedDocument:
    """Return the document with no Deny that matches the request, writing each edit down."""
    trees, kept = _trees(named.document), list[dict[str, Any]]()
    touched = False
    for at, tree in enumerate(trees):
        if tree["Effect"] != "Deny" or not _fits(request, named, tree):
            kept.append(tree)
            continue
        if named.type == "System":
            what = f"Take {named.name} from the role: its Statement[{at}] denies this, and a system policy cannot be edited."
            edits.append(Edit("detach-policy", named.name, at, what, dump(tree)))
            return _rebuilt(named, [])
        touched = True
        narrowed, lost = _narrowed(request, named, tree)
        place = f"Statement[{at}] of {named.name}"
        if narrowed is None:
            what = f"Remove {place}, a Deny: it then no longer denies anything else either."
            edits.append(Edit("remove-deny", named.name, at, what, dump(tree)))
        else:
            what = f"Narrow the Deny {place}: take {lost} out of it."
            edits.append(Edit("narrow-deny", named.name, at, what, dump(tree), dump(narrowed)))
            kept.append(narrowed)
    return _rebuilt(named, kept) if touched else named


def _narrowed(
    request: Request, named: NamedDocument, tree: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, str]:
    """Take the one value that matches out of a list of a Deny; None where the statement lives by it."""
    for element in ("Resource", "Action"):
        values = tree.get(element, [])
        hits = [value for value in values if _fits(request, named, {**tree, element: [value]})]
        rest = [value for value in values if value not in hits]
        if rest and not _fits(request, named, {**tree, element: rest}):
            return {**tree, element: rest}, f"{', '.join(hits)} ({element})"
    if "NotAction" in tree:
        return {
            **tree,
            "NotAction": [*tree["NotAction"], request.action],
        }, f"{request.action} (by adding it to NotAction)"
    return None, ""


def _with_allow(request: Request, held: Sequence[NamedDocument], edits: list[Edit]) -> list[NamedDocument]:
    """Return the documents with an Allow for the request and nothing else."""
    resource = _literal(request.resource)
    custom = [(at, named) for at, named in enumerate(held) if named.type == "Custom"]
    for at, named in custom:
        for index, tree in enumerate(_trees(named.document)):
            grown, edit = _grown(request, resource, named, index, tree)
            if grown is None or edit is None:
                continue
            trees = _trees(named.document)
            trees[index] = grown
            candidate = [*held[:at], _rebuilt(named, trees), *held[at + 1 :]]
            if (
                len(dump({"Version": "1", "Statement": trees})) <= MAX_CUSTOM_POLICY
                and evaluate(request, candidate).allowed
            ):
                edits.append(edit)
                return candidate
    added = {"Effect": "Allow", "Action": [request.action], "Resource": [resource]}
    for at, named in custom:
        trees = [*_trees(named.document), added]
        if len(dump({"Version": "1", "Statement": trees})) <= MAX_CUSTOM_POLICY:
            what = f"Add a statement to {named.name} that allows {request.action} on {resource}."
            edits.append(Edit("add-statement", named.name, len(trees) - 1, what, "", dump(added)))
            return [*held[:at], _rebuilt(named, trees), *held[at + 1 :]]
    name = NEW_POLICY
    what = f"Grant a new custom policy that allows {request.action} on {resource}."
    edits.append(Edit("new-policy", name, 0, what, "", dump(added)))
    new = NamedDocument(name, "Custom", parse_policy({"Version": "1", "Statement": [added]}))
    return [*held, new]


def _grown(
    request: Request, resource: str, named: NamedDocument, index: int, tree: dict[str, Any]
) -> tuple[dict[str, Any] | None, Edit | None]:
    """Let a statement that says the same of another resource, or of the same with another action, say this too."""
    if tree["Effect"] != "Allow" or "Condition" in tree or "Action" not in tree:
        return None, None
    place = f"Statement[{index}] of {named.name}"
    if [action.lower() for action in tree["Action"]] == [request.action.lower()]:
        wider = [old for old in tree["Resource"] if not resource_covers(resource, old)]
        grown = {**tree, "Resource": [*wider, resource]}
        what = f"Add {resource} to the Resource of {place}."
        return grown, Edit("add-resource", named.name, index, what, dump(tree), dump(grown))
    if tree["Resource"] == [resource]:
        grown = {**tree, "Action": [*tree["Action"], request.action]}
        what = f"Add {request.action} to the Action of {place}."
        return grown, Edit("add-action", named.name, index, what, dump(tree), dump(grown))
    return None, None


def _literal(resource: str) -> str:
    """Return a Resource value for one resource.

    A ``${`` would be read as a variable; ``?`` is any one character. Bucket names are unique in the world, so region and
    account say nothing more, and are left open as in the vendor's samples.
    """
    parts = resource.replace("${", "?{").split(":", 4)
    if len(parts) == 5 and parts[1] == "oss":
        parts[2:4] = ["*", "*"]
    return ":".join(parts)
