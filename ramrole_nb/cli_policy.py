"""`ramrole policy eval|lint|minimal`: the policy lab on files, or on what is piped in. Nothing is asked of any service."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError, nearest
from .redact import redact

if TYPE_CHECKING:
    from .policy import Cell, NamedDocument

__all__ = ["add_policy"]

# A policy has some kilobytes and a journal some megabytes; more than this is neither.
_MOST_BYTES = 32 * 1024 * 1024

Add = Callable[[Any, str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]


def add_policy(commands: Any, add: Add) -> None:
    """Add the commands to the parser."""
    policy = commands.add_parser("policy", help="decide, check and write policies", allow_abbrev=False)
    inner = policy.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)

    found = add(inner, "eval", _eval, "decide actions × resources with policy documents")
    found.add_argument(
        "files", nargs="*", metavar="FILE", help="policy documents (default, or -: standard input)"
    )
    found.add_argument(
        "--action", action="append", required=True, metavar="A", help="such as oss:GetObject; may be repeated"
    )
    found.add_argument(
        "--resource",
        action="append",
        default=[],
        metavar="R",
        help="an ARN or oss://bucket/key; may be repeated (default: *)",
    )
    found.add_argument(
        "--context",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a condition key of the request; may be repeated",
    )
    found.add_argument("--session", default="", metavar="FILE", help="the session policy")
    found.add_argument("--bucket-policy", default="", metavar="FILE", help="the policy of the bucket")
    found.add_argument("--principal", default="", metavar="ARN", help="the caller, for a bucket policy")
    found.add_argument(
        "--why", action="store_true", help="say why not, and the smallest change that would allow it"
    )
    found.add_argument("--json", action="store_true", help="one JSON object a request")

    checked = add(inner, "lint", _lint, "find the mistakes in policy documents")
    checked.add_argument(
        "files", nargs="*", metavar="FILE", help="policy documents (default, or -: standard input)"
    )
    checked.add_argument("--kind", choices=["identity", "trust", "session", "bucket"], default="identity")
    checked.add_argument(
        "--scheme", choices=["http", "https"], default="", help="what the endpoint is reached with"
    )
    checked.add_argument(
        "--bucket", default="", metavar="NAME", help="the bucket that carries a bucket policy"
    )
    checked.add_argument(
        "--session-via",
        choices=["attach", "assume"],
        default="attach",
        help="what a session policy is passed to",
    )
    checked.add_argument("--strict", action="store_true", help="suggestions count as found, too")
    checked.add_argument("--json", action="store_true", help="one JSON object a problem")

    small = add(
        inner, "minimal", _minimal, "write the smallest policy for calls that were seen, or for a need"
    )
    small.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="journals: what 'ramrole sandbox log --json' prints (default, or -: standard input)",
    )
    small.add_argument(
        "--need",
        action="append",
        default=[],
        metavar="TEXT",
        help="such as 'read oss://bucket/prefix/'; may be repeated",
    )
    small.add_argument(
        "--principal", default="", metavar="TEXT", help="only calls of a caller whose ARN holds this"
    )
    small.add_argument("--refused", action="store_true", help="count the calls that were refused, too")
    small.add_argument(
        "--json", action="store_true", help="the policy, what it allows and what was left out, as one object"
    )


def _say(line: str) -> None:
    sys.stdout.write(redact(line) + "\n")


def _bytes(file: str) -> bytes:
    """Return what a file or standard input holds. Raises InputError."""
    try:
        if file == "-":
            found = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with Path(file).expanduser().open("rb") as opened:
                found = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        folder = Path(file).expanduser().parent
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        hint = nearest(Path(file).name, names)
        raise InputError(
            f"{file} cannot be read: {error.strerror}.{hint}",
            next_step="name a file, or - for standard input",
        ) from None
    if len(found) > _MOST_BYTES:
        raise InputError(
            f"{file} is longer than {_MOST_BYTES // 1024 // 1024} MB.",
            next_step="pass a policy, or part of the journal",
        )
    return found


def _named(file: str) -> str:
    return "standard input" if file == "-" else file


def _document(file: str, kind: Any, policy_type: Any) -> NamedDocument:
    from .policy import MalformedPolicyDocument, NamedDocument, parse_policy

    try:
        text = _bytes(file).decode("utf-8-sig")
        return NamedDocument(
            "standard input" if file == "-" else Path(file).stem, policy_type, parse_policy(text, kind)
        )
    except UnicodeDecodeError:
        problem, place = "it is not UTF-8", ""
    except MalformedPolicyDocument as error:
        problem, place = error.message, f" at {error.path}" if error.path else ""
    raise InputError(
        f"{_named(file)} is no {kind} policy{place}: {problem}",
        next_step=f"ramrole policy lint --kind {kind} {file} says all that is wrong",
    )


# -- eval ----------------------------------------------------------------------------------------------------


def _eval(options: argparse.Namespace) -> int:
    from .policy import Outcome, matrix, smallest_change, why_not

    _no_program(options)
    documents = [_document(file, "identity", "Custom") for file in options.files or ["-"]]
    session = _document(options.session, "session", "Session") if options.session else None
    if options.bucket_policy:
        documents.append(_document(options.bucket_policy, "bucket", "Bucket"))
    resources = [f"acs:oss:*:*:{r[6:]}" if r.startswith("oss://") else r for r in options.resource] or ["*"]
    found = matrix(
        documents,
        _actions(options.action),
        resources,
        context=_context(options.context),
        principal=options.principal,
        session=session,
    )
    outcomes = []
    for cell in found.cells.values():
        outcomes.append(cell.decision.outcome)
        refused = options.why and cell.decision.outcome is not Outcome.ALLOW
        why = why_not(cell.request, documents, session=session) if refused else None
        change = smallest_change(cell.request, documents, session=session) if refused else None
        if options.json:
            row = _as_dict(cell)
            if why is not None and change is not None:
                row |= {
                    "why_not": list(why.sentences),
                    "possible": change.possible,
                    "change": change.sentence,
                }
                row |= {"edits": [edit.what for edit in change.edits], "documents": dict(change.documents)}
            _say(json.dumps(row, ensure_ascii=False))
        else:
            _say(
                f"{cell.label:<14} {cell.request.action} on {cell.request.resource}\n  {cell.decision.because}"
            )
            if why is not None and change is not None:
                _say("\n".join(f"  {line}" for line in [*why.sentences[2:], *change.text().splitlines()]))
    if any(outcome in (Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY) for outcome in outcomes):
        return 1
    return 2 if Outcome.UNKNOWN in outcomes else 0


def _actions(given: list[str]) -> list[str]:
    for action in given:
        if ":" not in action or any(sign in action for sign in "*? "):
            raise InputError(
                f"{action!r} is no action: a request asks for exactly one.",
                next_step="write <ram-code>:<action-name>, such as oss:GetObject",
            )
    return given


def _context(given: list[str]) -> dict[str, str]:
    for pair in given:
        if "=" not in pair or ":" not in pair.split("=", 1)[0]:
            raise InputError(
                f"{pair!r} is no condition key with its value.", next_step="write acs:SourceIp=10.0.0.1"
            )
    return dict(pair.split("=", 1) for pair in given)


def _as_dict(cell: Cell) -> dict[str, Any]:
    decision = cell.decision
    row = decision.matched
    return {
        "action": cell.request.action,
        "resource": cell.request.resource,
        "outcome": decision.outcome.value,
        "allowed": decision.allowed,
        "because": decision.because,
        "policy": row.policy if row else "",
        "statement": row.statement if row else None,
        "trace": [
            {
                "policy": r.policy,
                "statement": r.statement,
                "effect": r.effect,
                "matched": r.matched,
                "why": r.why,
            }
            for r in decision.trace
        ],
    }


# -- lint ----------------------------------------------------------------------------------------------------


def _lint(options: argparse.Namespace) -> int:
    from .policy import lint

    _no_program(options)
    files = options.files or ["-"]
    worst = False
    for file in files:
        problems = lint(
            _bytes(file),
            kind=options.kind,
            scheme=options.scheme,
            bucket=options.bucket,
            session_via=options.session_via,
        )
        worst = worst or any(options.strict or problem.severity != "suggestion" for problem in problems)
        for problem in problems:
            if options.json:
                row = {
                    name: getattr(problem, name)
                    for name in ("code", "severity", "path", "line", "message", "fix")
                }
                _say(json.dumps({"file": _named(file), **row}, ensure_ascii=False))
            else:
                _say(f"{_named(file)}:{problem.line or 1}: {problem}")
        if not problems and not options.json:
            _say(f"{_named(file)}: nothing found")
    return 1 if worst else 0


# -- minimal -------------------------------------------------------------------------------------------------


def _minimal(options: argparse.Namespace) -> int:
    from .policy import from_calls, needs

    _no_program(options)
    if options.need and options.files:
        raise InputError("Either a need or journals, not both.", next_step="leave one of them out")
    if options.need:
        try:
            text = needs(*options.need)
        except ValueError as error:
            raise InputError(
                f"The need is not understood: {error}", next_step="ramrole policy minimal --help"
            ) from None
        _say(
            json.dumps({"document": json.loads(text)}, ensure_ascii=False) if options.json else _pretty(text)
        )
        return 0
    entries = [entry for file in options.files or ["-"] for entry in _journal(file)]
    mine = [entry for entry in entries if options.principal in str(entry.get("principal", ""))]
    found = from_calls(mine, refused=options.refused)
    if options.json:
        document = json.loads(found.document) if found.document else None
        row = {
            "document": document,
            "calls": [list(pair) for pair in found.calls],
            "left_out": list(found.left_out),
        }
        _say(json.dumps(row, ensure_ascii=False))
    elif found.document:
        _say(_pretty(found.document))
    for line in found.left_out if not options.json else ():
        sys.stderr.write(redact(f"left out: {line}") + "\n")
    if not entries and not options.json:
        sys.stderr.write(
            "no calls were read\n  next step: ramrole sandbox log --json | ramrole policy minimal\n"
        )
    elif not found.document and not options.json:
        sys.stderr.write(f"no policy is needed: none of the {len(mine)} calls was allowed by one\n")
    return 0 if found.document else 1


def _journal(file: str) -> list[dict[str, Any]]:
    """Read JSON lines. Raises InputError with the first line that is no entry of a journal."""
    entries = []
    for number, line in enumerate(_bytes(file).decode("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        decisions = entry.get("decisions", []) if isinstance(entry, dict) else None
        if not isinstance(decisions, list) or not all(
            isinstance(d, dict) and {"action", "resource"} <= set(d) for d in decisions
        ):
            raise InputError(
                f"Line {number} of {_named(file)} is no entry of a journal.",
                next_step="ramrole sandbox log --json | ramrole policy minimal",
            )
        entries.append(entry)
    return entries


def _pretty(text: str) -> str:
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False)


def _no_program(options: argparse.Namespace) -> None:
    if options.program is not None:
        raise InputError("Only 'ramrole on' takes a program after --.", next_step="leave the -- out")
