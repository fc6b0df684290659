"""Every refusal says what happened, why, and what to do next; and keeps the service's own words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb as rr
from ramrole_nb import errors
from ramrole_nb.cloud import explain
from ramrole_nb.cloud.explain import service_error
from ramrole_nb.cloud.metadata import MetadataClient
from ramrole_nb.errors import (
    AccessDenied,
    BadSignature,
    Conflict,
    InvalidRequest,
    NotFound,
    RamroleError,
    ServerFault,
    ServiceError,
    Throttled,
    nearest,
)
from ramrole_nb.sandbox import Sandbox

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud

READ = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*"}]}


def _two_roles(cloud: Cloud) -> None:
    cloud.roles.create("First").grant(READ)
    cloud.roles.create("Second")
    cloud.instances["web-1"].attach("First")


# Each a way to be refused, by the class that comes of it.
REFUSALS: list[tuple[type[RamroleError], Callable[[Cloud, Cloud], object]]] = [
    (errors.InputError, lambda c, _: c.roles.create("under_score")),
    (errors.InputError, lambda c, _: c.roles["First"].grant("no name!")),
    (errors.InputError, lambda c, _: c.roles["First"].grant("{")),
    (errors.InputError, lambda c, _: c.instances[""]),
    (errors.InputError, lambda c, _: c.instances.attach("First", ["nobody"])),
    (errors.InputError, lambda c, _: c.buckets["Not-A-Bucket"]),
    (errors.InputError, lambda c, _: c.buckets["sandbox-photos"].head("/slash")),
    (errors.InputError, lambda c, _: c.sandbox.knobs(credential_liftime=5)),
    (errors.InputError, lambda c, _: c.reset("new-accuont")),
    (errors.InputError, lambda *_: rr.connect("lvie")),
    (errors.InputError, lambda *_: rr.connect(changes="maybe")),
    (errors.InputError, lambda *_: rr.connect("live", user="admin")),
    (errors.InputError, lambda *_: rr.connect("sandbox", profile="x")),
    (errors.PreflightRefused, lambda _, v: v.roles.create("New")),
    (errors.NoRoleAttached, lambda c, _: c.instances["web-2"].credentials()),
    (errors.WrongRoleName, lambda c, _: c.instances["web-1"].metadata.credentials("Second")),
    (errors.HardenedOnly, lambda c, _: c.instances["hardened-1"].attach("First").credentials(mode="normal")),
    (errors.TokenRefused, lambda c, _: c.instances["web-1"].metadata.get("meta-data/", "bad")),
    (errors.MetadataUnreachable, lambda c, _: c.instances["stopped-1"].credentials()),
    (errors.MetadataUnreachable, lambda *_: MetadataClient("http://i:t@127.0.0.1:1").token()),
    (errors.AccessDenied, lambda c, _: c.buckets["sandbox-photos"].using(c.instances["web-1"]).list()),
    (errors.NotFound, lambda c, _: c.roles["Third"]),
    (errors.NotFound, lambda c, _: c.roles["First"].revoke("Nothing")),
    (errors.NotFound, lambda c, _: c.roles["First"].grant("NoSuchPolicy")),
    (errors.NotFound, lambda c, _: c.instances["nobody"]),
    (errors.NotFound, lambda c, _: c.buckets["no-such-bucket"]),
    (errors.NotFound, lambda c, _: c.buckets["sandbox-photos"].head("none")),
    (errors.Conflict, lambda c, _: c.roles["First"].delete()),
    (errors.Conflict, lambda c, _: c.instances["web-1"].attach("Second")),
    (errors.Conflict, lambda c, _: c.buckets["sandbox-photos"].upload(b"", "testfolder/notes.txt")),
    (errors.InvalidRequest, lambda c, _: c.instances["classic-1"].attach("First")),
    (errors.InvalidRequest, lambda c, _: c.instances["windows-1"].set_hardening()),
]


@pytest.mark.parametrize(("kind", "refused"), REFUSALS)
def test_a_refusal_says_what_why_and_what_next(
    cloud: Cloud,
    as_user: Callable[..., Cloud],
    kind: type[RamroleError],
    refused: Callable[[Cloud, Cloud], object],
) -> None:
    _two_roles(cloud)
    with pytest.raises(kind) as caught:
        refused(cloud, as_user("viewer"))
    error = caught.value
    assert type(error) is kind
    first, *rest = str(error).split("\n")
    assert first == error.what
    assert first.strip()
    assert error.next_step.strip(), "no next step"
    assert f"  next step: {error.next_step}" in rest
    # Why: our own reason, the service's message, or a sentence that says it all.
    assert error.reason or getattr(error, "message", "") or len(error.what) > 20
    if error.reason:
        assert f"  why: {error.reason}" in rest
    assert error.__cause__ is None
    assert (
        error.__suppress_context__ or error.__context__ is None or isinstance(error.__context__, RamroleError)
    )


def test_a_service_error_keeps_the_services_words(cloud: Cloud) -> None:
    cloud.roles.create("First").grant("AliyunOSSReadOnlyAccess")
    with pytest.raises(Conflict) as caught:
        cloud.roles["First"].delete()
    error = caught.value
    assert (error.code, error.status, error.service, error.action) == (
        "DeleteConflict.Role.Policy",
        409,
        "Ram",
        "DeleteRole",
    )
    text = str(error)
    assert "detach it" in error.next_step
    assert "cloud.roles['First'].delete(revoke=True)" in error.next_step
    assert error.message in text
    assert error.request_id in text
    assert cloud.sandbox.journal_of(error.request_id)["status"] == 409


def test_the_refused_deletion_of_an_attached_role_says_detach_first(cloud: Cloud) -> None:
    cloud.roles.create("First").grant("AliyunOSSReadOnlyAccess")
    cloud.instances["stopped-1"].attach("First")
    with pytest.raises(Conflict) as caught:
        cloud.roles["First"].delete()
    step = caught.value.next_step
    assert step.startswith("first detach it from stopped-1")
    detach, delete = (part for part in re.split(r"[;:] ", step) if part.startswith(("cloud.", "then cloud.")))
    exec(detach, {"cloud": cloud})  # noqa: S102 - as typed
    exec(delete.removeprefix("then "), {"cloud": cloud})  # noqa: S102
    assert cloud.instances["stopped-1"].role_name == ""
    assert "First" not in cloud.roles


@pytest.mark.parametrize("given", ["ecs.aliyuncs.com", "ecs", " ECS.aliyuncs.com"])
def test_a_services_name_is_no_trust_policy(cloud: Cloud, given: str) -> None:
    role = cloud.roles.create("First")
    for call in (role.set_trust, lambda trust: cloud.roles.create("Second", trust=trust)):
        with pytest.raises(errors.InputError, match="it is the name of a service") as caught:
            call(given)
        assert "rr.policy.trust_for_service('ecs.aliyuncs.com')" in caught.value.next_step
    assert "Second" not in cloud.roles


def test_next_steps_can_be_typed_as_they_stand(cloud: Cloud) -> None:
    """They name the role and the instance, and no variable that the reader may not have."""
    cloud.roles.create("ForFunctions", trust=rr.policy.trust_for_service("fc.aliyuncs.com"))
    vm = cloud.instances["web-1"]
    with pytest.raises(errors.InputError) as caught:
        vm.attach("ForFunctions")
    exec(caught.value.next_step, {"cloud": cloud, "rr": rr})  # noqa: S102
    vm.attach("ForFunctions")
    cloud.roles.create("Second")
    with pytest.raises(Conflict) as held:
        vm.attach("Second")
    assert held.value.next_step == (
        "replace it: cloud.instances['web-1'].replace_role('Second'), "
        "or take it off first: cloud.instances['web-1'].detach()"
    )
    with pytest.raises(errors.NotFound) as missing:
        cloud.roles["Second"].revoke("AliyunOSSReadOnlyAccess")
    assert "cloud.roles['Second'].policies()" in missing.value.next_step
    cloud.roles.create("Third", trust=rr.policy.trust_for_service("fc.aliyuncs.com"))
    with pytest.raises(errors.InvalidRequest) as refused:  # as the service says it
        cloud.context.calls.ecs(
            "AttachInstanceRamRole", ram_role_name="Third", instance_ids='["i-2zesandboxweb2"]'
        )
    assert "cloud.roles['Third'].set_trust(" in refused.value.next_step


def test_a_session_goes_on_when_its_sandbox_is_started_again(tmp_path: Any) -> None:
    """A sandbox ends by itself after two idle hours; a notebook that is still open must not need a new kernel."""
    running = Sandbox(tmp_path / "s").start()
    cloud = rr.connect(running)
    cloud.roles.create("Kept")
    running.stop()
    with pytest.raises(errors.SandboxNotRunning, match=r"rr\.connect"):
        cloud.sandbox.expire()
    with Sandbox(tmp_path / "s"):
        assert cloud.sandbox.expire() == 0
        assert "Kept" in cloud.roles
        assert cloud.wire.last().decision["outcome"] == "ALLOW"
        cloud.sandbox.fault("openapi-500")
        with pytest.raises(ServerFault, match="InternalError"):
            cloud.identity()
        cloud.reset()
        assert "Kept" not in cloud.roles


def test_nobody_answers(tmp_path: Any) -> None:
    with Sandbox(tmp_path / "s") as running:
        cloud = rr.connect(running)
        vm = cloud.instances["web-1"]
    for call in (cloud.identity, lambda: cloud.buckets["sandbox-photos"], lambda: list(cloud.instances)):
        with pytest.raises(
            ServerFault, match=r"^The sandbox does not run any more: \w+ \w+ was not sent anywhere\."
        ) as caught:
            call()
        assert caught.value.next_step.startswith("start it again: ramrole sandbox start")
        assert "nothing listens at http://127.0.0.1:" in caught.value.reason
        assert caught.value.status == 0
    with pytest.raises(errors.SandboxNotRunning) as stopped:
        cloud.sandbox.knobs()
    assert "ramrole sandbox start" in stopped.value.next_step
    # Showing never raises: cells, debuggers and tracebacks with local variables all do it.
    for value in (cloud, cloud.roles, cloud.instances, cloud.buckets, cloud.wire, vm):
        assert repr(value)
        assert value._repr_html_()
    for table in (cloud.roles, cloud.instances, cloud.buckets):
        assert "The sandbox does not run any more" in repr(table)
        assert "The sandbox does not run any more" in table._repr_html_()
    # What may have been done stays to be cleaned up.
    with pytest.raises(ServerFault), cloud.context.creating("role", "Perhaps"):
        cloud.identity()
    assert [e.name for e in cloud.context.ledger.open_entries()] == ["Perhaps"]


@pytest.mark.parametrize("code", sorted(explain._RULES))
def test_every_rule_gives_a_reason_and_a_next_step(code: str) -> None:
    error = service_error(
        service="Ram",
        action="GetRole",
        status=400,
        code=code,
        message="the service's words",
        request_id="R-1",
    )
    assert error.reason
    assert error.next_step
    assert {"the service's words", "R-1"} <= set(error.facts().values())
    assert code in error.facts()["answer"]


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("Throttling.User", 400, Throttled),
        ("Throttling", 503, Throttled),
        ("InvalidAccessKeyId.Inactive", 403, BadSignature),
        ("SignatureNonceUsed", 400, BadSignature),
        ("IncompleteSignature", 400, BadSignature),
        ("Whatever", 401, BadSignature),
        ("Whatever", 403, AccessDenied),
        ("Whatever", 404, NotFound),
        ("Whatever", 409, Conflict),
        ("Whatever", 400, InvalidRequest),
        ("Whatever", 416, InvalidRequest),
        ("ServiceUnavailable", 503, ServerFault),
        ("", 0, ServerFault),
        ("", 500, ServerFault),
    ],
)
def test_codes_without_a_rule_go_by_their_kind(code: str, status: int, kind: type[ServiceError]) -> None:
    error = service_error(service="Ecs", action="X", status=status, code=code, message="", request_id="")
    assert type(error) is kind
    assert error.what


@pytest.mark.parametrize(
    ("detail", "why"),
    [
        (
            {
                "AuthAction": "oss:GetObject",
                "AuthPrincipalDisplayName": "u",
                "NoPermissionType": "ImplicitDeny",
            },
            "no policy of the caller (u",
        ),
        (
            {
                "AuthAction": "oss:GetObject",
                "AuthPrincipalDisplayName": "u",
                "NoPermissionType": "ExplicitDeny",
            },
            "explicitly denies",
        ),
        ({"AuthAction": "oss:GetObject", "PolicyType": "SessionPolicy"}, "session policy"),
        ({}, "no policy of the caller"),
    ],
)
@pytest.mark.parametrize("code", ["AccessDenied", "NoPermission", "Forbidden.RAM"])
def test_the_access_denied_detail_is_put_into_words(code: str, detail: dict[str, str], why: str) -> None:
    error = service_error(
        service="Oss", action="GetObject", status=403, code=code, message="", request_id="", detail=detail
    )
    assert isinstance(error, AccessDenied)
    assert why in error.reason
    assert error.next_step


def test_nearest() -> None:
    assert nearest("hardend", ["normal", "hardened"]) == " Did you mean 'hardened'?"
    assert nearest("ECSRAMROLE", ["EcsRamRole"]) == " Did you mean 'EcsRamRole'?"
    assert nearest("zzz", ["EcsRamRole"]) == ""
    assert nearest("x", []) == ""


def test_an_sdk_error_is_never_the_context(cloud: Cloud) -> None:
    """The SDKs' exceptions hold the whole request, headers and all."""
    chain: list[BaseException] = []
    for call in (
        lambda: cloud.context.calls.ram("GetRole", role_name="None"),
        lambda: cloud.buckets["sandbox-photos"].head("none"),
    ):
        with pytest.raises(NotFound) as caught:
            call()
        error: BaseException | None = caught.value
        while error is not None:
            chain.append(error)
            error = error.__cause__ or error.__context__
    assert all(type(e).__module__.startswith("ramrole_nb") for e in chain)
