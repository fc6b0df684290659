"""ACS3-HMAC-SHA256, the signature of today's OpenAPI SDKs ("V3").

Source: https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .encoding import rfc3986

__all__ = ["ALGORITHM", "Authorization", "canonical_request", "parse_authorization", "sign", "string_to_sign"]

ALGORITHM = "ACS3-HMAC-SHA256"

_AUTHORIZATION = re.compile(
    rf"{ALGORITHM}\s+Credential=(?P<key>[^,\s]+)\s*,\s*SignedHeaders=(?P<headers>[^,\s]+)\s*,"
    r"\s*Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Authorization:
    """The three parts of an ACS3 Authorization header."""

    access_key_id: str
    signed_headers: tuple[str, ...]
    signature: str


def parse_authorization(header: str) -> Authorization | None:
    """Parse the header; None if it is not of this scheme's form."""
    found = _AUTHORIZATION.fullmatch(header.strip())
    if not found:
        return None
    return Authorization(found["key"], tuple(found["headers"].split(";")), found["signature"])


def canonical_request(
    method: str,
    uri: str,
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    signed_headers: Iterable[str],
    payload_hash: str,
) -> str:
    """Build the canonical request.

    `query` holds decoded pairs; `headers` maps lower-case names to values; `signed_headers` is the client's own
    list, since the SDKs sign every header they set and not only the documented ones.
    """
    pairs = sorted((rfc3986(name), rfc3986(value)) for name, value in query)
    names = [name.lower() for name in signed_headers]
    return "\n".join(
        [
            method.upper(),
            uri or "/",
            "&".join(f"{name}={value}" for name, value in pairs),
            "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in names),
            ";".join(names),
            payload_hash,
        ]
    )


def string_to_sign(canonical: str) -> str:
    """Build the string to sign from the canonical request."""
    return f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def sign(secret: str, text: str) -> str:
    """Return the lower-case hex signature."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
