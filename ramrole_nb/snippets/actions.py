"""What can be done, as values in the cloud's own terms: what a snippet shows the code for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import InputError, nearest

__all__ = [
    "Action",
    "AttachRole",
    "CleanUp",
    "CreatePolicy",
    "CreateRole",
    "DeletePolicy",
    "DeleteRole",
    "DetachRole",
    "DownloadObject",
    "FetchCredentials",
    "GrantDocument",
    "GrantPolicy",
    "ListObjects",
    "ReplaceRole",
    "RevokePolicy",
    "SetHardening",
    "SetTrust",
    "WhoAmI",
    "steps",
]

HARDENED, NORMAL = "security hardening", "normal"
SYSTEM, CUSTOM = "System", "Custom"


def _one_of(value: str, valid: tuple[str, ...], what: str) -> None:
    if value not in valid:
        raise InputError(
            f"{value!r} is no {what}.{nearest(str(value), valid)}",
            next_step="one of: " + ", ".join(repr(name) for name in valid),
        )


class Action(ABC):
    """One thing that was done. `words` says it in a few words."""

    @property
    @abstractmethod
    def words(self) -> str:
        """What it does, for people; holds the user's values as they are."""


@dataclass(frozen=True)
class CreateRole(Action):
    """Create a role; `trust_policy` is JSON text."""

    name: str
    trust_policy: str
    description: str = ""

    @property
    def words(self) -> str:
        return f"create role {self.name}"


@dataclass(frozen=True)
class SetTrust(Action):
    """Change who may assume a role; `trust_policy` is JSON text."""

    role: str
    trust_policy: str

    @property
    def words(self) -> str:
        return f"change the trust policy of role {self.role}"


@dataclass(frozen=True)
class CreatePolicy(Action):
    """Create a custom policy; `document` is JSON text."""

    name: str
    document: str

    @property
    def words(self) -> str:
        return f"create policy {self.name}"


@dataclass(frozen=True)
class GrantPolicy(Action):
    """Grant a policy to a role; `policy_type` is `System` or `Custom`."""

    role: str
    policy: str
    policy_type: str

    def __post_init__(self) -> None:
        _one_of(self.policy_type, (SYSTEM, CUSTOM), "policy type")

    @property
    def words(self) -> str:
        return f"grant {self.policy} to role {self.role}"


@dataclass(frozen=True)
class GrantDocument(Action):
    """Create a custom policy and grant it to a role; `document` is JSON text."""

    role: str
    policy: str
    document: str

    @property
    def words(self) -> str:
        return f"create policy {self.policy} and grant it to role {self.role}"


@dataclass(frozen=True)
class RevokePolicy(Action):
    """Take a policy from a role; `policy_type` is `System` or `Custom`."""

    role: str
    policy: str
    policy_type: str

    def __post_init__(self) -> None:
        _one_of(self.policy_type, (SYSTEM, CUSTOM), "policy type")

    @property
    def words(self) -> str:
        return f"revoke {self.policy} from role {self.role}"


@dataclass(frozen=True)
class DeletePolicy(Action):
    """Delete a custom policy that nobody holds any more."""

    policy: str

    @property
    def words(self) -> str:
        return f"delete policy {self.policy}"


@dataclass(frozen=True)
class DeleteRole(Action):
    """Delete a role that holds no policy any more."""

    role: str

    @property
    def words(self) -> str:
        return f"delete role {self.role}"


@dataclass(frozen=True)
class AttachRole(Action):
    """Give instances of one region a role; `session_policy` (JSON text, at most 1024 characters) narrows it there."""

    role: str
    region_id: str
    instance_ids: tuple[str, ...]
    session_policy: str = ""

    def __post_init__(self) -> None:
        _some(self.instance_ids)

    @property
    def words(self) -> str:
        return f"attach role {self.role} to {_listed(self.instance_ids)}"


@dataclass(frozen=True)
class DetachRole(Action):
    """Take a role from instances of one region."""

    role: str
    region_id: str
    instance_ids: tuple[str, ...]

    def __post_init__(self) -> None:
        _some(self.instance_ids)

    @property
    def words(self) -> str:
        return f"detach role {self.role} from {_listed(self.instance_ids)}"


@dataclass(frozen=True)
class ReplaceRole(Action):
    """Give an instance the role `new` in the place of `old`."""

    old: str
    new: str
    region_id: str
    instance_id: str

    @property
    def words(self) -> str:
        return f"replace role {self.old} of {self.instance_id} by {self.new}"


@dataclass(frozen=True)
class SetHardening(Action):
    """Serve an instance's metadata in security hardening mode only (`required`), or in both modes."""

    instance_id: str
    region_id: str
    required: bool

    @property
    def words(self) -> str:
        modes = "security hardening mode only" if self.required else "both modes"
        return f"serve the metadata of {self.instance_id} in {modes}"


@dataclass(frozen=True)
class FetchCredentials(Action):
    """Fetch a role's temporary credential on the instance; `mode` is `security hardening` or `normal`.

    `role` may be empty: then the metadata service is asked which role the instance has.
    """

    role: str
    instance_id: str
    mode: str = HARDENED

    def __post_init__(self) -> None:
        _one_of(self.mode, (HARDENED, NORMAL), "metadata mode")

    @property
    def words(self) -> str:
        return f"fetch a credential on {self.instance_id} in {self.mode} mode"


@dataclass(frozen=True)
class WhoAmI(Action):
    """Ask who a program on the instance is."""

    instance_id: str

    @property
    def words(self) -> str:
        return f"ask who a program on {self.instance_id} is"


@dataclass(frozen=True)
class ListObjects(Action):
    """List a bucket's objects and folders below a prefix.

    `internal`: over the endpoint inside the region; `own_key`: signed by the caller's own key, not by an instance's role.
    """

    bucket: str
    region_id: str
    prefix: str = ""
    internal: bool = True
    own_key: bool = False

    @property
    def words(self) -> str:
        return f"list oss://{self.bucket}/{self.prefix}"


@dataclass(frozen=True)
class DownloadObject(Action):
    """Download an object to the local file `to` (empty: the last part of its key).

    `internal` and `own_key` as for `ListObjects`.
    """

    bucket: str
    key: str
    region_id: str
    internal: bool = True
    to: str = ""
    own_key: bool = False

    @property
    def target(self) -> str:
        """The local file's path."""
        return self.to or self.key.rstrip("/").rsplit("/", 1)[-1] or "download"

    @property
    def words(self) -> str:
        return f"download oss://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class CleanUp(Action):
    """Several actions in their order, as one piece of code."""

    steps: tuple[Action, ...]

    def __post_init__(self) -> None:
        if not self.steps:
            raise InputError("There is nothing to clean up.", next_step="give at least one action")

    @property
    def words(self) -> str:
        return "clean up: " + "; ".join(step.words for step in self.steps)


def steps(action: Action) -> Iterator[Action]:
    """Yield an action, or the actions a clean-up is made of."""
    if isinstance(action, CleanUp):
        for step in action.steps:
            yield from steps(step)
    else:
        yield action


def _some(instance_ids: tuple[str, ...]) -> None:
    if not instance_ids:
        raise InputError("No instance is named.", next_step="give at least one instance id")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
