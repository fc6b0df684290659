"""The metadata client: both modes step by step, every refusal, and no secret in what it keeps."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ramrole_nb.cloud.metadata import HARDENED, NORMAL, MetadataClient
from ramrole_nb.doctor.decode import explain
from ramrole_nb.errors import (
    HardenedOnly,
    InputError,
    MetadataError,
    MetadataUnreachable,
    NoRoleAttached,
    TokenRefused,
    WrongRoleName,
)

if TYPE_CHECKING:
    from ramrole_nb.cloud.instances import BoundInstance
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox
    from tests.cloud.conftest import Hands, Journal


@pytest.fixture
def vm(cloud: Cloud) -> BoundInstance:
    return cloud.instances["web-1"].attach(cloud.roles.create("EcsRamRole"))


# ---- step by step


def test_security_hardening_mode_step_by_step(vm: BoundInstance, journal: Journal) -> None:
    client = vm.metadata
    token = client.token(ttl=300)
    assert client.get("meta-data/region-id", token) == "cn-beijing"
    assert client.get("/latest/meta-data/instance-id", token) == vm.instance_id
    assert client.role_name(token) == "EcsRamRole"
    document = json.loads(client.get("meta-data/ram/security-credentials/EcsRamRole", token))
    assert document["Code"] == "Success"
    assert [(s.method, s.status) for s in client.steps] == [("PUT", 200)] + [("GET", 200)] * 4
    assert journal.metadata == ["PutToken", "GetMetadata", "GetMetadata", "ListRole", "GetRoleCredentials"]
    assert {e["mode"] for e in journal.entries if e["operation"] != "PutToken"} == {HARDENED}


def test_normal_mode_step_by_step(vm: BoundInstance, journal: Journal) -> None:
    client = vm.metadata
    assert client.role_name() == "EcsRamRole"
    credential = client.credentials(mode=NORMAL)
    assert (credential.mode, credential.role_name) == (NORMAL, "EcsRamRole")
    assert "PutToken" not in journal.metadata
    assert {e["mode"] for e in journal.entries} == {NORMAL}


def test_the_steps_can_be_run_by_curl_and_show_no_secret(
    vm: BoundInstance,
    world: Sandbox,
) -> None:
    client = vm.metadata
    credential = client.credentials()
    token = client.token()
    client.get("meta-data/ram/security-credentials/EcsRamRole", token)
    shown = repr(client.steps) + repr(client) + "".join(step.curl for step in client.steps)
    for secret in (token, credential.access_key_secret, credential.security_token):
        assert str(secret) not in shown
    assert "$TOKEN" in shown
    put, get = client.steps[0], client.steps[1]
    script = f"export http_proxy={world.proxy_url('web-1')}\nTOKEN=$({put.curl} -s)\n{get.curl} -s"
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    assert done.stdout == "EcsRamRole"


def test_a_token_does_not_show_itself(vm: BoundInstance) -> None:
    """A cell that ends in it would save it in the notebook."""
    token = vm.metadata.token()
    document = vm.metadata.get("meta-data/ram/security-credentials/EcsRamRole", token)
    assert repr(token) == repr(document) == "'********'"
    assert len(token) > 20  # and is the token all the same
    assert json.loads(document)["AccessKeySecret"] not in repr([document, {"a": document}])


def test_credentials_follow_the_answer(vm: BoundInstance, hands: Hands) -> None:
    found = vm.metadata.credentials()
    assert hands.issued()[found.access_key_id] == (found.access_key_secret, found.security_token)
    assert found.last_updated is not None
    assert found.expiration - found.last_updated == timedelta(hours=6)
    assert (found.role_name, found.instance_id, found.mode) == ("EcsRamRole", vm.instance_id, HARDENED)


def test_three_requests_and_two_where_the_role_is_named(vm: BoundInstance, journal: Journal) -> None:
    vm.metadata.credentials()
    assert journal.metadata == ["PutToken", "ListRole", "GetRoleCredentials"]
    journal.mark()
    vm.metadata.credentials("EcsRamRole")
    assert journal.metadata == ["PutToken", "GetRoleCredentials"]


# ---- refusals


@pytest.mark.parametrize("ttl", [0, -1, 21_601, 1.5, "300", True, None])
def test_a_bad_validity_makes_no_request(vm: BoundInstance, journal: Journal, ttl: Any) -> None:
    with pytest.raises(InputError, match="1 to 21600"):
        vm.metadata.token(ttl)
    assert journal.entries == []


@pytest.mark.parametrize("mode", ["hardened", "nat", "", None])
def test_an_unknown_mode_makes_no_request(vm: BoundInstance, journal: Journal, mode: Any) -> None:
    with pytest.raises(InputError, match="There is no mode"):
        vm.metadata.credentials(mode=mode)
    with pytest.raises(InputError, match="There is no mode"):
        vm.credentials(mode=mode)
    assert journal.entries == []


def test_no_role(cloud: Cloud) -> None:
    vm = cloud.instances["web-2"]
    for call in (vm.metadata.credentials, vm.credentials, vm.metadata.role_name, vm.identity):
        with pytest.raises(NoRoleAttached, match="No RAM role is attached to i-2zesandboxweb2") as caught:
            call()
        assert caught.value.status == 404
        assert caught.value.next_step == "attach one: cloud.instances['web-2'].attach(role)"


def test_a_wrong_role_name_names_the_attached_one(vm: BoundInstance) -> None:
    for mode in (HARDENED, NORMAL):
        with pytest.raises(WrongRoleName, match="'EcsRamRole' is") as caught:
            vm.metadata.credentials("ecsramrole", mode=mode)
        assert caught.value.status == 404


def test_a_role_that_was_deleted_while_attached_is_said(vm: BoundInstance, cloud: Cloud) -> None:
    cloud.roles["EcsRamRole"].delete(revoke=True)
    asked: list[Callable[[], object]] = [
        vm.metadata.credentials,
        lambda: vm.metadata.credentials("EcsRamRole"),
        lambda: vm.credentials(refresh=True),
    ]
    for call in asked:
        with pytest.raises(WrongRoleName, match="names the role 'EcsRamRole'") as caught:
            call()
        assert "deleted" in caught.value.reason
        assert "create it again: cloud.roles.create('EcsRamRole')" in caught.value.next_step
        assert "cloud.instances['web-1'].detach()" in caught.value.next_step
        assert "ask for" not in caught.value.next_step
    assert explain(caught.value).cause == "role-deleted"
    cloud.roles.create("EcsRamRole")
    assert vm.credentials(refresh=True).role_name == "EcsRamRole"


def test_a_role_name_from_outside_stays_one_path_segment(vm: BoundInstance, journal: Journal) -> None:
    with pytest.raises(WrongRoleName):
        vm.metadata.credentials("../../instance-id")
    assert "..%2F" in journal.entries[1]["url"]


def test_hardened_only_refuses_normal_mode(cloud: Cloud) -> None:
    vm = cloud.instances["hardened-1"].attach(cloud.roles.create("EcsRamRole"))
    for call in (
        lambda: vm.credentials(mode=NORMAL),
        lambda: vm.metadata.get("meta-data/"),
        vm.metadata.role_name,
    ):
        with pytest.raises(HardenedOnly) as caught:
            call()
        assert caught.value.status == 403
        assert "HttpTokens=required" in caught.value.reason
    assert vm.credentials().role_name == "EcsRamRole"


def test_a_bad_or_foreign_or_expired_token(vm: BoundInstance, cloud: Cloud) -> None:
    client = vm.metadata
    foreign = cloud.instances["web-2"].metadata.token()
    short = client.token(ttl=1)
    time.sleep(1.05)
    for token in ("nonsense", foreign, short):
        with pytest.raises(TokenRefused) as caught:
            client.get("meta-data/region-id", token)
        assert caught.value.status == 401
        assert str(token) not in repr(client.steps)


def test_a_token_endpoint_that_fails(vm: BoundInstance, world: Sandbox, journal: Journal) -> None:
    """No silent fallback to normal mode: that is what hardening is for."""
    world.set(metadata_token_fails=True)
    with pytest.raises(TokenRefused) as caught:
        vm.metadata.credentials()
    assert caught.value.status == 500
    assert journal.metadata == ["PutToken"]
    assert vm.metadata.credentials(mode=NORMAL).role_name == "EcsRamRole"


def test_metadata_disabled(vm: BoundInstance, hands: Hands) -> None:
    hands.on_store(lambda s: s.run("UPDATE instances SET http_endpoint='disabled'"))
    with pytest.raises(TokenRefused) as caught:
        vm.metadata.credentials()
    assert "disabled" in caught.value.reason
    with pytest.raises(HardenedOnly) as caught_normal:
        vm.metadata.credentials(mode=NORMAL)
    assert "disabled" in caught_normal.value.reason


def test_an_item_that_is_not_there(vm: BoundInstance) -> None:
    with pytest.raises(MetadataError, match="no metadata at /latest/meta-data/nothing") as caught:
        vm.metadata.get("meta-data/nothing", vm.metadata.token())
    assert caught.value.status == 404
    assert caught.value.next_step


def test_a_role_whose_trust_was_taken_away(vm: BoundInstance, cloud: Cloud) -> None:
    cloud.roles["EcsRamRole"].set_trust(
        {
            "Version": "1",
            "Statement": [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "fc.aliyuncs.com"}}
            ],
        }
    )
    with pytest.raises(MetadataError, match="AssumeRoleUnauthorizedAccess") as caught:
        vm.metadata.credentials()
    assert "trust policy" in caught.value.next_step


@pytest.mark.parametrize(("name", "word"), [("stopped-1", "Stopped"), ("classic-1", "classic network")])
def test_an_instance_that_has_no_metadata(cloud: Cloud, name: str, word: str) -> None:
    with pytest.raises(MetadataUnreachable, match="does not answer") as caught:
        cloud.instances[name].credentials()
    assert word in caught.value.reason
    assert "firewall" not in caught.value.next_step


def test_a_stopped_instance_is_to_be_started(cloud: Cloud) -> None:
    stopped = cloud.instances["stopped-1"].attach(cloud.roles.create("EcsRamRole"))
    for vm in (stopped, replace(stopped, status="Running")):  # the latter as it was read before
        for call in (vm.credentials, vm.identity, vm.metadata.token):
            with pytest.raises(MetadataUnreachable) as caught:
                call()
            assert caught.value.reason == "the instance is Stopped: no program runs there"
            assert caught.value.next_step.startswith("start it: ")
            assert vm.instance_id in caught.value.next_step


# ---- asked at the address itself, which answers for the machine it is asked on

_LIVE = """
import json, sys
import ramrole_nb as rr
from ramrole_nb.cloud.instance import BoundInstance
from ramrole_nb.cloud.metadata import MetadataClient
from ramrole_nb.errors import MetadataError
context = rr.connect("live", state=sys.argv[1]).context
told = {}
for instance_id in sys.argv[2:]:
    vm = BoundInstance(instance_id, region_id="cn-beijing", context=context)
    asked = []
    for ask in (vm.credentials, vm.metadata.role_name, vm.metadata.token):
        try:
            ask()
            asked.append("answered")
        except MetadataError as error:
            asked.append(f"{type(error).__name__}: {error}")
    told[instance_id] = asked
client = MetadataClient("", instance_id=sys.argv[2])
client.token(), client.token()
told["steps"] = [f"{step.method} {step.path}" for step in client.steps]
print(json.dumps(told))
"""


@pytest.mark.namespace
def test_on_another_machine_its_own_role_is_not_given_out_as_the_other_ones(
    cloud: Cloud, world: Sandbox, tmp_path: Path
) -> None:
    role = cloud.roles.create("EcsRamRole")
    here, there = (cloud.instances[name].attach(role) for name in ("web-1", "hardened-1"))
    where = ["-m", "ramrole_nb", "--state", str(world.state), "on", "web-1", "--namespace", "--"]
    command = [sys.executable, *where, sys.executable, "-c", _LIVE, str(tmp_path / "live")]
    done = subprocess.run(
        [*command, here.instance_id, there.instance_id],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told[here.instance_id] == ["answered"] * 3
    for said in told[there.instance_id]:
        assert f"runs on {here.instance_id}, not on {there.instance_id}" in said
        assert "next step" in said
    assert told["steps"] == ["PUT /latest/api/token"] * 2, (
        "which machine this is was asked before, by another client"
    )


# ---- nothing, or nonsense, at the other end


@contextmanager
def server(answer: bytes, *, hang: float = 0.0) -> Iterator[str]:
    """A server that answers everything with the same bytes (or hangs); yields it as a proxy URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.recv(65_536)
                    time.sleep(hang)
                    client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://i-x:proxytokenproxytoken@127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def _http(body: bytes, status: int = 200) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = MetadataClient(f"http://i-x:tokentokentoken@127.0.0.1:{port}", instance_id="i-x")
    with pytest.raises(MetadataUnreachable, match="of i-x does not answer") as caught:
        client.token()
    assert caught.value.status == 0
    assert client.steps[0].status == 0
    assert "tokentokentoken" not in str(caught.value)


def test_an_answer_that_never_comes_is_given_up() -> None:
    with server(b"", hang=5) as proxy:
        started = time.monotonic()
        with pytest.raises(MetadataUnreachable, match="does not answer"):
            MetadataClient(proxy, timeout=0.3).token()
        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
    ],
)
def test_something_that_is_not_http(answer: bytes) -> None:
    with server(answer) as proxy, pytest.raises(MetadataUnreachable):
        MetadataClient(proxy, timeout=2).token()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>not json</html>",
        b"[1, 2]",
        b'"text"',
        b"null",
        b'{"Code":"Failed"}',
        b'{"Code":"Success"}',
        b'{"Code":"Success","AccessKeyId":"STS.x","AccessKeySecret":"s","SecurityToken":"t","Expiration":"tomorrow"}',
        b'{"Code":"Success","AccessKeyId":"STS.x","AccessKeySecret":"s","SecurityToken":"t","Expiration":5}',
        b'{"Code":"Success","AccessKeyId":null,"AccessKeySecret":null,"SecurityToken":null,"Expiration":"2030-01-01T00:00:00Z"}',
        b"\xff\xfe\x00",
    ],
)
def test_a_credential_that_is_none(body: bytes) -> None:
    with server(_http(body)) as proxy:
        client = MetadataClient(proxy, instance_id="i-x", timeout=2)
        with pytest.raises(MetadataError) as caught:
            client.credentials("EcsRamRole", mode=NORMAL)
        assert type(caught.value) is MetadataError
        assert caught.value.next_step


def test_no_proxy_of_the_environment_is_asked(vm: BoundInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{listener.getsockname()[1]}")
        assert vm.credentials(refresh=True).role_name == "EcsRamRole"
        with pytest.raises(TimeoutError):
            heard.append(listener.accept())
    assert heard == []
