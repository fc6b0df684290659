"""`explain` on exception objects of ours and of others, and with a session that opens diagnostic messages."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import requests
from alibabacloud_credentials.exceptions import CredentialException

import ramrole_nb as rr
from ramrole_nb import errors
from tests.sandbox.drive import READ_OSS, Drive, document

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

_KEY = "testfolder/example.png"
_DENY = document(
    ("Deny", "oss:GetObject", "acs:oss:*:*:sandbox-photos/testfolder/*"), ("Allow", "oss:*", "*")
)


def caught(run: Callable[[], object]) -> Exception:
    try:
        run()
    except Exception as error:  # noqa: BLE001 - any kind is looked at
        return error
    return pytest.fail("nothing was raised")


@pytest.fixture
def drive(world: Sandbox) -> Drive:
    """Clients of the sandbox, its world as at the start."""
    return Drive(world)


# -- ours ------------------------------------------------------------------------------------------------------


def test_no_role_and_a_wrong_name(cloud: Cloud) -> None:
    vm = cloud.instances["web-1"]
    found = rr.explain(caught(vm.credentials))
    assert found.cause == "no-role-attached"
    vm.attach(cloud.roles.create("EcsRamRole"))
    error = caught(lambda: vm.metadata.credentials("EcsRamRol"))
    assert rr.explain(error).cause == "role-name-wrong"
    assert rr.explain(f"{type(error).__name__}: {error}").cause == "role-name-wrong"


def test_hardened_only(cloud: Cloud) -> None:
    vm = cloud.instances["web-1"].attach(cloud.roles.create("EcsRamRole"))
    vm.set_hardening(True)
    assert rr.explain(caught(lambda: vm.credentials(mode="normal"))).cause == "hardened-only"


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (400, "metadata-token-ttl"),
        (401, "metadata-token-refused"),
        (403, "metadata-token-forwarded"),
        (405, "metadata-token-method"),
        (500, "metadata-failed"),
    ],
)
def test_a_token_that_was_refused(status: int, cause: str) -> None:
    assert rr.explain(errors.TokenRefused("No metadata token.", status=status)).cause == cause


def test_a_service_error_of_ours(cloud: Cloud) -> None:
    error = caught(lambda: cloud.buckets["sandbox-photos"].head("no/such.png"))
    found = rr.explain(error)
    assert (found.cause, found.code, found.status, found.ec) == (
        "object-not-found", "NoSuchKey", 404, "0026-00000001",
    )  # fmt: skip
    assert (found.service, found.request_id) == ("OSS", getattr(error, "request_id", None))
    assert "endpoint asked" not in dict(found.facts)  # the error names none, so none is shown
    assert rr.explain(str(error)).cause == "object-not-found"


def test_a_refusal_of_ours_names_who_and_what(world: Sandbox) -> None:
    viewer = rr.connect("sandbox", state=world.state, user="viewer")
    found = rr.explain(caught(lambda: viewer.buckets["sandbox-photos"].head(_KEY)))
    assert found.cause == "permission-missing"
    assert found.denied["action"] == "oss:GetObject"
    assert found.why.endswith("allows oss:GetObject.")


def test_a_preflight_names_the_missing_permission() -> None:
    error = errors.PreflightRefused("No.", missing=[("ram:PassRole", "acs:ram:*:1:role/EcsRamRole")])
    found = rr.explain(error)
    assert found.cause == "pass-role-missing"
    assert dict(found.facts) == {"missing permission": "ram:PassRole", "on": "acs:ram:*:1:role/EcsRamRole"}


def test_an_error_that_is_no_cause_keeps_its_own_advice() -> None:
    found = rr.explain(errors.InputError("Which program?", next_step="ramrole on INSTANCE -- CMD"))
    assert not found.known
    assert "next step: ramrole on INSTANCE -- CMD" in found.notes


# -- of others -------------------------------------------------------------------------------------------------


def refused_connection(host: str) -> Exception:
    """What requests raises where nothing listens, with the host name of a service in it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    session = requests.Session()
    session.trust_env = False
    error = caught(lambda: session.get(f"http://127.0.0.1:{port}/", timeout=2))
    return type(error)(str(error).replace("127.0.0.1", host))


@pytest.mark.parametrize(
    ("host", "cause"),
    [
        ("100.100.100.200", "metadata-unreachable"),
        ("b.oss-cn-beijing-internal.aliyuncs.com", "internal-endpoint-outside"),
        ("ecs.cn-beijing.aliyuncs.com", "connection-refused"),
        ("example.com", "unknown"),
    ],
)
def test_a_connection_that_was_refused(host: str, cause: str) -> None:
    assert rr.explain(refused_connection(host)).cause == cause


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("http://100.100.100.200/latest/api/token: ProxyError('Cannot connect to proxy.')", "proxy-in-the-way"),
        ("host='ecs.cn-beijing.aliyuncs.com': SSLError(1, 'certificate verify failed')", "tls-failed"),
        ("HTTPSConnectionPool(host='ram.aliyuncs.com', port=443): Read timed out.", "service-unreachable"),
        ("HTTPConnectionPool(host='b.oss-cn-beijing.aliyuncs.com', port=80): Read timed out.", "transfer-stalled"),
        ("HTTPSConnectionPool(host='ram.aliyuncz.com', port=443): Read timed out.", "unknown"),
    ],
)  # fmt: skip
def test_what_the_network_says(text: str, cause: str) -> None:
    assert rr.explain(text).cause == cause


def test_a_chain_that_found_nothing() -> None:
    """The chain's sentence decides, not the trouble of its last source."""
    error = CredentialException(
        "unable to load credentials from any of the providers in the chain: ['EnvironmentVariableCredentialsProvider: "
        "Environment variable accessKeyId cannot be empty', 'EcsRamRoleCredentialsProvider: Failed to get token from ECS "
        "Metadata Service. HttpCode=404']"
    )
    assert rr.explain(error).cause == "no-credentials"


def test_the_cause_behind_another_exception() -> None:
    def run() -> None:
        try:
            raise KeyError("x") from errors.WrongRoleName("The role 'a' is not attached: 'b' is.")
        except KeyError as error:
            raise RuntimeError("could not start") from error

    assert rr.explain(caught(run)).cause == "role-name-wrong"


def test_an_exception_that_cannot_be_printed() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

    assert rr.explain(Broken()).cause == "unknown"


def test_a_circle_of_exceptions_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert not rr.explain(first).known


@pytest.mark.parametrize(
    "given", [None, 7, {"Code": "NoSuchKey", "EC": "0026-00000001"}, bytearray(b"x"), ""]
)
def test_anything_may_be_given(given: object) -> None:
    assert rr.explain(given).cause == ("object-not-found" if isinstance(given, dict) else "unknown")


# -- the diagnostic message ------------------------------------------------------------------------------------


def denied(drive: Drive) -> Exception:
    return caught(lambda: drive.bucket(drive.session(_DENY)).get_object(_KEY))


def test_without_a_session_the_message_stays_closed(drive: Drive) -> None:
    since = drive.sandbox.admin.journal()["last"]
    error = denied(drive)
    asked = drive.sandbox.journal(since)
    found = rr.explain(error)
    assert found.cause == "explicit-deny"
    assert found.diagnostic is None
    assert any("DecodeDiagnosticMessage" in note and "opaque" in note for note in found.notes)
    assert len(drive.sandbox.journal(since)) == len(asked)  # nothing was sent


def test_with_a_session_ram_opens_it(drive: Drive, cloud: Cloud) -> None:
    """Its AuthResource and the deciding policy are in no refusal; they come from the message alone."""
    error = denied(drive)
    found = rr.explain(error, cloud=cloud)
    assert found.cause == "explicit-deny"
    assert found.diagnostic is not None
    assert found.diagnostic["ExplicitDeny"] is True
    assert found.denied["resource"].endswith("sandbox-photos/testfolder/example.png")
    assert dict(found.facts)["deciding policy"] == "EcsRamRole-0"
    assert "EcsRamRole-0" in str(found)
    assert not any("opaque" in note for note in found.notes)


def test_a_message_that_ram_does_not_open(drive: Drive, cloud: Cloud, world: Sandbox) -> None:
    error = denied(drive)
    viewer = rr.connect("sandbox", state=world.state, user="operator")
    found = rr.explain(error, cloud=viewer)
    assert found.cause == "explicit-deny"
    assert any(note.startswith("RAM did not open the diagnostic message") for note in found.notes)
    stale = "EncodedDiagnosticMessage: AQIBIAAAbm9uZQ== Code: AccessDenied HostId: ram.aliyuncs.com"
    assert rr.explain(stale, cloud=cloud).diagnostic is None


def test_the_next_step_repairs_it(drive: Drive, cloud: Cloud) -> None:
    """The Python call that is shown for a missing permission, run as it stands, ends the refusal."""
    held = drive.session(document(("Allow", "oss:ListObjects", "*")))
    error = caught(lambda: drive.bucket(held).get_object(_KEY))
    found = rr.explain(error)
    assert found.call == "cloud.roles['EcsRamRole'].grant(rr.policy.read_objects('sandbox-photos'))"
    eval(found.call, {"cloud": cloud, "rr": rr})  # noqa: S307 - that it can be run is what is tested
    assert drive.bucket(held).get_object(_KEY).status == 200


def test_reading_is_not_claimed_where_writing_was_asked(drive: Drive) -> None:
    held = drive.session(READ_OSS)
    error = caught(lambda: drive.bucket(held).put_object("a.txt", b"x"))
    assert "read_write_objects('sandbox-photos')" in rr.explain(error).call


def test_another_permission_gets_the_smallest_policy() -> None:
    found = rr.explain(
        '{"HostId": "ecs.cn-beijing.aliyuncs.com", "Code": "Forbidden.RAM", "Message": "no", "AccessDeniedDetail": '
        '{"AuthAction": "ecs:DescribeInstances", "AuthPrincipalType": "AssumedRoleUser", '
        '"AuthPrincipalDisplayName": "EcsRamRole:vm-ram-i-2zesandboxweb1"}}'
    )
    assert found.call == (
        "cloud.roles['EcsRamRole'].grant(rr.policy.minimal_policy([('ecs:DescribeInstances', '*')]))"
    )
    assert "--RoleName EcsRamRole" in found.command


def test_a_user_is_not_told_to_grant_to_a_role(drive: Drive) -> None:
    found = rr.explain(caught(lambda: drive.make_role_as("viewer", "x")))
    assert found.cause == "permission-missing"
    assert "AttachPolicyToUser" in found.command
    assert "Users > the user" in found.console
    assert ".grant(" not in found.call


def test_our_errors_keep_their_own_words(cloud: Cloud) -> None:
    found = rr.explain(caught(lambda: cloud.buckets["sandbox-fotos"]))
    assert found.cause == "bucket-not-found"
    assert any("'sandbox-photos'" in note for note in found.notes)
