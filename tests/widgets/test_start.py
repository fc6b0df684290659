"""The start panel: six clicks are the six calls, in any order, and each too early says what is missing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb
from ramrole_nb.errors import InputError, ServiceError
from ramrole_nb.widgets import StartPanel
from tests.widgets.conftest import click, failure_of, states

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

Made = Callable[[Any], Any]

STEPS = (
    ("1. Create the role", "role"),
    ("2. Let it read OSS", "grant"),
    ("3. Attach it to web-1", "attach"),
    ("4. Fetch its credential", "credentials"),
    ("5. Download the picture", "download"),
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path) -> None:
    os.chdir(tmp_path)


def test_the_whole_way_by_clicks(world: Sandbox, made: Made, tmp_path: Path) -> None:
    cloud = ramrole_nb.connect(world).reset()
    panel = made(StartPanel(cloud))
    for text, step in STEPS:
        assert panel.step == step
        assert f"Next: {text}" in panel.text()
        click(panel, text)
        assert failure_of(panel) is None, panel.text()
        assert panel.code, "each step has its code"
    assert (tmp_path / "example.png").stat().st_size == 67_585
    assert panel.step == ""
    assert "Next: 6. Clean up" in panel.text()
    assert "data:image/png;base64," in panel.html()
    names = [call.action for call in cloud.wire.since() if not call.check]
    assert [name for name in names if not name.startswith(("Describe", "Get", "List", "PUT", "GET"))] == [
        "CreateRole",
        "AttachPolicyToRole",
        "AttachInstanceRamRole",
    ]
    click(panel, "6. Clean up")
    assert cloud.created() == []
    assert "EcsRamRole" not in cloud.roles
    assert panel.step == "role"


@pytest.mark.parametrize("text", [text for text, _ in STEPS[1:]])
def test_a_step_too_early_says_what_is_missing(cloud: Cloud, made: Made, text: str) -> None:
    panel = made(StartPanel(cloud))
    click(panel, text)
    assert isinstance(failure_of(panel), InputError)
    assert "next step  press 1. Create the role" in panel.text(), "it names the button, not a call"
    assert panel.step == "role"


def test_what_another_session_did_counts(cloud: Cloud, world: Sandbox, made: Made) -> None:
    panel = made(StartPanel(cloud))
    ramrole_nb.connect(world).roles.create("EcsRamRole")
    click(panel, "2. Let it read OSS")
    assert failure_of(panel) is None, panel.text()


def test_what_is_cleaned_up_elsewhere_leaves_no_result_behind(cloud: Cloud, made: Made) -> None:
    panel = made(StartPanel(cloud))
    for text, _ in STEPS:
        click(panel, text)
    assert "example.png" in panel._outcome.value
    cloud.clean_up()
    panel.refresh().wait()
    assert panel._outcome.value == ""
    assert panel.model.status == ""


@pytest.mark.parametrize("text", [text for text, _ in STEPS[:3]])
def test_a_failure_of_the_service_is_shown(world: Sandbox, made: Made, text: str) -> None:
    cloud = ramrole_nb.connect(world)
    panel = made(StartPanel(cloud))
    for before, _ in STEPS:
        if before == text:
            break
        click(panel, before)
    world.fault("openapi-500")
    click(panel, text)
    error = failure_of(panel)
    assert isinstance(error, ServiceError)
    assert error.request_id
    for fact in (error.code, error.request_id, "next step"):
        assert fact in panel.html()
    world.fault("openapi-500", on=False)
    cloud.context.preflight.forget()
    click(panel, text)
    assert failure_of(panel) is None


def test_it_shows_no_secret(world: Sandbox, made: Made) -> None:
    cloud = ramrole_nb.connect(world)
    panel = made(StartPanel(cloud))
    for text, _ in STEPS:
        click(panel, text)
    held = cloud.instances["web-1"].credentials()
    shown = states(panel) + panel.html() + panel.text()
    assert str.__str__(held.access_key_secret) not in shown
    assert str.__str__(held.security_token) not in shown
    assert held.access_key_id not in shown
