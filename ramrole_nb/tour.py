"""The tour: the whole path on the sandbox, headless, each step checked by what the services then say.

It is the heartbeat: a role is created, granted and attached, its temporary credential fetched, a picture downloaded with
it, the role switched under the same program, detached, and everything cleaned up.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import NoRoleAttached, RamroleError
from .redact import mask_key_id

if TYPE_CHECKING:
    from .cloud.instances import BoundInstance
    from .cloud.session import Cloud

__all__ = ["PURPOSE", "STEPS", "Step", "TourFailed", "run_tour"]

STEPS = (
    "create-role",
    "grant",
    "attach",
    "credentials",
    "download",
    "switch",
    "detach",
    "clean-up",
    "summary",
)
#: What each step is for, for people.
PURPOSE = {
    "create-role": "A role that instances may have: its trust policy names ECS.",
    "grant": "A permission policy says what it may do: list and read in OSS.",
    "attach": "On an instance, every program there can act as the role.",
    "credentials": "The metadata service gives the instance a temporary credential: no key in any program.",
    "download": "A picture is fetched with that credential, and its checksum is right.",
    "switch": "The instance gets another role: the same program is somebody else now.",
    "detach": "Without a role, the instance gets no more credentials.",
    "clean-up": "What the tour made is taken away, in the order the services accept.",
    "summary": "Whether every step held.",
}
_PREFIX = "ramrole-tour-"
_OBJECT = "testfolder/example.png"


@dataclass
class Step:
    """One step's result: `ms` its duration, `request_ids` of the calls it made, `evidence` what proves it."""

    step: str
    ok: bool = True
    ms: float = 0.0
    request_ids: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


class TourFailed(RamroleError):
    """A step's evidence was not what it must be."""


def run_tour(
    cloud: Cloud, world: dict[str, Any], out: Path, *, keep: bool = False, told: Callable[[Step], None]
) -> bool:
    """Walk the path; `told` is given each step when it ends. Returns whether every step held.

    `world` is the sandbox's start line: what it says of the picture is what the download is held against. A failed step
    is told with its error; the rest is left out, but the clean-up is always tried.
    """
    return _Tour(cloud, world, out, keep, told).run()


class _Tour:
    def __init__(
        self, cloud: Cloud, world: dict[str, Any], out: Path, keep: bool, told: Callable[[Step], None]
    ) -> None:
        self.cloud = cloud
        self.out = out
        self.keep = keep
        self.told = told
        self.steps: list[Step] = []
        self.first, self.second = _PREFIX + secrets.token_hex(3), _PREFIX + secrets.token_hex(3)
        self.bucket, self.stated = next(
            (bucket["name"], obj)
            for bucket in world["buckets"]
            for obj in bucket["objects"]
            if obj["key"] == _OBJECT
        )

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """Time a step, collect its request ids, and tell it, also when it fails."""
        step, mark, started = Step(name), self.cloud.wire.mark, time.perf_counter()
        self.steps.append(step)
        try:
            yield step.evidence
        except RamroleError as error:
            step.ok = False
            step.evidence["error"] = str(error)
            raise
        except Exception as error:
            step.ok = False
            step.evidence["error"] = f"{type(error).__name__}: {error}"
            raise
        finally:
            step.ms = round((time.perf_counter() - started) * 1000, 1)
            step.request_ids = [call.request_id for call in self.cloud.wire.since(mark) if call.request_id]
            self.told(step)

    def run(self) -> bool:
        failure: Exception | None = None
        file: Path | None = None
        digest = ""
        try:
            file, digest = self._path()
        except Exception as error:  # noqa: BLE001 - told as the step's result
            failure = error
        try:
            with self.step("clean-up") as evidence:
                self._clean_up(evidence)
        except Exception as error:  # noqa: BLE001 - told as the step's result
            failure = failure or error
        with self.step("summary") as evidence:
            self.steps[-1].ok = failure is None
            evidence["steps"] = {step.step: step.ok for step in self.steps[:-1]}
            evidence["total_ms"] = round(sum(step.ms for step in self.steps[:-1]), 1)
            evidence |= {"file": str(file) if file else None, "sha256": digest or None}
        return failure is None

    def _path(self) -> tuple[Path, str]:
        cloud = self.cloud
        with self.step("create-role") as evidence:
            role = cloud.roles.create(self.first, description="Made by ramrole tour")
            evidence |= {"role": role.name, "arn": role.arn, "trusts_ecs": cloud.roles[role.name].trusts_ecs}
            _hold(evidence["trusts_ecs"], "the role does not trust ECS")
        with self.step("grant") as evidence:
            role.grant("AliyunOSSReadOnlyAccess")
            evidence["policies"] = [policy.name for policy in role.policies()]
            _hold(evidence["policies"] == ["AliyunOSSReadOnlyAccess"], "the role does not hold the policy")
        with self.step("attach") as evidence:
            vm = self._free_instance()
            vm.attach(role)
            evidence |= {"instance_id": vm.instance_id, "region_id": vm.region_id, "role": vm.role_name}
            _hold(evidence["role"] == role.name, "the instance does not show the role")
        with self.step("credentials") as evidence:
            held, who = vm.credentials(), vm.identity()
            evidence |= {
                "access_key_id": mask_key_id(held.access_key_id),
                "expiration": f"{held.expiration:%Y-%m-%dT%H:%M:%SZ}",
                "mode": held.mode,
                "identity": who.arn,
            }
            _hold(
                who.arn.endswith(f"assumed-role/{role.name}/vm-ram-{vm.instance_id}"),
                "it is another identity",
            )
        with self.step("download") as evidence:
            file, digest = self._download(vm, evidence)
        with self.step("switch") as evidence:
            other = cloud.roles.create(self.second, description="Made by ramrole tour")
            evidence["before"] = vm.identity().arn
            vm.replace_role(other)
            evidence |= {"after": vm.identity().arn, "role": vm.role_name}
            _hold(f"/{other.name}/" in evidence["after"], "the same program still acts as the old role")
            _hold(evidence["before"] != evidence["after"], "the identity did not change")
        with self.step("detach") as evidence:
            vm.detach()
            evidence["role"] = vm.role_name
            _hold(evidence["role"] == "", "a role is still attached")
            try:
                vm.credentials()
            except NoRoleAttached as error:
                evidence["metadata"] = error.what
            _hold("metadata" in evidence, "the metadata service still gives a credential")
        return file, digest

    def _download(self, vm: BoundInstance, evidence: dict[str, Any]) -> tuple[Path, str]:
        self.out.mkdir(parents=True, exist_ok=True)
        got = self.cloud.buckets[self.bucket].using(vm).download(_OBJECT, self.out, overwrite=True)
        digest = hashlib.sha256(got.read_bytes()).hexdigest()
        call = self.cloud.wire.since(explain=True)[-1]
        evidence |= {
            "object": f"oss://{self.bucket}/{_OBJECT}",
            "file": str(got.absolute()),
            "size": got.size,
            "crc64": got.crc64,
            "sha256": digest,
            "verified": got.verified,
            "principal": call.decision.get("principal", ""),
            "allowed_by": call.decision.get("policy", ""),
        }
        _hold(
            digest == self.stated["sha256"],
            f"the picture is not the one the world states: {self.stated['sha256']}",
        )
        _hold(self.first in evidence["principal"], "the object was not fetched with the role's credential")
        return Path(got.absolute()), digest

    def _free_instance(self) -> BoundInstance:
        """Return the first running Linux VPC instance without a role; what killed tours left is undone if none is free."""
        for attempt in (1, 2):
            vms = [
                vm
                for vm in self.cloud.instances
                if vm.status == "Running" and vm.os_type == "linux" and vm.network_type == "vpc"
            ]
            roles = self.cloud.instances.roles(vms)
            free = [vm for vm in vms if not roles[vm.instance_id]]
            if free:
                return free[0]
            if attempt == 1:
                self._undo(self._is_anothers)
        raise TourFailed(
            "No running Linux instance is without a role.",
            next_step="detach one, or put the world back: ramrole sandbox reset",
        )

    def _is_anothers(self, name: str) -> bool:
        return name.startswith(_PREFIX) and name not in {self.first, self.second}

    def _undo(self, ours: Callable[[str], bool]) -> Any:
        from .cloud.cleanup import clean_up

        return clean_up(
            self.cloud.context, only=lambda entry: ours(str(entry.details.get("role", "") or entry.name))
        )

    def _clean_up(self, evidence: dict[str, Any]) -> None:
        mine = (self.first, self.second)
        if self.keep:
            evidence["kept"] = [name for name in mine if name in self.cloud.roles]
            return
        report = self._undo(lambda name: name in mine)
        evidence |= {"undone": [f"{what}: {result}" for what, result in report.results], "left": report.left}
        evidence["roles_left"] = [name for name in mine if name in self.cloud.roles]
        _hold(report.ok and not evidence["roles_left"], "something was left behind")


def _hold(true: bool, otherwise: str) -> None:
    if not true:
        raise TourFailed(f"The tour's evidence is wrong: {otherwise}.")
