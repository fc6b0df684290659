"""Masking of secrets, by known value and by pattern.

Two nets, because each has holes: a value this process has handled is masked wherever it appears, and what
merely looks like a secret (a signature, a token field of a JSON or XML answer) is masked by its shape.
"""

from __future__ import annotations

import json
import re
import threading
from urllib.parse import quote, quote_plus

__all__ = [
    "MASK",
    "Secret",
    "forget_all",
    "is_known_secret",
    "mask_key_id",
    "mask_secret",
    "redact",
    "remember",
]

MASK = "********"

# Shorter values would mask ordinary words; no secret of the services is that short.
_SHORTEST = 8

# The newest values only: a long run with fast rotation handles hundreds of thousands, and what has long expired
# still falls into the second net.
_MOST = 4_096

_known: dict[str, tuple[str, ...]] = {}  # each value with its forms
_by_head: dict[str, tuple[str, ...]] = {}  # the forms by their first characters
_lock = threading.Lock()

_FIELD = r"(?:AccessKeySecret|AccessKeySecretList|SecurityToken|access_key_secret|security_token|secret)"
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # JSON, Python reprs and key=value forms of the two secret fields.
    (re.compile(rf"(['\"]?\b{_FIELD}['\"]?\s*[:=]\s*['\"]?)([^\s'\"<>&,;}}]{{6,}})", re.I), rf"\1{MASK}"),
    (re.compile(rf"(<{_FIELD}>)([^<]{{6,}})(</)", re.I), rf"\1{MASK}\3"),
    # Headers and query parameters that carry a token or a signature.
    (
        re.compile(
            r"((?:x-(?:oss|acs)-security-token|security-token|SecurityToken|x-aliyun-ecs-metadata-token)"
            r"['\"]?\s*[:=]\s*['\"]?)([^\s'\"<>&,;}]{6,})",
            re.I,
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"(\bx-aliyun-ecs-metadata-token['\"]?\s*[:=]\s*['\"]?)([^\s'\"]{6,})", re.I), rf"\1{MASK}"),
    (re.compile(r"(\b(?:x-oss-)?Signature=)([0-9A-Za-z+/=%]{16,})", re.I), rf"\1{MASK}"),
    (re.compile(r"(Authorization['\"]?\s*:\s*['\"]?OSS [^:\s]+:)([0-9A-Za-z+/=]{16,})", re.I), rf"\1{MASK}"),
    (re.compile(r"(Proxy-Authorization['\"]?\s*:\s*['\"]?Basic )([0-9A-Za-z+/=]{8,})", re.I), rf"\1{MASK}"),
    # http://instance:token@127.0.0.1:PORT
    (re.compile(r"(\bhttps?://[^\s:/@]+:)([^\s@/]{6,})(@)"), rf"\1{MASK}\3"),
    # Security tokens of Alibaba Cloud begin with CAIS or CAES and run for hundreds of characters.
    (re.compile(r"\b(CA[EI]S)[0-9A-Za-z+/=_-]{40,}"), rf"\1{MASK}"),
    # Whole access key ids: enough is left to recognise one's own.
    (re.compile(r"\b(LTAI|STS\.)([0-9A-Za-z]{4,})([0-9A-Za-z]{4})\b"), rf"\1{MASK}\3"),
)


class Secret(str):
    """A secret text: a string like any other, but its `repr`, which cells, debuggers and tracebacks show, is masked."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


def remember(*secrets: str | None) -> None:
    """Mask these values from now on, in any text given to `redact`."""
    with _lock:
        for secret in secrets:
            if not secret or len(secret) < _SHORTEST or secret in _known:
                continue
            _known[str(secret)] = forms = _forms(secret)
            for form in forms:
                # Longest first, so that a value that contains another is masked whole.
                same = {*_by_head.get(form[:_SHORTEST], ()), form}
                _by_head[form[:_SHORTEST]] = tuple(sorted(same, key=len, reverse=True))
            if len(_known) > _MOST:
                _forget(next(iter(_known)))


def _forms(secret: str) -> tuple[str, ...]:
    """Return how a value is written in texts: as it is, URL-encoded, in JSON."""
    forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
    forms |= {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in forms}
    forms |= {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    return tuple(forms | {form.replace("/", "\\/") for form in forms})


def _forget(secret: str) -> None:
    for form in _known.pop(secret):
        left = tuple(other for other in _by_head.get(form[:_SHORTEST], ()) if other != form)
        if left:
            _by_head[form[:_SHORTEST]] = left
        else:
            _by_head.pop(form[:_SHORTEST], None)


def forget_all() -> None:
    """Forget every remembered value (for tests)."""
    with _lock:
        _known.clear()
        _by_head.clear()


def is_known_secret(value: str) -> bool:
    """Tell whether `value` was remembered."""
    return value in _known


def _mask_known(text: str) -> str:
    """Mask the known values. Each place of the text is looked up by its first characters: thousands cost as much as one."""
    if not _by_head:
        return text
    pieces: list[str] = []
    copied = at = 0
    while at <= len(text) - _SHORTEST:
        for form in _by_head.get(text[at : at + _SHORTEST], ()):
            if text.startswith(form, at):
                pieces += [text[copied:at], MASK]
                at = copied = at + len(form)
                break
        else:
            at += 1
    return "".join([*pieces, text[copied:]])


def redact(text: object) -> str:
    """Return `str(text)` with every known secret, and whatever looks like one, masked."""
    out = _mask_known(str(text))
    for shape, replacement in _SHAPES:
        out = shape.sub(replacement, out)
    return out


def mask_secret(secret: str | None) -> str:
    """Return the mask shown instead of a secret: its length class only, none of its characters."""
    return MASK if secret else ""


def mask_key_id(key_id: str | None) -> str:
    """Return an access key id with its middle masked, e.g. `STS.********Q3xZ`."""
    if not key_id:
        return ""
    head = "STS." if key_id.startswith("STS.") else key_id[:4]
    return f"{head}{MASK}{key_id[-4:]}" if len(key_id) > 12 else MASK
