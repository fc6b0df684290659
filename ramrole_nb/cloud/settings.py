"""Metadata settings of instances that this user changed: noted before the change, so that a clean-up puts them back.

An entry is of one instance and one option (`HttpTokens`, `HttpEndpoint`): what it `was` before the first change from here,
and what it was set to `now`. Set back by hand, the entry is undone; changed by somebody else since, nothing is put back.
Source: https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-modifyinstancemetadataoptions
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import RamroleError
from ..ledger import Entry
from .batches import held_roles
from .context import Context

if TYPE_CHECKING:
    from .instance import BoundInstance

__all__ = ["KIND", "Noted", "metadata_options", "options_of", "put_back"]

KIND = "setting"
# What one call takes.
_BATCH = 100


def options_of(row: Mapping[str, Any]) -> dict[str, str]:
    """Return an instance's two options as DescribeInstances tells them; where it does not, they are as at the start."""
    found = row.get("MetadataOptions") or {}
    return {
        "HttpEndpoint": found.get("HttpEndpoint") or "enabled",
        "HttpTokens": found.get("HttpTokens") or "optional",
    }


def _described(context: Context, region_id: str, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    answer = context.calls.ecs(
        "DescribeInstances",
        region_id,
        instance_ids=json.dumps(ids),
        max_results=_BATCH,
        additional_attributes=["META_OPTIONS"],
    )
    return {row["InstanceId"]: options_of(row) for row in answer.get("Instances", {}).get("Instance", [])}


def metadata_options(context: Context, vms: Sequence[BoundInstance]) -> dict[str, dict[str, str]]:
    """Return the options of each instance id now; where they cannot be read, as they were when the instance was read."""
    found = {vm.instance_id: {"HttpEndpoint": vm.http_endpoint, "HttpTokens": vm.http_tokens} for vm in vms}
    for region_id, ids in _by_region(vms):
        with contextlib.suppress(RamroleError), context.calls.checking():
            found |= _described(context, region_id, ids)
    return found


def _by_region(vms: Iterable[BoundInstance]) -> list[tuple[str, list[str]]]:
    regions: dict[str, list[str]] = {}
    for vm in vms:
        regions.setdefault(vm.region_id, []).append(vm.instance_id)
    return [(r, ids[at : at + _BATCH]) for r, ids in regions.items() for at in range(0, len(ids), _BATCH)]


class Noted:
    """The ledger around a change of one option on some instances: made before the calls, `ended` after them.

    `was` is each instance id's value now. An instance whose option was changed from here before keeps its first value.
    """

    def __init__(
        self, context: Context, option: str, value: str, vms: Sequence[BoundInstance], was: Mapping[str, str]
    ) -> None:
        self._ledger = context.ledger
        self._value = value
        ids = {vm.instance_id for vm in vms}
        self._held = [
            entry
            for entry in context.ledger.open_entries()
            if entry.kind == KIND and entry.name in ids and entry.details.get("option") == option
        ]
        noted = {entry.name for entry in self._held}
        changed = [vm for vm in vms if vm.instance_id not in noted and was[vm.instance_id] != value]
        self._fresh: list[Entry] = []
        for region_id, names in _by_region(changed):
            roles = _roles(context, region_id, names)
            for before, role in dict.fromkeys((was[name], roles.get(name, "")) for name in names):
                alike = [name for name in names if (was[name], roles.get(name, "")) == (before, role)]
                # The role says what the instance was doing then; entries of a gym's roles go with the gym.
                self._fresh += self._ledger.intend_many(
                    KIND, alike, region_id=region_id, option=option, was=before, now=value, with_role=role
                )

    def ended(self, *, done: Iterable[str] = (), refused: Iterable[str] = ()) -> None:
        """Write down what was set, and what was not since it was refused or not tried. No answer is neither."""
        good, bad = set(done), set(refused)
        self._ledger.settle(
            done=[entry for entry in self._fresh if entry.name in good],
            failed=[entry for entry in self._fresh if entry.name in bad],
            undone=[e for e in self._held if e.name in good and e.details.get("was") == self._value],
        )


def _roles(context: Context, region_id: str, ids: Sequence[str]) -> dict[str, str]:
    with contextlib.suppress(RamroleError), context.calls.checking():
        return held_roles(context, region_id, ids)
    return {}


def put_back(context: Context, entry: Entry) -> str:
    """Set an option as it was, unless it was set otherwise since; return in words how that went."""
    details = entry.details
    region_id, option = str(details["region_id"]), str(details["option"])
    now = _described(context, region_id, [entry.name]).get(entry.name)
    if now is None or option not in now:
        return "gone already"
    if now[option] != details["now"]:
        return "gone already"  # put back by hand, or set otherwise by somebody else
    values = {**now, option: str(details["was"])}
    context.calls.ecs(
        "ModifyInstanceMetadataOptions",
        region_id,
        instance_id=entry.name,
        http_endpoint=values["HttpEndpoint"],  # the API takes both at once
        http_tokens=values["HttpTokens"],
    )
    return "done"
