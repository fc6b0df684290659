"""Another role for many instances at once: detach, then attach, a hundred at a time.

There is no call that does both, so each instance is without a role in between, and programs on it that fetch credentials
fail for that moment.
Source: https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-attachinstanceramrole and siblings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import RamroleError, ServerFault
from ..models import ItemResult
from .batches import Attachments, BatchResult, batch_result, failed_item, held_roles, in_batches, trusted_role
from .context import Context

if TYPE_CHECKING:
    from .instance import BoundInstance

__all__ = ["Replacing"]


class Replacing:
    """Gives instances another role; what could not get it gets its old one back."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._batch = Attachments(context)

    def checked(
        self,
        name: str,
        vms: Sequence[BoundInstance],
        held: Mapping[str, str],
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> BatchResult:
        """Check permissions for both halves and the trust policy, have the change confirmed, then replace.

        `held` is the role each instance id has now (empty: none). An instance that has `name` already is left alone.
        """
        others = [vm for vm in vms if held[vm.instance_id] != name]
        results = {
            vm.instance_id: ItemResult(vm.instance_id, True, message=f"it has {name} already")
            for vm in vms
            if held[vm.instance_id] == name
        }
        if others:
            taken = [vm for vm in others if held[vm.instance_id]]
            changes = [self._batch.detach_change(taken)] if taken else []
            self._context.before(*changes, self._batch.attach_change(name, others))
            trusted_role(self._context, name)

            def call(region_id: str, batch: Sequence[BoundInstance]) -> list[ItemResult]:
                return self._replace(name, region_id, batch, held)

            results |= {item.instance_id: item for item in in_batches(others, call, progress, cancel)}
        what = f"replace the role by {name}"
        return batch_result(name, tuple(results[vm.instance_id] for vm in vms), what, vms)

    def _replace(
        self, name: str, region_id: str, batch: Sequence[BoundInstance], held: Mapping[str, str]
    ) -> list[ItemResult]:
        """Replace in one call a half. Raises only where nothing was changed: the detaching was refused."""
        taken = [vm for vm in batch if held[vm.instance_id]]
        failed = self._detached(region_id, taken)
        ready = [vm for vm in batch if vm.instance_id not in failed]
        results = failed | (self._attached(name, region_id, ready) if ready else {})
        lost = [vm for vm in ready if held[vm.instance_id] and not results[vm.instance_id].ok]
        for role in dict.fromkeys(held[vm.instance_id] for vm in lost):
            back = [vm for vm in lost if held[vm.instance_id] == role]
            for instance_id, words in self._put_back(role, region_id, back).items():
                item = results[instance_id]
                results[instance_id] = replace(item, message=f"{item.message} {words}".strip())
        return list(results.values())

    def _detached(self, region_id: str, vms: Sequence[BoundInstance]) -> dict[str, ItemResult]:
        """Detach, and return those that failed. No answer is no refusal: then what is attached is looked up."""
        if not vms:
            return {}
        try:
            items = self._batch.detach(vms).items
        except ServerFault as error:
            now = self._roles(region_id, vms, error)
            items = tuple(failed_item(vm.instance_id, error) for vm in vms if now[vm.instance_id])
        # Without a role already (someone else was quicker) is as good as detached.
        return {
            i.instance_id: i for i in items if not i.ok and i.code != "InvalidInstance.RamRoleNotAttached"
        }

    def _attached(self, name: str, region_id: str, vms: Sequence[BoundInstance]) -> dict[str, ItemResult]:
        try:
            return {item.instance_id: item for item in self._batch.attach(name, vms, "").items}
        except ServerFault as error:
            results = {vm.instance_id: failed_item(vm.instance_id, error) for vm in vms}
            try:
                now = self._roles(region_id, vms, error)
            except ServerFault:
                return results
            found = "the answer was lost; looked up: it has the role"
            done = {i: ItemResult(i, True, message=found) for i in results if now[i] == name}
            return results | done
        except RamroleError as error:
            return {vm.instance_id: failed_item(vm.instance_id, error) for vm in vms}

    def _put_back(self, role: str, region_id: str, vms: Sequence[BoundInstance]) -> dict[str, str]:
        """Attach the role they had before; return in words how that went for each."""
        items = self._attached(role, region_id, vms).values()
        return {
            i.instance_id: f"{role!r} was put back."
            if i.ok
            else f"Putting {role!r} back failed too, so it has no role: {i.message}"
            for i in items
        }

    def _roles(self, region_id: str, vms: Sequence[BoundInstance], error: ServerFault) -> dict[str, str]:
        try:
            with self._context.calls.checking():
                return held_roles(self._context, region_id, [vm.instance_id for vm in vms])
        except RamroleError:
            raise error from None
