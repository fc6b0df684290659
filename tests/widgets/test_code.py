"""The code panel: whatever was done, and however, its code stands there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb
from ramrole_nb import snippets
from ramrole_nb.cloud.credentials import forget_every_role
from ramrole_nb.errors import RamroleError
from ramrole_nb.snippets.from_calls import last_code
from ramrole_nb.widgets import CodePanel, RolePanel
from tests.widgets.conftest import click, states

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

Made = Callable[[Any], Any]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    forget_every_role()


def listed(panel: CodePanel) -> list[str]:
    return [label.split(". ", 1)[1] for label, _ in panel.done.options]


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it has not come"
        time.sleep(0.02)


def test_before_anything_was_done(cloud: Cloud, made: Made) -> None:
    panel = made(CodePanel(cloud))
    for shown in (panel.text(), panel.html(), panel._none.value):
        assert "Nothing was done yet" in shown
    assert panel.view is None
    assert panel.choose() is None
    assert panel._box.layout.display == "none"


def test_a_click_and_a_typed_cell_have_the_same_code(world: Sandbox, made: Made) -> None:
    clicked, typed = ramrole_nb.connect(world), ramrole_nb.connect(world)
    seen = made(CodePanel(clicked))
    click(made(RolePanel(clicked, "EcsRamRole")), "Create role")
    until(lambda: listed(seen) == ["create role EcsRamRole"])
    clicked.roles["EcsRamRole"].delete()
    trust = ramrole_nb.policy.trust_for_service("ecs.aliyuncs.com")
    typed.roles.create("EcsRamRole", trust=trust)
    other = made(CodePanel(typed))
    assert listed(other) == ["create role EcsRamRole"]
    assert "CreateRole" in other.tabs.texts[1]
    assert other.tabs.titles == list(snippets.LANGUAGES.values())
    assert other.view.python == last_code(typed.wire.since()).python
    assert other.tabs.texts[0] == other.view.python
    assert "create role EcsRamRole" in other.text()
    assert "<details" in other.html()


def test_it_follows_unless_an_older_one_is_looked_at(cloud: Cloud, made: Made) -> None:
    panel = made(CodePanel(cloud))
    role = cloud.roles.create("One")
    until(lambda: listed(panel) == ["create role One"])
    role.grant("AliyunOSSReadOnlyAccess")
    until(lambda: panel.view is not None and "grant" in panel.view.title)
    assert listed(panel) == ["grant AliyunOSSReadOnlyAccess to role One", "create role One"]
    panel.done.value = panel.done.options[1][1]
    assert panel.view.title == "create role One"
    assert "CreateRole" in panel.tabs.texts[1]
    role.revoke("AliyunOSSReadOnlyAccess")
    until(lambda: len(panel.done.options) == 3)
    assert panel.view.title == "create role One", "who looks at an older one is left alone"
    panel.choose(0)
    assert panel.view.title == "revoke AliyunOSSReadOnlyAccess from role One"
    role.delete()
    until(lambda: panel.view.title == "delete role One")


def test_a_detach_becomes_a_replacement_by_the_attach_after_it(cloud: Cloud, made: Made) -> None:
    for name in ("One", "Two"):
        cloud.roles.create(name)
    vm = cloud.instances["web-1"].attach("One")
    panel = made(CodePanel(cloud))
    vm.detach()
    until(lambda: panel.view.title.startswith("detach"))
    vm.attach("Two")
    until(lambda: panel.view.title.startswith("replace role One"))
    assert "Two" in panel.tabs.texts[0]


def test_only_the_last_twenty(cloud: Cloud, made: Made) -> None:
    for number in range(23):
        cloud.roles.create(f"R{number}")
    panel = made(CodePanel(cloud))
    assert len(panel.done.options) == 20
    assert listed(panel)[0] == "create role R22"
    assert listed(panel)[-1] == "create role R3"


def test_what_was_refused_has_no_code(world: Sandbox, made: Made) -> None:
    cloud = ramrole_nb.connect(world, user="viewer")
    panel = made(CodePanel(cloud))
    with pytest.raises(RamroleError):
        cloud.context.calls.ram("DeleteRole", role_name="None")
    time.sleep(0.4)
    panel.wait()
    assert listed(panel) == []


def test_after_the_record_was_cleared_it_begins_anew(cloud: Cloud, made: Made) -> None:
    cloud.roles.create("One")
    panel = made(CodePanel(cloud))
    cloud.wire.clear()
    until(lambda: "Nothing was done yet" in panel._none.value)
    assert "Nothing was done yet" in panel.text()
    cloud.roles.create("Two")
    until(lambda: listed(panel) == ["create role Two"])
    assert panel.view.title == "create role Two"


def test_it_shows_no_secret(world: Sandbox, cloud: Cloud, made: Made) -> None:
    cloud.roles.create("One").grant("AliyunOSSReadOnlyAccess")
    vm = cloud.instances["web-1"].attach("One")
    held = vm.credentials()
    panel = made(CodePanel(cloud))
    assert "fetch a credential" in listed(panel)[0]
    shown = states(panel) + panel.html() + panel.text()
    secrets = [user["access_key_secret"] for user in world.start_line["users"]]
    for secret in [*secrets, held.access_key_secret, held.security_token]:
        assert str.__str__(secret) not in shown


def test_fifty_panels_leave_nothing_behind(cloud: Cloud) -> None:
    cloud.roles.create("One")
    CodePanel(cloud).wait().close()
    threads, listeners = threading.active_count(), len(cloud.wire._listeners)
    for _ in range(50):
        CodePanel(cloud).wait().close()
    until(lambda: threading.active_count() <= threads)
    assert len(cloud.wire._listeners) == listeners
