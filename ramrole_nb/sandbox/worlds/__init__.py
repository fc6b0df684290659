"""The worlds a sandbox can start as: what exists before anyone has done anything."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import InputError, nearest
from ..store import Store
from .default import populate as _default

__all__ = ["WORLDS", "check_world", "populate"]

WORLDS: dict[str, Callable[[Store], None]] = {"default": _default}


def check_world(name: str) -> str:
    """Return the name of a world, or raise InputError naming the nearest one."""
    if name not in WORLDS:
        raise InputError(
            f"There is no world {name!r}.{nearest(name, WORLDS)}",
            next_step=f"the worlds are: {', '.join(WORLDS)}",
        )
    return name


def populate(store: Store, name: str) -> None:
    """Make the state this world, at once or not at all; account, keys, CA and port stay."""
    build = WORLDS[check_world(name)]
    with store.transaction():
        store.empty_world()
        build(store)
        store.set_meta("world", name)
    store.permissions_changed()
    store.sweep()
