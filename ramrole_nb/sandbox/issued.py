"""Keys and tokens the sandbox gives out: of the services' shape, random, and visibly marked SANDBOX."""

from __future__ import annotations

import base64
import hmac
import os
import secrets
import string

from ..redact import remember

__all__ = [
    "derived_access_key_id",
    "derived_secret",
    "new_access_key_id",
    "new_secret",
    "new_security_token",
    "report",
]

_ALPHABET = string.ascii_letters + string.digits


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def report(secret: str) -> str:
    """Remember a secret for masking; with RAMROLE_SECRETS_FILE set, also append it there for a leak search."""
    remember(secret)
    path = os.environ.get("RAMROLE_SECRETS_FILE")
    if path:
        with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as file:
            file.write(secret + "\n")
    return secret


def new_access_key_id(prefix: str = "LTAI") -> str:
    """Return an id: `LTAI…` for users, `STS.…` for sessions. Ids are no secrets."""
    return f"{prefix}SANDBOX{_random(14)}"


def new_secret() -> str:
    """Return an AccessKey secret of 30 characters."""
    return report(f"SANDBOX{_random(23)}")


def new_security_token() -> str:
    """Return a security token; like the real ones it begins with CAIS and is long Base64."""
    return report("CAISSANDBOX" + base64.b64encode(secrets.token_bytes(240)).decode().replace("=", ""))


def _derived(master: str, label: str, length: int) -> str:
    """Return letters and digits that follow from the state's master secret, so that a reset keeps keys."""
    number = int.from_bytes(hmac.digest(master.encode(), label.encode(), "sha512"), "big")
    letters = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    return "".join(letters)


def derived_access_key_id(master: str, label: str) -> str:
    """Return the lasting access key id of a user of this state."""
    return f"LTAISANDBOX{_derived(master, f'{label} id', 13)}"


def derived_secret(master: str, label: str) -> str:
    """Return a lasting secret of this state: a user's AccessKey secret, or an instance's proxy token."""
    return report(f"SANDBOX{_derived(master, f'{label} secret', 23)}")
