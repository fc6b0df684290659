"""The doctor panel: a click is `rr.diagnose`, its fixes can be copied, and it says when it is out of date."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb as rr
from ramrole_nb.cloud.credentials import forget_every_role
from ramrole_nb.errors import Cancelled, InputError
from ramrole_nb.widgets import DoctorPanel
from ramrole_nb.widgets.elements import CodeBlock
from tests.support.threads import threads_settle
from tests.widgets.conftest import button, click, everything, states

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

Made = Callable[[Any], Any]
OBJECT = "oss://sandbox-photos/testfolder/example.png"


@pytest.fixture
def ready(cloud: Cloud) -> Cloud:
    forget_every_role()
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    cloud.instances["web-1"].attach(role)
    return cloud


def codes(panel: DoctorPanel) -> dict[str, str]:
    return {w.title: w.code for w in everything(panel.box) if isinstance(w, CodeBlock)}


def test_nothing_yet_then_all_is_well(ready: Cloud, made: Made) -> None:
    panel = made(DoctorPanel(ready, "web-1", OBJECT))
    assert "Nothing was diagnosed yet" in panel.text()
    assert "Nothing was diagnosed yet" in panel.html()
    assert set(panel.instance.options) >= {"web-1", "batch-2"}
    click(panel, "Diagnose")
    assert panel.model.error is None, panel.text()
    assert panel.model.result.ok
    assert "Nothing is wrong" in panel.model.status
    assert "its metadata service" in panel._looks.value
    assert codes(panel)["The same, typed"] == f"rr.diagnose('web-1', '{OBJECT}', cloud=cloud)"


def test_a_click_is_the_call(ready: Cloud, made: Made) -> None:
    panel = made(DoctorPanel(ready, "web-2", OBJECT))
    panel.full.value = True
    panel.role.value = "EcsRamRole"
    click(panel, "Diagnose")
    typed: Any = eval(codes(panel)["The same, typed"], {"rr": rr, "cloud": ready})  # noqa: S307 - that is the test
    clicked = panel.model.result
    assert [item.to_dict() for item in typed.findings] == [item.to_dict() for item in clicked.findings]
    assert clicked.findings[0].cause == "no-role-attached"


def test_the_fix_can_be_copied_and_mends(ready: Cloud, made: Made) -> None:
    panel = made(DoctorPanel(ready, "web-2", OBJECT))
    panel.role.value = "EcsRamRole"
    click(panel, "Diagnose")
    assert "No RAM role is attached" in panel.model.status
    fixes = codes(panel)
    assert fixes["Fix in the shell"].startswith("aliyun ecs AttachInstanceRamRole")
    exec(fixes["Fix in Python"], {"cloud": ready, "rr": rr})  # noqa: S102 - that is the test
    panel.refresh().wait(10)
    assert "diagnose again" in panel.text(), "what it shows is of before"
    assert "diagnose again" in panel.html()
    click(panel, "Diagnose")
    assert panel.model.result.ok, panel.text()
    assert "diagnose again" not in panel.text()


def test_bad_input_asks_nothing(ready: Cloud, made: Made) -> None:
    panel = made(DoctorPanel(ready, "web-1", "sandbox-photos/a.png"))
    mark = ready.wire.mark
    click(panel, "Diagnose")
    assert isinstance(panel.model.error, InputError)
    assert "oss://sandbox-photos/a.png" in panel._outcome.value
    assert ready.wire.since(mark) == []


@pytest.mark.parametrize(
    ("fault", "cause"),
    [("throttling", "throttled"), ("openapi-500", "service-failed"), ("oss-503", "service-failed")],
)
def test_where_services_fail_the_panel_says_so(
    ready: Cloud, world: Sandbox, made: Made, fault: str, cause: str
) -> None:
    panel = made(DoctorPanel(ready, "web-1", OBJECT))
    world.fault(fault)
    click(panel, "Diagnose")
    finding = panel.model.result.findings[0]
    assert finding.cause == cause
    request_id = dict(finding.evidence)["request id"]
    assert request_id
    assert request_id in panel.text()
    assert request_id in panel.html()


def test_it_can_be_cancelled(ready: Cloud, world: Sandbox, made: Made) -> None:
    panel = made(DoctorPanel(ready, "web-1", OBJECT))
    world.fault("imds-hangs")
    job = panel.diagnose()
    assert panel.diagnose() is job, "a second click while it runs is ignored"
    panel.cancel()
    panel.wait()
    ended: Any = panel.model.error
    assert isinstance(ended, Cancelled)
    world.fault("imds-hangs", on=False)
    click(panel, "Diagnose")
    assert panel.model.error is None
    assert button(panel, "Diagnose").disabled is False


def test_a_user_who_may_nothing_gets_an_answer(ready: Cloud, world: Sandbox, made: Made) -> None:
    del ready
    panel = made(DoctorPanel(rr.connect(world, user="viewer"), "", OBJECT))
    click(panel, "Diagnose")
    assert panel.model.result.findings[0].cause == "permission-missing"
    assert "viewer" in panel.text()


def test_it_changes_nothing_and_shows_no_secret(ready: Cloud, world: Sandbox, made: Made) -> None:
    credential = ready.instances["web-1"].credentials()
    panel = made(DoctorPanel(ready, "web-1", OBJECT))
    before = ready.created()
    world.fault("policy-detached")
    panel.full.value = True
    click(panel, "Diagnose")
    assert ready.created() == before
    shown = states(panel) + panel.html() + panel.text() + json.dumps(panel.model.result.to_dict())
    for user in world.start_line["users"]:
        assert str.__str__(user["access_key_secret"]) not in shown
    for secret in (credential.access_key_secret, credential.security_token):
        assert str.__str__(secret) not in shown


def test_what_comes_from_outside_is_escaped(ready: Cloud, made: Made) -> None:
    panel = made(DoctorPanel(ready, "web-1", "oss://sandbox-photos/<img src=x onerror=alert(1)>.png"))
    click(panel, "Diagnose")
    assert panel.model.result.findings[0].cause == "object-not-found"
    for widget in everything(panel.box):
        assert "<img" not in str(getattr(widget, "value", "")) or widget is panel.object
    assert "<img" not in panel.html()


def test_made_again_and_again_it_leaves_nothing(ready: Cloud) -> None:
    from ipywidgets.widgets.widget import _instances

    def once() -> None:
        panel = DoctorPanel(ready, "web-2", OBJECT)
        panel.wait()
        click(panel, "Diagnose")
        click(panel, "Diagnose")
        panel.close()

    once()
    gc.collect()
    threads, widgets = threading.active_count(), len(_instances)
    for _ in range(10):
        once()
    gc.collect()
    assert threads_settle(threads + 1)
    assert len(_instances) <= widgets + 5
