"""The code that does the same as what was just done in a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .cloud.session import Cloud
    from .snippets import CodeView

__all__ = ["code"]


def code(cloud: Cloud) -> CodeView:
    """Return the code of the last thing done in the session, clicked or typed, in each language.

    Looking something up, and what a service refused, does not count. Raises InputError where nothing was done yet.
    """
    from .snippets.from_calls import last_code

    return last_code(cloud.wire.since())
