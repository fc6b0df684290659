"""Knobs that change what the services do over time: propagation, throttling, expiry; and the commands for them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

import ramrole_nb
from ramrole_nb.cli import main
from ramrole_nb.errors import InputError
from ramrole_nb.sandbox import Sandbox, process
from ramrole_nb.sandbox.knobs import KNOBS
from tests.load import talk
from tests.load.talk import Connection
from tests.sandbox.test_faults import Place, place

__all__ = ["place"]


def test_a_role_shows_only_after_the_delay(place: Place) -> None:
    place.detach()
    place.sandbox.set(attach_delay=0.6)
    assert place.attach().json()["FailCount"] == 0
    attached = time.monotonic()
    assert place.credential().status == 404
    assert b"ram/" not in place.metadata("/latest/meta-data/").body
    assert place.shown_role() == ""
    while place.shown_role() == "":
        assert time.monotonic() - attached < 5
        time.sleep(0.02)
    assert time.monotonic() - attached > 0.5
    assert place.credential().json()["Code"] == "Success"


def test_our_client_waits_for_the_role_to_show(world: Sandbox) -> None:
    world.set(attach_delay=0.5)
    cloud = ramrole_nb.connect(world)
    vm = cloud.instances["web-1"]
    role = cloud.roles.create("waits")
    start = time.monotonic()
    vm.attach(role)
    assert time.monotonic() - start > 0.4
    assert vm.credentials().access_key_id.startswith("STS.")


@pytest.mark.parametrize("header", [None, 3])
def test_every_nth_call_is_throttled(place: Place, header: int | None) -> None:
    place.sandbox.set(throttle_every=3, throttle_retry_after=header)
    answers = [place.call("Sts", "GetCallerIdentity") for _ in range(9)]
    assert [a.status for a in answers] == [200, 200, 400] * 3
    assert answers[2].code == "Throttling.User"
    assert answers[2].json()["Message"] == "Request was denied due to user flow control."
    assert answers[2].headers.get("x-acs-retry-after") == (None if header is None else "3")
    place.sandbox.set(throttle_every=None)
    assert {place.call("Sts", "GetCallerIdentity").status for _ in range(5)} == {200}


def test_a_rate_of_calls_is_kept(place: Place) -> None:
    place.sandbox.set(throttle_rate=5)
    statuses = [place.call("Sts", "GetCallerIdentity").status for _ in range(20)]
    assert statuses[:5] == [200] * 5
    assert statuses.count(200) < 12
    time.sleep(0.5)
    assert place.call("Sts", "GetCallerIdentity").status == 200


def test_throttling_leaves_oss_and_metadata_alone(place: Place) -> None:
    place.sandbox.set(throttle_every=1)
    assert place.call("Ram", "ListRoles").status == 400
    assert place.get().status == 200


def test_everything_expires_at_once(place: Place) -> None:
    first, again = place.key(), place.key()
    assert first == again
    assert place.get(first).status == 200
    assert place.sandbox.expire() == 1
    refused = place.get(first)
    assert (refused.status, refused.code, refused.ec) == (403, "SecurityTokenExpired", "0002-00000007")
    assert place.call("Sts", "GetCallerIdentity", first).code == "InvalidSecurityToken.Expired"
    fresh = place.key()
    assert fresh.id != first.id
    assert place.get(fresh).status == 200
    assert place.sandbox.expire() == 1
    assert place.sandbox.expire() == 0


def test_our_client_renews_what_was_expired(world: Sandbox, tmp_path: Path) -> None:
    cloud = ramrole_nb.connect(world)
    vm = cloud.instances["web-1"]
    role = cloud.roles.create("renews")
    role.grant("AliyunOSSReadOnlyAccess")
    vm.attach(role)
    bucket = cloud.buckets["sandbox-photos"].using(vm)
    bucket.download("testfolder/notes.txt", tmp_path / "a.txt")
    world.expire()
    bucket.download("testfolder/notes.txt", tmp_path / "b.txt")
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.txt").read_bytes()


@pytest.mark.parametrize(
    "values",
    [
        {"attach_delay": -1},
        {"throttle_every": 0},
        {"throttle_rate": True},
        {"throttle_retry_after": "soon"},
        {"atach_delay": 1},
    ],
)
def test_bad_values_are_refused_and_set_nothing(world: Sandbox, values: dict[str, object]) -> None:
    before = world.admin.knobs()
    with pytest.raises(InputError):
        world.set(metadata_delay=1.0, **values)
    assert world.admin.knobs() == before


# -- the commands ------------------------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("RAMROLE_STATE", str(tmp_path))
    assert main(["sandbox", "start"]) == 0
    yield tmp_path
    process.stop(tmp_path)


@pytest.mark.usefixtures("state")
def test_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["sandbox", *arguments])
        found = capsys.readouterr()
        return code, found.out, found.err

    code, out, _ = run("knob")
    assert code == 0
    assert all(name in out for name in KNOBS)
    assert run("knob", "attach_delay", "2.5")[1].startswith("* attach_delay")
    assert run("knob", "metadata_token_fails", "on")[0] == 0
    assert run("fault", "oss-500", "on")[1].startswith("oss-500 is on: ")
    assert run("fault", "imds-hardened", "on", "--instance", "web-1")[1].count("i-2zesandboxweb1") == 1
    _, out, _ = run("status")
    assert "knobs     metadata_token_fails on, attach_delay 2.5" in out
    assert "faults    imds-hardened, oss-500" in out
    _, out, _ = run("fault", "list")
    assert sum(line.startswith("*") for line in out.splitlines()) == 2
    assert len(json.loads(run("fault", "list", "--json")[1])) == len(out.splitlines())
    assert run("fault", "oss-500", "off")[1].startswith("oss-500 is off")
    assert run("knob", "attach_delay", "default")[1].startswith("  attach_delay")
    assert run("expire")[1].startswith("0 temporary credentials expired")
    code, _, err = run("fault", "trust-lots", "on")
    assert code == 64
    assert "trust-lost" in err
    code, _, err = run("fault", "trust-lots")
    assert code == 64
    assert "trust-lost" in err
    code, _, err = run("knob", "atach_delay", "1")
    assert code == 64
    assert "attach_delay" in err
    assert run("knob", "attach_delay", "long")[0] == 64
    assert run("fault", "oss-500", "maybe")[0] == 64
    assert run("reset")[0] == 0
    assert "faults    none" in run("status")[1]


def test_no_sandbox_no_knobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAMROLE_STATE", str(tmp_path))
    for command in (["knob"], ["fault", "list"], ["expire"]):
        assert main(["sandbox", *command]) == 1
        assert "ramrole sandbox start" in capsys.readouterr().err


def test_status_of_a_connection_shows_no_secret(world: Sandbox) -> None:
    line = world.start_line
    with Connection(line["port"]) as connection:
        answer = connection.send(talk.oss(None, "GET", "sandbox-photos"))
    assert answer.status == 403
