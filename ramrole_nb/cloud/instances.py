"""ECS instances and the role each one has: attach, detach, replace, hardening, credentials.

Source: https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-attachinstanceramrole and siblings.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ..errors import (
    AccessDenied,
    BadSignature,
    Conflict,
    InputError,
    NotFound,
    PartialFailure,
    RamroleError,
    ServerFault,
    ServiceError,
    nearest,
)
from ..models import Attachment, CallerIdentity, Instance, ItemResult, StsCredentials
from ..policy import MAX_ATTACH_SESSION_POLICY
from ..render import html_card, html_table, text_table
from .calls import Calls
from .context import Change, Context
from .credentials import InstanceCredentials, forget_role_of, provider_for
from .metadata import HARDENED, MetadataClient, MetadataStep
from .preflight import Need
from .roles import BoundRole, _document_text, check_role_name
from .showing import ServiceTable

__all__ = ["BatchResult", "BoundInstance", "Instances"]

# The most instance ids one call takes, and the most rows one page of DescribeInstanceRamRole has.
BATCH = 100
ROLE_PAGE = 50
# The cloud is eventually consistent: Terraform polls up to five minutes (https://github.com/aliyun/terraform-provider-alicloud).
SETTLE_SECONDS = 60.0
_WORKERS = 8

_INSTANCE_ID = re.compile(r"i-[A-Za-z0-9]{4,64}")


@dataclass(frozen=True)
class BatchResult:
    """What became of many instances at once, in the order given."""

    role_name: str
    items: tuple[ItemResult, ...]

    @property
    def failed(self) -> list[ItemResult]:
        """The items that failed."""
        return [item for item in self.items if not item.ok]

    @property
    def ok(self) -> bool:
        """Whether all went well."""
        return not self.failed

    def _rows(self) -> list[list[str]]:
        return [[i.instance_id, "done" if i.ok else "failed ✕", i.code, i.message] for i in self.items]

    def __repr__(self) -> str:
        return text_table(["instance", "result", "code", "message"], self._rows())

    def _repr_html_(self) -> str:
        return html_table(
            ["instance", "result", "code", "message"], self._rows(), title=f"Role {self.role_name}"
        )


@dataclass(frozen=True, repr=False)
class BoundInstance(Instance):
    """An instance of the session's account, with what can be done with it."""

    context: Context = field(repr=False, compare=False, kw_only=True)

    # -- its role --------------------------------------------------------------------------------------------

    @property
    def role_name(self) -> str:
        """The name of the role attached now (empty: none)."""
        return _attachments(self.context, self.region_id, [self.instance_id])[self.instance_id]

    def _checked_role_name(self) -> str:
        with self.context.calls.checking():
            return self.role_name

    @property
    def attachment(self) -> Attachment:
        """Which role it has now."""
        return Attachment(self.instance_id, self.role_name)

    def attach(
        self, role: BoundRole | str, *, session_policy: str | Mapping[str, Any] | None = None
    ) -> BoundInstance:
        """Give the instance a role; the same role again changes nothing.

        Needs ecs:AttachInstanceRamRole on instance and role, and ram:PassRole: checked first. `session_policy` narrows
        what the role may do here (at most 1024 characters). Raises Conflict where another role is attached, and
        PreflightRefused, InvalidRequest, NotFound, AccessDenied.
        """
        name = _role_name(role)
        held = self._checked_role_name()
        if held == name and session_policy is None:
            return self
        if held:
            replace = f"replace it: vm.replace_role({name!r}), or take it off first: vm.detach()"
            raise Conflict(
                f"{self.instance_id} already has the role {held!r}; an instance has one role at most.",
                service="Ecs",
                action="AttachInstanceRamRole",
                reason="a session policy is given with the attachment and is not changed later"
                if held == name
                else "",
                next_step=replace if held != name else "take it off first: vm.detach(), then attach it again",
            )
        result = Instances(self.context).attach(name, [self], session_policy=session_policy)
        if not result.ok:
            item = result.failed[0]
            raise Conflict(
                f"{self.instance_id} did not get the role {name!r}.",
                code=item.code,
                message=item.message,
                request_id=item.request_id,
                service="Ecs",
                action="AttachInstanceRamRole",
                status=200,
                next_step="look at what is attached: vm.role_name",
            )
        _wait_until(lambda: self._checked_role_name() == name, f"{self.instance_id} to show the role {name}")
        return self

    def detach(self) -> BoundInstance:
        """Take the role from the instance; none attached: nothing to do.

        Credentials it already gave out stay valid until they expire.
        """
        held = self.role_name
        if held:
            result = Instances(self.context).detach([self])
            if not result.ok:
                item = result.failed[0]
                raise Conflict(
                    f"{self.instance_id} still has the role {held!r}, or lost it meanwhile.",
                    code=item.code,
                    message=item.message,
                    request_id=item.request_id,
                    service="Ecs",
                    action="DetachInstanceRamRole",
                    status=200,
                    next_step="look at what is attached: vm.role_name",
                )
            _wait_until(lambda: not self._checked_role_name(), f"{self.instance_id} to show no role")
        return self

    def replace_role(self, role: BoundRole | str) -> BoundInstance:
        """Give the instance another role: detach, then attach. Between the two it has none, and fetches fail.

        Permissions for both halves are checked before the first. If attaching fails, the old role is put back, without the
        session policy it may have had: the API does not tell one, so then attach it again yourself.
        """
        name = _role_name(role)
        held = self._checked_role_name()
        if held == name:
            return self
        if not held:
            return self.attach(name)
        batch = Instances(self.context)
        context = self.context
        context.before(batch.detach_change([self]), batch.attach_change(name, [self]))
        _trusted_role(context, name)
        batch.detach_unchecked([self])
        failure: RamroleError | None = None
        try:
            result = batch.attach_unchecked(name, [self], "")
        except RamroleError as error:
            failure = error
        else:
            if not result.ok:
                item = result.failed[0]
                failure = PartialFailure(
                    f"{self.instance_id} did not get the role {name!r}.",
                    results=result.items,
                    reason=f"{item.code}: {item.message}",
                    next_step="look at what is attached: vm.role_name",
                )
        if failure is not None:
            failure.what += f" {self._put_back(held)}"
            raise failure
        _wait_until(lambda: self._checked_role_name() == name, f"{self.instance_id} to show the role {name}")
        return self

    def _put_back(self, role_name: str) -> str:
        """Attach the role it had before; return in words how that went."""
        try:
            result = Instances(self.context).attach_unchecked(role_name, [self], "")
        except RamroleError as error:
            return f"Putting {role_name!r} back failed too, so it has no role: {error.what}"
        if not result.ok:
            return f"Putting {role_name!r} back failed too: {result.failed[0].message}"
        return f"{role_name!r} was put back."

    # -- metadata --------------------------------------------------------------------------------------------

    @property
    def metadata(self) -> MetadataClient:
        """Its metadata service, to be asked step by step in either mode."""
        proxy = self.context.endpoints.metadata_proxy(self.instance_id)
        return MetadataClient(proxy, instance_id=self.instance_id, record=_recorder(self.context))

    def provider(self, mode: str = HARDENED) -> InstanceCredentials:
        """This process's one credentials provider of the instance, for the SDKs."""
        return provider_for(lambda: self.metadata, self.provider_key(), mode, label=self.instance_id)

    def provider_key(self) -> str:
        return f"{self.context.endpoints.metadata_proxy(self.instance_id)}#{self.instance_id}"

    def credentials(self, *, mode: str = HARDENED, refresh: bool = False) -> StsCredentials:
        """Return the temporary credential of its role, masked when shown; `refresh` fetches a new answer now.

        Raises NoRoleAttached, WrongRoleName, HardenedOnly, TokenRefused, MetadataUnreachable.
        """
        provider = self.provider(mode)
        return provider.refresh() if refresh else provider.current()

    def identity(self) -> CallerIdentity:
        """Return who a program on the instance is (sts:GetCallerIdentity with the role's credential)."""
        from .preflight import Preflight

        context = self.context
        calls = Calls(
            context.endpoints,
            context.region_id,
            self.provider(),
            context.wire,
            f"role on {self.name or self.instance_id}",
        )
        try:
            return Preflight(calls).identity()
        except BadSignature:  # expired by the service's clock, or of a sandbox that was put back since
            self.provider().refresh()
        return Preflight(calls).identity()

    def set_hardening(self, on: bool = True) -> BoundInstance:
        """Serve metadata in security hardening mode only (`on`), or in both modes. Returns the instance as it is then."""
        context = self.context
        tokens = "required" if on else "optional"
        need = Need("ecs:ModifyInstanceMetadataOptions", self.arn())
        context.before(Change(f"set HttpTokens={tokens} on {self.instance_id}", (need,)))
        context.calls.ecs(
            "ModifyInstanceMetadataOptions",
            self.region_id,
            instance_id=self.instance_id,
            http_endpoint=self.http_endpoint,
            http_tokens=tokens,
        )
        fields = {k: v for k, v in self.__dict__.items() if k != "context"}
        return BoundInstance(**{**fields, "http_tokens": tokens}, context=context)

    def arn(self) -> str:
        return f"acs:ecs:{self.region_id}:{self.context.preflight.account_id}:instance/{self.instance_id}"

    def _facts(self) -> list[tuple[str, str]]:
        mode = (
            "security hardening mode only"
            if self.http_tokens == "required"
            else "normal and security hardening mode"
        )
        return [
            ("id", self.instance_id),
            ("region", self.region_id),
            ("status", self.status),
            ("system", self.os_type),
            ("network", self.network_type),
            ("metadata", mode),
            ("role", self._shown_role()),
        ]

    def _shown_role(self) -> str:
        try:
            return self.role_name or "none"
        except RamroleError as error:  # showing never raises
            return f"not known: {error.what}"

    def __repr__(self) -> str:
        return (
            f"Instance {self.name or self.instance_id} ({self.instance_id}, {self.region_id}, {self.status})"
        )

    def _repr_html_(self) -> str:
        return html_card(f"Instance {self.name or self.instance_id}", self._facts())


class Instances(ServiceTable):
    """The account's instances in all regions, as a table; look one up by id or name."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._regions: list[str] | None = None

    # -- reading ---------------------------------------------------------------------------------------------

    def _region_ids(self) -> list[str]:
        with self._lock:
            if self._regions is None:
                try:
                    with self._context.calls.checking():
                        found = self._context.calls.ecs("DescribeRegions")
                    self._regions = [row["RegionId"] for row in found["Regions"]["Region"]]
                except AccessDenied:
                    self._regions = [self._context.region_id]
            return self._regions

    def _in_region(self, region_id: str, **filters: Any) -> list[BoundInstance]:
        found: list[BoundInstance] = []
        token: str | None = None
        while True:
            answer = self._context.calls.ecs(
                "DescribeInstances",
                region_id,
                max_results=100,
                next_token=token,
                additional_attributes=["META_OPTIONS"],
                **filters,
            )
            found += [self._bound(row) for row in answer.get("Instances", {}).get("Instance", [])]
            token = answer.get("NextToken") or None
            if not token:
                return found

    def _bound(self, row: Mapping[str, Any]) -> BoundInstance:
        vpc = row.get("VpcAttributes", {}).get("PrivateIpAddress", {}).get("IpAddress") or []
        inner = row.get("InnerIpAddress", {}).get("IpAddress") or []
        public = row.get("PublicIpAddress", {}).get("IpAddress") or []
        options = row.get("MetadataOptions") or {}
        return BoundInstance(
            instance_id=row["InstanceId"],
            name=row.get("InstanceName", ""),
            region_id=row.get("RegionId", ""),
            zone_id=row.get("ZoneId", ""),
            status=row.get("Status", ""),
            os_type=row.get("OSType", ""),
            network_type=row.get("InstanceNetworkType", ""),
            instance_type=row.get("InstanceType", ""),
            private_ip=next(iter([*vpc, *inner]), ""),
            public_ip=next(iter(public), ""),
            http_tokens=options.get("HttpTokens") or "optional",
            http_endpoint=options.get("HttpEndpoint") or "enabled",
            context=self._context,
        )

    def all(self, *, region_id: str = "") -> list[BoundInstance]:
        """Return the instances of one region, or of all."""
        regions = [region_id] if region_id else self._region_ids()
        if len(regions) == 1:
            return self._in_region(regions[0])
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="ramrole-regions") as pool:
            return [vm for vms in pool.map(self._in_region, regions) for vm in vms]

    def __iter__(self) -> Iterator[BoundInstance]:
        return iter(self.all())

    def __getitem__(self, id_or_name: str) -> BoundInstance:
        if not isinstance(id_or_name, str) or not id_or_name:
            raise InputError(
                f"{id_or_name!r} is neither an instance id nor a name.", next_step="for example 'i-…'"
            )
        filters: dict[str, Any] = {"instance_name": id_or_name}
        if _INSTANCE_ID.fullmatch(id_or_name):
            filters = {"instance_ids": json.dumps([id_or_name])}
        # The session's region first: it is the likely one, and often the only call needed.
        others = [r for r in self._region_ids() if r != self._context.region_id]
        found = self._in_region(self._context.region_id, **filters)
        if not found:
            with ThreadPoolExecutor(_WORKERS, thread_name_prefix="ramrole-regions") as pool:
                found = [
                    vm for vms in pool.map(lambda r: self._in_region(r, **filters), others) for vm in vms
                ]
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(
                f"{len(found)} instances are called {id_or_name!r}.",
                next_step=f"use an id: {', '.join(vm.instance_id for vm in found[:5])}",
            )
        known = [name for vm in self.all() for name in (vm.instance_id, vm.name) if name]
        raise NotFound(
            f"There is no instance {id_or_name!r}.{nearest(id_or_name, known)}",
            code="InvalidInstanceId.NotFound",
            service="Ecs",
            action="DescribeInstances",
            status=404,
            reason=""
            if known
            else "the caller sees no instance at all: ECS answers an empty list where a permission lacks",
            next_step="list them: cloud.instances",
        )

    def roles(self, instances: Sequence[BoundInstance]) -> dict[str, str]:
        """Return the role name of each instance id (empty: none)."""
        by_region: dict[str, list[str]] = {}
        for vm in instances:
            by_region.setdefault(vm.region_id, []).append(vm.instance_id)
        found: dict[str, str] = {}
        for region_id, ids in by_region.items():
            found |= _attachments(self._context, region_id, ids)
        return found

    # -- many at once ----------------------------------------------------------------------------------------

    def _resolve(self, instances: Iterable[BoundInstance | str]) -> list[BoundInstance]:
        given = list(instances)
        if not given:
            raise InputError(
                "No instances were named.", next_step="give ids, or instances of cloud.instances"
            )
        names = [item for item in given if isinstance(item, str)]
        known = {key: vm for vm in (self.all() if names else []) for key in (vm.instance_id, vm.name)}
        chosen: dict[str, BoundInstance] = {}
        for item in given:
            vm = known.get(item) if isinstance(item, str) else item
            if vm is None:
                raise InputError(
                    f"There is no instance {item!r}.{nearest(str(item), known)} Nothing was changed.",
                    next_step="list them: cloud.instances",
                )
            chosen[vm.instance_id] = vm
        return list(chosen.values())

    def attach_change(self, name: str, vms: Sequence[BoundInstance]) -> Change:
        account = self._context.preflight.account_id
        role = f"role/{name}"
        needs = [Need("ecs:AttachInstanceRamRole", vm.arn()) for vm in vms]
        needs += [
            Need("ecs:AttachInstanceRamRole", f"acs:ram:{region}:{account}:{role}")
            for region in dict.fromkeys(vm.region_id for vm in vms)
        ]
        needs.append(
            Need("ram:PassRole", f"acs:ram:*:{account}:{role}", (("acs:Service", "ecs.aliyuncs.com"),))
        )
        return Change(f"attach role {name} to {_listed(vms)}", tuple(needs))

    def detach_change(self, vms: Sequence[BoundInstance]) -> Change:
        needs = tuple(Need("ecs:DetachInstanceRamRole", vm.arn()) for vm in vms)
        return Change(f"detach the role of {_listed(vms)}", needs)

    def attach(
        self,
        role: BoundRole | str,
        instances: Iterable[BoundInstance | str],
        *,
        session_policy: str | Mapping[str, Any] | None = None,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> BatchResult:
        """Attach a role to any number of instances, a hundred a call; each failure is in the result.

        `progress(done, total)` is told after each call; `cancel()` true stops before the next one. Raises
        PreflightRefused, InputError, NotFound before anything is changed.
        """
        name = _role_name(role)
        policy = ""
        if session_policy is not None:
            policy = _document_text(session_policy, "session")
            if len(policy) > MAX_ATTACH_SESSION_POLICY:
                raise InputError(
                    f"The session policy has {len(policy)} characters; {MAX_ATTACH_SESSION_POLICY} is the limit.",
                    next_step="narrow the role's own policy instead",
                )
        vms = self._resolve(instances)
        self._context.before(self.attach_change(name, vms))
        _trusted_role(self._context, name)
        return self.attach_unchecked(name, vms, policy, progress, cancel)

    def attach_unchecked(
        self,
        name: str,
        vms: Sequence[BoundInstance],
        session_policy: str,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> BatchResult:
        context = self._context

        def call(region_id: str, batch: Sequence[BoundInstance]) -> list[ItemResult]:
            entries = [
                context.ledger.intend("attachment", vm.instance_id, role=name, region_id=region_id)
                for vm in batch
            ]
            try:
                answer = context.calls.ecs(
                    "AttachInstanceRamRole",
                    region_id,
                    ram_role_name=name,
                    instance_ids=json.dumps([vm.instance_id for vm in batch]),
                    policy=session_policy or None,
                )
            except ServiceError as error:
                if not isinstance(error, ServerFault):  # refused: nothing was attached
                    for entry in entries:
                        context.ledger.failed(entry)
                raise
            rows = answer["AttachInstanceRamRoleResults"]["AttachInstanceRamRoleResult"]
            results = _items(rows, answer.get("RequestId", ""))
            done = {item.instance_id for item in results if item.ok}
            for entry in entries:
                (context.ledger.done if entry.name in done else context.ledger.failed)(entry)
            return results

        return BatchResult(name, self._in_batches(vms, call, progress, cancel))

    def detach(
        self,
        instances: Iterable[BoundInstance | str],
        *,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> BatchResult:
        """Take the role from any number of instances, a hundred a call."""
        vms = self._resolve(instances)
        self._context.before(self.detach_change(vms))
        return self.detach_unchecked(vms, progress, cancel)

    def detach_unchecked(
        self,
        vms: Sequence[BoundInstance],
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> BatchResult:
        context = self._context

        def call(region_id: str, batch: Sequence[BoundInstance]) -> list[ItemResult]:
            answer = context.calls.ecs(
                "DetachInstanceRamRole", region_id, instance_ids=json.dumps([vm.instance_id for vm in batch])
            )
            rows = answer["DetachInstanceRamRoleResults"]["DetachInstanceRamRoleResult"]
            results = _items(rows, answer.get("RequestId", ""))
            context.gone("attachment", *(item.instance_id for item in results if item.ok))
            return results

        return BatchResult("", self._in_batches(vms, call, progress, cancel))

    def _in_batches(
        self,
        vms: Sequence[BoundInstance],
        call: Callable[[str, Sequence[BoundInstance]], list[ItemResult]],
        progress: Callable[[int, int], None] | None,
        cancel: Callable[[], bool] | None,
    ) -> tuple[ItemResult, ...]:
        by_region: dict[str, list[BoundInstance]] = {}
        for vm in vms:
            by_region.setdefault(vm.region_id, []).append(vm)
        batches = [
            (region, group[i : i + BATCH])
            for region, group in by_region.items()
            for i in range(0, len(group), BATCH)
        ]
        results: dict[str, ItemResult] = {}
        done = 0
        for region_id, batch in batches:
            if cancel is not None and cancel():
                results |= {
                    vm.instance_id: ItemResult(vm.instance_id, False, "Cancelled", "not tried: cancelled")
                    for vm in batch
                }
            else:
                try:
                    items = call(region_id, batch)
                except ServiceError as error:
                    if len(batches) == 1:
                        raise
                    # The other batches are still worth trying; this one's failure is told item by item.
                    items = [
                        ItemResult(vm.instance_id, False, error.code, error.message, error.request_id)
                        for vm in batch
                    ]
                results |= {item.instance_id: item for item in items}
                for vm in batch:
                    forget_role_of(_key(vm))
            done += len(batch)
            if progress is not None:
                progress(done, len(vms))
        return tuple(results[vm.instance_id] for vm in vms if vm.instance_id in results)

    # -- showing ---------------------------------------------------------------------------------------------

    _TITLE, _EMPTY = "Instances", "no instances"
    _HEAD = ("id", "name", "region", "status", "system", "network", "metadata", "role")

    def _rows(self) -> list[list[str]]:
        vms = self.all()
        roles = self.roles(vms)
        return [
            [
                vm.instance_id,
                vm.name,
                vm.region_id,
                vm.status,
                vm.os_type,
                vm.network_type,
                "hardened only" if vm.http_tokens == "required" else "both modes",
                roles.get(vm.instance_id) or "–",
            ]
            for vm in vms
        ]


def _key(vm: BoundInstance) -> str:
    try:
        return vm.provider_key()
    except InputError:
        return ""


def _listed(vms: Sequence[BoundInstance]) -> str:
    names = [vm.instance_id for vm in vms]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _role_name(role: BoundRole | str) -> str:
    return role.name if isinstance(role, BoundRole) else check_role_name(role)


def _trusted_role(context: Context, name: str) -> None:
    """Raise before the call where the role is missing or ECS may not assume it; what cannot be read is let through."""
    from .roles import Roles

    try:
        with context.calls.checking():
            role = Roles(context)[name]
    except AccessDenied:
        return
    if not role.trusts_ecs:
        raise InputError(
            f"ECS may not assume the role {name!r}. Nothing was changed.",
            reason="its trust policy does not name ecs.aliyuncs.com (the service would answer InvalidRamRole.NotEcsRole)",
            next_step="role.set_trust(rr.policy.trust_for_service('ecs.aliyuncs.com'))",
        )


def _attachments(context: Context, region_id: str, ids: Sequence[str]) -> dict[str, str]:
    found = dict.fromkeys(ids, "")
    for start in range(0, len(ids), ROLE_PAGE):
        some = list(ids[start : start + ROLE_PAGE])
        answer = context.calls.ecs(
            "DescribeInstanceRamRole", region_id, instance_ids=json.dumps(some), page_size=ROLE_PAGE
        )
        for row in answer.get("InstanceRamRoleSets", {}).get("InstanceRamRoleSet", []):
            found[row["InstanceId"]] = row.get("RamRoleName", "") or ""
    return found


def _items(rows: Iterable[Mapping[str, Any]], request_id: str) -> list[ItemResult]:
    return [
        ItemResult(
            row["InstanceId"],
            str(row.get("Success", row.get("Code") == "200")).lower() == "true",
            str(row.get("Code", "")),
            str(row.get("Message", "")),
            request_id,
        )
        for row in rows
    ]


def _recorder(context: Context) -> Callable[[MetadataStep], None]:
    def record(step: MetadataStep) -> None:
        context.wire.record(
            "IMDS",
            f"{step.method} {step.path.removeprefix('/latest/')}",
            dict(step.headers),
            status=step.status,
            request_id="",
            started=time.perf_counter() - step.ms / 1000,
            caller="the instance",
            error="" if step.status == 200 else f"HTTP {step.status}",
        )

    return record


def _wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline, pause = time.monotonic() + SETTLE_SECONDS, 0.05
    while not holds():
        if time.monotonic() > deadline:
            raise RamroleError(
                f"Waited {SETTLE_SECONDS:.0f} s for {what}; it has not come yet.",
                reason="changes take time to be seen everywhere",
                next_step="look again in a minute; nothing has to be done twice",
            )
        time.sleep(pause)
        pause = min(3.0, pause * 2)
