"""The picture of who holds what: caller, roles with trust and policies, instances, and the buckets each role reaches.

Only reads. With R roles (service-linked ones left out), S of them shown holding P policies, G regions (N of them with
instances) and B buckets it makes 3 + R + S + P + G + N + B calls, eight at a time (the sandbox at its start: 18, in 0.1 s).
What the caller may not read is said in its place.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ..errors import InputError, NotFound, RamroleError, ServiceError, nearest
from ..models import Policy
from ..policy import MalformedPolicyDocument, NamedDocument, parse_policy, trusts_service
from ..redact import redact
from ..render.diagram import Box, Diagram, Lane, Stop, html_diagram, text_diagram
from .cleanup import planned
from .context import Context
from .reach import Reach, reach

if TYPE_CHECKING:
    from .instances import BoundInstance, Instances
    from .objects import BoundBucket, Buckets
    from .roles import BoundRole, Roles

__all__ = ["STEPS", "InstanceSeen", "Picture", "RoleSeen", "check_step", "look"]

T = TypeVar("T")
R = TypeVar("R")

#: The way to a download, in order.
STEPS = ("role", "grant", "attach", "credentials", "download")

_WORKERS = 8
# How many are looked at one by one. An account may hold a thousand roles; those attached or made here always count.
_MOST_ROLES, _MOST_BUCKETS = 60, 20
_MOST_LANES = 6
# Service-linked roles trust one service and nobody can attach them.
# Source: https://www.alibabacloud.com/help/en/ram/user-guide/service-linked-roles
_LINKED = "AliyunServiceRoleFor"
_ECS = "ecs.aliyuncs.com"


def check_step(step: str) -> str:
    """Return a step's name (empty: none). Raises InputError."""
    if step and step not in STEPS:
        raise InputError(
            f"There is no step {step!r}.{nearest(step, STEPS)}", next_step=f"one of {', '.join(STEPS)}"
        )
    return step


@dataclass(frozen=True)
class InstanceSeen:
    """An instance in the picture; `role` is empty where it has none."""

    instance_id: str
    name: str
    region_id: str
    status: str
    mode: str
    role: str = ""


@dataclass(frozen=True)
class RoleSeen:
    """A role in the picture.

    `trusted` says whom the trust policy names; `policies` is None where they could not be read; `reach` has the buckets.
    """

    name: str
    arn: str
    trusts_ecs: bool
    trusted: tuple[str, ...]
    policies: tuple[Policy, ...] | None
    reach: tuple[Reach, ...] = ()
    instances: tuple[InstanceSeen, ...] = ()
    created_here: bool = False


@dataclass(frozen=True, repr=False)
class Picture:
    """Who holds what, at one moment. `folded` names the other roles; `unread` says what could not be read, and why.

    `calls` is how many calls it took, `seconds` how long.
    """

    label: str
    caller: str
    account_id: str
    roles: tuple[RoleSeen, ...] = ()
    folded: tuple[str, ...] = ()
    instances: tuple[InstanceSeen, ...] = ()
    buckets: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    calls: int = 0
    seconds: float = 0.0

    def html(self, step: str = "", role: str = "") -> str:
        """Return the picture as HTML with a step lit: one of `STEPS`, or none. Raises InputError for another.

        It is lit at `role`, which then comes first (default: the role created here last, else one that is attached).
        """
        lit = check_step(step)
        return html_diagram(_diagram(self, role), lit=lit, said=_said(lit))

    def text(self, step: str = "", role: str = "") -> str:
        """Return the same as a text tree."""
        lit = check_step(step)
        return text_diagram(_diagram(self, role), lit=lit, said=_said(lit))

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()


def _said(step: str) -> str:
    return f"now: step {STEPS.index(step) + 1}, {step}" if step else ""


# -- reading -------------------------------------------------------------------------------------------------


def look(context: Context, label: str, roles: Roles, instances: Instances, buckets: Buckets) -> Picture:
    """Read the picture. Raises only where nobody can tell who the caller is."""
    with context.calls.checking():
        return _Reading(context, roles, instances, buckets).picture(label)


class _Reading:
    """One reading: what was found, and what could not be."""

    def __init__(self, context: Context, roles: Roles, instances: Instances, buckets: Buckets) -> None:
        self._context = context
        self._roles, self._instances, self._buckets = roles, instances, buckets
        self._unread: dict[str, None] = {}

    def picture(self, label: str) -> Picture:
        mark, started = self._context.wire.mark, time.perf_counter()
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="ramrole-picture") as self._pool:
            me = self._start(self._context.preflight.identity)
            listed = self._start(self._all_roles)
            found = self._start(self._all_instances)
            buckets = self._start(self._all_buckets).result()
            roles, vms = listed.result(), found.result()
            identity = me.result()
            self.account_id = identity.account_id
            entries = self._try("what was created here", lambda: planned(self._context)) or []
            made = [entry.name for entry in entries if entry.kind == "role"]  # newest first
            attached = {vm.role for vm in vms if vm.role}
            looked, left = _candidates(roles, attached.union(made))
            known = [role for role in self._each(self._trust, looked) if role is not None]
            shown = [r for r in known if r.trusts_ecs or r.name in attached or r.name in made]
            rank = {name: at for at, name in enumerate(made)}
            shown.sort(key=lambda r: (rank.get(r.name, len(rank)), r.name not in attached, r.name.lower()))
            seen = self._described(shown, vms, buckets, made)
        names = {role.name for role in shown}
        return Picture(
            label=label,
            caller=identity.name if identity.type != "Account" else "the account itself",
            account_id=identity.account_id,
            roles=seen,
            folded=tuple(sorted([r.name for r in known if r.name not in names] + left)),
            instances=tuple(vms),
            buckets=tuple(bucket.name for bucket in buckets),
            unread=tuple(self._unread),
            calls=self._context.wire.mark - mark,
            seconds=round(time.perf_counter() - started, 3),
        )

    def _start(self, ask: Callable[[], T]) -> Future[T]:
        return self._pool.submit(contextvars.copy_context().run, ask)

    def _each(self, ask: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Ask about several at once, in this one's context, so that a look-up stays one."""
        here = [(contextvars.copy_context(), item) for item in items]
        return list(self._pool.map(lambda pair: pair[0].run(ask, pair[1]), here))

    def _try(self, what: str, ask: Callable[[], T]) -> T | None:
        """Ask; where the service refuses, note it and return None."""
        try:
            return ask()
        except RamroleError as error:
            code = error.code if isinstance(error, ServiceError) else ""
            self._unread[f"{what}: {redact(error.what)}{f' ({code})' if code else ''}"] = None
            return None

    def _all_roles(self) -> list[BoundRole]:
        return self._try("roles", lambda: list(self._roles)) or []

    def _all_instances(self) -> list[InstanceSeen]:
        vms = self._try("instances", self._instances.all) or []
        held = self._try("which instance has which role", lambda: self._instances.roles(vms)) or {}
        return [_instance(vm, held.get(vm.instance_id, "")) for vm in vms]

    def _all_buckets(self) -> list[BoundBucket]:
        return self._try("buckets", lambda: list(self._buckets)) or []

    def _trust(self, role: BoundRole) -> BoundRole | None:
        """Return the role with its trust policy, which a list of roles does not tell; None: gone meanwhile."""
        found = self._try(f"role {role.name}", lambda: (self._roles.get(role.name),))
        return role if found is None else found[0]

    def _described(
        self,
        shown: Sequence[BoundRole],
        vms: Sequence[InstanceSeen],
        buckets: Sequence[BoundBucket],
        made: Sequence[str],
    ) -> tuple[RoleSeen, ...]:
        held = dict(zip([r.name for r in shown], self._each(self._policies, shown), strict=True))
        wanted = {(p.name, p.type) for policies in held.values() for p in policies or ()}
        texts = dict(self._each(self._document, sorted(wanted)))
        near = list(buckets[:_MOST_BUCKETS]) if shown else []
        if shown and len(buckets) > len(near):
            self._unread[f"buckets: only {len(near)} of {len(buckets)} were looked at"] = None
        own = dict(zip([b.name for b in near], self._each(self._bucket_policy, near), strict=True))
        seen = []
        for role in shown:
            policies = held[role.name]
            here = tuple(vm for vm in vms if vm.role == role.name)
            session = f"vm-ram-{here[0].instance_id if here else 'i'}"
            found = [self._reach(role, session, policies, texts, bucket, own[bucket.name]) for bucket in near]
            seen.append(
                RoleSeen(
                    role.name,
                    role.arn,
                    _trusts_ecs(role),
                    _trusted(role.trust_policy),
                    None if policies is None else tuple(policies),
                    tuple(found),
                    here,
                    role.name in made,
                )
            )
        return tuple(seen)

    def _policies(self, role: BoundRole) -> list[Policy] | None:
        return self._try(f"policies of role {role.name}", role.policies)

    def _document(self, key: tuple[str, str]) -> tuple[tuple[str, str], NamedDocument | None]:
        name, kind = key

        def ask() -> NamedDocument | None:
            found = self._context.calls.ram("GetPolicy", policy_name=name, policy_type=kind)
            text = found["DefaultPolicyVersion"]["PolicyDocument"]
            return NamedDocument(name, kind, parse_policy(text))  # type: ignore[arg-type]

        try:
            return key, self._try(f"policy {name}", ask)
        except (KeyError, MalformedPolicyDocument):
            self._unread[f"policy {name}: not understood here"] = None
            return key, None

    def _bucket_policy(self, bucket: BoundBucket) -> NamedDocument | None:
        def ask() -> NamedDocument | None:
            try:
                text = bucket.run("GetBucketPolicy", {}, lambda b: b.get_bucket_policy()).policy
            except NotFound:
                return None
            if isinstance(text, bytes):
                text = text.decode("utf-8", "replace")
            return NamedDocument(
                f"policy of bucket {bucket.name}", "Bucket", parse_policy(text, kind="bucket")
            )

        what = f"policy of bucket {bucket.name}, which may allow or deny more"
        try:
            return self._try(what, ask)
        except MalformedPolicyDocument:
            self._unread[f"{what}: not understood here"] = None
            return None

    def _reach(
        self,
        role: BoundRole,
        session: str,
        policies: Sequence[Policy] | None,
        texts: Mapping[tuple[str, str], NamedDocument | None],
        bucket: BoundBucket,
        own: NamedDocument | None,
    ) -> Reach:
        documents = [texts[p.name, p.type] for p in policies or ()]
        unread = "" if policies is not None else "its policies"
        if None in documents:
            unread = ", ".join(p.name for p in policies or () if texts[p.name, p.type] is None)
        given = [d for d in (*documents, own) if d is not None]
        arn = f"acs:ram::{self.account_id}:assumed-role/{role.name}/{session}"
        names = (role.role_id, f"arn:sts::{self.account_id}:assumed-role/{role.name}/{session}")
        return reach(bucket.name, bucket.region_id, self.account_id, arn, names, given, unread=unread)


def _candidates(roles: Sequence[BoundRole], first: set[str]) -> tuple[list[BoundRole], list[str]]:
    """Return the roles to look at one by one, and the names of the others."""
    asked = [r for r in roles if r.name in first or not r.name.startswith(_LINKED)]
    asked.sort(key=lambda r: r.name not in first)
    asked = asked[:_MOST_ROLES]
    names = {role.name for role in asked}
    return asked, [role.name for role in roles if role.name not in names]


def _instance(vm: BoundInstance, role: str) -> InstanceSeen:
    mode = "security hardening mode only" if vm.http_tokens == "required" else "both metadata modes"
    if vm.http_endpoint != "enabled":
        mode = "metadata is off"
    if vm.network_type != "vpc":
        mode = "classic network: no RAM role"
    return InstanceSeen(vm.instance_id, vm.name, vm.region_id, vm.status, mode, role)


def _trusts_ecs(role: BoundRole) -> bool:
    try:
        return trusts_service(role.trust_policy, _ECS)
    except MalformedPolicyDocument:
        return False


def _trusted(text: str) -> tuple[str, ...]:
    """Say whom a trust policy names."""
    try:
        document = parse_policy(text, kind="trust")
    except MalformedPolicyDocument:
        return ()
    named: dict[str, None] = {}
    for statement in document.statements:
        if statement.effect == "Allow" and (who := statement.principal) is not None:
            named |= dict.fromkeys([*who.service, *who.ram, *who.federated, *who.uid])
    return tuple(f"ECS ({name})" if name == _ECS else name for name in named)


# -- showing -------------------------------------------------------------------------------------------------


def _diagram(picture: Picture, first: str) -> Diagram:
    roles = sorted(picture.roles, key=lambda role: role.name != first)
    top = Box(picture.caller, "caller", (f"account {picture.account_id}",))
    lanes = [_lane(role, picture, lit=at == 0) for at, role in enumerate(roles)] or [_no_role(picture)]
    idle = [vm for vm in picture.instances if not vm.role]
    named = {reach.bucket for role in picture.roles for reach in role.reach if reach.any}
    apart = [name for name in picture.buckets if name not in named]
    folded = []
    if idle:
        folded.append((f"{_count(len(idle), 'instance')} with no role", tuple(_vm_line(vm) for vm in idle)))
    if apart:
        folded.append((f"{_count(len(apart), 'bucket')} that no role here reaches", tuple(apart)))
    if picture.folded:
        title = f"and {_count(len(picture.folded), 'more role')} that ECS does not use"
        folded.append((title, picture.folded))
    notes = [f"Not told: {text}" for text in picture.unread]
    if not picture.instances and not any(text.startswith("instances:") for text in picture.unread):
        notes.append("No instances: there are none, or ECS lists only those that the caller may describe.")
    if any(role.instances for role in picture.roles):
        notes.append(
            "A session policy given when a role was attached may allow less: the cloud does not tell it."
        )
    more = lanes[_MOST_LANES:]
    return Diagram(
        title=f"Who holds what ({picture.label})",
        top=top,
        arrow="roles that instances use",
        lanes=tuple(lanes[:_MOST_LANES]),
        more=tuple(more),
        more_title=f"and {_count(len(more), 'more role')}",
        notes=tuple(notes),
        folded=tuple(folded),
    )


def _lane(role: RoleSeen, picture: Picture, *, lit: bool) -> Lane:
    def step(name: str) -> str:
        return name if lit else ""  # only the first lane is the one in hand

    trusted = ", ".join(role.trusted) or "nobody"
    mark = "✓" if role.trusts_ecs else "✕ not ECS:"
    policies = (
        ("could not be read",)
        if role.policies is None
        else tuple(f"{p.name} ({p.type})" for p in role.policies) or ("nothing yet: it may do nothing",)
    )
    head = Box(
        role.name,
        "role",
        ("created here",) if role.created_here else (),
        (
            Box("may be assumed by", lines=(f"{mark} {trusted}",)),
            Box("holds", lines=policies, step=step("grant")),
        ),
        step("role"),
    )
    vms = tuple(
        Box(vm.name or vm.instance_id, "instance", (vm.instance_id, f"{vm.region_id}, {vm.status}", vm.mode))
        for vm in role.instances
    )
    buckets = tuple(
        Box(found.bucket, "bucket", (found.region_id, *found.lines()), step=step("download"))
        for found in role.reach
        if found.any
    )
    return Lane(
        head,
        (
            Stop("attached to", vms, "no instance yet", step("attach")),
            Stop("its temporary credentials reach", buckets, _no_bucket(role, picture), step("credentials")),
        ),
    )


def _no_bucket(role: RoleSeen, picture: Picture) -> str:
    if any(text.startswith("buckets:") for text in picture.unread):
        return "cannot tell: the buckets could not be listed"
    return "no bucket: nothing it holds allows one" if role.policies else "no bucket yet: it holds no policy"


def _no_role(picture: Picture) -> Lane:
    """The way as it will be, for who has no role yet."""
    unread = any(text.startswith("roles:") for text in picture.unread)
    title = "could not be read" if unread else "none yet that an instance may use"
    return Lane(
        Box(title, "role", (), (Box("holds", lines=("nothing yet",), step="grant"),), "role"),
        (
            Stop("attached to", (), "no instance yet", "attach"),
            Stop(
                "its temporary credentials reach",
                (Box("none yet", "bucket", step="download"),),
                "",
                "credentials",
            ),
        ),
    )


def _vm_line(vm: InstanceSeen) -> str:
    return f"{vm.name or vm.instance_id} ({vm.instance_id}, {vm.region_id}, {vm.status}, {vm.mode})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
