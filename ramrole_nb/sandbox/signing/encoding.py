"""Percent-encoding as the signature documents ask for it."""

from __future__ import annotations

from urllib.parse import quote

__all__ = ["rfc3986"]


def rfc3986(text: str, *, keep: str = "") -> str:
    """Encode everything but `A-Za-z0-9-_.~` and the characters in `keep`."""
    return quote(text, safe="-_.~" + keep)
