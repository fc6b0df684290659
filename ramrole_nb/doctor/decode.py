"""`explain`: what a pasted error means. From the text, or the exception, to a cause of `causes` and the next step.

`reading` takes the text apart, `deciding` finds the cause, `masking` stands before everything that leaves. What fits nothing
is said to be unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import MetadataError, PartialFailure, PreflightRefused, RamroleError, ServiceError
from .causes import CAUSES, Cause
from .codes import OURS
from .deciding import OF_TOKEN, Found, decide, kind_of, refusal, service_of
from .explanation import Explanation
from .masking import Masker
from .reading import Reading, read

__all__ = ["explain"]

_DETAIL = {
    "AuthAction": "action",
    "AuthResource": "resource",
    "AuthPrincipalType": "principal type",
    "AuthPrincipalOwnerId": "account",
    "AuthPrincipalDisplayName": "principal",
    "PolicyType": "policy type",
    "NoPermissionPolicyType": "policy type",
    "NoPermissionType": "refusal",
}
_NO_DIAGNOSIS = (
    "The encoded diagnostic message is opaque: only RAM opens it. Give a session to have it opened, "
    "rr.explain(error, cloud=cloud), or ask by hand: aliyun ram DecodeDiagnosticMessage --EncodedDiagnosticMessage MESSAGE"
)


def explain(x: object, *, cloud: Any = None) -> Explanation:
    """Explain an error: an exception, or any text that holds one (SDK message or repr, XML, JSON, traceback, `curl -v`).

    Parameters: `x` the exception, text or bytes; `cloud` a session (`rr.connect()`) with which RAM is asked to open an
    EncodedDiagnosticMessage (needs ram:DecodeDiagnosticMessage; nothing is sent without it).

    Returns an `Explanation` (HTML, text, Markdown, `to_dict()`), with secrets masked. What is not known is said: then
    `known` is False, `cause` is "unknown", and the explanation holds what could be read. Raises nothing for any input.

    Sources: the pages named in `doctor.causes`; for the diagnostic message
    https://help.aliyun.com/en/ram/developer-reference/api-ram-2015-05-01-decodediagnosticmessage
    """
    if isinstance(x, Explanation):
        return x
    text: str | bytes
    if isinstance(x, BaseException):
        text, what = _text_of(x), f"exception {type(x).__module__}.{type(x).__qualname__}"
    elif isinstance(x, (bytes, bytearray, memoryview)):
        text, what = bytes(x), ""
    else:
        text, what = str(x), ""
    reading = read(text)
    masked = Masker(reading.text)
    found = _of_ours(x) if isinstance(x, RamroleError) else None
    found = found or decide(reading)
    if reading.get("EncodedDiagnosticMessage"):
        if cloud is None:
            found.notes.append(_NO_DIAGNOSIS)
        else:
            _decode_with(cloud, reading, found)
    if isinstance(x, RamroleError):  # its own words name what is meant, and the nearest that there is
        told = {"what": x.what, **x.facts()}
        found.notes += [
            f"{label}: {told[label]}" for label in ("what", "why", "next step") if told.get(label)
        ]
    return _explanation(reading, found, masked, what or kind_of(reading))


# -- exceptions ------------------------------------------------------------------------------------------------


def _text_of(error: BaseException) -> str:
    """Return all an exception and those behind it say, whatever library it is of."""
    pieces: list[str] = []
    seen: list[BaseException] = []
    following: list[Any] = [error]
    while following and len(seen) < 6:
        current = following.pop(0)
        if not isinstance(current, BaseException) or any(current is known for known in seen):
            continue
        seen.append(current)
        pieces.append(f"{type(current).__module__}.{type(current).__qualname__}: {_said(current)}")
        body = getattr(current, "body", None)
        if isinstance(body, bytes):
            body = body.decode("utf-8", "replace")
        if isinstance(body, str):
            pieces.append(body)
        headers = getattr(current, "headers", None)
        if isinstance(headers, Mapping):
            pieces += [
                f"{name}: {headers[name]}" for name in headers if str(name).lower().startswith("x-oss-e")
            ]
        data = getattr(current, "data", None)
        if isinstance(data, Mapping):
            pieces.append(repr(dict(data)))
        detail = getattr(current, "access_denied_detail", None)
        if isinstance(detail, Mapping):
            pieces.append(repr(dict(detail)))
        if isinstance(current, ServiceError):
            pieces.append(f"&product={current.service} Action: {current.action}")
            pieces.append(f"answer: {current.code} (HTTP {current.status}), EC {current.ec}")
        if isinstance(current, PartialFailure):
            following += [getattr(item, "error", None) for item in current.results]
        following += [
            getattr(current, "inner_exception", None), getattr(current, "exception", None),
            current.__cause__, None if current.__suppress_context__ else current.__context__,
        ]  # fmt: skip
    return "\n".join(pieces)


def _said(error: BaseException) -> str:
    try:
        return str(error)[:20_000]
    except Exception:  # noqa: BLE001 - a broken __str__ of somebody's exception must not hide the rest
        return ""


def _of_ours(error: RamroleError) -> Found | None:
    name = type(error).__name__
    if name == "TokenRefused" and isinstance(error, MetadataError):
        return Found(OF_TOKEN.get(error.status, "metadata-failed"))
    if name == "MetadataError" and isinstance(error, MetadataError) and error.status in (429, 500, 502, 503):
        return Found("metadata-throttled" if error.status == 429 else "metadata-failed")
    if name == "WrongRoleName" and "was deleted" in error.reason:
        return Found("role-deleted")
    found = Found(OURS[name]) if name in OURS else None
    if found and isinstance(error, PreflightRefused):
        action, resource = error.missing[0] if error.missing else ("", "")
        found.facts |= {"missing permission": action, "on": resource}
        if action.lower() == "ram:passrole":
            found.cause = "pass-role-missing"
    return found


# -- the diagnostic message ------------------------------------------------------------------------------------


def _decode_with(cloud: Any, reading: Reading, found: Found) -> None:
    """Ask RAM to open the message; what it says is more exact than what the refusal said."""
    message = reading.get("EncodedDiagnosticMessage")
    try:
        answer = cloud.context.calls.ram("DecodeDiagnosticMessage", encoded_diagnostic_message=message)
    except RamroleError as error:
        found.notes.append(f"RAM did not open the diagnostic message: {error.what} {error.reason}".strip())
        return
    told = answer.get("DecodedDiagnosticMessage")
    if not isinstance(told, Mapping):
        found.notes.append("RAM's answer holds no decoded message.")
        return
    found.diagnostic = told
    reading.fields["AuthResource"] = str(told.get("AuthResource") or "")
    reading.fields["NoPermissionType"] = "ExplicitDeny" if told.get("ExplicitDeny") else "ImplicitDeny"
    reading.fields["PolicyType"] = str(told.get("NoPermissionPolicyType") or reading.get("PolicyType"))
    reading.fields["AuthAction"] = str(told.get("AuthAction") or reading.get("AuthAction"))
    found.cause = refusal(reading, found)
    matched = told.get("MatchedPolicies")
    if isinstance(matched, list):
        names = [str(row.get("PolicyIdentifier", "")) for row in matched if isinstance(row, Mapping)]
        found.facts["deciding policy"] = ", ".join(name for name in names if name)


# -- the result ------------------------------------------------------------------------------------------------

_FOR_TEMPLATES = {
    "role": "role",
    "instance": "instance",
    "bucket": "bucket",
    "object": "key",
    "region": "region",
}


def _explanation(reading: Reading, found: Found, masked: Masker, what: str) -> Explanation:
    """Compose the value; this is the one way out, and everything passes the mask."""
    known = found.cause in CAUSES
    facts = {label: masked(_short(value)) for label, value in found.facts.items() if value}
    # A fact that had to be masked is of no use in a command.
    named = {_FOR_TEMPLATES[label]: value for label, value in facts.items()
             if label in _FOR_TEMPLATES and value == found.facts[label]}  # fmt: skip
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", named.get("bucket", "")):
        named.pop("bucket", None)
    endpoint = (
        found.facts.get("right endpoint")
        or found.facts.get("endpoint asked")
        or found.facts.get("host")
        or ""
    )
    if endpoint and masked(endpoint) == endpoint:
        named["endpoint"] = endpoint
    denied = {
        label: masked(_short(reading.get(name))) for name, label in _DETAIL.items() if reading.get(name)
    }
    ec, code = reading.get("ec"), masked(reading.get("code")[:100])
    notes = [masked(note[:1_000]) for note in found.notes]
    common: dict[str, Any] = {
        "what": masked(what),
        "service": masked(service_of(reading, found)),
        "operation": masked(_short(reading.get("operation") or _operation(reading))),
        "code": code,
        "ec": ec if re.fullmatch(r"\d{4}-\d{8}", ec) else "",
        "status": reading.status,
        "request_id": _request_id(reading),
        "message": masked(_short(reading.get("message"), 500)),
        "denied": denied,
        "facts": tuple(facts.items()),
        "diagnostic": _masked_deep(found.diagnostic, masked),
    }
    if reading.cut:
        notes.append("The text is long: its beginning and its end were read.")
    if known:
        cause = CAUSES[found.cause]
        why = cause.meaning
        if found.cause == "permission-missing" and denied.get("action"):
            why = f"No policy of {denied.get('principal', 'the caller')} allows {denied['action']}."
        call, command, console = _fix(cause, named, denied, facts)
        return Explanation(
            known=True, cause=cause.id, why=why, call=call,
            command=command, console=console, words=cause.words, link=cause.link, notes=tuple(notes), **common,
        )  # fmt: skip
    link = ""
    if common["ec"] or (code and reading.alibaba and "*" not in code):
        link = f"https://api.alibabacloud.com/troubleshoot?q={common['ec'] or code}"
    if not any((code, common["message"], common["status"], facts)) and reading.first_line:
        notes.append(f"The text begins: {masked(_short(reading.first_line, 120))}")
    why = (
        "There is nothing to read."
        if not reading.text.strip()
        else "This is an error of Alibaba Cloud whose cause is not known here; below is what could be read."
        if reading.alibaba and (code or common["ec"])
        else "This is no error that is known here; below is what could be read."
    )
    return Explanation(
        known=False,
        cause="unknown",
        why=why,
        call="",
        command="",
        console="",
        link=link,
        notes=tuple(notes),
        **common,
    )


def _fix(
    cause: Cause, named: Mapping[str, str], denied: Mapping[str, str], facts: Mapping[str, str]
) -> tuple[str, str, str]:
    """Return the next step in Python, in the shell and in the console, sharpened where a refusal says what was wanted."""
    call, command, console = cause.call(named), cause.command(named), cause.fix_console
    action = denied.get("action") or facts.get("missing permission", "")
    if cause.id != "permission-missing":
        return call, command, console
    if denied.get("principal type") == "SubUser":
        # A user's permissions are given by an administrator; ours are the roles'.
        command = "aliyun ram AttachPolicyToUser --PolicyType Custom --PolicyName POLICY --UserName USER"
        return "cloud.identity()", command, console.replace("Roles > the role", "Users > the user")
    if not re.fullmatch(r"[a-z]{2,20}:[A-Za-z*]{2,60}", action):
        return call, command, console
    bucket, resource = named.get("bucket", ""), denied.get("resource") or facts.get("on") or "*"
    if bucket and action in ("oss:GetObject", "oss:ListObjects"):
        policy = f"rr.policy.read_objects({bucket!r})"
    elif bucket and action == "oss:PutObject":
        policy = f"rr.policy.read_write_objects({bucket!r})"
    else:
        policy = f"rr.policy.minimal_policy([({action!r}, {resource!r})])"
    return f"cloud.roles[{named.get('role', 'ROLE')!r}].grant({policy})", command, console


def _operation(reading: Reading) -> str:
    action = reading.get("action")
    return action if re.fullmatch(r"[A-Za-z]{3,60}(?::[A-Za-z]{3,60})?", action) else ""


def _request_id(reading: Reading) -> str:
    found = re.fullmatch(
        r"[0-9A-Fa-f]{24}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", reading.get("request_id")
    )
    return found[0] if found else ""


# Control characters and those that turn the direction of writing: what is shown is what is there.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")


def _short(text: str, longest: int = 300) -> str:
    flat = " ".join(_UNSEEN.sub(" ", text[: longest * 2]).split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


def _masked_deep(value: Any, masked: Masker, depth: int = 0) -> Any:
    if depth > 8:
        return "…"
    if isinstance(value, Mapping):
        return {str(k)[:100]: _masked_deep(v, masked, depth + 1) for k, v in list(value.items())[:100]}
    if isinstance(value, (list, tuple)):
        return [_masked_deep(item, masked, depth + 1) for item in value[:100]]
    return masked(_short(value)) if isinstance(value, str) else value
