"""The panels of the lessons: each click is one call of the engine, and the verdict is told in words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb
from ramrole_nb.errors import InputError, PreflightRefused
from ramrole_nb.lessons import Solution, Verdict, lesson
from ramrole_nb.widgets import ExercisePanel, LessonPanel
from tests.widgets.conftest import button, click, failure_of, states

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

Made = Callable[[Any], Any]


@pytest.fixture
def cloud(world: Sandbox) -> Cloud:
    """A session with nothing in the ledger and no progress yet."""
    for name in ("ledger.jsonl", "progress.json"):
        (world.state / name).unlink(missing_ok=True)
    return ramrole_nb.connect(world)


def test_the_task_stands_there(cloud: Cloud, made: Made) -> None:
    exercise = lesson(cloud, "01").q1
    panel = made(ExercisePanel(exercise))
    for shown in (panel.html(), panel.text()):
        assert "photo-reader" in shown
        assert "not checked yet" in shown
    assert panel.TITLE == "Exercise 01.q1"
    assert "Last verdict: not checked yet" in panel._known.value
    exercise.check()
    assert exercise.outcome == "not attempted"
    panel.refresh().wait()
    assert "Last verdict: ○ not attempted" in panel._known.value


def test_a_typed_check_shows_in_the_panels(cloud: Cloud, made: Made) -> None:
    known = lesson(cloud, "01")
    panel, around = made(ExercisePanel(known.q1)), made(LessonPanel(known))
    known.q1.solution(apply=True)
    deadline = time.monotonic() + 5
    while "correct" not in panel._known.value or "1 of " not in around._score.value:
        assert time.monotonic() < deadline, panel._known.value + around._score.value
        time.sleep(0.02)


def test_a_hint_leaves_what_the_check_found(cloud: Cloud, made: Made) -> None:
    panel = made(ExercisePanel(lesson(cloud, "01").q1))
    click(panel, "Check")
    found = panel._outcome.value
    click(panel, "Hint")
    assert panel._outcome.value == found
    assert panel._status.kind == "info", "nothing is done yet"


def test_check_says_the_outcome_in_words(cloud: Cloud, made: Made) -> None:
    panel = made(ExercisePanel(lesson(cloud, "01").q1))
    click(panel, "Check")
    assert isinstance(panel.model.result, Verdict)
    assert panel.model.status.startswith("not attempted: There is no role photo-reader yet")
    assert panel._status.kind == "info", "nothing is done yet"
    assert "○ not attempted" in panel._outcome.value
    assert "○ not attempted" in panel.text()
    cloud.roles.create("photo-reader", trust=ramrole_nb.policy.trust_for_service("oss.aliyuncs.com"))
    click(panel, "Check")
    assert "✕ not yet" in panel._outcome.value
    assert "missing" in panel._outcome.value
    assert panel._status.kind == "info"
    cloud.roles["photo-reader"].set_trust(ramrole_nb.policy.trust_for_service("ecs.aliyuncs.com"))
    click(panel, "Check")
    assert "✓ correct" in panel._outcome.value
    assert panel._status.kind == "done"
    assert panel.model.status.startswith("correct: ")
    assert "correct" in panel._body_text()


def test_a_click_and_a_call_find_the_same(cloud: Cloud, made: Made) -> None:
    exercise = lesson(cloud, "01").q1
    panel = made(ExercisePanel(exercise))
    click(panel, "Check")
    assert panel.model.result == exercise.check()


def test_hints_go_one_step_further_each(cloud: Cloud, made: Made) -> None:
    exercise = lesson(cloud, "01").q1
    panel = made(ExercisePanel(exercise))
    total = len(exercise.hints)
    for number in range(1, total + 1):
        panel.hint().wait()
        assert f"hint {number} of {total}" in panel.model.status
        assert panel._hinted.value.count("<li>") == number
        assert panel._hint.description == f"Hint ({number} of {total} seen)"
    panel.hint().wait()
    assert panel._hinted.value.count("<li>") == total, "the last one is told again"
    assert exercise.hints[0] in panel.text()
    click(panel, "Check")
    assert panel._hinted.value.count("<li>") == total, "they stay while one tries"


def test_the_solution_is_shown_before_it_is_done(cloud: Cloud, made: Made) -> None:
    panel = made(ExercisePanel(lesson(cloud, "01").q1))
    assert panel._do_it.layout.display == "none"
    click(panel, "Show solution")
    assert "roles.create" in panel._outcome.value
    assert cloud.roles.get("photo-reader") is None, "showing does nothing"
    assert panel._do_it.layout.display == ""
    click(panel, "Do it for me")
    assert isinstance(panel.model.result, Solution)
    assert panel.model.result.applied
    assert panel.model.status.startswith("correct: ")
    assert "✓ correct" in panel._outcome.value
    assert cloud.roles["photo-reader"].trusts_ecs


def test_who_asks_twice_gets_it_done_without_looking(cloud: Cloud, made: Made) -> None:
    panel = made(ExercisePanel(lesson(cloud, "01").q1))
    click(panel, "Do it for me")
    assert isinstance(failure_of(panel), InputError)
    assert "not looked at the solution yet" in panel.text()
    assert cloud.roles.get("photo-reader") is None
    click(panel, "Do it for me")
    assert failure_of(panel) is None
    assert cloud.roles["photo-reader"].trusts_ecs


def test_what_cannot_be_found_out_is_said(cloud: Cloud, world: Sandbox, made: Made) -> None:
    panel = made(ExercisePanel(lesson(cloud, "01").q1))
    world.fault("openapi-500")
    click(panel, "Check")
    assert "? cannot tell" in panel._outcome.value
    assert panel.model.status.startswith("cannot tell: ")
    assert panel._status.kind == "info"


def test_doing_it_without_permission_ends_in_a_card(world: Sandbox, made: Made) -> None:
    viewer = ramrole_nb.connect(world, user="viewer")
    panel = made(ExercisePanel(lesson(viewer, "01").q1))
    click(panel, "Show solution")
    click(panel, "Do it for me")
    assert isinstance(panel.model.error, PreflightRefused)
    assert "ram:CreateRole" in panel._outcome.value
    assert "next step" in panel._outcome.value


# ---- lessons


def test_a_lesson_counts_what_is_correct(cloud: Cloud, made: Made) -> None:
    panel = made(LessonPanel(lesson(cloud, "01")))
    total = len(panel.exercises)
    assert f"0 of {total} correct" in panel._score.value
    for shown in (panel.html(), panel.text()):
        assert f"0 of {total} correct" in shown
        assert "01.q1" in shown
    click(panel, "Prepare")
    assert panel.model.error is None
    first = panel.exercises[0]
    first.solution().wait()
    first.do_it().wait()
    panel.wait()
    until(lambda: f"1 of {total} correct" in panel._score.value)
    assert f"1 of {total} correct" in panel.text()


def test_prepare_is_the_call(world: Sandbox, cloud: Cloud, made: Made) -> None:
    panel = made(LessonPanel(lesson(cloud, "02")))
    click(panel, "Prepare")
    assert panel.model.error is None
    clicked = sorted(role.name for role in cloud.roles)
    cloud.reset()
    (world.state / "progress.json").unlink()
    typed = ramrole_nb.connect(world)
    lesson(typed, "02").prepare()
    assert sorted(role.name for role in typed.roles) == clicked
    assert "EcsRamRole" in clicked


def test_start_over_forgets_the_progress(cloud: Cloud, made: Made) -> None:
    panel = made(LessonPanel(lesson(cloud, "01")))
    first = panel.exercises[0]
    first.hint().wait()
    first.solution().wait()
    first.do_it().wait()
    until(lambda: "1 of" in panel._score.value)
    click(panel, "Start over")
    assert panel.model.error is None
    assert panel.model.status.startswith("the progress is forgotten")
    assert "0 of" in panel._score.value
    until(lambda: "not checked yet" in first._known.value)
    assert first._hinted.value == ""
    assert first._outcome.value == ""
    assert first._do_it.layout.display == "none"
    assert "photo-reader" in cloud.roles, "the world stays"


def test_preparing_without_permission_ends_in_a_card(world: Sandbox, made: Made) -> None:
    (world.state / "progress.json").unlink(missing_ok=True)
    panel = made(LessonPanel(lesson(ramrole_nb.connect(world, user="viewer"), "02")))
    for text in ("Prepare", "Start over"):
        click(panel, text)
        assert isinstance(panel.model.error, PreflightRefused)
        assert "next step" in panel._outcome.value


def test_a_lesson_without_exercises(cloud: Cloud, made: Made) -> None:
    panel = made(LessonPanel(lesson(cloud, "00")))
    assert "This lesson has no exercises." in panel.text()
    assert "This lesson has no exercises." in panel.html()


def test_fifty_panels_leave_nothing_behind(cloud: Cloud) -> None:
    LessonPanel(lesson(cloud, "01")).wait().close()
    threads, listeners = threading.active_count(), len(cloud.wire._listeners)
    for _ in range(50):
        LessonPanel(lesson(cloud, "01")).wait().close()
    until(lambda: threading.active_count() <= threads)
    assert len(cloud.wire._listeners) == listeners


def test_it_shows_no_secret(world: Sandbox, cloud: Cloud, made: Made) -> None:
    panel = made(LessonPanel(lesson(cloud, "03")))
    click(panel, "Prepare")
    for exercise in panel.exercises:
        exercise.solution().wait()
        exercise.do_it().wait()
    held = cloud.instances["web-1"].credentials()
    shown = states(panel) + panel.html() + panel.text() + "".join(one.text() for one in panel.exercises)
    secrets = [user["access_key_secret"] for user in world.start_line["users"]]
    for secret in [*secrets, held.access_key_secret, held.security_token]:
        assert str.__str__(secret) not in shown
    assert button(panel, "Start over")


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it has not come"
        time.sleep(0.02)
