"""What the languages share: pieces of code, and reading a policy document without losing anything of it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..endpoints import IMDS_ADDRESS, Endpoints

__all__ = [
    "CREDENTIALS_URL",
    "LIVE",
    "TOKEN_TTL",
    "TOKEN_URL",
    "Fragment",
    "Language",
    "document_of",
    "snake",
]

LIVE = Endpoints("live")  # the snippets speak to Alibaba Cloud, whatever they are shown beside

TOKEN_URL = f"{IMDS_ADDRESS}/latest/api/token"
CREDENTIALS_URL = f"{IMDS_ADDRESS}/latest/meta-data/ram/security-credentials/"
TOKEN_TTL = 300  # seconds; up to 21600

_DEEPEST = 40  # policies are some levels deep; beyond, a document is shown as text


@dataclass(frozen=True)
class Fragment:
    """The code of one action.

    `needs` names what a script must provide around it (imports, clients; each language has its own names), `setup` are
    assignments before it that several fragments may share, `region_id` is where it works.
    """

    text: str
    needs: frozenset[str] = frozenset()
    setup: tuple[str, ...] = ()
    region_id: str = ""


class Language(Protocol):
    """A module of this package: these four, and one function per action, named like it (`create_role`).

    Each function takes the action and returns a Fragment. A missing one means that the language cannot express it.
    """

    TITLE: str
    PROSE: bool  # for people rather than for a machine, so its lines may wrap

    def script(self, fragments: Sequence[Fragment]) -> str:
        """Return the whole that a user would paste."""

    def cannot(self, sentence: str) -> Fragment:
        """Return a fragment that only says why there is no code."""


def snake(name: str) -> str:
    """Return a name as the languages' functions and the SDK's methods spell it: `CreateRole` is `create_role`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def document_of(text: str) -> dict[str, Any] | None:
    """Return a JSON object that means exactly what `text` does, or None: then the text itself must be shown."""
    try:
        found = json.loads(text, object_pairs_hook=_no_twins, parse_constant=_refuse)
        depth = _depth(found)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and depth <= _DEEPEST else None


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _depth(value: Any) -> int:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("too large a number")
    if isinstance(value, str):
        value.encode()  # UnicodeEncodeError, a ValueError: half a character, escaped
    if isinstance(value, dict):
        for key in value:
            key.encode()
        return 1 + max((_depth(item) for item in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(item) for item in value), default=0)
    return 0
