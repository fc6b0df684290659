"""The RPC signature of older SDKs: HMAC-SHA1, SignatureVersion 1.0.

Source: https://github.com/AlibabaCloudDocs/ram (intl.zh-CN, API reference, call methods, signature)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable

from .encoding import rfc3986

__all__ = ["sign", "string_to_sign"]


def string_to_sign(method: str, params: Iterable[tuple[str, str]]) -> str:
    """Build the string to sign from all parameters, query and form, except `Signature`."""
    pairs = sorted((rfc3986(name), rfc3986(value)) for name, value in params if name != "Signature")
    return f"{method.upper()}&%2F&" + rfc3986("&".join(f"{name}={value}" for name, value in pairs))


def sign(secret: str, text: str) -> str:
    """Return the base64 signature; the key is the AccessKey secret and an ampersand."""
    digest = hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()
