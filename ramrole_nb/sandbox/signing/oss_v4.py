"""OSS signature version 4 (OSS4-HMAC-SHA256), in a header or in a presigned URL.

Source: https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .encoding import rfc3986

__all__ = [
    "ALGORITHM",
    "ALWAYS_SIGNED",
    "Authorization",
    "canonical_request",
    "parse_authorization",
    "parse_credential",
    "sign",
    "string_to_sign",
]

ALGORITHM = "OSS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"

ALWAYS_SIGNED = ("content-type", "content-md5")


@dataclass(frozen=True)
class Authorization:
    """The parts of an OSS V4 authorization. `additional_headers` are lower case and sorted."""

    access_key_id: str
    date: str
    region_id: str
    signature: str
    additional_headers: tuple[str, ...] = ()

    @property
    def scope(self) -> str:
        """The credential scope, `date/region/oss/aliyun_v4_request`."""
        return f"{self.date}/{self.region_id}/oss/aliyun_v4_request"


def parse_credential(text: str) -> tuple[str, str, str] | None:
    """Return (access key id, date, region id) of a credential, or None if it is malformed."""
    parts = text.split("/")
    if len(parts) != 5 or parts[3:] != ["oss", "aliyun_v4_request"] or not re.fullmatch(r"\d{8}", parts[1]):
        return None
    return parts[0], parts[1], parts[2]


def parse_authorization(header: str) -> Authorization | None:
    """Parse the header by names, not positions: oss2 and the documentation order the parts differently."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme != ALGORITHM:
        return None
    given = [part.strip().partition("=")[::2] for part in rest.split(",")]
    parts = dict(given)
    if len(parts) != len(given) or not set(parts) <= {"Credential", "AdditionalHeaders", "Signature"}:
        return None
    credential = parse_credential(parts.get("Credential", ""))
    if credential is None or not re.fullmatch(r"[0-9a-f]{64}", parts.get("Signature", "")):
        return None
    extra = tuple(sorted(h.lower() for h in parts.get("AdditionalHeaders", "").split(";") if h))
    return Authorization(*credential, parts["Signature"], extra)


def canonical_request(
    method: str,
    bucket: str,
    key: str,
    query: Iterable[tuple[str, str | None]],
    headers: Mapping[str, str],
    additional_headers: Iterable[str] = (),
    payload: str = UNSIGNED_PAYLOAD,
) -> str:
    """Build the canonical request; `query` holds decoded pairs, `headers` lower-case names."""
    resource = f"/{bucket}/{key}" if bucket else "/"
    pairs = sorted((rfc3986(n), rfc3986(v) if v else "") for n, v in query)
    extra = sorted(set(additional_headers) - set(ALWAYS_SIGNED))
    extra = [name for name in extra if not name.startswith("x-oss-")]
    signed = sorted(n for n in headers if n.startswith("x-oss-") or n in ALWAYS_SIGNED or n in extra)
    return "\n".join(
        [
            method.upper(),
            rfc3986(resource, keep="/"),
            "&".join(f"{n}={v}" if v else n for n, v in pairs),
            "".join(f"{n}:{headers[n].strip()}\n" for n in signed),
            ";".join(extra),
            payload,
        ]
    )


def string_to_sign(canonical: str, timestamp: str, scope: str) -> str:
    """Build the string to sign; `timestamp` is x-oss-date's `yyyymmddThhmmssZ`."""
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def sign(secret: str, text: str, date: str, region_id: str) -> str:
    """Return the lower-case hex signature with the key derived for date and region."""
    key = b"aliyun_v4" + secret.encode()
    for part in (date, region_id, "oss", "aliyun_v4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
