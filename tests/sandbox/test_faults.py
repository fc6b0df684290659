"""Each fault: the error it says while it is on, and none when it is off again."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ramrole_nb.errors import InputError
from ramrole_nb.sandbox import Sandbox
from ramrole_nb.sandbox.faults import FAULTS
from tests.load import talk
from tests.load.talk import Answer, Connection, Key

BUCKET, KEY = "sandbox-photos", "testfolder/example.png"
INTERNAL, PUBLIC = "oss-cn-beijing-internal.aliyuncs.com", "oss-cn-beijing.aliyuncs.com"
ROLE = "Reader"
TRUST = json.dumps(
    {
        "Version": "1",
        "Statement": [
            {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": ["ecs.aliyuncs.com"]}}
        ],
    }
)


@dataclass
class Place:
    """A world with a role that may read OSS, attached to web-1."""

    sandbox: Sandbox
    connection: Connection
    admin: Key
    operator: Key
    vm: str
    proxy: str

    def call(self, product: str, action: str, key: Key | None = None, **params: str) -> Answer:
        return self.connection.send(talk.acs3_call(key or self.admin, product, action, params))

    def done(self, product: str, action: str, **params: str) -> Answer:
        answer = self.call(product, action, None, **params)
        assert answer.status == 200, answer.body
        return answer

    def metadata(self, path: str, method: str = "GET", **headers: str) -> Answer:
        return self.connection.send(talk.imds(self.proxy, path, method, headers))

    def put_token(self) -> Answer:
        return self.metadata("/latest/api/token", "PUT", **{talk.TTL: "60"})

    def credential(self) -> Answer:
        return self.metadata(talk.CREDENTIALS + ROLE)

    def key(self) -> Key:
        return talk.credentials_of(self.connection, self.proxy, ROLE)

    def get(
        self, key: Key | None = None, *, host: str = INTERNAL, version: str = "v4", name: str = KEY
    ) -> Answer:
        request = talk.oss(
            key or self.key(), "GET", BUCKET, name, host=host, proxy=self.proxy, version=version
        )
        return self.connection.send(request)

    def attach(self, key: Key | None = None, vm: str = "") -> Answer:
        params = {"RegionId": "cn-beijing", "RamRoleName": ROLE, "InstanceIds": json.dumps([vm or self.vm])}
        return self.call("Ecs", "AttachInstanceRamRole", key, **params)

    def detach(self) -> Answer:
        params = {"RegionId": "cn-beijing", "InstanceIds": json.dumps([self.vm])}
        return self.call("Ecs", "DetachInstanceRamRole", None, **params)

    def shown_role(self) -> str:
        params = {"RegionId": "cn-beijing", "InstanceIds": json.dumps([self.vm])}
        found = self.done("Ecs", "DescribeInstanceRamRole", **params).json()
        return str(found["InstanceRamRoleSets"]["InstanceRamRoleSet"][0]["RamRoleName"])


@pytest.fixture
def place(world: Sandbox) -> Iterator[Place]:
    line = world.start_line
    vm = next(row for row in line["instances"] if row["name"] == "web-1")
    with Connection(line["port"]) as connection:
        operator = talk.ops(line, "operator")
        found = Place(
            world, connection, talk.ops(line), operator, vm["instance_id"], world.proxy_url("web-1")
        )
        found.done("Ram", "CreateRole", RoleName=ROLE, AssumeRolePolicyDocument=TRUST)
        policy = {"PolicyType": "System", "PolicyName": "AliyunOSSReadOnlyAccess"}
        found.done("Ram", "AttachPolicyToRole", RoleName=ROLE, **policy)
        assert found.attach().json()["FailCount"] == 0
        yield found
    world.reset()


def _is(answer: Answer, status: int, code: str = "", ec: str = "", text: str = "") -> bool:
    found = (answer.status, answer.code, answer.ec)
    assert found == (status, code, ec), (found, answer.body)
    assert text in answer.body.decode(errors="replace")
    return True


def _free_vm(place: Place) -> str:
    return next(
        str(row["instance_id"]) for row in place.sandbox.start_line["instances"] if row["name"] == "web-2"
    )


def _attach_elsewhere(place: Place, key: Key | None = None) -> Answer:
    answer = place.attach(key, _free_vm(place))
    place.call(
        "Ecs",
        "DetachInstanceRamRole",
        RegionId="cn-beijing",
        InstanceIds=json.dumps([_free_vm(place)]),
    )
    return answer


def _corrupt(place: Place) -> bool:
    from fastcrc import crc64

    answer = place.get()
    assert answer.status == 200
    assert len(answer.body) == int(answer.headers["content-length"])
    return bool(crc64.xz(answer.body) != int(answer.headers["x-oss-hash-crc64ecma"]))


def _breaks_off(place: Place) -> bool:
    try:
        return place.get().status != 200
    except ConnectionResetError:
        return True


# Fault -> what shows it. Each is called with the fault off (and must fail), on (must hold), and off again.
SHOWN: dict[str, Callable[[Place], bool]] = {
    "imds-disabled": lambda p: p.credential().status == 403,
    "imds-hardened": lambda p: p.credential().status == 403 and p.put_token().status == 200,
    "imds-token-fails": lambda p: p.put_token().status == 500 and p.credential().status == 200,
    "imds-token-forbidden": lambda p: p.put_token().status == 403,
    "token-endpoint-405": lambda p: p.put_token().status == 405,
    "imds-500-on-credentials": lambda p: p.credential().status == 500 and p.put_token().status == 200,
    "imds-throttled": lambda p: p.credential().status == 429,
    "role-detached": lambda p: p.credential().status == 404 and p.shown_role() == "",
    "role-replaced": lambda p: (
        p.credential().status == 404 and p.metadata(talk.CREDENTIALS).body == b"SandboxOtherRole"
    ),
    "role-missing": lambda p: _is(p.call("Ram", "GetRole", RoleName=ROLE), 404, "EntityNotExist.Role"),
    "trust-lost": lambda p: (
        p.credential().json()["Code"] != "Success"
        and _is(_attach_elsewhere(p), 404, "InvalidRamRole.NotEcsRole")
    ),
    "policy-detached": lambda p: _is(p.get(), 403, "AccessDenied", "0003-00000001", "ImplicitDeny"),
    "explicit-deny": lambda p: _is(p.get(), 403, "AccessDenied", "0003-00000201", "ExplicitDeny"),
    "passrole-removed": lambda p: _is(
        _attach_elsewhere(p, p.operator), 403, "InvalidUser.PassRoleForbidden", text="privilege to pass"
    ),
    "attach-not-visible": lambda p: p.credential().status == 404 and p.shown_role() == "",
    "credentials-expired": lambda p: (
        _is(p.get(), 403, "SecurityTokenExpired", "0002-00000007")
        and _is(p.call("Sts", "GetCallerIdentity", p.key()), 400, "InvalidSecurityToken.Expired")
    ),
    "credentials-mixed": lambda p: (
        _is(p.get(), 403, "AccessKeyIdAndSecurityTokenNotMatch", "0002-00000004")
        and _is(
            p.call("Sts", "GetCallerIdentity", p.key()), 400, "InvalidSecurityToken.MismatchWithAccessKey"
        )
    ),
    "token-invalid": lambda p: (
        _is(p.get(), 403, "InvalidSecurityToken", "0002-00000006")
        and _is(p.call("Sts", "GetCallerIdentity", p.key()), 400, "InvalidSecurityToken.Malformed")
    ),
    "access-key-disabled": lambda p: (
        _is(p.call("Sts", "GetCallerIdentity"), 400, "InvalidAccessKeyId.Inactive")
        and _is(p.get(p.admin), 403, "InvalidAccessKeyId", "0002-00000902", "is disabled")
    ),
    "clock-skew": lambda p: (
        _is(p.get(), 403, "RequestTimeTooSkewed", "0002-00000504")
        and _is(p.call("Sts", "GetCallerIdentity"), 400, "InvalidTimeStamp.Expired")
    ),
    "throttling": lambda p: _is(p.call("Sts", "GetCallerIdentity"), 400, "Throttling.User"),
    "openapi-500": lambda p: _is(p.call("Ram", "ListRoles"), 500, "InternalError"),
    "openapi-503": lambda p: _is(p.call("Ram", "ListRoles"), 503, "ServiceUnavailable"),
    "ram-inactive": lambda p: (
        _is(
            p.call("Ram", "ListRoles"),
            403,
            "Inactive",
            text="Your ram service is inactive, please activate it.",
        )
        and p.call("Sts", "GetCallerIdentity").status == 200
    ),
    "empty-reply": lambda p: (
        [p.detach(), p.attach()][1].body == b"" and p.shown_role() == ROLE
    ),  # done all the same
    "signature-v1-refused": lambda p: (
        _is(p.get(version="v1"), 403, "AccessDenied", "0002-00000080") and p.get().status == 200
    ),
    "public-endpoint-forbidden": lambda p: (
        _is(p.get(host=PUBLIC), 400, "PublicEndpointForbidden", "0048-00000401") and p.get().status == 200
    ),
    "oss-500": lambda p: _is(p.get(), 500, "InternalError"),
    "oss-503": lambda p: _is(p.get(), 503, "ServiceUnavailable"),
    "empty-body": lambda p: p.get().body == b"" and p.get().headers["x-oss-hash-crc64ecma"] != "0",
    "corrupt-body": _corrupt,
    "short-body": _breaks_off,
}


TABLES = [
    "roles",
    "policies",
    "policy_versions",
    "policy_attachments",
    "instance_roles",
    "instances",
    "access_keys",
    "knobs",
]
SEPARATELY = {"role-recreated", "imds-hangs", "stalled-body"}


def test_every_fault_is_shown() -> None:
    assert set(SHOWN) | SEPARATELY == set(FAULTS)


@pytest.mark.parametrize("name", sorted(set(FAULTS) - SEPARATELY))
def test_a_fault_shows_its_error_and_goes(place: Place, name: str) -> None:
    def holds() -> bool:
        try:
            return SHOWN[name](place)
        except (AssertionError, KeyError, ValueError):
            return False

    before = _state_of(place.sandbox)
    assert not holds(), "shows without the fault"
    place.sandbox.fault(name)
    assert place.sandbox.start_line["faults"] == [name]
    assert SHOWN[name](place)
    place.sandbox.fault(name, False)
    assert place.sandbox.start_line["faults"] == []
    assert not holds(), "still there"
    assert place.get().status == 200
    if name != "empty-reply":
        assert _state_of(place.sandbox) == before


def _state_of(sandbox: Sandbox) -> dict[str, list[tuple[object, ...]]]:
    """What exists, without what asking for it leaves behind."""
    import sqlite3

    with sqlite3.connect(sandbox.state / "state.db") as db:
        return {
            table: sorted(db.execute(f"SELECT * FROM {table}").fetchall())  # noqa: S608 - the names below
            for table in TABLES
        }


def test_a_role_made_again_takes_the_rights_of_old_sessions(place: Place) -> None:
    old = place.key()
    assert place.get(old).status == 200
    place.sandbox.fault("role-recreated")
    _is(place.get(old), 403, "AccessDenied", "0003-00000001")
    assert place.get().status == 200  # the metadata service hands out a credential of the new role
    place.sandbox.fault("role-recreated", False)
    assert place.get(old).status == 200


@pytest.mark.parametrize(("fault", "bytes_come"), [("imds-hangs", False), ("stalled-body", True)])
def test_faults_that_hang_outlast_clients(place: Place, fault: str, bytes_come: bool) -> None:
    key = place.key()
    place.sandbox.fault(fault)
    patient = Connection(place.sandbox.start_line["port"], timeout=1.5)
    start = time.monotonic()
    request = (
        talk.oss(key, "GET", BUCKET, KEY, host=INTERNAL, proxy=place.proxy)
        if bytes_come
        else talk.imds(place.proxy, "/latest/meta-data/instance-id")
    )
    with pytest.raises(socket.timeout):
        patient.send(request)
    assert time.monotonic() - start >= 1.4
    place.sandbox.fault(fault, False)
    assert place.get(key).status == 200


def test_a_fault_can_be_one_instances(place: Place) -> None:
    place.sandbox.fault("imds-throttled", instances=["web-2"])
    assert place.credential().status == 200
    other = talk.imds(place.sandbox.proxy_url("web-2"), "/latest/meta-data/instance-id")
    assert place.connection.send(other).status == 429
    place.sandbox.fault("imds-hardened", instances=["web-1"])
    tokens = {row["name"]: row["http_tokens"] for row in place.sandbox.start_line["instances"]}
    assert (tokens["web-1"], tokens["web-2"]) == ("required", "optional")
    with pytest.raises(InputError, match="not one of an instance"):
        place.sandbox.fault("throttling", instances=["web-1"])
    with pytest.raises(InputError, match=r"web-1"):
        place.sandbox.fault("imds-throttled", instances=["web-l"])


def test_an_unknown_fault_names_the_nearest(world: Sandbox) -> None:
    with pytest.raises(InputError, match="imds-hangs"):
        world.fault("imds-hang")


def test_a_reset_clears_faults_and_undoes_them(world: Sandbox) -> None:
    world.fault("access-key-disabled")
    world.fault("oss-500")
    world.reset()
    line = world.start_line
    assert line["faults"] == []
    with Connection(line["port"]) as connection:
        assert connection.send(talk.acs3_call(talk.ops(line), "Sts", "GetCallerIdentity")).status == 200
        assert connection.send(talk.oss(talk.ops(line), "GET", BUCKET, KEY)).status == 200


def test_faults_outlive_the_server(tmp_path: Path) -> None:
    with Sandbox(state=str(tmp_path)) as first:
        first.fault("trust-lost")
        first.fault("imds-disabled", instances=["web-1"])
    with Sandbox(state=str(tmp_path)) as second:
        assert second.start_line["faults"] == ["imds-disabled", "trust-lost"]
        second.fault("imds-disabled", False)
        assert second.start_line["faults"] == ["trust-lost"]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
def test_every_fault_has_its_source(fault: object) -> None:
    found = FAULTS[fault.name]  # type: ignore[attr-defined]
    assert found.source.startswith("https://")
    assert found.meaning
    assert (found.place is None) == (found.mend is None)


def test_the_official_sdks_see_the_errors(place: Place, tmp_path: Path) -> None:
    """What programs meet: the exception of each SDK, not only the bytes."""
    import oss2
    from alibabacloud_credentials.client import Client
    from alibabacloud_credentials.models import Config
    from alibabacloud_ram20150501.client import Client as Ram
    from alibabacloud_ram20150501.models import GetRoleRequest
    from alibabacloud_tea_openapi.exceptions import ClientException, ThrottlingException
    from alibabacloud_tea_openapi.models import Config as ApiConfig

    line = place.sandbox.start_line
    ram = Ram(
        ApiConfig(
            access_key_id=place.admin.id,
            access_key_secret=place.admin.secret,
            endpoint="ram.aliyuncs.com",
            protocol="http",
            http_proxy=line["url"],
        )
    )
    place.sandbox.fault("ram-inactive")
    with pytest.raises(ClientException) as caught:
        ram.get_role(GetRoleRequest(role_name=ROLE))
    assert (caught.value.code, caught.value.status_code) == ("Inactive", 403)
    place.sandbox.fault("ram-inactive", False)
    place.sandbox.fault("throttling")
    place.sandbox.set(throttle_retry_after=2)
    with pytest.raises(ThrottlingException) as throttled:
        ram.get_role(GetRoleRequest(role_name=ROLE))
    assert throttled.value.retry_after in {2, 2000}
    place.sandbox.set(throttle_retry_after=None)
    place.sandbox.fault("throttling", False)
    assert ram.get_role(GetRoleRequest(role_name=ROLE)).body.role.role_name == ROLE

    def credentials(**more: bool) -> object:
        config = Config(type="ecs_ram_role", role_name=ROLE, proxy=place.proxy, **more)
        return Client(config).get_credential()

    place.sandbox.fault("imds-token-fails")
    assert credentials()
    with pytest.raises(Exception, match="HttpCode=500"):
        credentials(disable_imds_v1=True)
    place.sandbox.fault("imds-token-fails", False)
    place.sandbox.fault("role-detached")
    with pytest.raises(Exception, match="HttpCode=404"):
        credentials()
    place.sandbox.fault("role-detached", False)

    held = place.key()
    auth = oss2.StsAuth(held.id, held.secret, held.token, auth_version="v4")
    bucket = oss2.Bucket(
        auth, f"http://{INTERNAL}", BUCKET, region="cn-beijing", proxies={"http": place.proxy}
    )
    assert bucket.get_object(KEY).read()
    place.sandbox.fault("empty-body")
    assert (
        bucket.get_object(KEY).read() == b""
    )  # the SDK checks no CRC of nothing: the 0-byte file without an error
    place.sandbox.fault("empty-body", False)
    for fault, wanted in (
        ("corrupt-body", oss2.exceptions.InconsistentError),
        ("empty-body", oss2.exceptions.InconsistentError),
        ("short-body", Exception),
        ("policy-detached", oss2.exceptions.AccessDenied),
        ("oss-503", oss2.exceptions.ServerError),
    ):
        place.sandbox.fault(fault)
        with pytest.raises(wanted):
            bucket.get_object_to_file(KEY, str(tmp_path / "file"))
        place.sandbox.fault(fault, False)
    assert bucket.get_object(KEY).read()
