"""Mistakes that show only in the whole of a document: what is missing, said twice, or never reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ramrole_nb.policy.covering import statement_covers
from ramrole_nb.policy.documents import PolicyDocument
from ramrole_nb.policy.lint_rules import Hints
from ramrole_nb.policy.matching import action_matches, matches
from ramrole_nb.policy.model import Outcome
from ramrole_nb.policy.problems import Problem
from ramrole_nb.policy.trust import evaluate_trust
from ramrole_nb.policy.values import Statement

__all__ = ["document_problems"]

_ADD_THIS = (
    'Add {"Effect": "Allow", "Action": "ram:PassRole", "Resource": "acs:ram:*:*:role/<name>", '
    '"Condition": {"StringEquals": {"acs:Service": "ecs.aliyuncs.com"}}}.'
)


# Each statement is compared with each other, which nobody waits for beyond this many.
_MOST_COMPARED = 150


def document_problems(statements: Sequence[Statement], hints: Hints) -> Iterator[Problem]:
    """Yield what is wrong with the legal statements of a document taken together."""
    if hints.kind == "trust":
        yield from _trust(statements, hints)
    if hints.kind in ("identity", "session"):
        yield from _missing_pass_role(statements)
        yield from _half_of_oss(statements)
        if all(statement.effect == "Deny" for statement in statements):
            message = (
                "It holds no Allow: alone it grants nothing, and takes away from what other policies grant."
            )
            fix = "Add an Allow, if it was meant to grant something."
            yield Problem("only-denies", "suggestion", "", message, fix)
    yield from _shadowed(statements[:_MOST_COMPARED])


def _trust(statements: Sequence[Statement], hints: Hints) -> Iterator[Problem]:
    if not hints.service:
        return
    document = PolicyDocument("1", tuple(statements))
    outcome = evaluate_trust(document, service=hints.service).outcome
    if outcome is Outcome.ALLOW:
        return
    fix = f'Add "Principal": {{"Service": ["{hints.service}"]}} to an Allow statement with sts:AssumeRole.'
    if outcome is Outcome.UNKNOWN:
        message = (
            f"Whether {hints.service} may assume the role depends on a condition that cannot be told here."
        )
        yield Problem("trust-depends", "suggestion", "", message, "Leave the condition out for a service.")
    else:
        message = f"{hints.service} may not assume the role: attaching it to an instance ends in InvalidRamRole.NotEcsRole."
        if hints.service != "ecs.aliyuncs.com":
            message = f"{hints.service} may not assume the role."
        yield Problem("trust-without-service", "warning", "", message, fix)


def _allows(statements: Sequence[Statement], action: str) -> Statement | None:
    """Return the first Allow statement whose actions cover `action`."""
    for statement in statements:
        if statement.effect != "Allow":
            continue
        if statement.not_actions:
            if not any(action_matches(p, action) for p in statement.not_actions):
                return statement
        elif any(action_matches(p, action) for p in statement.actions):
            return statement
    return None


def _missing_pass_role(statements: Sequence[Statement]) -> Iterator[Problem]:
    attaches = _allows(statements, "ecs:AttachInstanceRamRole")
    if attaches is not None and _allows(statements, "ram:PassRole") is None:
        message = "It allows ecs:AttachInstanceRamRole, not ram:PassRole: attaching ends in InvalidUser.PassRoleForbidden."
        yield Problem("missing-passrole", "warning", f"Statement[{attaches.index}]", message, _ADD_THIS)


def _half_of_oss(statements: Sequence[Statement]) -> Iterator[Problem]:
    """A wildcard action that lists and reads, on resources that cover only one of the two."""
    for statement in statements:
        relatives = [
            r.split(":", 4)[4] for r in statement.resources if r.startswith("acs:oss:") and r.count(":") >= 4
        ]
        wild = [a for a in statement.actions if a.lower().startswith("oss:") and "*" in a]
        if statement.effect != "Allow" or len(relatives) < len(statement.resources) or not wild:
            continue
        place = f"Statement[{statement.index}].Resource"
        bucket = relatives[0].split("/")[0]
        lists = next((a for a in wild if action_matches(a, "oss:ListObjects")), "")
        if lists and all("/" in r for r in relatives) and not _covers(statements, "oss:ListObjects", bucket):
            message = f"{lists} would list too, but that works on the bucket, and Resource names objects only: it is denied."
            yield Problem("bucket-action-on-objects", "warning", place, message, f"Add acs:oss:*:*:{bucket}.")
        reads = next((a for a in wild if action_matches(a, "oss:GetObject")), "")
        if (
            reads
            and not any("/" in r or "*" in r for r in relatives)
            and not _covers(statements, "oss:GetObject", f"{bucket}/x")
        ):
            message = (
                f"{reads} would read objects too, but Resource names the bucket alone: it is denied for each."
            )
            yield Problem(
                "object-action-on-bucket", "warning", place, message, f"Add acs:oss:*:*:{bucket}/*."
            )


def _covers(statements: Sequence[Statement], action: str, relative: str) -> bool:
    """Tell whether some Allow statement covers the action and may cover the OSS resource."""
    return any(
        statement.effect == "Allow"
        and any(action_matches(p, action) for p in statement.actions)
        and any(r == "*" or matches(r.split(":", 4)[-1], relative) for r in statement.resources)
        for statement in statements
    )


def _shadowed(statements: Sequence[Statement]) -> Iterator[Problem]:
    """Statements that change nothing: another says the same, says more, or denies all of it."""
    for at, statement in enumerate(statements):
        place = f"Statement[{statement.index}]"
        for other_at, other in enumerate(statements):
            if other is statement or not statement_covers(other, statement):
                continue
            name = f"Statement[{other.index}]"
            both = statement_covers(statement, other)
            if other.effect == statement.effect:
                if both and other_at > at:
                    continue  # said twice: the later one is told
                code = "duplicate-statement" if both else "shadowed-statement"
                verb = "says the same" if both else f"{statement.effect.lower()}s all of it and more"
                message = f"It changes nothing: {name} {verb}."
                yield Problem(code, "suggestion", place, message, "Remove it.")
                break
            if statement.effect == "Allow":
                message = f"It never allows anything: {name} denies all of it."
                yield Problem(
                    "unreachable-statement", "warning", place, message, f"Remove it, or narrow {name}."
                )
                break
