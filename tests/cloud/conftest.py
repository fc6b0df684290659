"""Fixtures for the client library's tests: a session per user, the journal, and the hands that change the state itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pytest

import ramrole_nb as rr
from ramrole_nb.cloud.calls import Calls
from ramrole_nb.cloud.credentials import forget_every_role
from ramrole_nb.cloud.instances import BoundInstance
from ramrole_nb.cloud.session import Cloud
from ramrole_nb.sandbox import Sandbox
from ramrole_nb.sandbox.store import Store
from ramrole_nb.sandbox.worlds.default import _add_instance

T = TypeVar("T")

_READS = ("Get", "List", "Describe", "Head")


class Journal:
    """What the sandbox was asked since this was made, or since `mark()`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._since = 0
        self.mark()

    def mark(self) -> None:
        self._since = int(self.sandbox.admin.journal()["last"])

    @property
    def entries(self) -> list[dict[str, Any]]:
        return self.sandbox.journal(self._since)

    @property
    def operations(self) -> list[str]:
        return [entry.get("operation", "") for entry in self.entries]

    @property
    def writes(self) -> list[str]:
        """The operations that change something."""
        return [
            e["operation"]
            for e in self.entries
            if e["service"] != "IMDS" and not e.get("operation", "").startswith(_READS)
        ]

    @property
    def metadata(self) -> list[str]:
        """The metadata service's operations."""
        return [entry["operation"] for entry in self.entries if entry["service"] == "IMDS"]


class Hands:
    """Changes the sandbox's state where no service offers a call for it (users, more instances, the age of a credential).

    It runs in the server's own loop and on its own store, so what the server then does is its own code throughout.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def on_store(self, use: Callable[[Store], T]) -> T:
        async def run() -> T:
            return use(self._sandbox._running().store)

        assert self._sandbox._loop
        return asyncio.run_coroutine_threadsafe(run(), self._sandbox._loop).result(30)

    def add_instances(self, count: int, region: str = "cn-hangzhou") -> list[str]:
        """Add running Linux instances, and return their ids."""

        def add(store: Store) -> list[str]:
            master = store.get_meta("master")
            facts = (region, "i", "linux", "ecs.c7.large", "vpc", "Running", "optional", "")
            with store.transaction():
                for number in range(count):
                    _add_instance(store, master, 100 + number, f"extra-{number:03d}", *facts)
            rows = store.all("SELECT instance_id FROM instances WHERE position >= 100 ORDER BY position")
            return [str(row["instance_id"]) for row in rows]

        return self.on_store(add)

    def let(self, user: str, *statements: tuple[str, Any, Any]) -> None:
        """Give a user exactly these permissions, (effect, actions, resources), in the place of all others."""
        text = json.dumps(
            {
                "Version": "1",
                "Statement": [{"Effect": e, "Action": a, "Resource": r} for e, a, r in statements],
            }
        )
        name = f"only-{user}"

        def change(store: Store) -> None:
            with store.transaction():
                store.run("DELETE FROM policy_attachments WHERE entity_type='User' AND entity_name=?", user)
                store.run("DELETE FROM group_members WHERE user_name=?", user)
                store.run("DELETE FROM policies WHERE name=?", name)
                store.run("DELETE FROM policy_versions WHERE policy_name=?", name)
                store.run("INSERT INTO policies VALUES (?, '', 'v1', 2, '[]', '', '')", name)
                store.run("INSERT INTO policy_versions VALUES (?, 'v1', ?, '')", name, text)
                store.run("INSERT INTO policy_attachments VALUES ('User', ?, 'Custom', ?, '')", user, name)
            store.permissions_changed()

        self.on_store(change)

    def age(self, instance_id: str, *, left: float, lifetime: float) -> None:
        """Make the served credential one that was issued long ago: `left` seconds of it are left, a new one is due."""
        now = time.time()

        def change(store: Store) -> None:
            held = store.one(
                "SELECT access_key_id FROM instance_credentials WHERE instance_id=?", instance_id
            )
            assert held
            store.run(
                "UPDATE sts_sessions SET issued=?, expires=? WHERE access_key_id=?",
                now + left - lifetime,
                now + left,
                held["access_key_id"],
            )

        self.on_store(change)

    def rotate(self, instance_id: str) -> None:
        """Have the metadata service serve a new credential from the next request on."""
        self.on_store(
            lambda store: store.run(
                "UPDATE instance_credentials SET rotate_at=0 WHERE instance_id=?", instance_id
            )
        )

    def issued(self) -> dict[str, tuple[str, str]]:
        """Every temporary credential the sandbox has issued: id -> (secret, token)."""
        rows = self.on_store(lambda store: store.all("SELECT access_key_id, secret, token FROM sts_sessions"))
        return {row["access_key_id"]: (row["secret"], row["token"]) for row in rows}


@pytest.fixture(autouse=True)
def _no_credentials_of_another_test() -> Iterator[None]:
    """The providers are the process's, the world is the test's."""
    forget_every_role()
    yield
    forget_every_role()


@pytest.fixture
def world(world: Sandbox) -> Sandbox:
    """The sandbox as at its start, and nothing in the ledger beside it."""
    (world.state / "ledger.jsonl").unlink(missing_ok=True)
    return world


@pytest.fixture
def journal(world: Sandbox) -> Journal:
    return Journal(world)


@pytest.fixture
def hands(world: Sandbox) -> Hands:
    return Hands(world)


@pytest.fixture
def as_user(world: Sandbox) -> Callable[..., Cloud]:
    """Connect as a user of the world."""

    def connect(name: str, **more: Any) -> Cloud:
        return rr.connect(world, user=name, **more)

    return connect


def session_of(cloud: Cloud, vm: BoundInstance) -> Cloud:
    """Return the session a program on `vm` would have: signed with the instance's role."""
    context = cloud.context
    calls = Calls(context.endpoints, context.region_id, vm.provider(), context.wire, f"role on {vm.name}")
    return Cloud(
        replace(context, calls=calls, _preflight=None), label=cloud.label, provenance=f"the role on {vm.name}"
    )
