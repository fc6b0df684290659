"""Looking for mistakes in a policy document, as the vendor's editor does, and for those that it lets through.

The editor's checks: https://help.aliyun.com/en/ram/permission-policy-check. What it lets through is a document that is
legal and does not do what its author meant: an object action on a bucket, a condition that never holds, a trust policy
that leaves out ECS.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

from ramrole_nb.policy.documents import (
    MAX_ASSUME_SESSION_POLICY,
    MAX_ATTACH_SESSION_POLICY,
    MAX_CUSTOM_POLICY,
    NO_VERSION_TEXT,
    dump,
    read_json,
)
from ramrole_nb.policy.elements import PolicyKind, mistakes, named, read_statement, shown, unknown
from ramrole_nb.policy.known import near
from ramrole_nb.policy.lint_rules import Hints, statement_problems
from ramrole_nb.policy.lint_whole import document_problems
from ramrole_nb.policy.operators import OPERATORS
from ramrole_nb.policy.positions import locate
from ramrole_nb.policy.problems import SEVERITIES, Problem
from ramrole_nb.policy.values import MalformedPolicyDocument, Statement

__all__ = ["MAX_BUCKET_POLICY", "lint"]

# https://github.com/AlibabaCloudDocs/oss (Console User Guide, Configure bucket policies): 16 KB
MAX_BUCKET_POLICY = 16 * 1024
# Four times what any service takes: what is longer is not read at all.
_LONGEST = 4 * MAX_BUCKET_POLICY
SessionVia = Literal["attach", "assume"]

_ELEMENT_FIXES = {
    "data-type-mismatch": "Write it as a text in double quotes, or a list of such texts.",
    "invalid-action-format": "Write <ram-code>:<action-name>, such as oss:GetObject, without spaces.",
    "invalid-arn-prefix": "Write acs:<service>:<region>:<account>:<relative-id>, such as acs:oss:*:*:my-bucket/*.",
    "invalid-condition-key": "Write <ram-code>:<condition-key>, such as acs:SourceIp or oss:Prefix.",
    "multiple-boolean-values": 'Leave one value, "true" or "false".',
    "invalid-effect": 'Write "Effect": "Allow" or "Effect": "Deny".',
    "missing-action": 'Add "Action": ["<ram-code>:<action-name>"], or "NotAction".',
    "action-and-notaction": "Keep one of the two.",
    "missing-resource": 'Add "Resource": "*", or the ARNs that the actions work on.',
    "principal-misplaced": "Remove Principal: an identity or session policy speaks about whoever holds it.",
    "resource-misplaced": "Remove Resource: the resource of a trust policy is the role that carries it.",
    "missing-principal": 'Add "Principal": for a role of ECS instances {"Service": ["ecs.aliyuncs.com"]}.',
    "invalid-principal": 'Trust policy: {"Service": ["ecs.aliyuncs.com"]} or {"RAM": ["acs:ram::<account-id>:root"]}; '
    'bucket policy: a list of UIDs, or "*".',
    "invalid-element": "Remove it, or write its name exactly: Effect, Action, NotAction, Resource, Principal, Condition.",
    "invalid-condition-value": "Write a value that the operator can compare.",
    "malformed": "See https://www.alibabacloud.com/help/en/ram/policy-structure-and-syntax.",
}

# What a message of the grammar begins with or holds -> the code; the first that fits.
_CODES = (
    ("Data type mismatch", "data-type-mismatch"),
    ("Invalid action format", "invalid-action-format"),
    ("Invalid Alibaba Cloud Resource Name", "invalid-arn-prefix"),
    ("Invalid condition operator", "invalid-condition-operator"),
    ("Invalid condition key format", "invalid-condition-key"),
    ("Multiple Boolean", "multiple-boolean-values"),
    ("A Boolean condition value", "invalid-condition-value"),
    ("A condition key needs", "invalid-condition-value"),
    ("Effect must", "invalid-effect"),
    ("Add an Action", "missing-action"),
    ("A statement holds either", "action-and-notaction"),
    ("Add a Resource", "missing-resource"),
    ("Principal belongs in", "principal-misplaced"),
    ("A trust policy has no Resource", "resource-misplaced"),
    ("Add a Principal", "missing-principal"),
    ("The Principal of a bucket", "invalid-principal"),
    ("Name the trusted entity", "invalid-principal"),
    ("RAM has no NotResource", "invalid-element"),
    ("is no RAM principal", "invalid-principal"),
    ("Invalid policy element", "invalid-element"),
)


def lint(
    document: str | bytes | Mapping[str, Any],
    *,
    kind: PolicyKind = "identity",
    scheme: str = "",
    service: str = "ecs.aliyuncs.com",
    session_via: SessionVia = "attach",
    bucket: str = "",
) -> list[Problem]:
    """Find the mistakes in a policy document.

    Args:
        document: its text (bytes are read as UTF-8), or the object read from it. It may be anything at all.
        kind: ``identity`` (system and custom policies), ``trust``, ``session`` or ``bucket``.
        scheme: ``http`` or ``https``, what the caller's endpoint is reached with; empty: not known.
        service: trust policies: the service that is to assume the role; empty: any will do.
        session_via: session policies: passed to AttachInstanceRamRole (``attach``) or to AssumeRole (``assume``), which
            take 1024 and 2048 characters.
        bucket: bucket policies: the bucket that carries it; empty: not known.

    Returns:
        The problems, the worst first, then in the document's order; empty where none was found.

    Raises:
        ValueError: `kind`, `scheme` or `session_via` is none of the words above.
    """
    _check_word("kind", kind, get_args(PolicyKind))
    _check_word("scheme", scheme, ("", "http", "https"))
    _check_word("session_via", session_via, get_args(SessionVia))
    problems: list[Problem] = []
    text = _text_of(document, problems)
    if text is None:
        return problems
    try:
        tree = read_json(document if isinstance(document, Mapping) else text)[1]
    except MalformedPolicyDocument as error:
        return [Problem("invalid-json", "error", error.path, error.message, _json_fix(text), _line_of(error))]
    hints = Hints(kind, scheme, service, bucket)
    problems += _size(text, kind, session_via)
    problems += _document(tree)
    statements: list[Statement] = []
    listed = tree.get("Statement") if isinstance(tree, Mapping) else None
    for index, part in enumerate(listed if isinstance(listed, list | tuple) else ()):
        wrong = mistakes(part, index, kind)
        problems += [_grammar(error) for error in wrong]
        if not wrong:
            statement = read_statement(part, index, kind)
            statements.append(statement)
            problems += statement_problems(statement, hints)
    if statements:
        problems += document_problems(statements, hints)
    spans = {} if isinstance(document, Mapping) else locate(text)
    placed = [_printable(replace(p, line=spans[p.path].first) if p.path in spans else p) for p in problems]
    worst = list(SEVERITIES)
    order = {path: at for at, path in enumerate(_paths(tree))}
    return sorted(
        dict.fromkeys(placed), key=lambda p: (worst.index(p.severity), order.get(p.path, len(order)), p.code)
    )


def _printable(problem: Problem) -> Problem:
    """Return a problem that any terminal can take: JSON may hold half of a character, which no encoding can write."""
    texts = (problem.path, problem.message, problem.fix)
    path, message, fix = (text.encode("utf-8", "backslashreplace").decode() for text in texts)
    return replace(problem, path=path, message=message, fix=fix)


def _check_word(name: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        close = near(str(value), [word for word in valid if word], 0.5)
        hint = f" Did you mean {close!r}?" if close else ""
        raise ValueError(f"{name} must be one of {', '.join(map(repr, valid))}, not {value!r}.{hint}")


def _text_of(document: str | bytes | Mapping[str, Any], problems: list[Problem]) -> str | None:
    """Return the document's text; what cannot be read at all becomes a problem."""
    if len(document) > _LONGEST and not isinstance(document, Mapping):
        message = f"The document is {len(document):,} long; no service takes more than {MAX_BUCKET_POLICY:,} characters."
        problems.append(Problem("too-long", "error", "", message, "Pass one policy document."))
        return None
    if isinstance(document, bytes):
        try:
            return document.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            message = f"The document is not UTF-8: byte {error.start} is 0x{document[error.start]:02x}."
            problems.append(Problem("invalid-encoding", "error", "", message, "Save it as UTF-8."))
            return None
    if isinstance(document, str):
        return document.removeprefix("\ufeff")
    try:
        return dump(document)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"The document cannot be written as JSON: {type(error).__name__}."
        problems.append(Problem("invalid-json", "error", "", message, "Use texts, lists and objects only."))
        return None


def _json_fix(text: str) -> str:
    if not text.strip():
        return 'Write a document: {"Version": "1", "Statement": [ … ]}.'
    if "'" in text and '"' not in text:
        return "JSON puts names and texts into double quotes."
    if _trailing_comma(text):
        return "Remove the comma before the closing bracket: JSON has none there."
    return "Correct the JSON at that place; a comma, a quote or a bracket is missing or too many."


def _trailing_comma(text: str) -> bool:
    """Tell whether a comma stands before a closing bracket."""
    return any(part.lstrip()[:1] in ("}", "]") for part in text.split(",")[1:])


def _line_of(error: MalformedPolicyDocument) -> int:
    _, found, rest = error.message.rpartition("(line ")
    return int(rest.partition(",")[0]) if found and rest.partition(",")[0].isdigit() else 0


def _size(text: str, kind: PolicyKind, via: SessionVia) -> Iterator[Problem]:
    session = MAX_ATTACH_SESSION_POLICY if via == "attach" else MAX_ASSUME_SESSION_POLICY
    limit = {"identity": MAX_CUSTOM_POLICY, "session": session, "bucket": MAX_BUCKET_POLICY}.get(
        kind, MAX_CUSTOM_POLICY
    )
    if len(text) <= limit:
        return
    compact = len(dump(json.loads(text)))
    fix = (
        f"Leave out the white space: then it has {compact:,}."
        if compact <= limit
        else "Split it into several policies, or join statements and use wildcards."
    )
    yield Problem(
        "too-long", "error", "", f"The document has {len(text):,} characters; the limit is {limit:,}.", fix
    )


def _document(tree: Any) -> Iterator[Problem]:
    if not isinstance(tree, Mapping):
        message = f"A policy document is a JSON object, not {named(tree)}."
        yield Problem("malformed", "error", "", message, 'Write {"Version": "1", "Statement": [ … ]}.')
        return
    fix = 'Write "Version": "1".'
    if "Version" not in tree:
        yield Problem(
            "missing-version", "error", "", f"Version is missing. The service says: {NO_VERSION_TEXT}", fix
        )
    elif tree["Version"] != "1":
        message = f'Version must be the string "1", not {shown(tree["Version"])}.'
        habit = tree["Version"] in ("2012-10-17", "2008-10-17")
        yield Problem(
            "version-of-another-cloud" if habit else "invalid-version", "error", "Version", message, fix
        )
    for name in tree:
        if name not in ("Version", "Statement"):
            message = unknown(name, ("Version", "Statement"))
            yield Problem(
                "invalid-element", "error", str(name), message, "Remove it, or write its name exactly."
            )
    statements = tree.get("Statement")
    if not isinstance(statements, list | tuple):
        message = f"Statement must be a list of statements, not {named(statements)}."
        yield Problem("data-type-mismatch", "error", "Statement", message, 'Write "Statement": [ { … } ].')
    elif not statements:
        yield Problem(
            "no-statement", "error", "Statement", "Statement is empty.", "Add at least one statement."
        )


def _grammar(error: MalformedPolicyDocument) -> Problem:
    code = next((code for words, code in _CODES if words in error.message), "malformed")
    fix = _ELEMENT_FIXES.get(code, "")
    if code == "invalid-condition-operator":
        fix = _operator_fix(error.path.rpartition(".")[2])
    if "arn:aws" in error.message or "'arn:" in error.message:
        code, fix = "arn-of-another-cloud", "Begin with acs:, such as acs:oss:*:*:my-bucket/*."
    if code == "invalid-element" and error.path.endswith(".Sid"):
        fix = "Remove Sid: RAM's statements have no names."
    if code == "invalid-element" and error.path.endswith(".NotResource"):
        fix = "Name the resources in Resource; to leave some out, add a Deny statement for them."
    return Problem(code, "error", error.path, error.message, fix)


def _operator_fix(operator: str) -> str:
    word = operator.rpartition(":")[2]
    plain = (
        word.removesuffix("IfExists").replace("ArnLike", "StringLike").replace("ArnEquals", "StringEquals")
    )
    close = near(plain, OPERATORS, 0.6)
    why = "RAM has no …IfExists, no ForAnyValue:, no ForAllValues:, no Null and no Arn operators. "
    habit = word != plain or ":" in operator or word in ("Null", "Arn")
    return (why if habit else "") + (f"Write {close}." if close else f"Use one of {', '.join(OPERATORS)}.")


def _paths(tree: Any, path: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the paths of a document in its own order."""
    yield path
    if depth > 8:
        return
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from _paths(value, f"{path}.{name}" if path else str(name), depth + 1)
    elif isinstance(tree, list | tuple):
        for at, value in enumerate(tree):
            yield from _paths(value, f"{path}[{at}]", depth + 1)
