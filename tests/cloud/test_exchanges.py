"""An exchange opened, and everybody's exchanges: what the sandbox tells, and what a live session knows."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb as rr
from ramrole_nb.cloud.opened import opened
from ramrole_nb.cloud.wire import Wire, WireCall
from ramrole_nb.errors import AccessDenied, NotFound
from tests.sandbox.drive import Drive

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

PICTURE = "testfolder/example.png"


@pytest.fixture
def vm(cloud: Cloud) -> Any:
    role = cloud.roles.create("EcsRamRole")
    role.grant(rr.policy.read_objects("sandbox-photos", "testfolder/"))
    return cloud.instances["web-1"].attach(role)


def facts(call: WireCall, title: str) -> dict[str, str]:
    return dict(next(s for s in call.sections() if s.title == title).facts)


def test_the_last_call_opened(cloud: Cloud, vm: Any) -> None:
    cloud.buckets["sandbox-photos"].using(vm).head(PICTURE)
    call = cloud.wire.last()
    assert call.name == "Oss:HeadObject"
    assert call == cloud.wire[-1]
    request, signed = facts(call, "Request"), facts(call, "Signed")
    assert (request["method"], request["key"], request["sent from"]) == ("HEAD", PICTURE, vm.instance_id)
    assert signed["signature"].startswith("OSS V4")
    assert signed["signer"].endswith(f"assumed-role/EcsRamRole/vm-ram-{vm.instance_id}")
    assert "x-oss-security-token" in signed["signed headers"]
    assert re.fullmatch(r"STS\.\*+\w{4}", signed["AccessKey id"])
    assert facts(call, "Decision")["oss:GetObject"] == "✓ allowed"
    policy = next(s for s in call.sections() if s.title == "Decision").codes[0]
    marked = [line for number, line in enumerate(policy.text.split("\n")) if number in policy.marked]
    assert '"oss:GetObject"' in "".join(marked)
    assert "oss:ListObjects" not in "".join(marked)
    assert json.loads(policy.text)["Version"] == "1"
    assert facts(call, "Answer")["request id"] == call.request_id
    for shown in (str(call), call._repr_html_()):
        for part in ("Request", "Signed", "Decision", "Answer", "▶", call.request_id):
            assert part in shown


def test_a_refusal_shows_the_nearest_statement(cloud: Cloud, vm: Any) -> None:
    with pytest.raises(AccessDenied) as caught:
        cloud.buckets["sandbox-photos"].using(vm).download("private/salaries.csv")
    call = cloud.wire[-1]
    assert facts(call, "Decision")["oss:GetObject"] == "✕ denied: no statement allows it"
    code = next(s for s in call.sections() if s.title == "Decision").codes[0]
    assert "nearest statement" in code.title
    assert code.marked
    answer = facts(call, "Answer")
    assert (answer["code"], answer["request id"]) == ("AccessDenied", caught.value.request_id)
    assert "<Code>AccessDenied</Code>" in str(call)


def test_a_restart_keeps_the_exchange_but_not_the_policys_text(cloud: Cloud, world: Sandbox) -> None:
    cloud.roles.create("EcsRamRole")
    request_id = cloud.wire.last().request_id
    world.stop()
    world.start()
    call = next(c for c in rr.connect(world).wire.exchanges() if c.request_id == request_id)
    assert "no longer kept" in str(call)
    assert "Statement[0] of AdministratorAccess allows" in str(call)


def test_one_that_needs_no_permission_and_one_that_is_refused_before(cloud: Cloud, world: Sandbox) -> None:
    cloud.identity()
    assert "needs no permission" in str(cloud.wire[-1])
    world.fault("clock-skew")
    with pytest.raises(rr.errors.RamroleError):
        cloud.identity()
    told = str(cloud.wire[-1])
    assert "refused before any policy was asked" in told
    assert "not accepted" in told


def test_what_other_programs_do_shows_too(cloud: Cloud, vm: Any, world: Sandbox) -> None:
    """An SDK's metadata requests and another user's calls, which are not made through this session."""
    mark = cloud.wire.exchanges()[-1].seq
    mine = len(cloud.wire)
    drive = Drive(world)
    drive.imds("/latest/meta-data/instance-id", instance=vm.instance_id)
    drive.bucket("admin").head_object(PICTURE)
    found = cloud.wire.exchanges(mark)
    assert [call.name for call in found] == ["IMDS:GetMetadata", "Oss:HeadObject"]
    assert [call.caller for call in found] == [f"on {vm.instance_id}", "admin"]
    assert len(cloud.wire) == mine
    assert "Asked in normal mode" in str(found[0])
    assert "answers who asks on the instance" in found[0]._repr_html_()


@pytest.mark.usefixtures("vm")
def test_own_look_ups_are_known_among_everybodys(cloud: Cloud) -> None:
    cloud.picture()
    calls = cloud.wire.exchanges()
    assert {call.check for call in calls} == {True, False}
    own = {c.request_id: c.check for c in cloud.wire.since()}
    assert all(own[c.request_id] == c.check for c in calls if c.request_id in own)


@pytest.mark.usefixtures("vm")
def test_clear_hides_what_was_before(cloud: Cloud) -> None:
    assert cloud.wire.exchanges()
    cloud.wire.clear()
    assert cloud.wire.exchanges() == []
    cloud.identity()
    assert [c.action for c in cloud.wire.exchanges()] == ["GetCallerIdentity"]


def test_waiting_for_more(cloud: Cloud) -> None:
    cloud.identity()
    last = cloud.wire.exchanges()[-1].seq
    started = time.perf_counter()
    assert cloud.wire.wait_for_more(last, 0.05) is False
    assert time.perf_counter() - started < 1
    assert cloud.wire.wait_for_more(last - 1, 5) is True


def test_by_number(cloud: Cloud) -> None:
    with pytest.raises(NotFound, match="No call"):
        cloud.wire.last()
    cloud.identity()
    cloud.picture()
    assert cloud.wire.last().action == "GetCallerIdentity", "a look-up is not what was done last"
    assert cloud.wire[0].entry
    assert [c.action for c in cloud.wire[:2]] == [cloud.wire[0].action, cloud.wire[1].action]
    with pytest.raises(IndexError, match=r"cloud\.wire\[0\]"):
        cloud.wire[5000]
    assert (
        repr(cloud.wire[0])
        == f"<WireCall Sts:GetCallerIdentity: ✓ 200, request id {cloud.wire[0].request_id}>"
    )


def test_a_live_session_says_what_it_cannot_know() -> None:
    wire = Wire()
    wire.record(
        "Ram",
        "GetRole",
        {"role_name": "x"},
        status=404,
        request_id="R1",
        started=time.perf_counter(),
        caller="me",
        error="no role",
    )
    wire.record("IMDS", "PUT api/token", {}, status=200, request_id="", started=time.perf_counter())
    call = wire.exchanges()[0]
    for shown in (str(call), call._repr_html_()):
        assert "does not tell which policy decided" in shown
        assert "R1" in shown
    assert "names no request id" in str(wire[1])
    assert wire.sees_everyone is False
    assert wire.wait_for_more(0, 5) is False
    wire.clear()
    assert wire.exchanges() == []


def test_two_thousand_stay_quick(cloud: Cloud, world: Sandbox) -> None:
    cloud.identity()
    first = cloud.wire.exchanges()[-1]
    server = world._server
    assert server is not None
    entry = {name: value for name, value in first.entry.items() if name not in ("seq", "time")}
    for number in range(3000):
        server.journal.add({**entry, "request_id": f"R{number}"})
        cloud.wire.record("Sts", "GetCallerIdentity", {}, status=200, request_id=f"R{number}", started=0.0)
    started = time.perf_counter()
    calls = cloud.wire.exchanges()
    assert time.perf_counter() - started < 2
    assert len(calls) == 2000
    assert calls[-1].request_id == "R2999"
    started = time.perf_counter()
    assert cloud.wire._repr_html_()
    assert time.perf_counter() - started < 4
    assert len(cloud.wire.exchanges(calls[-2].seq)) == 1


EVIL = "<script>x</script>"


def test_whatever_the_journal_holds_is_shown_and_escaped() -> None:
    """Entries of an older sandbox lack the new parts; names come from outside."""
    base: dict[str, Any] = {
        "seq": 1,
        "time": "2026-01-01T00:00:00.000Z",
        "method": "GET",
        "url": f"http://h/{EVIL}",
    }
    old = {
        **base,
        "service": "Oss",
        "status": 403,
        "error": EVIL,
        "decisions": [{"action": EVIL, "outcome": "NEW", "statement": 7, "text": "{"}],
    }
    many = {
        **base,
        "service": "Oss",
        "status": 200,
        "left_out": 3,
        "decisions": [{"action": "a", "outcome": "ALLOW"}] * 20,
    }
    for entry in (
        base,
        old,
        many,
        {**base, "answer": {"text": EVIL, "size": 3}},
        {**base, "allowed_by": "bucket ACL"},
    ):
        call = WireCall(1, 0.0, "Oss", EVIL, {}, 200, "R", 1.0, entry=entry)
        assert "<script" not in call._repr_html_()
        assert len(opened(call)) == 4
    call = WireCall(1, 0.0, "Oss", "x", {}, 200, "R", 1.0, entry=many)
    assert "17 more decisions" in str(call)


def test_no_secret_in_an_opened_exchange(cloud: Cloud, vm: Any, hands: Any) -> None:
    bucket = cloud.buckets["sandbox-photos"].using(vm)
    bucket.head(PICTURE)
    shown = "".join(str(c) + c._repr_html_() + repr(c.entry) for c in cloud.wire.exchanges())
    assert "GetRoleCredentials" in shown
    issued = hands.issued()
    assert issued
    for secret, token in issued.values():
        assert secret not in shown
        assert token not in shown


def test_a_viewers_refusal(as_user: Callable[..., Cloud]) -> None:
    """Refused by policy, with the decision in its place."""
    viewer = as_user("viewer")
    with pytest.raises(rr.errors.RamroleError):
        viewer.buckets["sandbox-photos"].head(PICTURE)
    assert facts(viewer.wire[-1], "Decision")["oss:GetObject"].startswith("✕ denied")
