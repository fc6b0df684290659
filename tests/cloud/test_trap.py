"""The mixed-triple trap: measured on the real SDK, believed only where the service refuses, and nothing is left behind.

Run with `-s` to see the figures.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ramrole_nb.cloud.trap import LIFETIME, TrapResult, mixed_triples
from ramrole_nb.errors import Cancelled, InputError, NoRoleAttached, RamroleError
from ramrole_nb.jobs import Job
from tests.support.threads import threads_settle

if TYPE_CHECKING:
    from ramrole_nb.cloud.instances import BoundInstance
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox
    from tests.cloud.conftest import Hands, Journal


@pytest.fixture
def vm(cloud: Cloud) -> BoundInstance:
    return cloud.instances["web-1"].attach(cloud.roles.create("EcsRamRole"))


def knobs(world: Sandbox) -> tuple[Any, Any]:
    found = world.admin.knobs()
    return found["credential_rotation"], found["credential_lifetime"]


def test_the_pages_getters_mix_and_ours_do_not(
    vm: BoundInstance, world: Sandbox, journal: Journal, hands: Hands
) -> None:
    held = vm.credentials()
    before, threads = knobs(world), threading.active_count()
    seen: list[str] = []
    job: Job[TrapResult] = Job(lambda ctx: mixed_triples(vm, 1.5, ctx=ctx))
    job.on_change(lambda told: seen.append(told.progress.message))
    result = job.start().wait(60)
    sys.stdout.write(f"\n{result!r}\n")
    assert result.page_total == result.ours_total == result.tool_total > 0
    assert result.page_mixed > 0
    assert (result.ours_mixed, result.tool_mixed) == (0, 0)
    # The sandbox's own record of what it refused.
    refused = [e for e in journal.entries if e["service"] == "Sts" and e["status"] >= 400]
    assert len(refused) == result.page_mixed
    assert knobs(world) == before
    assert any("triples taken" in message for message in seen)
    assert threads_settle(threads)
    # What the session holds is untouched, and good.
    assert vm.credentials() is held
    assert vm.identity().name.startswith("EcsRamRole/")
    assert vm.metadata.credentials().seconds_left() > LIFETIME, "the next one is served with the old lifetime"
    shown = repr(result) + result._repr_html_()
    for word in ("50 ms", "10 minutes", "get_credential()", f"{result.page_mixed} of {result.page_total}"):
        assert word in shown
    assert "<meter" in result._repr_html_()
    for key, pair in hands.issued().items():
        for secret in (key, *pair):
            assert secret not in shown + "".join(seen)


def test_the_knobs_come_back_as_they_were_set(vm: BoundInstance, world: Sandbox) -> None:
    world.set(credential_rotation=7.0, credential_lifetime=1234.0)
    mixed_triples(vm, 0.3)
    assert knobs(world) == (7.0, 1234.0)


def test_cancelling_puts_the_knobs_back(vm: BoundInstance, world: Sandbox) -> None:
    before = knobs(world)
    job: Job[TrapResult] = Job(lambda ctx: mixed_triples(vm, 3.0, ctx=ctx))
    job.start()
    until = time.monotonic() + 20
    while knobs(world) == before:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert knobs(world) == (0.05, LIFETIME)
    job.cancel()
    with pytest.raises(Cancelled):
        job.wait(10)
    assert knobs(world) == before


def test_another_refusal_is_no_mixed_triple_and_ends_it(vm: BoundInstance, world: Sandbox) -> None:
    world.fault("throttling")
    before = knobs(world)
    with pytest.raises(RamroleError, match="Measuring the trap failed") as caught:
        mixed_triples(vm, 0.3)
    assert "Throttling" in caught.value.reason
    assert knobs(world) == before


def test_a_service_that_breaks_during_the_run_puts_the_knobs_back(vm: BoundInstance, world: Sandbox) -> None:
    before = knobs(world)
    job: Job[TrapResult] = Job(lambda ctx: mixed_triples(vm, 3.0, ctx=ctx))
    job.start()
    until = time.monotonic() + 20
    while knobs(world) == before:
        assert time.monotonic() < until
        time.sleep(0.01)
    world.fault("openapi-500")
    with pytest.raises(RamroleError, match="Measuring the trap failed"):
        job.wait(20)
    assert knobs(world) == before


def test_turning_the_knob_down_holds_for_the_credential_served_now(vm: BoundInstance, world: Sandbox) -> None:
    """One issued before would otherwise be served for hours, and nothing would rotate."""
    first = vm.metadata.credentials()
    assert vm.metadata.credentials().access_key_id == first.access_key_id
    world.set(credential_rotation=0.05)
    time.sleep(0.06)
    second = vm.metadata.credentials()
    assert second.access_key_id != first.access_key_id
    world.set(credential_rotation=None)
    time.sleep(0.06)
    third = vm.metadata.credentials()
    assert vm.metadata.credentials().access_key_id == third.access_key_id


def test_no_role_is_said_before_anything_is_set(cloud: Cloud, world: Sandbox) -> None:
    before = knobs(world)
    with pytest.raises(NoRoleAttached):
        mixed_triples(cloud.instances["web-2"])
    assert knobs(world) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"seconds": 4}, "seconds is 0.2 to 3"),
        ({"seconds": 0}, "seconds is 0.2 to 3"),
        ({"rotation": 0.0001}, "rotation is 0.01 to 1"),
        ({"rotation": "fast"}, "rotation is 0.01 to 1"),
    ],
)
def test_what_is_out_of_range_is_refused(vm: BoundInstance, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        mixed_triples(vm, **arguments)


def test_live_it_says_that_it_needs_the_sandbox(vm: BoundInstance) -> None:
    live = replace(vm, context=replace(vm.context, sandbox=None))
    with pytest.raises(InputError, match="needs the sandbox") as caught:
        mixed_triples(live)
    assert "rr.connect" in caught.value.next_step
