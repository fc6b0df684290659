"""The credentials panel: each click is one call of the library; refusals, expiry and the trap end in the panel."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb
from ramrole_nb.cloud import methods
from ramrole_nb.cloud.credentials import forget_every_role
from ramrole_nb.cloud.metadata import HARDENED, NORMAL
from ramrole_nb.cloud.seen import NOBODY_SEES
from ramrole_nb.cloud.session import Cloud
from ramrole_nb.cloud.trap import TrapResult
from ramrole_nb.errors import (
    Cancelled,
    CredentialsExpired,
    HardenedOnly,
    InputError,
    MetadataUnreachable,
    NoRoleAttached,
    SandboxError,
    ServiceError,
    TokenRefused,
    WrongRoleName,
)
from ramrole_nb.widgets import CredentialsPanel
from tests.support.threads import threads_settle
from tests.widgets.conftest import button, click, failure_of, states

if TYPE_CHECKING:
    from ramrole_nb.sandbox import Sandbox

Made = Callable[[Any], Any]

ROLE = "EcsRamRole"
FETCHING = ["Get credential", "Refresh", "Who am I there?", methods.TOOL, methods.METADATA]


@pytest.fixture(autouse=True)
def _no_credentials_of_another_test() -> Iterator[None]:
    forget_every_role()
    yield
    forget_every_role()


@pytest.fixture
def cloud(cloud: Cloud) -> Cloud:
    role = cloud.roles.create(ROLE)
    for name in ("web-1", "hardened-1", "windows-1"):
        cloud.instances[name].attach(role)
    return cloud


def shown(panel: CredentialsPanel) -> str:
    return states(panel) + panel.html() + panel.text()


def counted(panel: CredentialsPanel) -> dict[str, int]:
    panel.wait()
    return dict(panel._shown.counts)


def test_a_credential_is_got_once_and_used_again(cloud: Cloud, made: Made) -> None:
    panel = made(CredentialsPanel(cloud))
    assert "No credential is held yet" in panel.text()
    click(panel, "Get credential")
    assert panel.model.error is None, panel.text()
    assert panel.model.status.endswith("3 metadata requests")
    assert counted(panel) == {"ramrole_nb": 3}
    held = cloud.instances["web-1"].credentials()
    assert held.access_key_id[-4:] in panel._held.value
    click(panel, "Get credential")
    assert "no request was made" in panel.model.status
    assert counted(panel) == {"ramrole_nb": 3}, "the held one is used again"
    click(panel, "Refresh")
    assert counted(panel) == {"ramrole_nb": 6}
    assert "never from an AccessKey" in panel.text()
    assert f"role {ROLE} on {held.instance_id}, through the metadata service" in panel.text()


def test_the_countdown_follows_the_credential(cloud: Cloud, made: Made) -> None:
    panel = made(CredentialsPanel(cloud))
    assert panel.countdown.until == 0
    click(panel, "Get credential")
    held = cloud.instances["web-1"].credentials()
    assert panel.countdown.until == held.expiration.timestamp()
    assert panel.countdown.rotates == held.expiration.timestamp() - 1800, "half an hour before it ends"
    assert "rotates in 5 h" in panel.text()
    assert "rotates in 5 h" in panel.html()


def test_expired_by_hand_it_is_renewed_at_the_next_use(cloud: Cloud, world: Sandbox, made: Made) -> None:
    panel = made(CredentialsPanel(cloud))
    click(panel, "Get credential")
    old = panel.model.result.credential.access_key_id
    click(panel, "Expire now")
    assert "expired by hand" in panel.text()
    assert panel.countdown.line() == panel.countdown.over
    click(panel, "Who am I there?")
    assert panel.model.error is None, panel.text()
    assert old in panel.model.status
    assert "a new one was fetched by itself" in panel.model.status
    assert "expired by hand" not in panel.text()
    assert panel.countdown.line().startswith(panel.countdown.label)
    refused = [e for e in world.journal(0) if e.get("error") == "InvalidSecurityToken.Expired"]
    assert len(refused) == 1


def test_the_methods_side_by_side(cloud: Cloud, made: Made) -> None:
    threads = threading.active_count()
    panel = made(CredentialsPanel(cloud))
    assert "No method has been run yet" in panel.html()
    click(panel, "Run all three methods")
    assert panel.model.error is None, panel.text()
    for run in (methods.TOOL, methods.METADATA):
        assert f"{run}: got a credential" in panel.model.status
    assert f"{methods.CLI}: not run" in panel.model.status
    assert counted(panel) == {"Credentials tool (Python)": 4, "ramrole_nb": 3}
    assert "security-credentials/EcsRamRole" in panel._outcome.value
    for name in (methods.TOOL, methods.METADATA, methods.CLI):
        click(panel, name)
        assert panel.model.error is None
        assert name in panel._side_by_side.value
    click(panel, "Get credential")
    assert "This package" in panel._side_by_side.value, "it stands beside the three"
    assert methods.TOOL in panel._side_by_side.value
    assert threads_settle(threads + 1), "a timer at most"
    assert any("--RoleName" in text or "security-credentials" in text for text in panel.code.values())


def test_the_one_line_twins_get_the_same(cloud: Cloud, made: Made) -> None:
    panel = made(CredentialsPanel(cloud))
    vm = cloud.instances["web-1"]
    click(panel, methods.METADATA)
    assert panel.model.result.credential == methods.fetch_with_metadata(vm).credential
    click(panel, methods.TOOL)
    assert panel.model.result.credential == methods.fetch_with_tool(vm).credential
    click(panel, "Who am I there?")
    assert panel.model.result == vm.identity()


def test_both_modes_where_only_one_is_served(cloud: Cloud, made: Made) -> None:
    panel = made(CredentialsPanel(cloud, "hardened-1"))
    assert "security hardening mode only (HttpTokens=required)" in panel.text()
    click(panel, "Compare the modes")
    assert panel.model.error is None
    for told in (panel._outcome.value, panel.text()):
        assert "refused a request without a token" in told
        assert "ask in security hardening mode" in told
    panel.mode.value = NORMAL
    click(panel, methods.METADATA)
    assert isinstance(failure_of(panel), HardenedOnly)
    assert "next step" in panel._outcome.value
    click(panel, "Get credential")
    assert isinstance(failure_of(panel), HardenedOnly)
    panel.mode.value = HARDENED
    click(panel, "Get credential")
    assert failure_of(panel) is None


def test_a_windows_instance(cloud: Cloud, made: Made) -> None:
    panel = made(CredentialsPanel(cloud, "windows-1"))
    click(panel, "Get credential")
    assert panel.model.error is None
    click(panel, methods.TOOL)
    assert panel.model.error is None


@pytest.mark.parametrize("text", FETCHING)
def test_no_role_attached(cloud: Cloud, made: Made, text: str) -> None:
    panel = made(CredentialsPanel(cloud, "web-2"))
    assert "No role is attached to web-2" in panel.text()
    click(panel, text)
    assert isinstance(panel.model.error, NoRoleAttached)
    assert ".attach(role)" in panel._outcome.value


def test_a_wrong_role_name(cloud: Cloud, made: Made) -> None:
    panel = made(CredentialsPanel(cloud))
    panel.role.value = "EcsRamRol"
    for name in (methods.TOOL, methods.METADATA):
        click(panel, name)
        assert isinstance(panel.model.error, WrongRoleName)
        assert "Did you mean" in panel._outcome.value
    click(panel, "Run all three methods")
    assert "Did you mean" in panel._side_by_side.value
    panel.role.value = "../web"
    before = counted(panel)
    click(panel, methods.METADATA)
    assert isinstance(panel.model.error, InputError)
    assert counted(panel) == before, "nothing was asked"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("imds-disabled", TokenRefused), ("credentials-expired", (CredentialsExpired, ServiceError))],
)
@pytest.mark.parametrize("text", FETCHING)
def test_every_button_shows_its_failure(
    cloud: Cloud, world: Sandbox, made: Made, text: str, fault: str, kind: Any
) -> None:
    panel = made(CredentialsPanel(cloud))
    world.fault(fault)
    click(panel, text)
    if (fault, text) == ("credentials-expired", methods.METADATA):
        assert panel.model.result.credential.expiration < datetime.now(UTC), "it shows what the service gives"
        return
    assert isinstance(panel.model.error, kind), panel.text()
    for fact in (panel.model.error.what, "next step"):
        assert fact in panel.text()
    assert "next step" in panel._outcome.value
    world.fault(fault, on=False)
    click(panel, text)
    assert panel.model.error is None, panel.text()


def test_a_credential_ended_by_hand_is_not_called_good(cloud: Cloud, made: Made) -> None:
    panel = made(CredentialsPanel(cloud))
    click(panel, "Get credential")
    click(panel, "Expire now")
    click(panel, "Get credential")
    assert "a program cannot see" in panel.model.status
    assert panel._status.kind == "info"
    click(panel, "Refresh")
    click(panel, "Get credential")
    assert panel._status.kind == "done"


def test_the_requests_say_in_which_mode_they_were(cloud: Cloud, made: Made) -> None:
    panel = made(CredentialsPanel(cloud))
    panel.mode.value = "normal"
    click(panel, "Get credential")
    assert {request.mode for request in panel.model.result.requests} == {"normal"}
    assert "instance_id" not in panel._outcome.value


def test_an_action_refused_by_sts_keeps_code_and_request_id(cloud: Cloud, world: Sandbox, made: Made) -> None:
    panel = made(CredentialsPanel(cloud))
    world.fault("openapi-500")
    click(panel, "Who am I there?")
    error = panel.model.error
    assert isinstance(error, ServiceError)
    for fact in (error.code, error.request_id, "next step"):
        assert fact
        assert fact in panel._outcome.value
        assert fact in panel.text()


def test_metadata_disabled_is_said_before_a_click(cloud: Cloud, world: Sandbox, made: Made) -> None:
    world.fault("imds-disabled")
    panel = made(CredentialsPanel(cloud))
    assert "Metadata is disabled on web-1" in panel.text()


def test_the_trap(cloud: Cloud, world: Sandbox, made: Made) -> None:
    panel = made(CredentialsPanel(cloud))
    before = world.admin.knobs()
    click(panel, "Show the trap")
    result = panel.model.result
    assert isinstance(result, TrapResult), panel.text()
    assert result.page_mixed > 0
    assert result.ours_mixed == 0
    assert f"{result.page_mixed} of {result.page_total} mixed" in panel.model.status
    for told in (panel._outcome.value, panel.text()):
        assert "50 ms" in told
    assert "<meter" in panel._outcome.value
    assert world.admin.knobs() == before
    assert counted(panel) == {}, "an experiment's requests are nobody's use"


def test_the_trap_is_cancelled(cloud: Cloud, world: Sandbox, made: Made) -> None:
    panel = made(CredentialsPanel(cloud))
    before = world.admin.knobs()
    first = panel.show_trap()
    assert panel.show_trap() is first, "a second click is ignored"
    while world.admin.knobs() == before and first.state == "running":
        pass
    panel._cancel.click()
    panel.wait()
    assert isinstance(panel.model.error, Cancelled)
    assert world.admin.knobs() == before


# ---- choosing an instance


def test_another_instance_is_chosen(cloud: Cloud, made: Made) -> None:
    panel = made(CredentialsPanel(cloud))
    names = [label for label, _ in panel.instance.options]
    assert any(name.startswith("web-2 ") for name in names)
    assert not any(name.startswith("stopped-1") for name in names)
    click(panel, methods.METADATA)
    panel.instance.value = cloud.instances["windows-1"].instance_id
    panel.refresh().wait(10)
    assert "attached to windows-1" in panel.text()
    assert "no method has been run yet" in panel.text()
    click(panel, "Who am I there?")
    assert cloud.instances["windows-1"].instance_id in panel.model.status


@pytest.mark.parametrize(
    ("name", "said"),
    [("wbe-1", "Did you mean 'web-1'"), ("stopped-1", "is stopped: no program runs there")],
)
def test_an_instance_that_will_not_do(cloud: Cloud, made: Made, name: str, said: str) -> None:
    panel = made(CredentialsPanel(cloud, name))
    assert said in panel.text()
    assert panel.instance.value is None
    panel.instance.value = cloud.instances["web-1"].instance_id
    panel.refresh().wait(10)
    assert said not in panel.text()
    click(panel, "Get credential")
    assert panel.model.error is None


def test_it_follows_what_is_typed_elsewhere(cloud: Cloud, made: Made) -> None:
    panel = made(CredentialsPanel(cloud))
    drawn = threading.Event()
    panel.countdown.observe(lambda _: drawn.set(), names=["until"])
    cloud.instances["web-1"].credentials()
    assert drawn.wait(5)
    assert "The credential held now" in panel.text()


def test_who_may_not_read_instances_sees_why(world: Sandbox, made: Made) -> None:
    world.fault("openapi-500")
    panel = made(CredentialsPanel(ramrole_nb.connect(world)))
    assert "InternalError" in panel.text()
    assert "InternalError" in panel.html()


# ---- live, and off the instance


def off_the_instance(cloud: Cloud) -> Cloud:
    """The session as one that runs on no instance and controls no sandbox."""
    context = cloud.context
    endpoints = replace(context.endpoints, instance_proxies={})
    return Cloud(
        replace(context, endpoints=endpoints, sandbox=None), label="LIVE account", provenance="a profile"
    )


def test_off_the_instance_the_code_is_shown(cloud: Cloud, made: Made) -> None:
    panel = made(CredentialsPanel(off_the_instance(cloud)))
    for told in (panel.html(), panel.text(), panel._where.value):
        assert "Run this on the instance" in told
        assert "get_credential()" in told
        assert "curl -s -X PUT" in told
        assert "aliyun configure set --profile EcsProfile" in told
    assert NOBODY_SEES in panel.text()
    for text in [*FETCHING, "Run all three methods", "Compare the modes"]:
        click(panel, text)
        assert isinstance(panel.model.error, MetadataUnreachable), text
        assert "on the instance itself" in panel._outcome.value
    click(panel, "Show the trap")
    assert isinstance(panel.model.error, InputError)
    assert "needs the sandbox" in panel._outcome.value
    click(panel, "Expire now")
    assert isinstance(panel.model.error, SandboxError)


# ---- what is left


def open_files() -> int:
    """Files, pipes and sockets that this process has open."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_fifty_panels_leave_no_thread_and_no_socket(cloud: Cloud) -> None:
    def once() -> None:
        panel = CredentialsPanel(cloud).wait()
        click(panel, "Get credential")
        panel.close()

    once()
    gc.collect()
    threads, files = threading.active_count(), open_files()
    for _ in range(50):
        once()
    gc.collect()  # oss2 keeps its errors, and so their sockets, in cycles
    assert threads_settle(threads + 1)
    assert open_files() <= files + 5, "fifty panels would have left fifty"


def test_no_secret_is_shown(cloud: Cloud, world: Sandbox, made: Made) -> None:
    panel = made(CredentialsPanel(cloud))
    vm = cloud.instances["web-1"]
    told = ""
    for text in [
        "Get credential",
        "Run all three methods",
        "Compare the modes",
        "Who am I there?",
        "Expire now",
    ]:
        click(panel, text)
        assert panel.model.error is None, panel.text()
        told += shown(panel)
    held = vm.credentials()
    fetched = vm.metadata.credentials()
    for credential in (held, fetched):
        for secret in (credential.access_key_secret, credential.security_token, credential.access_key_id):
            assert str.__str__(secret) not in told
    for user in world.start_line["users"]:
        assert str.__str__(user["access_key_secret"]) not in told
    assert str.__str__(world.proxy_url("web-1")) not in told
    assert button(panel, "Show code")
