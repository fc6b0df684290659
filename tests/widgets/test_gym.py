"""The gym panel: a click is a call of the gym, a forced failure ends in a card, and the world is put back."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb as rr
from ramrole_nb.errors import InputError
from ramrole_nb.widgets import GymPanel
from tests.support.snapshot import snapshot
from tests.support.threads import threads_settle
from tests.widgets.conftest import click, failure_of, states

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud

Made = Callable[[Any], Any]


def test_a_case_by_clicking_leaves_the_world_as_it_was(cloud: Cloud, made: Made) -> None:
    before = snapshot(cloud)
    panel = made(GymPanel(cloud, case="fresh-start"))
    assert "No case is open" in panel.text()
    assert "No case is open" in panel.html()
    click(panel, "Start")
    assert failure_of(panel) is None, panel.text()
    assert panel.gym.case.name == "fresh-start"
    assert "404" in panel.html()
    assert "404" in panel.text()
    click(panel, "Check")
    assert panel.model.result.outcome == "not attempted"
    click(panel, "Hint")
    assert "Hint 1 of" in panel.html()
    click(panel, "Ask the doctor")
    assert panel.model.result.findings[0].cause == "no-role-attached"
    click(panel, "Do it for me")
    assert isinstance(failure_of(panel), InputError), "who has not seen the solution is asked to look first"
    click(panel, "Show solution")
    click(panel, "Do it for me")
    assert panel.model.result.verdict
    assert "1 of" in panel.text()
    click(panel, "Try again")
    assert panel.model.result.ok
    click(panel, "Stop")
    assert snapshot(cloud) == before


def test_the_program_can_be_changed(cloud: Cloud, made: Made) -> None:
    panel = made(GymPanel(cloud, case="night-shift"))
    click(panel, "Start")
    panel.change.value = "kye=x"
    click(panel, "Change it")
    assert "Did you mean 'key'" in str(failure_of(panel))
    panel.change.value = "key = testfolder/example.png"
    click(panel, "Change it")
    click(panel, "Check")
    assert panel.model.result, panel.text()
    click(panel, "Give up")
    assert panel.gym.case is None


@pytest.mark.parametrize("name", ["Try again", "Check", "Hint", "Ask the doctor", "Show solution", "Give up"])
def test_without_a_case_a_click_says_what_to_do(cloud: Cloud, made: Made, name: str) -> None:
    panel = made(GymPanel(cloud))
    click(panel, name)
    assert isinstance(failure_of(panel), InputError)
    assert "press Start" in panel._outcome.value


def test_a_service_that_fails_ends_in_a_card(cloud: Cloud, made: Made) -> None:
    panel = made(GymPanel(cloud))
    cloud.sandbox.fault("openapi-500")
    click(panel, "Surprise me")
    assert failure_of(panel) is not None
    assert "InternalError" in panel._outcome.value
    cloud.sandbox.fault("openapi-500", False)
    click(panel, "Surprise me")
    assert failure_of(panel) is None
    click(panel, "Stop")


def test_a_mistyped_case_names_the_nearest(cloud: Cloud) -> None:
    with pytest.raises(InputError, match="Did you mean 'fresh-start'"):
        GymPanel(cloud, case="fresh-strat")


def test_no_secret_and_no_thread_is_left(cloud: Cloud, made: Made) -> None:
    panel = made(GymPanel(cloud, case="two-of-three"))
    click(panel, "Start")
    issued = [str.__str__(row["access_key_secret"]) for row in cloud.sandbox.status()["users"]]
    shown = states(panel) + panel.html() + panel.text()
    assert not [secret for secret in issued if secret in shown]
    click(panel, "Stop")
    gc.collect()
    before = threading.active_count()
    for _ in range(50):
        GymPanel(cloud).wait().close()
    assert threads_settle(before + 1)


def test_live_it_says_where_it_works(tmp_path: Any) -> None:
    with pytest.raises(rr.errors.SandboxError, match="sandbox only"):
        GymPanel(rr.connect("live", state=str(tmp_path)))
