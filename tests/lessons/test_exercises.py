"""Every exercise: untouched, wrong in several ways, solved, and solved by another route."""

from __future__ import annotations

from typing import Any

import pytest

from ramrole_nb.cloud.session import Cloud
from ramrole_nb.lessons import Exercise, Verdict, lesson
from ramrole_nb.lessons.course import TITLES
from tests.lessons.cases import CASES, Case, Wrong
from tests.lessons.conftest import Hands

BY_ID = {case.exercise: case for case in CASES}
_READS = ("Get", "List", "Describe", "Head", "PutToken")


def prepared(cloud: Cloud, exercise: str) -> Exercise:
    found = lesson(cloud, exercise.partition(".")[0])
    found.prepare()
    return found.exercises[exercise]


def looked(cloud: Cloud, exercise: Exercise) -> Verdict:
    """Check twice: the verdicts are the same, and no service was asked to change anything."""
    before = cloud.sandbox.journal(1 << 40)["last"]
    mark = cloud.wire.mark
    first, second = exercise.check(), exercise.check()
    assert (first.outcome, first.message, first.missing) == (second.outcome, second.message, second.missing)
    asked: list[dict[str, Any]] = cloud.sandbox.journal(before)["entries"]
    # A connection that ended before its request was whole leaves an entry that names no operation.
    operations = [entry["operation"] for entry in asked if "operation" in entry]
    assert [name for name in operations if not name.startswith(_READS)] == []
    assert len(cloud.wire.since(mark)) == 0  # what a check asks is not the learner's call
    return first


@pytest.mark.parametrize("number", TITLES)
def test_every_exercise_has_its_cases(cloud: Cloud, number: str) -> None:
    for name in lesson(cloud, number).exercises:
        assert len(BY_ID[name].wrong) >= 2


@pytest.mark.parametrize("exercise", BY_ID)
def test_untouched(cloud: Cloud, exercise: str) -> None:
    found = looked(cloud, prepared(cloud, exercise))
    assert (found.outcome, bool(found), found.missing) == ("not attempted", False, ())
    assert found.message
    assert found.next_step


@pytest.mark.parametrize("exercise", BY_ID)
def test_untouched_and_not_prepared(cloud: Cloud, exercise: str) -> None:
    found = lesson(cloud, exercise.partition(".")[0]).exercises[exercise].check()
    assert found.outcome == "not attempted"


WRONG = [
    pytest.param(case, wrong, id=f"{case.exercise} {wrong.name}") for case in CASES for wrong in case.wrong
]


@pytest.mark.parametrize(("case", "wrong"), WRONG)
def test_not_yet_and_then_solved(cloud: Cloud, hands: Hands, case: Case, wrong: Wrong) -> None:
    exercise = prepared(cloud, case.exercise)
    wrong.make(hands)
    found = looked(cloud, exercise)
    assert found.outcome == "not yet", found
    assert wrong.message in found.message
    assert any(wrong.missing in text for text in found.missing), found
    assert found.next_step
    if (
        wrong.name not in NOT_MENDED
    ):  # the solution helps from here too; as a learner would paste what is shown
        exec(exercise.solution().code, {"cloud": cloud})  # noqa: S102
        assert exercise.check()


# What was deleted of others is not made again by a solution: that takes a reset.
NOT_MENDED = {"too much", "a folder"}


def test_the_messages_of_an_exercise_differ() -> None:
    for case in CASES:
        assert len({wrong.message for wrong in case.wrong}) >= 2


@pytest.mark.parametrize("exercise", BY_ID)
def test_solved_by_its_solution(cloud: Cloud, exercise: str) -> None:
    found = prepared(cloud, exercise)
    shown = found.solution()
    assert not shown.applied
    assert shown.verdict is None
    assert shown.code in repr(shown).replace("\n    ", "\n")
    assert found.check().outcome == "not attempted"  # showing does nothing
    done = found.solution(apply=True)
    assert done.applied
    assert done.verdict is not None
    assert done.verdict.outcome == "correct", done
    assert done
    assert looked(cloud, found).outcome == "correct"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.exercise)
def test_solved_by_another_route(cloud: Cloud, hands: Hands, case: Case) -> None:
    exercise = prepared(cloud, case.exercise)
    case.other_route(hands)
    found = looked(cloud, exercise)
    assert found.outcome == "correct", found


def test_the_guided_path_changes_no_verdict(cloud: Cloud) -> None:
    """The role EcsRamRole with its policy on web-1, fetches and a download there, replacing and detaching it."""
    lessons = [lesson(cloud, number) for number in TITLES]
    for each in lessons:
        each.prepare()
    exercises = [exercise for each in lessons for exercise in each.exercises.values()]
    before = [exercise.check().outcome for exercise in exercises]
    vm = cloud.instances["web-1"]
    vm.credentials(mode="normal")
    vm.credentials(refresh=True)
    cloud.buckets["sandbox-photos"].using(vm).download("testfolder/example.png")
    vm.set_hardening()
    other = cloud.roles.create("EcsRamRoleReadOne")
    vm.replace_role(other)
    vm.detach()
    cloud.roles["EcsRamRole"].delete(revoke=True)
    assert [exercise.check().outcome for exercise in exercises] == before


def test_all_lessons_in_one_world(cloud: Cloud) -> None:
    """From the first to the last, as somebody does who goes through them all."""
    for number in TITLES:
        found = lesson(cloud, number)
        found.prepare()
        assert not found.prepare().changed
        for exercise in found.exercises.values():
            assert exercise.check().outcome == "not attempted", exercise.id
        for exercise in found.exercises.values():
            assert exercise.solution(apply=True).verdict, exercise.id
        assert all("✓ correct" in row[2] for row in found.progress())
    assert cloud.created() == []
    assert list(cloud.roles) == []
