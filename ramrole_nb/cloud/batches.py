"""Roles attached to and taken from many instances at once: batches of a hundred, each failure told by instance.

Source: https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-attachinstanceramrole and siblings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import AccessDenied, InputError, RamroleError, ServerFault, ServiceError
from ..models import ItemResult
from ..policy import MAX_ATTACH_SESSION_POLICY
from ..render import html_table, text_table
from .context import Change, Context
from .credentials import forget_role_of
from .explain import advice
from .preflight import Need
from .roles import BoundRole, Roles, check_role_name, document_text

if TYPE_CHECKING:
    from .instance import BoundInstance

__all__ = [
    "Attachments",
    "BatchCall",
    "BatchResult",
    "batch_result",
    "failed_item",
    "held_roles",
    "in_batches",
    "listed",
    "role_name",
    "trusted_role",
]

# The most instance ids one call takes, and the most rows one page of DescribeInstanceRamRole has.
BATCH = 100
ROLE_PAGE = 50

# Codes that refuse a whole call for what is the matter with a single instance in it.
_OF_ONE_INSTANCE = ("InvalidInstance", "InvalidNetworkType.")


# A call for some instances of one region.
BatchCall = Callable[[str, "Sequence[BoundInstance]"], "list[ItemResult]"]

_HEAD = ("instance", "name", "result", "code", "message", "request id", "what to do")
# So many rows are shown at once; beyond that those that went well are folded away, so that failures are seen.
_UNFOLDED = 10


@dataclass(frozen=True)
class BatchResult:
    """What became of many instances at once, in the order given.

    `role_name` is the role in question (empty: none); `what` says in words what was done; `names` are the instances'.
    """

    role_name: str
    items: tuple[ItemResult, ...]
    what: str = ""
    names: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def failed(self) -> list[ItemResult]:
        """The items that failed, those not tried included."""
        return [item for item in self.items if not item.ok]

    @property
    def not_tried(self) -> list[ItemResult]:
        """The items that were not tried, since the user cancelled."""
        return [item for item in self.items if item.code == "Cancelled"]

    @property
    def ok(self) -> bool:
        """Whether all went well."""
        return not self.failed

    @property
    def summary(self) -> str:
        """How many were done, failed and not tried."""
        skipped = len(self.not_tried)
        failed = len(self.failed) - skipped
        parts = [f"{len(self.items) - len(self.failed):,} of {len(self.items):,} done"]
        parts += [f"{failed:,} failed"] if failed else []
        parts += [f"{skipped:,} not tried: cancelled"] if skipped else []
        return ", ".join(parts)

    def _rows(self, items: Iterable[ItemResult]) -> list[list[str]]:
        def word(item: ItemResult) -> str:
            return "done ✓" if item.ok else "not tried" if item.code == "Cancelled" else "failed ✕"

        def row(item: ItemResult) -> list[str]:
            named = [item.instance_id, self.names.get(item.instance_id, ""), word(item)]
            step = item.next_step or ("" if item.ok else advice(item.code))
            return [*named, item.code, item.message, item.request_id, step]

        return [row(item) for item in items]

    def __repr__(self) -> str:
        return text_table(_HEAD, self._rows(self.items))

    def _repr_html_(self) -> str:
        title = f"{self.what or f'role {self.role_name}'}: {self.summary}"
        if len(self.items) <= _UNFOLDED:
            return html_table(_HEAD, self._rows(self.items), title=title)
        good = [item for item in self.items if item.ok]
        return html_table(
            _HEAD,
            self._rows(self.failed),
            title=title,
            empty="none failed",
            folded=self._rows(good),
            folded_title=f"the {len(good):,} that went well",
        )


def batch_result(
    name: str, items: tuple[ItemResult, ...], what: str, vms: Sequence[BoundInstance]
) -> BatchResult:
    """Return a result that knows what the instances are called."""
    return BatchResult(name, items, what, {vm.instance_id: vm.name for vm in vms})


class Attachments:
    """Attaches and detaches; knows nothing of how instances are found."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def attach_change(self, name: str, vms: Sequence[BoundInstance]) -> Change:
        """Return the change of attaching, with the permissions it needs."""
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
        return Change(f"attach role {name} to {listed(vms)}", tuple(needs))

    def detach_change(self, vms: Sequence[BoundInstance]) -> Change:
        """Return the change of detaching, with the permissions it needs."""
        needs = tuple(Need("ecs:DetachInstanceRamRole", vm.arn()) for vm in vms)
        return Change(f"detach the role of {listed(vms)}", needs)

    def checked_attach(
        self,
        name: str,
        vms: Sequence[BoundInstance],
        session_policy: str | Mapping[str, Any] | None = None,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> BatchResult:
        """Check session policy, permissions and trust, have the change confirmed, then attach."""
        policy = ""
        if session_policy is not None:
            policy = document_text(session_policy, "session")
            if len(policy) > MAX_ATTACH_SESSION_POLICY:
                raise InputError(
                    f"The session policy has {len(policy)} characters; {MAX_ATTACH_SESSION_POLICY} is the limit.",
                    next_step="narrow the role's own policy instead",
                )
        self._context.before(self.attach_change(name, vms))
        trusted_role(self._context, name)
        return self.attach(name, vms, policy, progress, cancel)

    def checked_detach(
        self,
        vms: Sequence[BoundInstance],
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> BatchResult:
        """Check permissions, have the change confirmed, then detach."""
        self._context.before(self.detach_change(vms))
        return self.detach(vms, progress, cancel)

    def attach(
        self,
        name: str,
        vms: Sequence[BoundInstance],
        session_policy: str,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> BatchResult:
        """Attach without any check; the ledger is written around each call."""
        context = self._context

        def call(region_id: str, batch: Sequence[BoundInstance]) -> list[ItemResult]:
            ids = [vm.instance_id for vm in batch]
            entries = context.ledger.intend_many("attachment", ids, role=name, region_id=region_id)
            try:
                answer = context.calls.ecs(
                    "AttachInstanceRamRole",
                    region_id,
                    ram_role_name=name,
                    instance_ids=json.dumps(ids),
                    policy=session_policy or None,
                )
            except ServiceError as error:
                if not isinstance(error, ServerFault):  # refused: nothing was attached
                    context.ledger.settle(failed=entries)
                raise
            rows = answer["AttachInstanceRamRoleResults"]["AttachInstanceRamRoleResult"]
            results = _items(rows, answer.get("RequestId", ""))
            done = {item.instance_id for item in results if item.ok}
            context.ledger.settle(
                done=[entry for entry in entries if entry.name in done],
                failed=[entry for entry in entries if entry.name not in done],
            )
            return results

        return batch_result(name, in_batches(vms, call, progress, cancel), f"attach role {name}", vms)

    def detach(
        self,
        vms: Sequence[BoundInstance],
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> BatchResult:
        """Detach without any check."""
        context = self._context

        def call(region_id: str, batch: Sequence[BoundInstance]) -> list[ItemResult]:
            answer = context.calls.ecs(
                "DetachInstanceRamRole", region_id, instance_ids=json.dumps([vm.instance_id for vm in batch])
            )
            rows = answer["DetachInstanceRamRoleResults"]["DetachInstanceRamRoleResult"]
            results = _items(rows, answer.get("RequestId", ""))
            context.gone("attachment", *(item.instance_id for item in results if item.ok))
            return results

        return batch_result("", in_batches(vms, call, progress, cancel), "detach the role", vms)


def in_batches(
    vms: Sequence[BoundInstance],
    call: BatchCall,
    progress: Callable[[int, int], None] | None,
    cancel: Callable[[], bool] | None,
) -> tuple[ItemResult, ...]:
    """Make `call` for a hundred instances of one region at a time, and return what became of each.

    Where the only call fails, its error is raised; where one of several does, each of its instances has failed.
    """
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
            items = [ItemResult(vm.instance_id, False, "Cancelled", "not tried: cancelled") for vm in batch]
        else:
            try:
                items = _one_by_one_if_need_be(call, region_id, batch)
            except RamroleError as error:
                if len(batches) == 1:
                    raise
                # The other batches are still worth trying; this one's failure is told item by item.
                items = [failed_item(vm.instance_id, error) for vm in batch]
            for vm in batch:
                forget_role_of(_key(vm))
        results |= {item.instance_id: item for item in items}
        done += len(batch)
        if progress is not None:
            progress(done, len(vms))
    return tuple(results[vm.instance_id] for vm in vms if vm.instance_id in results)


def _one_by_one_if_need_be(
    call: BatchCall, region_id: str, batch: Sequence[BoundInstance]
) -> list[ItemResult]:
    """Make a call; where it is refused because of one instance, halve until that one stands alone."""
    try:
        return call(region_id, batch)
    except ServiceError as error:
        if len(batch) == 1 or not error.code.startswith(_OF_ONE_INSTANCE):
            raise
    items: list[ItemResult] = []
    middle = len(batch) // 2
    for half in (batch[:middle], batch[middle:]):
        try:
            items += _one_by_one_if_need_be(call, region_id, half)
        except RamroleError as error:
            items += [failed_item(vm.instance_id, error) for vm in half]
    return items


def failed_item(instance_id: str, error: RamroleError) -> ItemResult:
    """Return the result of an instance whose call was refused."""
    code = getattr(error, "code", "") or type(error).__name__
    message = getattr(error, "message", "") or " ".join(p for p in (error.what, error.reason) if p)
    return ItemResult(
        instance_id, False, code, message, getattr(error, "request_id", ""), error.next_step or advice(code)
    )


def _key(vm: BoundInstance) -> str:
    try:
        return vm.provider_key()
    except InputError:
        return ""


def listed(vms: Sequence[BoundInstance]) -> str:
    """Name instances in a sentence: three at most."""
    names = [vm.instance_id for vm in vms]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def role_name(role: BoundRole | str) -> str:
    """Return the name of a role, or a legal name. Raises InputError."""
    return role.name if isinstance(role, BoundRole) else check_role_name(role)


def trusted_role(context: Context, name: str) -> None:
    """Raise before the call where the role is missing or ECS may not assume it; what cannot be read is let through."""
    try:
        with context.calls.checking():
            role = Roles(context)[name]
    except AccessDenied:
        return
    if not role.trusts_ecs:
        raise InputError(
            f"ECS may not assume the role {name!r}. Nothing was changed.",
            reason="its trust policy does not name ecs.aliyuncs.com (the service would answer InvalidRamRole.NotEcsRole)",
            next_step=f"cloud.roles[{name!r}].set_trust(rr.policy.trust_for_service('ecs.aliyuncs.com'))",
        )


def held_roles(context: Context, region_id: str, ids: Sequence[str]) -> dict[str, str]:
    """Return the role name of each instance of a region (empty: none)."""
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
