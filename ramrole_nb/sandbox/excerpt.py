"""The beginning of an answer for the journal, without what is secret in it.

Masked by the names of fields: answers are too many to be searched for every secret ever given out. What has no fields
and may hold secrets (a metadata token, user data, an object) is not kept at all, only its size.
"""

from __future__ import annotations

import re
from typing import Any

from ..redact import MASK
from .answers import Answer, FileBody
from .exchange import Exchange

__all__ = ["answer_noted"]

# Enough for an error with its detail, and to see what a list looks like.
_LONGEST = 1_200

# Secrets; what a command printed, which may be a credential in Base64; and what a wrong signature is answered with:
# the text that was signed holds the security token.
_HIDDEN = (
    "AccessKeySecret|SecurityToken|Output|CommandContent|InvokeDesc|UserData|EncodedDiagnosticMessage|"
    "SignatureProvided|StringToSign|StringToSignBytes|CanonicalRequest"
)
_JSON = re.compile(rf'("(?:{_HIDDEN})"\s*:\s*")(?:[^"\\]|\\.)*("?)', re.S)
_XML = re.compile(rf"(<({_HIDDEN})>)[^<]*(</\2>|\Z)")
_SIGNED_TEXT = re.compile(r"server string to sign is:[^\"<]*")
_TEXTS = ("application/json", "application/xml", "text/")


def answer_noted(ex: Exchange, answer: Answer) -> dict[str, Any]:
    """Return what the journal says of an answer: `type`, `size` in bytes, the masked beginning as `text`, `whole` or not."""
    body = answer.body
    size = body.count if isinstance(body, FileBody) else len(body)
    if ex.method == "HEAD":
        return {"type": answer.content_type.partition(";")[0], "size": 0}
    noted: dict[str, Any] = {"type": answer.content_type.partition(";")[0], "size": size}
    if code := answer.headers.get("x-oss-ec"):
        noted["ec"] = code
    if isinstance(body, bytes) and body and _may_be_kept(ex, answer):
        # Masked before it is cut: half a secret is one too.
        text = body[: 8 * _LONGEST].decode("utf-8", "replace")
        text = _JSON.sub(rf"\1{MASK}\2", _XML.sub(rf"\1{MASK}\3", text))
        text = _SIGNED_TEXT.sub(f"server string to sign is:{MASK}", text)
        noted["text"], noted["whole"] = text[:_LONGEST], len(body) <= 8 * _LONGEST and len(text) <= _LONGEST
    return noted


def _may_be_kept(ex: Exchange, answer: Answer) -> bool:
    if not answer.content_type.startswith(_TEXTS):
        return False
    if ex.service == "IMDS" and answer.status == 200:
        # A token is the whole body; user data is its owner's own.
        return ex.notes.get("operation") != "PutToken" and "user-data" not in ex.path.lower()
    # An object is whatever its owner says, its type too.
    return not (ex.service == "Oss" and ex.notes.get("operation") == "GetObject" and answer.status < 300)
