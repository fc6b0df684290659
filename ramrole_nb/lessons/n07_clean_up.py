"""Exercises of notebook 07: taking away what is not needed, that and nothing else; at last, everything."""

from __future__ import annotations

from ..cloud.cleanup import describe
from ..cloud.session import Cloud
from ..ledger import Entry, plan
from .exercise import Exercise
from .looking import Look
from .n01_create_a_role import BUCKET
from .shown import sentence
from .starting import Setup

__all__ = ["EXERCISES"]

RETIRED, KEPT, PLACE = "retired-app", "kept-app", "stopped-1"
WIDE = "AliyunOSSReadOnlyAccess"
SCRATCH = ("scratch/one.txt", "scratch/two.txt")


class TakeOneAway(Exercise):
    title = "Take one role away, and only it"
    task = (
        f"Take the role {RETIRED} away altogether: it is attached to {PLACE} and holds a policy. Leave {KEPT}, its "
        "neighbour, with its policy."
    )
    hints = (
        "RAM deletes no role that still holds a policy, and an attached role that is deleted leaves a broken instance.",
        "The order: detach from the instance, take the policy from the role, delete the role.",
        (
            "Detach role detaches it. The rest is typed: "
            f"cloud.instances[{PLACE!r}].detach(); cloud.roles[{RETIRED!r}].delete(revoke=True)"
        ),
    )
    praise = f"{RETIRED} is gone, {PLACE} has no role, and {KEPT} is as it was."

    def start(self, setup: Setup) -> None:
        setup.role(RETIRED, WIDE)
        setup.role(KEPT, WIDE)
        setup.attach(RETIRED, PLACE)

    def look(self, see: Look) -> None:
        role, kept, held = see.role(RETIRED), see.role(KEPT), see.vm(PLACE).role_name
        if role is None and kept is None and not held:
            raise see.not_attempted(
                f"There is neither {RETIRED} nor {KEPT} here.", next_step="lesson.prepare() sets them up"
            )
        if kept is None:
            raise see.not_yet(
                f"{KEPT} was deleted too.",
                f"a role {KEPT} with {WIDE}",
                next_step="take away only what is asked",
            )
        if not kept.policies():
            raise see.not_yet(
                f"{KEPT} has lost its policy.", f"{WIDE} for {KEPT}", next_step="grant it again"
            )
        left = [named.name for named in role.policies()] if role is not None else []
        if role is not None and left and held == RETIRED:
            raise see.not_attempted(f"{RETIRED} is still there, with {sentence(left)}, on {PLACE}.")
        if role is None and held == RETIRED:
            raise see.not_yet(
                f"{RETIRED} was deleted while {PLACE} still had it: the instance names a role that does not exist.",
                f"no role on {PLACE}",
                next_step=f"Detach role (typed: cloud.instances[{PLACE!r}].detach())",
            )
        if role is not None:
            rest = [f"{PLACE} without the role"] if held == RETIRED else []
            rest += [f"{RETIRED} without {name}" for name in left]
            if held == RETIRED:
                raise see.not_yet(
                    f"{RETIRED} holds no policy any more, but {PLACE} still has it.",
                    *rest,
                    f"no role {RETIRED}",
                )
            if left:
                raise see.not_yet(
                    f"{PLACE} no longer has {RETIRED}; the role still exists, and holds {sentence(left)}.",
                    *rest,
                    f"no role {RETIRED}",
                    next_step=f"cloud.roles[{RETIRED!r}].delete(revoke=True) does both",
                )
            raise see.not_yet(
                f"{RETIRED} is bare now, but still there.",
                f"no role {RETIRED}",
                next_step=f"cloud.roles[{RETIRED!r}].delete()",
            )

    def solve(self, cloud: Cloud) -> None:
        vm = cloud.instances["stopped-1"]
        if vm.role_name == "retired-app":
            vm.detach()
        if "retired-app" in cloud.roles:
            role = cloud.roles["retired-app"]
            for held in role.policies():
                role.revoke(held.name)
            role.delete()
        kept = cloud.roles.get("kept-app") or cloud.roles.create("kept-app")
        if not kept.policies():
            kept.grant("AliyunOSSReadOnlyAccess")


class DataToo(Exercise):
    title = "Data is left over, too"
    task = f"Delete the two objects below scratch/ of {BUCKET}, and no others."
    hints = (
        "Roles are not all that is left over: what a program uploaded stays, and costs, until it is deleted.",
        f"cloud.buckets[{BUCKET!r}].list('scratch/') shows them; cloud.buckets[{BUCKET!r}].delete(key) deletes one.",
    )
    praise = "scratch/ is empty, and the other objects are still there."

    def start(self, setup: Setup) -> None:
        for key in SCRATCH:
            setup.upload(BUCKET, key, b"left over\n")

    def look(self, see: Look) -> None:
        bucket = see.bucket(BUCKET)
        present = {found.key for found in bucket.list("", delimiter="")}
        left = [key for key in present if key.startswith("scratch/")]
        lost = [
            key
            for key in ("testfolder/example.png", "testfolder/notes.txt", "reports/2026/sales.csv")
            if key not in present
        ]
        if lost:
            raise see.not_yet(
                f"{sentence(lost)} was deleted, which was not yours to delete.",
                *(f"{key} in the bucket" for key in lost),
                next_step="Put the world back puts the sandbox back (typed: cloud.reset())",
            )
        if len(left) >= len(SCRATCH):
            raise see.not_attempted("scratch/ still holds both objects.")
        if left:
            raise see.not_yet("One of the two is gone.", *(f"no {key}" for key in left))
        if not _was_made(see, SCRATCH):
            raise see.not_attempted(
                "There is nothing below scratch/.", next_step="lesson.prepare() sets it up"
            )

    def solve(self, cloud: Cloud) -> None:
        bucket = cloud.buckets["sandbox-photos"]
        for found in bucket.list("scratch/"):
            bucket.delete(found.key)


def _was_made(see: Look, keys: tuple[str, ...]) -> bool:
    """Tell whether these objects were uploaded to this world at all."""
    if see.has_journal:
        return any(e.get("key") in keys and e.get("status") == 200 for e in see.journal("Oss", "PutObject"))
    return any(e.kind == "object" and e.name in keys for e in see.cloud.context.ledger.entries())


class NothingLeft(Exercise):
    title = "Nothing of yours is left"
    task = (
        "Leave nothing here that you made: no open entry in the ledger, and no role of yours in the account."
    )
    hints = (
        "The clean-up panel lists what you made here and have not undone (typed: cloud.ledger()).",
        "Clean up undoes it in the order the services accept (typed: cloud.clean_up()). It may be run again.",
        "What other tools made is not in the ledger: look at cloud.roles, too.",
    )
    praise = "The ledger has no open entry, and the account has no role that you made."

    def start(self, setup: Setup) -> None:
        setup.role(KEPT, WIDE)

    def look(self, see: Look) -> str | None:
        ledger = see.cloud.context.ledger
        entries = [e for e in ledger.entries() if self._is_here(see, e)]
        mine = {e.name for e in entries if e.kind == "role"}
        names = see.role_names()
        created: set[str] = set()
        if see.has_journal:  # no role is there at the start, so whoever made one made it for this
            created = {str(e.get("params", {}).get("RoleName")) for e in see.journal("Ram", "CreateRole")}
            mine |= created
        left = [name for name in names if name in mine]
        open_entries = [e for e in entries if e.open]
        if not open_entries:
            if left:
                raise see.not_yet(
                    f"The ledger is empty, but the account still has {sentence(left)}: made by another tool, or again.",
                    *(f"no role {name}" for name in left),
                    next_step=f"detach it where it is attached, then cloud.roles[{left[0]!r}].delete(revoke=True)",
                )
            if not (created if see.has_journal else entries):
                raise see.not_attempted(
                    "Nothing was made here yet.", next_step="lesson.prepare() makes something to clean"
                )
            return None
        words = [describe(e) for e in plan(open_entries)]
        untouched = [e for e in open_entries if e.name == KEPT or e.details.get("role") == KEPT]
        if untouched and len(untouched) < len(open_entries):
            raise see.not_attempted(
                f"Still here, of what you made: {len(words)}.",
                next_step="see them in the clean-up panel (typed: cloud.ledger())",
            )
        if not any(e.kind == "role" for e in open_entries):
            raise see.not_yet(
                "The roles are gone, but something else is left.",
                *words,
                next_step="Clean up (typed: cloud.clean_up())",
            )
        raise see.not_yet(
            f"Still here, of what you made: {len(words)}.",
            *words,
            next_step="Clean up, again if need be (typed: cloud.clean_up())",
        )

    @staticmethod
    def _is_here(see: Look, entry: Entry) -> bool:
        ledger = see.cloud.context.ledger
        here = (ledger.mode, ledger.account_id, ledger.world)
        return (entry.mode, entry.account_id, entry.world) == here

    def solve(self, cloud: Cloud) -> None:
        cloud.clean_up()
        for role in list(cloud.roles):
            for vm in cloud.instances:
                if vm.role_name == role.name:
                    vm.detach()
            role.delete(revoke=True)


EXERCISES = (TakeOneAway, DataToo, NothingLeft)
