"""The account's ECS instances in all regions, as a table; look one up, or give many a role at once.

Source: https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeinstances
"""

from __future__ import annotations

import contextvars
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..errors import AccessDenied, InputError, NotFound, nearest
from .batches import Attachments, BatchResult, held_roles, role_name
from .context import Context
from .hardening import harden_many
from .instance import BoundInstance
from .replacing import Replacing
from .roles import BoundRole
from .settings import options_of
from .showing import ServiceTable

__all__ = ["BatchResult", "BoundInstance", "Instances"]

_WORKERS = 8

_INSTANCE_ID = re.compile(r"i-[A-Za-z0-9]{4,64}")


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

    def regions(self) -> list[str]:
        """Return the ids of the regions that are looked at; without ecs:DescribeRegions the session's alone."""
        return list(self._region_ids())

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
        options = options_of(row)
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
            http_tokens=options["HttpTokens"],
            http_endpoint=options["HttpEndpoint"],
            context=self._context,
        )

    def all(self, *, region_id: str = "") -> list[BoundInstance]:
        """Return the instances of one region, or of all."""
        regions = [region_id] if region_id else self._region_ids()
        if len(regions) == 1:
            return self._in_region(regions[0])
        return self._in_regions(regions)

    def _in_regions(self, regions: Sequence[str], **filters: Any) -> list[BoundInstance]:
        """Ask several regions at once. Each thread gets this one's context, so that a look-up stays one."""
        here = contextvars.copy_context

        def ask(item: tuple[contextvars.Context, str]) -> list[BoundInstance]:
            return item[0].run(self._in_region, item[1], **filters)

        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="ramrole-regions") as pool:
            return [vm for vms in pool.map(ask, [(here(), region) for region in regions]) for vm in vms]

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
            with self._context.calls.checking():
                found = self._in_regions(others, **filters)
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(
                f"{len(found)} instances are called {id_or_name!r}.",
                next_step=f"use an id: {', '.join(vm.instance_id for vm in found[:5])}",
            )
        with self._context.calls.checking():
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
            # One in a classic network has none, and asking for it makes the service refuse the whole question.
            if vm.network_type != "classic":
                by_region.setdefault(vm.region_id, []).append(vm.instance_id)
        found: dict[str, str] = {vm.instance_id: "" for vm in instances}
        for region_id, ids in by_region.items():
            found |= held_roles(self._context, region_id, ids)
        return found

    # -- many at once ----------------------------------------------------------------------------------------

    def _resolve(self, instances: Iterable[BoundInstance | str]) -> list[BoundInstance]:
        given = list(instances)
        if not given:
            raise InputError(
                "No instances were named.", next_step="give ids, or instances of cloud.instances"
            )
        known: dict[str, BoundInstance] = {}
        several: dict[str, list[str]] = {}
        if any(isinstance(item, str) for item in given):
            with self._context.calls.checking():
                every = self.all()
            for one in every:
                several.setdefault(one.name, []).append(one.instance_id)
            known = {one.name: one for one in every if one.name} | {one.instance_id: one for one in every}
        chosen: dict[str, BoundInstance] = {}
        for item in given:
            vm = known.get(item) if isinstance(item, str) else item
            if vm is None:
                raise InputError(
                    f"There is no instance {item!r}.{nearest(str(item), known)} Nothing was changed.",
                    next_step="list them: cloud.instances",
                )
            if item == vm.name and len(ids := several[vm.name]) > 1:
                raise InputError(
                    f"{len(ids)} instances are called {item!r}. Nothing was changed.",
                    next_step=f"use an id: {', '.join(ids[:5])}",
                )
            chosen[vm.instance_id] = vm
        return list(chosen.values())

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
        vms = self._resolve(instances)
        return Attachments(self._context).checked_attach(
            role_name(role), vms, session_policy, progress, cancel
        )

    def detach(
        self,
        instances: Iterable[BoundInstance | str],
        *,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> BatchResult:
        """Take the role from any number of instances, a hundred a call."""
        return Attachments(self._context).checked_detach(self._resolve(instances), progress, cancel)

    def replace(
        self,
        role: BoundRole | str,
        instances: Iterable[BoundInstance | str],
        *,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> BatchResult:
        """Give any number of instances another role: detach, then attach, a hundred at a time.

        **Between the two an instance has no role, and fetches on it fail.** Permissions for both halves are checked before
        the first. An instance that has no role is given it; one that has it already is left alone; one that cannot get it
        gets its old role back, without the session policy it may have had (the API does not tell one). `cancel()` true
        stops before the next hundred, never between the halves. Raises PreflightRefused, InputError, NotFound before
        anything is changed.
        """
        name = role_name(role)
        vms = self._resolve(instances)
        with self._context.calls.checking():
            held = self.roles(vms)
        return Replacing(self._context).checked(name, vms, held, progress, cancel)

    def set_hardening(
        self,
        on: bool,
        instances: Iterable[BoundInstance | str],
        *,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> BatchResult:
        """Serve metadata in security hardening mode only (`on`) or in both modes, on any number of instances.

        One call an instance; one that is so already is left alone (an instance that is given, and not named, counts as it
        was when it was read). `progress(done, total)` is told after each; `cancel()` true begins no more. The former
        settings are in the ledger, so `cloud.clean_up()` puts them back. Needs ecs:ModifyInstanceMetadataOptions. Raises
        PreflightRefused and InputError before anything is changed.
        """
        vms = self._resolve(instances)
        return harden_many(self._context, vms, on=bool(on), progress=progress, cancel=cancel)

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
