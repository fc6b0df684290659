"""What is recorded of each call, and how it joins the sandbox's journal."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from ramrole_nb.cloud.wire import Wire
from ramrole_nb.errors import AccessDenied, InvalidRequest

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud


def test_what_was_allowed_and_then_refused_says_so(cloud: Cloud) -> None:
    cloud.roles.create("EcsRamRole")
    with pytest.raises(InvalidRequest):
        cloud.instances["classic-1"].attach("EcsRamRole")
    last = cloud.wire.last()
    assert last.status == 403
    assert last.decision["outcome"] == "ALLOW"
    for shown in (repr(cloud.wire), cloud.wire._repr_html_()):
        assert "allowed, then refused: InvalidNetworkType.MismatchRamRole" in shown


def test_each_call_joins_its_journal_entry(cloud: Cloud) -> None:
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    vm = cloud.instances["web-1"].attach(role)
    mark = cloud.wire.mark
    cloud.buckets["sandbox-photos"].using(vm).head("testfolder/example.png")
    calls = cloud.wire.since(mark, explain=True)
    actions = [call.action for call in calls]
    assert actions[-1] == "HeadObject"
    assert [a for a in actions if a.startswith(("PUT", "GET "))] == [
        "PUT api/token",
        "GET meta-data/ram/security-credentials/",
        "GET meta-data/ram/security-credentials/EcsRamRole",
    ]
    head = calls[-1]
    assert head.ok
    assert head.caller == "role on web-1"
    assert head.decision["policy"] == "AliyunOSSReadOnlyAccess"
    assert head.decision["outcome"] == "ALLOW"
    assert head.decision["principal"].endswith("assumed-role/EcsRamRole/vm-ram-i-2zesandboxweb1")
    journal = cloud.sandbox.journal_of(head.request_id)
    assert journal["status"] == head.status
    assert journal["decisions"][-1]["because"] == head.decision["because"]
    assert head.ms > 0


def test_every_service_call_has_a_request_id_and_its_own_decision(cloud: Cloud) -> None:
    role = cloud.roles.create("EcsRamRole")
    cloud.instances["web-1"].attach(role)
    calls = [c for c in cloud.wire.since(explain=True) if c.service in {"Ram", "Ecs", "Oss"} and c.ok]
    assert len({c.request_id for c in calls}) == len(calls) >= 4
    attach = next(c for c in calls if c.action == "AttachInstanceRamRole")
    assert {d["action"] for d in attach.decision["all"]} == {"ecs:AttachInstanceRamRole", "ram:PassRole"}
    assert attach.params["ram_role_name"] == "EcsRamRole"


def test_a_refusal_is_recorded_with_its_reason(cloud: Cloud) -> None:
    role = cloud.roles.create("EcsRamRole")
    vm = cloud.instances["web-1"].attach(role)
    with pytest.raises(AccessDenied) as caught:
        cloud.buckets["sandbox-photos"].using(vm).head("testfolder/example.png")
    call = cloud.wire.since(explain=True)[-1]
    assert not call.ok
    assert (call.status, call.request_id) == (403, caught.value.request_id)
    assert call.error
    assert call.decision["outcome"] == "IMPLICIT_DENY"
    for text in (repr(cloud.wire), cloud.wire._repr_html_()):
        assert "HeadObject" in text
        assert "role on web-1" in text


def test_since_and_clear(cloud: Cloud) -> None:
    cloud.identity()
    mark = cloud.wire.mark
    assert cloud.wire.since(mark) == []
    cloud.identity()
    assert [c.action for c in cloud.wire.since(mark)] == ["GetCallerIdentity"]
    assert len(cloud.wire) == len(list(cloud.wire)) == 2
    cloud.wire.clear()
    assert len(cloud.wire) == 0
    assert repr(cloud.wire) == "no calls yet"
    assert cloud.wire._repr_html_()


def test_a_session_with_no_journal_has_no_decisions() -> None:
    wire = Wire()
    wire.record("Ram", "GetRole", {"role_name": "x"}, status=200, request_id="r", started=time.perf_counter())
    assert wire.since(explain=True)[0].decision == {}


def test_it_does_not_grow_for_ever_and_takes_threads() -> None:
    wire = Wire()

    def record() -> None:
        for _ in range(1000):
            wire.record("Ram", "GetRole", {}, status=200, request_id="", started=0.0)

    threads = [threading.Thread(target=record) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wire) == 2000
    assert wire.mark == 5000
    assert [c.seq for c in wire.since()] == list(range(3001, 5001))
