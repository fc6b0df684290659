"""Exercises of notebook 02: giving roles to instances, and changing them."""

from __future__ import annotations

import json

from .. import policy
from ..cloud.session import Cloud
from ..models import parse_time
from .exercise import Exercise
from .looking import GUIDED_INSTANCE, Look
from .n01_create_a_role import BUCKET, FOLDER, READER
from .starting import Setup

__all__ = ["EXERCISES"]


def _elsewhere(see: Look, role: str, *wanted: str) -> list[str]:
    """Return the other instances that have the role; the guided path's does not count."""
    return [
        name
        for name, held in see.attached().items()
        if held == role and name not in (*wanted, GUIDED_INSTANCE)
    ]


def _must_be_usable(see: Look, name: str) -> None:
    role = see.role(name)
    if role is None:
        raise see.not_yet(
            f"The instance names the role {name}, but that role was deleted.",
            f"a role {name}",
            next_step="create it again, then detach and attach it: a new role is another one",
        )
    if not role.trusts_ecs:
        raise see.not_yet(
            f"{name} is attached, but its trust policy no longer names ECS: the instance gets no credential.",
            "a trust policy with the service ecs.aliyuncs.com",
        )


class OnWeb2(Exercise):
    title = "Give an instance its role"
    task = f"Give the instance web-2 the role {READER}."
    hints = (
        "An instance has one role at most.",
        "Attach role gives it the role; Replace role, where it has another one.",
        f"Typed: cloud.instances['web-2'].attach({READER!r}), or replace_role({READER!r}).",
    )
    praise = f"web-2 has the role {READER}: every program on it can get that role's credential."

    def start(self, setup: Setup) -> None:
        setup.role(READER, policy.read_objects(BUCKET, FOLDER))

    def look(self, see: Look) -> None:
        vm = see.vm("web-2")
        held = vm.role_name
        if not held:
            others = _elsewhere(see, READER, "web-2")
            if others:
                raise see.not_yet(f"{READER} is on {others[0]}, not on web-2.", f"{READER} on web-2")
            raise see.not_attempted("web-2 has no role.")
        if held != READER:
            raise see.not_yet(
                f"web-2 has the role {held}, not {READER}.",
                f"{READER} on web-2, in the place of {held}",
                next_step=f"one role at most: Replace role (typed: cloud.instances['web-2'].replace_role({READER!r}))",
            )
        _must_be_usable(see, READER)

    def solve(self, cloud: Cloud) -> None:
        vm = cloud.instances["web-2"]
        role = cloud.roles.get("photo-reader") or cloud.roles.create("photo-reader")
        if not role.trusts_ecs:
            role.set_trust(policy.trust_for_service("ecs.aliyuncs.com"))
        vm.replace_role(role)  # attaches it where there is none


class ManyAtOnce(Exercise):
    title = "One role for many"
    task = "Give both batch-1 and batch-2 the role batch-worker."
    hints = (
        "One call can name a hundred instances of a region.",
        (
            "In the panel, choose both, then Attach role (typed: "
            "cloud.instances.attach('batch-worker', ['batch-1', 'batch-2'])). The result has a row for each instance."
        ),
    )
    praise = "batch-1 and batch-2 both have the role batch-worker."

    def start(self, setup: Setup) -> None:
        setup.role("batch-worker", policy.read_objects("sandbox-backup"))

    def look(self, see: Look) -> None:
        held = {name: see.vm(name).role_name for name in ("batch-1", "batch-2")}
        if not any(held.values()):
            raise see.not_attempted("Neither batch-1 nor batch-2 has a role.")
        missing = [name for name, role in held.items() if role != "batch-worker"]
        if missing:
            words = [f"{name} has {held[name] or 'no role'}" for name in missing]
            done = [name for name in held if name not in missing]
            raise see.not_yet(
                f"{'Half done: ' + done[0] + ' has batch-worker, but ' if done else ''}{' and '.join(words)}.",
                *(f"batch-worker on {name}" for name in missing),
                next_step="Replace role on each (typed: cloud.instances[name].replace_role('batch-worker'))"
                if any(held[name] for name in missing)
                else f"Attach role (typed: cloud.instances.attach('batch-worker', {missing!r}))",
            )
        _must_be_usable(see, "batch-worker")

    def solve(self, cloud: Cloud) -> None:
        role = cloud.roles.get("batch-worker") or cloud.roles.create("batch-worker")
        if not role.trusts_ecs:
            role.set_trust(policy.trust_for_service("ecs.aliyuncs.com"))
        vms = [cloud.instances["batch-1"], cloud.instances["batch-2"]]
        others = [vm for vm in vms if vm.role_name not in ("", role.name)]
        if others:
            cloud.instances.detach(others)
        cloud.instances.attach(role, [vm for vm in vms if not vm.role_name])


class ReplaceARole(Exercise):
    title = "Replace a role"
    task = "Give hardened-1 the role new-reader in the place of old-reader. Keep both roles."
    hints = (
        "There is no call that replaces a role: it is taken off, then the other one is put on.",
        "Detach role, then Attach role; or Replace role, which checks both halves first.",
        "Typed: cloud.instances['hardened-1'].replace_role('new-reader')",
    )

    def start(self, setup: Setup) -> None:
        setup.role("old-reader", policy.read_objects("sandbox-backup", "logs/"))
        setup.role("new-reader", policy.read_objects("sandbox-backup"))
        setup.attach("old-reader", "hardened-1")

    def look(self, see: Look) -> str:
        held = see.vm("hardened-1").role_name
        if held == "old-reader":
            raise see.not_attempted("hardened-1 still has the role old-reader.")
        roles = {name: see.role(name) for name in ("old-reader", "new-reader")}
        if not held:
            if roles["old-reader"] is None:
                raise see.not_attempted(
                    "There is no role old-reader.", next_step="lesson.prepare() sets it up"
                )
            raise see.not_yet(
                "hardened-1 has no role now. This is the gap: until one is attached, programs on it get no credential.",
                "new-reader on hardened-1",
                next_step="Attach role (typed: cloud.instances['hardened-1'].attach('new-reader'))",
            )
        if held != "new-reader":
            raise see.not_yet(f"hardened-1 has the role {held}.", "new-reader on hardened-1")
        if roles["old-reader"] is None:
            raise see.not_yet(
                "hardened-1 has new-reader, but old-reader was deleted: others may have needed it.",
                "a role old-reader",
                next_step="replacing a role on an instance deletes none: cloud.roles.create('old-reader')",
            )
        _must_be_usable(see, "new-reader")
        gap = _gap(see, see.vm("hardened-1").instance_id)
        return f"hardened-1 has new-reader now. {gap or 'Between detaching and attaching it had no role at all.'}"

    def solve(self, cloud: Cloud) -> None:
        for name in ("old-reader", "new-reader"):
            if name not in cloud.roles:
                cloud.roles.create(name)
        role = cloud.roles["new-reader"]
        if not role.trusts_ecs:
            role.set_trust(policy.trust_for_service("ecs.aliyuncs.com"))
        cloud.instances["hardened-1"].replace_role(role)


def _gap(see: Look, instance_id: str) -> str:
    """Say how long the instance was without a role, where that can be seen."""
    if not see.has_journal:
        return ""
    detached = attached = ""
    for entry in see.journal("Ecs", "DetachInstanceRamRole", "AttachInstanceRamRole"):
        if entry.get("status") != 200 or instance_id not in json.dumps(entry.get("params", {})):
            continue
        if entry["operation"] == "DetachInstanceRamRole":
            detached, attached = entry["time"], ""
        elif detached and not attached:
            attached = entry["time"]
    if not attached:
        return ""
    seconds = (parse_time(attached) - parse_time(detached)).total_seconds()
    return f"The gap without any role lasted {seconds:.2f} s."


EXERCISES = (OnWeb2, ManyAtOnce, ReplaceARole)
