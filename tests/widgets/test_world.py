"""The world panel: the picture follows what happens, a step is lit, and the world is put back after a question."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import pytest

import ramrole_nb as rr
from ramrole_nb.cloud.session import Cloud
from ramrole_nb.cloud.world import STEPS
from ramrole_nb.errors import Cancelled, InputError, ServiceError
from ramrole_nb.widgets import WorldPanel
from tests.widgets.conftest import button, click, everything, failure_of, states

if TYPE_CHECKING:
    from ramrole_nb.sandbox import Sandbox

Made = Callable[[Any], Any]


def until(holds: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


@pytest.fixture
def cloud(world: Sandbox) -> Cloud:
    (world.state / "ledger.jsonl").unlink(missing_ok=True)
    return rr.connect(world)


def test_it_follows_what_is_done_elsewhere(cloud: Cloud, made: Made) -> None:
    panel = made(WorldPanel(cloud))
    assert "none yet that an instance may use" in panel._shown.value
    role = cloud.roles.create("EcsRamRole")
    until(lambda: "EcsRamRole" in panel._shown.value)
    role.grant("AliyunOSSReadOnlyAccess")
    until(lambda: "✓ read" in panel._shown.value)
    cloud.instances["web-1"].attach(role)
    until(
        lambda: "i-2zesandboxweb1, " not in panel._shown.value and "both metadata modes" in panel._shown.value
    )
    until(lambda: "7 instances with no role" in panel._shown.value)
    assert panel.model.error is None


def test_it_says_where_it_works(cloud: Cloud, made: Made) -> None:
    panel = made(WorldPanel(cloud))
    account = cloud.identity().account_id
    for shown in (panel._banner.value, panel.html(), panel.text()):
        assert "SANDBOX" in shown
        assert account in shown
    assert "▣ SANDBOX" in panel._banner.value
    assert "cn-beijing" in panel.html()
    assert panel._account.value.count(account) == 0, "the banner has it already"
    assert "nothing here leaves this machine" in panel.text()


def test_the_step_is_lit(cloud: Cloud, made: Made) -> None:
    panel = made(WorldPanel(cloud, "role"))
    assert "now: step 1, role" in panel._shown.value
    for number, step in enumerate(STEPS, 1):
        panel.step = step
        for shown in (panel._shown.value, panel.html(), panel.text()):
            assert f"now: step {number}, {step}" in shown
    panel.light("grant", "Other")
    assert panel.step == "grant"
    panel.light("")
    assert "now: step" not in panel.html()


def test_a_mistyped_step(cloud: Cloud, made: Made) -> None:
    with pytest.raises(InputError, match="attach"):
        WorldPanel(cloud, "atach")
    panel = made(WorldPanel(cloud))
    with pytest.raises(InputError, match="credentials"):
        panel.step = "credential"
    assert panel.step == ""


def test_the_world_is_put_back_after_a_yes(cloud: Cloud, made: Made) -> None:
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    cloud.instances["web-1"].attach(role)
    panel = made(WorldPanel(cloud))
    button(panel, "Put the world back").click()
    until(lambda: panel._ask.layout.display == "")
    assert "Put the world back? Your 3 created things go:" in panel._question.value
    assert "detach role EcsRamRole from i-2zesandboxweb1" in panel._question.value
    assert [r.name for r in cloud.roles] == ["EcsRamRole"], "nothing before the answer"
    button(panel, "Go ahead").click()
    panel.wait()
    assert panel.model.error is None
    assert panel.model.status == "the world is as it was at the start"
    assert list(cloud.roles) == []
    assert cloud.created() == []
    assert "none yet" in panel._shown.value


def test_a_no_leaves_everything(cloud: Cloud, made: Made) -> None:
    cloud.roles.create("EcsRamRole")
    panel = made(WorldPanel(cloud))
    button(panel, "Put the world back").click()
    until(lambda: panel._ask.layout.display == "")
    assert "Your 1 created thing goes:" in panel._question.value
    button(panel, "Do nothing").click()
    panel.wait()
    assert isinstance(failure_of(panel), Cancelled)
    assert "Nothing was put back" in panel.text()
    assert [r.name for r in cloud.roles] == ["EcsRamRole"]
    assert panel._ask.layout.display == "none"


def test_the_method_does_what_the_click_does(cloud: Cloud, made: Made) -> None:
    cloud.roles.create("EcsRamRole")
    panel = made(WorldPanel(cloud))
    panel.reset(ask=False).wait(30)
    assert list(cloud.roles) == []


def test_live_has_no_such_button(cloud: Cloud, made: Made) -> None:
    """A session without a world to put back, as live ones are."""
    live = Cloud(cloud.context, label="LIVE Alibaba Cloud, region cn-beijing", provenance="a test")
    panel = made(WorldPanel(live))
    texts = [w.description for w in everything(panel.box) if hasattr(w, "description")]
    assert "Put the world back" not in texts
    assert any("cloud.clean_up()" in str(getattr(w, "value", "")) for w in everything(panel.box))
    assert "⚠ LIVE" in panel._banner.value
    assert cloud.identity().account_id in panel._account.value


def test_what_may_not_be_read_is_said_in_its_place(world: Sandbox, made: Made) -> None:
    panel = made(WorldPanel(rr.connect(world, user="viewer")))
    assert panel.model.error is None
    assert "Not told: buckets: " in panel._shown.value
    assert "AccessDenied" in panel.text()


@pytest.mark.parametrize("fault", ["openapi-500", "throttling"])
def test_a_failure_ends_in_the_panel(cloud: Cloud, world: Sandbox, made: Made, fault: str) -> None:
    panel = made(WorldPanel(cloud))
    world.fault(fault)
    click(panel, "Look again")
    error = failure_of(panel)
    assert isinstance(error, ServiceError)
    for fact in (error.code, error.request_id, "next step"):
        assert fact in panel._outcome.value
        assert fact in panel.text()
    world.fault(fault, on=False)
    click(panel, "Look again")
    assert "8 instances" in panel._shown.value


def test_a_reset_that_fails(cloud: Cloud, world: Sandbox, made: Made) -> None:
    panel = made(WorldPanel(cloud))
    world.stop()
    try:
        panel.reset(ask=False)
        panel.wait()
        assert failure_of(panel) is not None
        assert "ramrole sandbox start" in panel.text()
    finally:
        world.start()


def test_a_panel_whose_cell_runs_again_lets_go_of_everything(cloud: Cloud) -> None:
    """IPython keeps each earlier output (`Out`), so what a replaced panel holds is held for good."""

    def living() -> int:
        gc.collect()
        return sum(isinstance(one, widgets.Widget) for one in gc.get_objects())

    kept = [WorldPanel(cloud).wait()]
    kept[0].replaced()
    before = living()
    for _ in range(50):
        panel = WorldPanel(cloud).wait()
        panel._repr_mimebundle_()
        panel.replaced()
        kept.append(panel)
    assert living() <= before
    assert "replaced: its cell was run again" in repr(kept[-1])
    assert len(kept[-1].html()) < 200


def test_many_panels_leave_nothing_behind(cloud: Cloud) -> None:
    WorldPanel(cloud).wait().close()
    before = threading.active_count()
    for _ in range(50):
        panel = WorldPanel(cloud)
        panel.wait()
        panel.close()
    until(lambda: threading.active_count() <= before + 1)
    assert cloud.wire._listeners == []


def test_no_secret_and_never_blank(cloud: Cloud, world: Sandbox, made: Made) -> None:
    role = cloud.roles.create("EcsRamRole")
    vm = cloud.instances["web-1"].attach(role)
    credentials = vm.credentials()
    panel = made(WorldPanel(cloud, "credentials"))
    shown = states(panel) + panel.html() + panel.text()
    secrets = [u["access_key_secret"] for u in world.start_line["users"]]
    for secret in [*secrets, credentials.access_key_secret, credentials.security_token]:
        assert str.__str__(secret) not in shown
    bundle = panel._repr_mimebundle_()
    assert "EcsRamRole" in bundle["text/plain"]
    assert "EcsRamRole" in bundle["text/html"]
