"""The clean-up panel: what is listed, one question, the result thing by thing, and what stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb
from ramrole_nb.connect import _asker
from ramrole_nb.errors import Cancelled, ChangeNotConfirmed
from ramrole_nb.ledger import Ledger
from ramrole_nb.widgets import CleanUpPanel
from tests.cloud.conftest import Journal
from tests.test_secrets import secrets_of
from tests.widgets.conftest import button, click, states

if TYPE_CHECKING:
    import ipywidgets as widgets

    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

Made = Callable[[Any], Any]

WEB = "i-2zesandboxweb1"
READ = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*"}]}
NOTHING = "Nothing to clean up: you created nothing here that is still there."


@pytest.fixture
def world(world: Sandbox) -> Sandbox:
    """The sandbox as at its start, and nothing in the ledger beside it."""
    (world.state / "ledger.jsonl").unlink(missing_ok=True)
    return world


@pytest.fixture
def journal(world: Sandbox) -> Journal:
    return Journal(world)


def make_some(cloud: Cloud) -> list[str]:
    """Create six things; return what undoing them says."""
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    role.grant(READ)
    cloud.instances["web-1"].attach(role)
    cloud.buckets["sandbox-photos"].upload(b"x", "mine.txt")
    return cloud.created()


def start(panel: CleanUpPanel, text: str = "") -> CleanUpPanel:
    """Click "Clean up", and wait for the question."""
    main: widgets.Button = panel._start
    if text:
        assert main.description == text
    main.click()
    for _ in range(200):
        if panel._ask.layout.display == "":
            return panel
        assert panel.model.busy, panel.text()
        time.sleep(0.02)
    raise AssertionError("nobody asked")


def answer(panel: CleanUpPanel, text: str) -> CleanUpPanel:
    button(panel, text).click()
    panel.wait()
    return panel


def test_nothing_was_created(cloud: Cloud, made: Made) -> None:
    panel = made(CleanUpPanel(cloud))
    for shown in (panel._list.value, panel.html(), panel.text()):
        assert NOTHING in shown
    click(panel, "Clean up")
    assert panel.model.error is None, "there is nothing to ask about"
    assert panel.model.status == "nothing to clean up"


def test_the_list_is_in_order_with_why_and_since_when(cloud: Cloud, made: Made) -> None:
    planned = make_some(cloud)
    cloud.context.ledger.intend("role", "Perhaps")
    panel = made(CleanUpPanel(cloud))
    rows = panel._shown.rows()
    assert [row[1] for row in rows if "Perhaps" not in row[1]] == planned
    for shown in (panel._list.value, panel.html(), panel.text()):
        assert all(line in shown for line in planned)
        assert "may exist" in shown
        assert "an instance must not be left with a role that is gone" in shown
        assert "DeleteConflict" in shown
        assert " UTC" in shown
    assert panel._start.description == "Clean up (7)"


def test_it_asks_once_and_then_removes_everything(cloud: Cloud, made: Made, journal: Journal) -> None:
    planned = make_some(cloud)
    panel = made(CleanUpPanel(cloud))
    journal.mark()
    start(panel, "Clean up (6)")
    assert journal.writes == []
    assert "This removes 6 things from SANDBOX account" in panel._question.value
    assert all(line in panel._question.value for line in planned)
    answer(panel, "Go ahead")
    assert panel.model.error is None, panel.text()
    assert panel.model.status == "6 of 6 undone"
    assert [item.what for item in panel.model.result.items] == planned
    assert all(line in panel._outcome.value for line in planned)
    assert NOTHING in panel._list.value
    assert cloud.created() == []
    assert list(cloud.roles) == []
    assert cloud.instances["web-1"].role_name == ""
    shell = panel.code["Shell (aliyun, curl)"]
    assert (
        shell.index("DetachInstanceRamRole") < shell.index("DetachPolicyFromRole") < shell.index("DeleteRole")
    )


def test_a_long_list_is_not_told_twice(cloud: Cloud, made: Made) -> None:
    """Else the buttons of the answer would be out of sight."""
    for number in range(12):
        cloud.roles.create(f"Another{number}")
    panel = made(CleanUpPanel(cloud))
    start(panel, "Clean up (12)")
    assert "This removes 12 things" in panel._question.value
    assert "all that is listed above" in panel._question.value
    assert "Another5" in panel._list.value
    answer(panel, "Go ahead")
    assert cloud.created() == []


def test_clicking_leaves_what_typing_leaves(world: Sandbox, made: Made) -> None:
    def state(cloud: Cloud) -> tuple[Any, ...]:
        return (
            [role.name for role in cloud.roles],
            [policy.name for policy in cloud.roles.policies(kind="Custom")],
            cloud.instances.roles(list(cloud.instances)),
            [found.key for found in cloud.buckets["sandbox-photos"].list(delimiter="")],
            cloud.created(),
        )

    untouched = state(ramrole_nb.connect(world))
    clicked = ramrole_nb.connect(world)
    make_some(clicked)
    answer(start(made(CleanUpPanel(clicked))), "Go ahead")
    first = state(clicked)
    typed = ramrole_nb.connect(world)
    make_some(typed)
    typed.clean_up()
    assert first == state(typed) == untouched


def test_do_nothing_does_nothing(cloud: Cloud, made: Made, journal: Journal) -> None:
    planned = make_some(cloud)
    panel = made(CleanUpPanel(cloud))
    journal.mark()
    answer(start(panel), "Do nothing")
    assert isinstance(panel.model.error, Cancelled)
    assert "Nothing was removed" in panel._outcome.value
    assert panel._ask.layout.display == "none"
    assert journal.writes == []
    assert cloud.created() == planned
    start(panel)
    panel._cancel.click()
    panel.wait()
    assert isinstance(panel.model.error, Cancelled)
    assert journal.writes == []


def test_a_script_need_not_be_asked(cloud: Cloud, made: Made) -> None:
    make_some(cloud)
    panel = made(CleanUpPanel(cloud))
    panel.clean_up(yes=True).wait()
    assert panel.model.result.ok
    assert cloud.created() == []


def test_cancel_between_two_things_says_what_was_done_and_a_second_run_picks_up(
    cloud: Cloud, made: Made, journal: Journal
) -> None:
    planned = make_some(cloud)
    panel = made(CleanUpPanel(cloud))
    journal.mark()
    # The button is pressed while the third thing is being undone.
    panel._bar.observe(
        lambda change: panel._cancel.click() if planned[2] in change["new"] else None, names=["caption"]
    )
    panel.clean_up(yes=True)
    panel.wait()
    assert panel.model.error is None
    assert [item.ok for item in panel.model.result.items] == [True] * 3 + [False] * 3
    assert panel.model.status == "3 of 6 undone, 3 left: running it again goes on from there"
    assert panel._status.kind == "cancelled"
    assert panel._outcome.value.count("not tried: cancelled") == 3
    assert cloud.created() == planned[3:]
    assert [row[1] for row in panel._shown.rows()] == planned[3:]
    panel._bar.unobserve_all()
    answer(start(panel, "Clean up (3)"), "Go ahead")
    assert panel.model.result.ok
    assert cloud.created() == []


def test_what_fails_stays_and_says_why_and_what_to_do(world: Sandbox, made: Made) -> None:
    operator = ramrole_nb.connect(world, user="operator")
    operator.roles.create("EcsRamRole")
    operator.instances["web-1"].attach("EcsRamRole")
    panel = made(CleanUpPanel(operator))
    assert "✕ missing: ram:DeleteRole" in panel._list.value, "said before the click"
    answer(start(panel), "Go ahead")
    assert panel.model.error is None
    assert panel._status.kind == "failed"
    assert "1 of 2 undone, 1 left" in panel.model.status
    done, failed = panel.model.result.items
    assert done.ok
    for shown in (panel._outcome.value, panel.html()):
        for fact in ("failed ✕", failed.code, failed.request_id, "have ram:DeleteRole granted"):
            assert fact
            assert fact in shown
    assert "delete role EcsRamRole" in panel._list.value
    assert WEB not in panel._list.value
    admin = made(CleanUpPanel(ramrole_nb.connect(world)))
    answer(start(admin), "Go ahead")
    assert admin.model.result.ok


@pytest.mark.parametrize("fault", ["openapi-500", "throttling"])
def test_a_service_that_is_down_fails_each_and_the_next_click_works(
    world: Sandbox, made: Made, fault: str
) -> None:
    cloud = ramrole_nb.connect(world)
    cloud.roles.create("EcsRamRole").grant("AliyunOSSReadOnlyAccess")
    panel = made(CleanUpPanel(cloud))
    world.fault(fault)
    answer(start(panel), "Go ahead")
    result = panel.model.result
    assert not result.ok
    for item in result.items:
        assert item.code
        assert item.request_id in panel._outcome.value
        assert item.next_step
        assert escape(item.next_step) in panel._outcome.value
    assert len(cloud.created()) == 2
    world.fault(fault, on=False)
    cloud.context.preflight.forget()
    answer(start(panel), "Go ahead")
    assert panel.model.result.ok


def test_what_is_noted_elsewhere_is_counted_and_named(cloud: Cloud, world: Sandbox, made: Made) -> None:
    path = world.state / "ledger.jsonl"
    account = cloud.identity().account_id
    live = Ledger(path, mode="live", account_id="1234567890123456")
    for name in ("A", "B", "C"):
        live.done(live.intend("role", name))
    other = Ledger(path, mode="sandbox", account_id=account, world="new-account")
    other.done(other.intend("role", "D"))
    panel = made(CleanUpPanel(cloud))
    for shown in (panel._list.value, panel.html(), panel.text()):
        assert NOTHING in shown
        assert (
            "3 things of the live account 1234567890123456 are not touched from here; connect there" in shown
        )
        assert "1 thing of the sandbox" in shown
        assert "new-account" in shown
    cloud.roles.create("EcsRamRole")
    panel.clean_up(yes=True).wait()
    assert len(live.open_entries()) == 3
    assert len(other.open_entries()) == 1


@pytest.mark.parametrize(("changes", "times"), [("ask", 1), ("yes", 1), ("no", 0)])
def test_a_live_session_is_asked_about_once(cloud: Cloud, made: Made, changes: str, times: int) -> None:
    """The gate is the live one, `connect`'s own; what it guards is the sandbox."""
    cloud.roles.create("EcsRamRole")
    cloud.context.confirm = _asker(changes, "a test")
    panel = made(CleanUpPanel(cloud))
    if not times:
        click(panel, "Clean up (1)")
        assert isinstance(panel.model.error, ChangeNotConfirmed)
        assert "changes=&quot;no&quot;" in panel._outcome.value
        return
    asked: list[str] = []
    panel._question.observe(lambda change: asked.append(change["new"]), names=["value"])
    answer(start(panel), "Go ahead")
    assert panel.model.result.ok, panel.text()
    assert len(asked) == times


def test_yes_does_not_open_a_live_gate(cloud: Cloud, made: Made, journal: Journal) -> None:
    cloud.roles.create("EcsRamRole")
    cloud.context.confirm = _asker("ask", "a test")
    panel = made(CleanUpPanel(cloud))
    journal.mark()
    panel.clean_up(yes=True)
    for _ in range(200):
        if panel._ask.layout.display == "":
            break
        time.sleep(0.02)
    assert "This changes a LIVE account" in panel._question.value
    answer(panel, "Do nothing")
    assert isinstance(panel.model.error, ChangeNotConfirmed)
    assert journal.writes == []


def test_it_follows_what_is_created_elsewhere(cloud: Cloud, made: Made) -> None:
    panel = made(CleanUpPanel(cloud))
    cloud.roles.create("EcsRamRole")
    for _ in range(100):
        if "delete role EcsRamRole" in panel._list.value:
            break
        time.sleep(0.05)
    assert "delete role EcsRamRole" in panel._list.value
    assert "certain" in panel._list.value


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files where Linux lists them")
def test_fifty_panels_leave_no_thread_and_no_socket(cloud: Cloud) -> None:
    def used() -> tuple[int, int]:
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    cloud.roles.create("EcsRamRole")
    CleanUpPanel(cloud).wait().close()
    before = used()
    for _ in range(50):
        CleanUpPanel(cloud).wait().close()
    time.sleep(0.3)
    threads, sockets = used()
    assert threads <= before[0] + 1
    assert sockets <= before[1] + 4


def test_it_shows_no_secret(world: Sandbox, made: Made) -> None:
    cloud = ramrole_nb.connect(world)
    make_some(cloud)
    cloud.instances["web-1"].credentials()
    panel = made(CleanUpPanel(cloud))
    answer(start(panel), "Go ahead")
    shown = states(panel) + panel.html() + panel.text() + "".join(panel.code.values())
    assert "EcsRamRole" in shown
    for secret in secrets_of(world):
        assert secret not in shown
