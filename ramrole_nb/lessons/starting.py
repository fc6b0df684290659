"""Setting up where a lesson begins: once, through the public functions, and never against what the learner did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..cloud.session import Cloud
from ..errors import NotFound, SandboxError
from .looking import GUIDED_INSTANCE, GUIDED_POLICY, GUIDED_ROLE
from .progress import Progress
from .shown import Prepared

__all__ = ["Setup", "guided_attachment", "guided_role"]

# Beyond every number of a journal entry.
_END = 1 << 40

_GONE = "you removed it since; lesson.prepare(again=True) sets it up anew"


class _Kept(Exception):
    """Something of the learner's is in the place of what a step would make."""


class Setup:
    """Makes what a lesson needs, step by step; a step once made is not made again while the world is the same.

    What is missing later was taken away by the learner: it is told, and stays away, so that a half-solved exercise is not
    undone. `again` makes what is missing anew, and so does a step that is `needed` by what comes after it in any case.
    After a reset of the world, or a clean-up that left nothing, everything is set up anew. (A sandbox that has served five
    thousand calls since is taken for one that was put back: what is there stays all the same, and what is missing comes
    again.)
    """

    def __init__(self, cloud: Cloud, number: str, progress: Progress, *, again: bool = False) -> None:
        self._cloud = cloud
        self._number = number
        self._progress = progress
        self._again = again
        known = progress.lesson(number)
        self._made = [str(step) for step in known["prepared"]]
        if self._made and not (
            _same_world(cloud, known.get("mark", 0)) and cloud.context.ledger.open_entries()
        ):
            self._made = []
        self._seen: set[str] = set()
        self._fresh: set[str] = set()  # roles made just now, with all they need
        self.done: list[str] = []
        self.left: list[str] = []
        self.kept: list[str] = []
        self.missing: list[str] = []
        self.skipped: list[str] = []

    def _step(
        self,
        name: str,
        words: str,
        there: Callable[[], str],
        make: Callable[[], Any],
        *,
        needed: bool = False,
    ) -> None:
        """Run one step. `there` says why nothing is to be made (empty: make it); _Kept: something else is there."""
        if name in self._seen:
            return  # two exercises begin with it
        self._seen.add(name)
        before = name in self._made
        try:
            why = there()
            if not why and before and not (needed or self._again):
                self.missing.append(f"{words}: {_GONE}")
                return
            if not why:
                make()
        except _Kept as other:
            self.kept.append(str(other))
            return
        except NotFound as error:
            self.skipped.append(f"{words}: {error.what}")
            return
        if not before:
            self._made.append(name)
        if why:
            self.left.append(f"{words}: {'set up before' if before else why}")
        else:
            self.done.append(f"{words}, again: it was gone" if before else words)

    def role(
        self,
        name: str,
        *grants: str | Mapping[str, Any],
        trust: str | None = None,
        words: str = "",
        needed: bool = False,
    ) -> None:
        """Make a role that ECS may assume (or with another trust policy) and grant it; one that exists stays as it is."""
        roles = self._cloud.roles

        def make() -> None:
            role = roles.create(name, trust=trust, description="Made by a lesson of ramrole_nb")
            for policy in grants:
                role.grant(policy)
            self._fresh.add(name)

        self._step(
            f"role {name}",
            words or f"a role {name}",
            lambda: "it exists" if roles.get(name) is not None else "",
            make,
            needed=needed,
        )

    def grant(self, name: str, policy: str, *, needed: bool = False) -> None:
        """Grant a role that holds no policy at all (one made just now has what it needs)."""
        if name in self._fresh:
            return
        roles = self._cloud.roles
        self._step(
            f"grant {name}",
            f"permissions for {name}",
            lambda: "it has some" if roles[name].policies() else "",
            lambda: roles[name].grant(policy),
            needed=needed,
        )

    def attach(self, role: str, instance: str, *, needed: bool = False) -> None:
        """Attach a role to an instance that has none."""
        instances = self._cloud.instances
        found: dict[str, Any] = {}

        def there() -> str:
            found["vm"] = instances[instance]
            held = found["vm"].role_name
            if held not in ("", role):
                raise _Kept(f"{instance} has the role {held}")
            return f"it has the role {held}" if held else ""

        self._step(
            f"attach {instance}",
            f"{role} on {instance}",
            there,
            lambda: found["vm"].attach(role),
            needed=needed,
        )

    def upload(self, bucket: str, key: str, data: bytes) -> None:
        """Upload an object that is not there."""
        buckets = self._cloud.buckets

        def there() -> str:
            try:
                buckets[bucket].head(key)
            except NotFound as error:
                if error.code in ("NoSuchBucket", ""):
                    raise
                return ""
            return "it is there"

        self._step(
            f"object {bucket}/{key}",
            f"an object oss://{bucket}/{key}",
            there,
            lambda: buckets[bucket].upload(data, key),
        )

    def finish(self) -> Prepared:
        """Note what was made, and return it in words."""
        if self._made:
            self._progress.prepared(self._number, self._made, _newest(self._cloud))
        return Prepared(
            self._number,
            tuple(self.done),
            tuple(self.left),
            tuple(self.skipped),
            tuple(self.kept),
            tuple(self.missing),
        )


def _newest(cloud: Cloud) -> int:
    """Return the number of the sandbox's newest journal entry: while that entry is there, so is the world."""
    try:
        sandbox = cloud.sandbox
    except SandboxError:
        return 0  # live: nobody resets it
    return int(sandbox.journal(_END)["last"])


def _same_world(cloud: Cloud, mark: Any) -> bool:
    try:
        sandbox = cloud.sandbox
    except SandboxError:
        return True
    if not isinstance(mark, int) or mark < 1:
        return False
    entries = sandbox.journal(mark - 1)["entries"]
    return bool(entries) and entries[0]["seq"] == mark


def guided_role(setup: Setup) -> None:
    """Do what the guided path of notebook 01 does, also again: what follows cannot do without it."""
    setup.role(GUIDED_ROLE, GUIDED_POLICY, words=f"the role {GUIDED_ROLE} with {GUIDED_POLICY}", needed=True)
    setup.grant(GUIDED_ROLE, GUIDED_POLICY, needed=True)


def guided_attachment(setup: Setup) -> None:
    """Do what the guided paths of notebooks 01 and 02 do, also again."""
    guided_role(setup)
    setup.attach(GUIDED_ROLE, GUIDED_INSTANCE, needed=True)
