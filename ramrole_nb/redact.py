"""Masking of secrets, by known value and by pattern.

Two nets, because each has holes: a value this process has handled is masked wherever it appears, and what
merely looks like a secret (a signature, a token field of a JSON or XML answer) is masked by its shape.
"""

from __future__ import annotations

import re
import threading
from urllib.parse import quote

__all__ = ["MASK", "forget_all", "is_known_secret", "mask_key_id", "mask_secret", "redact", "remember"]

MASK = "********"

# Shorter values would mask ordinary words; no secret of the services is that short.
_SHORTEST = 8

# The newest values only: a long run with fast rotation handles hundreds of thousands, and what has long expired
# still falls into the second net.
_MOST = 4_096

_known: dict[str, None] = {}
_lock = threading.Lock()
_pattern: re.Pattern[str] | None = None

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


def remember(*secrets: str | None) -> None:
    """Mask these values from now on, in any text given to `redact`."""
    global _pattern
    with _lock:
        fresh = {s for s in secrets if s and len(s) >= _SHORTEST and s not in _known}
        if fresh:
            _known.update(dict.fromkeys(fresh))
            while len(_known) > _MOST:
                del _known[next(iter(_known))]
            _pattern = None


def forget_all() -> None:
    """Forget every remembered value (for tests)."""
    global _pattern
    with _lock:
        _known.clear()
        _pattern = None


def is_known_secret(value: str) -> bool:
    """Tell whether `value` was remembered."""
    return value in _known


def _known_pattern() -> re.Pattern[str] | None:
    global _pattern
    with _lock:
        if _pattern is None and _known:
            forms: set[str] = set()
            for value in _known:
                forms |= {value, quote(value, safe=""), quote(value), value.replace("/", "\\/")}
            # Longest first, so that a value that contains another is masked whole.
            _pattern = re.compile("|".join(re.escape(f) for f in sorted(forms, key=len, reverse=True)))
        return _pattern


def redact(text: object) -> str:
    """Return `str(text)` with every known secret, and whatever looks like one, masked."""
    out = str(text)
    known = _known_pattern()
    if known is not None:
        out = known.sub(MASK, out)
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
