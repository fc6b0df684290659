"""The worlds a sandbox can start as: what exists before anyone has done anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...errors import InputError, nearest
from ..store import Store
from . import new_account
from .default import populate as _default

__all__ = ["ACCOUNT", "WORLDS", "World", "check_world", "populate"]

# What an account may be, and what it is where a world says nothing. Kept in the state as `account.NAME`.
ACCOUNT: dict[str, str] = {"oss_signature_v1": "accepted", "oss_public_endpoint": "open"}


@dataclass(frozen=True)
class World:
    """A world: what it is, what builds its contents, and the properties of its account that differ."""

    meaning: str
    build: Callable[[Store], None]
    account: Mapping[str, str] = field(default_factory=dict)


WORLDS: dict[str, World] = {
    "default": World("an account of old: three users, eight instances, two buckets", _default),
    "new-account": World(
        "the same in a new account: OSS refuses signature V1, and data on public endpoints of mainland regions",
        _default,
        new_account.ACCOUNT,
    ),
}


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
    world = WORLDS[check_world(name)]
    with store.transaction():
        store.empty_world()
        world.build(store)
        for key, value in {**ACCOUNT, **world.account}.items():
            store.set_meta(f"account.{key}", value)
        store.set_meta("world", name)
    store.permissions_changed()
    store.sweep()
