"""EncodedDiagnosticMessage: what a refusal knows, sealed, for ram:DecodeDiagnosticMessage alone to open.

The message is encrypted with a key of the state, so a refusal needs no write and a message outlives a restart. Like
the vendor's it begins with `AQI`. Source:
https://help.aliyun.com/en/ram/developer-reference/api-ram-2015-05-01-decodediagnosticmessage
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import time
import zlib
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["LIFETIME_SECONDS", "sealed", "sealing_key", "unsealed"]

# The documentation has the error EncodedMessageExpire and no number; a day is ours.
LIFETIME_SECONDS = 86_400.0

# Base64 makes `AQIBIAAA` of it, the beginning of the documented samples.
_HEAD = bytes([1, 2, 1, 32, 0, 0])
_NONCE = 12
# No refusal of ours comes near this; it bounds what is inflated.
_LARGEST = 65_536


def sealing_key(master: str) -> bytes:
    """Return the key of a state for its diagnostic messages."""
    return hmac.digest(master.encode(), b"diagnostic messages", "sha256")


def sealed(key: bytes, told: Mapping[str, Any]) -> str:
    """Seal the decoded form of a message, with the time."""
    text = json.dumps([time.time(), told], separators=(",", ":"), ensure_ascii=False)
    nonce = os.urandom(_NONCE)
    return base64.b64encode(
        _HEAD + nonce + AESGCM(key).encrypt(nonce, zlib.compress(text.encode()), _HEAD)
    ).decode()


def unsealed(key: bytes, message: str) -> tuple[float, dict[str, Any]] | None:
    """Return when a message was sealed and what it tells; None: it is none of this state's."""
    try:
        raw = base64.b64decode(message.encode("ascii"), validate=True)
        head, nonce, rest = raw[: len(_HEAD)], raw[len(_HEAD) :][:_NONCE], raw[len(_HEAD) + _NONCE :]
        if head != _HEAD or len(rest) > _LARGEST:
            return None
        plain = zlib.decompressobj().decompress(AESGCM(key).decrypt(nonce, rest, head), _LARGEST * 16)
        moment, told = json.loads(plain)
    except (ValueError, binascii.Error, InvalidTag, zlib.error):
        return None
    return float(moment), told
