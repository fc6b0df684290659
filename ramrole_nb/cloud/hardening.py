"""Security hardening mode for many instances at once: one call each, several at a time, each failure told.

Source: https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-modifyinstancemetadataoptions
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from ..errors import RamroleError, ServerFault
from ..models import ItemResult
from .batches import BatchResult, batch_result, failed_item, listed
from .context import Change, Context
from .preflight import Need
from .settings import Noted, metadata_options

if TYPE_CHECKING:
    from .instance import BoundInstance

__all__ = ["harden_change", "harden_many"]

# The API takes one instance a call; this many at a time stay well below its rate limit.
_WORKERS = 6


def harden_change(vms: Sequence[BoundInstance], *, on: bool) -> Change:
    """Return the change, with the permissions it needs."""
    needs = tuple(Need("ecs:ModifyInstanceMetadataOptions", vm.arn()) for vm in vms)
    return Change(f"set HttpTokens={_tokens(on=on)} on {listed(vms)}", needs)


def harden_many(
    context: Context,
    vms: Sequence[BoundInstance],
    *,
    on: bool,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> BatchResult:
    """Check permissions, have the change confirmed, then set each instance. One that is so already is left alone.

    The former settings are written into the ledger before the first call.
    """
    tokens = _tokens(on=on)
    already = f"it is so already (HttpTokens={tokens})"
    results = {
        vm.instance_id: ItemResult(vm.instance_id, True, message=already)
        for vm in vms
        if vm.http_tokens == tokens
    }
    others = [vm for vm in vms if vm.http_tokens != tokens]
    if others:
        context.before(harden_change(others, on=on))
        options = metadata_options(context, others)
        was = {vm.instance_id: options[vm.instance_id]["HttpTokens"] for vm in others}
        noted = Noted(context, "HttpTokens", tokens, others, was)
        unsure: set[str] = set()
        made = _each(lambda vm: _set(context, vm, tokens, unsure), others, progress, cancel)
        good = {instance_id for instance_id, item in made.items() if item.ok}
        noted.ended(done=good, refused=made.keys() - good - unsure)
        results |= made
    what = "serve metadata in security hardening mode only" if on else "serve metadata in both modes"
    return batch_result("", tuple(results[vm.instance_id] for vm in vms), what, vms)


def _tokens(*, on: bool) -> str:
    return "required" if on else "optional"


def _set(context: Context, vm: BoundInstance, tokens: str, unsure: set[str]) -> ItemResult:
    try:
        answer = context.calls.ecs(
            "ModifyInstanceMetadataOptions",
            vm.region_id,
            instance_id=vm.instance_id,
            http_endpoint=vm.http_endpoint,  # required by the API: given as it is
            http_tokens=tokens,
        )
    except RamroleError as error:
        if isinstance(error, ServerFault):
            unsure.add(vm.instance_id)  # no answer is no refusal: it may be set
        return failed_item(vm.instance_id, error)
    return ItemResult(vm.instance_id, True, "200", request_id=str(answer.get("RequestId", "")))


def _each(
    work: Callable[[BoundInstance], ItemResult],
    vms: Sequence[BoundInstance],
    progress: Callable[[int, int], None] | None,
    cancel: Callable[[], bool] | None,
) -> dict[str, ItemResult]:
    """Do `work` for each, a few at a time; after a cancel no more are begun, and what runs is waited for."""
    results: dict[str, ItemResult] = {}
    left = list(reversed(vms))
    running: set[Future[ItemResult]] = set()
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="ramrole-hardening") as pool:
        while left or running:
            if left and cancel is not None and cancel():
                results |= {
                    vm.instance_id: ItemResult(vm.instance_id, False, "Cancelled", "not tried: cancelled")
                    for vm in left
                }
                left.clear()
            while left and len(running) < _WORKERS:
                running.add(pool.submit(contextvars.copy_context().run, work, left.pop()))
            if running:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                results |= {item.instance_id: item for item in (future.result() for future in ended)}
            if progress is not None:
                progress(len(results), len(vms))
    return results
