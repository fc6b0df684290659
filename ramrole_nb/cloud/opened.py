"""One exchange opened: the request, what was signed, the decision with its statement, the answer. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ..redact import mask_key_id
from ..render.sections import Code, Section

if TYPE_CHECKING:
    from .wire import WireCall

__all__ = ["opened"]

_OUTCOMES = {
    "ALLOW": "✓ allowed",
    "EXPLICIT_DENY": "✕ denied: a statement denies it",
    "IMPLICIT_DENY": "✕ denied: no statement allows it",
    "UNKNOWN": "? not modelled, so denied",
}
# More decisions than this belong to one batch, and are alike.
_MOST_DECISIONS = 6
_NOT_KEPT = "The signature itself and the secret it was made with are not kept anywhere."
_NOT_TOLD = (
    "The cloud does not tell which policy decided. In the sandbox the same call shows its statement here."
)
_NO_ID = (
    "The metadata service names no request id, so the sandbox's own entry of this call is not found by it."
)


def opened(call: WireCall) -> list[Section]:
    """Return the sections of a call; what only the sandbox tells is there where `call.entry` is."""
    if call.entry:
        entry = call.entry
        return [_request(entry), _signed(entry), _decided(entry), _answer(entry)]
    params = tuple((name, _short(value)) for name, value in call.params.items())
    return [
        Section("Request", (("service", call.service), ("action", call.action), *params)),
        Section("Signed", (("by", call.caller),), note=_NOT_KEPT if call.service != "IMDS" else ""),
        Section("Decision", note=_NO_ID if call.service == "IMDS" else _NOT_TOLD),
        Section(
            "Answer",
            (
                ("status", str(call.status or "none came")),
                ("request id", call.request_id),
                ("took", f"{call.ms:.0f} ms"),
                ("error", call.error),
            ),
        ),
    ]


def _request(entry: Mapping[str, Any]) -> Section:
    url = urlsplit(str(entry.get("url", "")))
    params = {**{n: entry[n] for n in ("bucket", "key") if entry.get(n)}, **(entry.get("params") or {})}
    headers = entry.get("headers") or {}
    target = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
    lines = [f"{entry.get('method')} {target}", f"host: {url.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    facts = [
        ("operation", f"{entry.get('service', '')}:{entry.get('operation', '')}".strip(":")),
        ("method", str(entry.get("method", ""))),
        ("host", url.netloc),
        ("path", unquote(url.path)),
        *((name, _short(value)) for name, value in params.items()),
        ("sent from", str(entry.get("instance_id", "")) or "this machine"),
        ("program", str(headers.get("user-agent", ""))),
    ]
    return Section("Request", tuple(facts), (Code("As it was sent, secrets masked", "\n".join(lines)),))


def _signed(entry: Mapping[str, Any]) -> Section:
    if entry.get("service") == "IMDS":
        mode = entry.get("mode", "")
        told = f"Asked in {mode} mode." if mode else ""
        return Section(
            "Signed", note=f"Nothing: the metadata service answers who asks on the instance. {told}".strip()
        )
    version = str(entry.get("signature", ""))
    if not version:
        return Section("Signed", note="Nothing: the request carried no signature.")
    signed: Mapping[str, Any] = entry.get("signed") or {}
    facts = [
        ("signature", version),
        ("signer", str(entry.get("principal", "")) or "not accepted: see the answer"),
        ("AccessKey id", mask_key_id(str(signed.get("key") or entry.get("access_key_id", "")))),
        ("signed headers", ", ".join(signed.get("headers") or ())),
        ("signed parameters", ", ".join(signed.get("parameters") or ())),
        ("scope", str(signed.get("scope", ""))),
    ]
    text = str(signed.get("text", ""))
    codes = (Code("The text that was signed, secrets masked", text),) if text else ()
    return Section("Signed", tuple(facts), codes, _NOT_KEPT)


def _decided(entry: Mapping[str, Any]) -> Section:
    decisions: Sequence[Mapping[str, Any]] = entry.get("decisions") or ()
    if allowed_by := entry.get("allowed_by"):
        return Section("Decision", (("allowed by", str(allowed_by)), *_facts(decisions)), _codes(decisions))
    if not decisions:
        if entry.get("service") == "IMDS":
            return Section("Decision", note="No policy is asked: whatever runs on the instance may ask.")
        if entry.get("error"):
            return Section("Decision", note="It was refused before any policy was asked.")
        return Section("Decision", note="This call needs no permission.")
    left = int(entry.get("left_out", 0)) + max(0, len(decisions) - _MOST_DECISIONS)
    note = f"{left:,} more decisions of the same call are left out." if left else ""
    if any(decision.get("document") and not decision.get("text") for decision in decisions):
        note = f"{note} The text of the policy that decided is no longer kept.".strip()
    return Section("Decision", _facts(decisions), _codes(decisions), note)


def _facts(decisions: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    facts: list[tuple[str, str]] = []
    # What refused is what one looks for; it comes last where something does.
    for decision in decisions[-_MOST_DECISIONS:]:
        outcome = str(decision.get("outcome", ""))
        facts += [
            (str(decision.get("action", "")), _OUTCOMES.get(outcome, outcome)),
            ("on", str(decision.get("resource", ""))),
            ("because", str(decision.get("because", ""))),
            ("looked at", ", ".join(decision.get("looked_at") or ()) or "no policy: none is held"),
        ]
    return tuple(facts)


def _codes(decisions: Sequence[Mapping[str, Any]]) -> tuple[Code, ...]:
    """Return each policy that decided once, the deciding statements marked; where nothing allows, the nearest one."""
    found: dict[tuple[str, str], set[int]] = {}
    for decision in decisions:
        text, statement, nearest = (
            str(decision.get("text", "")),
            decision.get("statement"),
            decision.get("nearest"),
        )
        if text and statement is not None:
            kind, name = decision.get("policy_type", ""), decision.get("policy", "")
            title = f"{name} ({kind}), the deciding statement marked"
            found.setdefault((title, text), set()).add(int(statement))
        elif text and nearest:
            title = f"{nearest['policy']} ({nearest['policy_type']}), the nearest statement marked: it does not cover this"
            found.setdefault((title, text), set()).add(int(nearest["statement"]))
    return tuple(_marked(title, text, which) for (title, text), which in found.items())


def _marked(title: str, document: str, statements: set[int]) -> Code:
    """Lay a policy out, and mark statements by their numbers."""
    try:
        tree = json.loads(document)
        parts = [json.dumps(part, indent=2, ensure_ascii=False).split("\n") for part in tree["Statement"]]
    except (ValueError, KeyError, TypeError):
        return Code(title, document)
    version = json.dumps(tree.get("Version", ""))
    lines, marked = [f'{{"Version": {version}, "Statement": ['], set()
    for number, part in enumerate(parts):
        comma = "," if number < len(parts) - 1 else ""
        if number in statements:
            marked |= set(range(len(lines), len(lines) + len(part)))
        lines += [f"  {line}" for line in part[:-1]] + [f"  {part[-1]}{comma}"]
    return Code(title, "\n".join([*lines, "]}"]), frozenset(marked))


def _answer(entry: Mapping[str, Any]) -> Section:
    answer: Mapping[str, Any] = entry.get("answer") or {}
    text, size = str(answer.get("text", "")), int(answer.get("size", 0))
    status = int(entry.get("status", 0))
    facts = [
        ("status", f"{'✓' if 200 <= status < 400 else '✕'} {status}" if status else "none was sent"),
        ("code", str(entry.get("error", ""))),
        ("message", str(entry.get("message", ""))),
        ("EC", str(answer.get("ec") or entry.get("ec", ""))),
        ("request id", str(entry.get("request_id", ""))),
        ("took", f"{float(entry.get('ms', 0.0)):.1f} ms in the sandbox"),
        ("fault", str(entry.get("fault", ""))),
        ("body", f"{size:,} bytes of {answer.get('type') or 'no type'}" if size else ""),
    ]
    if not text:
        note = "The body is not kept: it may be secret, or somebody's own data." if size else ""
        return Section("Answer", tuple(facts), (), note)
    whole = "The body" if answer.get("whole") else "The beginning of the body"
    return Section("Answer", tuple(facts), (Code(f"{whole}, secrets masked", _laid_out(text)),))


def _laid_out(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text.replace("><", ">\n<") if text.startswith("<") else text


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 500 else f"{text[:500]}… ({len(text) - 500:,} characters more)"
