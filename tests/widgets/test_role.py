"""The role panel: each click is one call of the library, and leaves the world that the call leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb
from ramrole_nb.errors import PreflightRefused
from ramrole_nb.policy import read_objects, same_meaning, trust_for_service
from ramrole_nb.widgets import RolePanel
from tests.widgets.conftest import button, click, shows_its_failure, states

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

Made = Callable[[Any], Any]


def held(cloud: Cloud, name: str) -> dict[str, str]:
    return {policy.name: policy.type for policy in cloud.roles[name].policies()}


def test_clicking_leaves_what_typing_leaves(world: Sandbox, made: Made) -> None:
    clicked = ramrole_nb.connect(world).reset()
    panel = made(RolePanel(clicked, "EcsRamRole", bucket="sandbox-photos"))
    click(panel, "Create role")
    assert panel.model.error is None
    click(panel, "Grant policy")
    panel.prefix.value = "testfolder/"
    click(panel, "Write the document")
    click(panel, "Grant document")
    assert panel.model.error is None, panel.text()
    first = (clicked.roles["EcsRamRole"].trust_policy, held(clicked, "EcsRamRole"))
    ledger = clicked.created()
    assert len(ledger) == 4

    clicked.reset()
    typed = ramrole_nb.connect(world)
    role = typed.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    role.grant(read_objects("sandbox-photos", "testfolder/"))
    second = (typed.roles["EcsRamRole"].trust_policy, held(typed, "EcsRamRole"))
    assert same_meaning(first[0], second[0])
    assert first[1] == second[1]
    assert typed.created() == ledger


def test_the_name_is_checked_while_it_is_typed(cloud: Cloud, made: Made) -> None:
    panel = made(RolePanel(cloud, "my role"))
    assert "✕" in panel._name_check.said.value
    assert "my-role" in panel._name_check.said.value
    calls = len(cloud.wire)
    click(panel, "Create role")
    assert "no role name" in panel.text()
    assert [call for call in cloud.wire.since() if not call.check] == [], "nothing was asked of the service"
    assert calls <= len(cloud.wire)
    panel.name.value = "my-role"
    assert "✓" in panel._name_check.said.value


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "malformed"),
        ('{"Version": "2012-10-17", "Statement": []}', "malformed"),
        (trust_for_service("oss.aliyuncs.com"), "ECS may not assume it"),
    ],
)
def test_the_trust_policy_is_checked_while_it_is_edited(
    cloud: Cloud, made: Made, document: str, said: str
) -> None:
    panel = made(RolePanel(cloud, "EcsRamRole"))
    panel.trust.value = document
    assert said in panel._trust_check.said.value


def test_a_trust_policy_is_saved(cloud: Cloud, made: Made) -> None:
    cloud.roles.create("EcsRamRole")
    panel = made(RolePanel(cloud, "EcsRamRole"))
    panel.trust.value = trust_for_service("oss.aliyuncs.com")
    click(panel, "Save trust policy")
    assert panel.model.error is None
    assert "does not trust ECS" in panel._role_now.value
    assert not cloud.roles["EcsRamRole"].trusts_ecs


def test_policies_are_found_by_a_word(cloud: Cloud, made: Made) -> None:
    panel = made(RolePanel(cloud, "EcsRamRole"))
    assert panel.policy.value == "AliyunOSSReadOnlyAccess", "the smaller one first"
    panel.search.value = "ecs readonly"
    assert set(panel.policy.options) == {"AliyunECSReadOnlyAccess"}
    panel.search.value = "no such policy"
    click(panel, "Grant policy")
    assert "No policy is chosen" in panel.text()


def test_a_policy_is_revoked(cloud: Cloud, made: Made) -> None:
    cloud.roles.create("EcsRamRole").grant("AliyunOSSReadOnlyAccess")
    panel = made(RolePanel(cloud, "EcsRamRole"))
    assert panel.held.value == "AliyunOSSReadOnlyAccess"
    click(panel, "Revoke policy")
    assert panel.model.error is None
    assert held(cloud, "EcsRamRole") == {}
    assert panel._revoking.layout.display == "none"


def test_missing_permissions_are_named_before_the_call(world: Sandbox, made: Made) -> None:
    panel = made(RolePanel(ramrole_nb.connect(world, user="viewer"), "Mine"))
    for action in ("ram:CreateRole", "ram:AttachPolicyToRole", "ram:UpdateRole"):
        assert action in panel._permissions.value
    click(panel, "Create role")
    assert isinstance(panel.model.error, PreflightRefused)
    assert "ram:CreateRole" in panel._outcome.value


@pytest.mark.parametrize("fault", ["openapi-500", "throttling"])
@pytest.mark.parametrize(
    "text", ["Create role", "Save trust policy", "Grant policy", "Grant document", "Revoke policy"]
)
def test_every_button_shows_its_failure(world: Sandbox, made: Made, text: str, fault: str) -> None:
    admin = ramrole_nb.connect(world)
    admin.roles.create("Theirs").grant("AliyunOSSReadOnlyAccess")
    panel = made(RolePanel(admin, "New" if text == "Create role" else "Theirs", bucket="sandbox-photos"))
    click(panel, "Write the document")
    world.fault(fault)
    click(panel, text)
    shows_its_failure(panel)
    world.fault(fault, on=False)
    admin.context.preflight.forget()
    click(panel, text)
    assert panel.model.error is None, "the next click works"


def test_the_code_of_what_was_done_is_there(cloud: Cloud, made: Made) -> None:
    panel = made(RolePanel(cloud, "EcsRamRole"))
    assert panel._code_toggle.layout.display == "none", "nothing was done yet"
    click(panel, "Create role")
    assert any("CreateRole" in text for text in panel.code.values())
    assert "--RoleName EcsRamRole" in panel.code["Shell (aliyun, curl)"]
    click(panel, "Show code")
    assert panel._code_box.layout.display == ""
    assert button(panel, "Hide code")
    panel.name.value = "no such name"
    click(panel, "Grant policy")
    panel.name.value = "NoSuchRole"
    click(panel, "Grant policy")
    assert panel.model.error is not None
    assert panel.code == {}, "the code of what was done before does not stand beside a failure"
    assert panel._code_toggle.layout.display == "none"


def test_it_shows_no_secret_and_is_never_blank(world: Sandbox, made: Made) -> None:
    cloud = ramrole_nb.connect(world)
    panel = made(RolePanel(cloud, "EcsRamRole"))
    assert "no policy yet" in panel.text()
    click(panel, "Create role")
    shown = states(panel) + panel.html() + panel.text()
    for user in world.start_line["users"]:
        assert str.__str__(user["access_key_secret"]) not in shown
    assert json.loads(panel.trust.value)["Statement"]
