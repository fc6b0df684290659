"""Masks what a pasted text holds in secret, in whatever an explanation says of it.

`redact` knows the secrets of this process and the shapes of a field. A pasted text is somebody else's: its secrets are
found by their labels, then masked in every usual spelling, and what looks random is masked without a label.
"""

from __future__ import annotations

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus, unquote

from ..redact import MASK, redact

__all__ = ["Masker"]

_LABELLED = re.compile(
    r"(?:access[ _-]?key[ _-]?secret|secret[ _-]?access[ _-]?key|secret[ _-]?key|security[ _-]?token|session[ _-]?token"
    r"|(?:oss|acs)-security-token|ecs-metadata-token|signature(?:provided)?|string[ _-]?to[ _-]?sign(?:bytes)?"
    r"|canonicalrequest|passw(?:or)?d|secret|token)[\"'\]]{0,2}[ \t]{0,4}(?:=>|[:=>])[ \t\n]{0,4}"
    r"(?:string\(\d{1,6}\)[ \t\n]{0,8})?(?:b(?=[\"']))?"
    r"(?:\"([^\"]{6,8000})\"|'([^']{6,8000})'|((?=[^\s\"'<>&,;]{0,40}\d|\S{16})[^\s\"'<>&,;]{6,8000}))",
    re.I,
)
_ELEMENT = re.compile(
    r"<((?:Signature|StringToSign|AccessKeySecret|SecurityToken|CanonicalRequest)\w{0,12})>([^<]{6,8000})<",
    re.I,
)
_IN_HEADER = re.compile(r"Authorization[\"']?[ \t]?[:=][ \t]?[\"']?([^\n\"']{8,4000})", re.I)
_IN_URL = re.compile(r"https?://[^\s:/@]{1,200}:([^\s@/]{6,200})@")
_TOKEN = re.compile(r"\bCA[EI]S[0-9A-Za-z+/=_%-]{30,8000}")
_KEY_ID = re.compile(r"\b(?:LTAI|STS\.)[0-9A-Za-z._]{8,80}")

_RUN = re.compile(r"[0-9A-Za-z+/_=%.-]{20,}")
_HEX_BYTES = re.compile(r"(?:[0-9A-Fa-f]{2}[ :]){8,}(?:[0-9A-Fa-f]{2})?")
_LONG_HEX = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{32,}(?![0-9A-Za-z])")
_URL_SAFE = str.maketrans("+/", "-_")
_MOST = 64  # labelled secrets of one text


class Masker:
    """Masks in short texts what `text`, the whole pasted one, holds in secret."""

    def __init__(self, text: str) -> None:
        found: dict[str, None] = {}
        for pattern in (_LABELLED, _ELEMENT, _IN_HEADER, _IN_URL, _TOKEN, _KEY_ID):
            for match in pattern.finditer(text):
                value = next((group for group in reversed(match.groups()) if group), match[0])
                found[value.strip()] = None
                if len(found) >= _MOST * 4:
                    break
        secrets = sorted(found, key=len, reverse=True)[:_MOST]
        forms = {form for secret in secrets for form in _spellings(secret) if len(form) >= 6}
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return a text with everything secret, or random enough to be, masked."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        text = redact(text)
        text = _HEX_BYTES.sub(MASK, text)
        text = _LONG_HEX.sub(MASK, text)
        return _RUN.sub(lambda run: MASK if _random(run[0]) else run[0], text)


def _random(run: str) -> bool:
    """Tell whether a run of characters looks like a key or a token, and not like words, a path or a request id."""
    for part in re.split("[._/-]", run):
        upper, lower, digits = (sum(map(kind, part)) for kind in (str.isupper, str.islower, str.isdigit))
        if len(part) >= 20 and upper and lower and digits:
            return True
        # Without a digit: names in CamelCase have a capital in five letters, base64 about one in two.
        if len(part) >= 32 and upper > 0.3 * len(part) and lower:
            return True
    return False


def _spellings(secret: str) -> set[str]:
    """Return how a value is written: as it is, URL-encoded and decoded, escaped, in base64, in hex."""
    forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), unquote(secret)}
    forms |= {json.dumps(secret)[1:-1], html.escape(secret), secret.replace("/", "\\/"), repr(secret)[1:-1]}
    raw = secret.encode("utf-8", "replace")
    for shift in range(3):  # base64 of a longer text that contains it, at each of the three alignments
        coded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        for form in (coded, coded.translate(_URL_SAFE)):
            forms |= {form, form[4 if shift else 0 : -1]}
    forms |= {raw.hex(), raw.hex().upper(), raw.hex(" "), raw.hex(" ").upper()}
    return forms
