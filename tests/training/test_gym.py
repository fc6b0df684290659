"""Every case: the true symptom, a check that sees a world that is broken and one that is mended, the doctor, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

import ramrole_nb as rr
from ramrole_nb.doctor.causes import CAUSES
from ramrole_nb.errors import InputError, SandboxError
from ramrole_nb.training import Gym
from ramrole_nb.training.sheets import PAIRS, SHEETS, Sheet
from tests.support.snapshot import snapshot

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

BY_NAME = {sheet.name: sheet for sheet in SHEETS}


@pytest.fixture
def gym(cloud: Cloud) -> Iterator[Gym]:
    found = rr.gym(cloud)
    yield found
    found.stop()


def test_there_are_enough_and_none_gives_itself_away(gym: Gym) -> None:
    rows = list(gym.cases())
    assert len(rows) == len(SHEETS) >= 25
    assert len({sheet.name for sheet in SHEETS}) == len(SHEETS)
    assert len({sheet.cause for sheet in SHEETS}) >= 25
    assert {sheet.cause for sheet in SHEETS} <= set(CAUSES)
    text = repr(gym.cases()) + gym.cases()._repr_html_()
    assert [cause for cause in CAUSES if cause in text] == []
    assert all(len(sheet.hints) >= 2 for sheet in SHEETS)


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_a_case_from_its_symptom_to_its_end(cloud: Cloud, gym: Gym, sheet: Sheet) -> None:
    before = snapshot(cloud)
    case = gym.start(sheet.name)
    assert not case.symptom.ok
    assert re.match(r"(oss2|alibabacloud\w*|darabonba|Tea)\.[\w.]+: ", case.symptom.words), (
        "the SDK's own words"
    )
    assert sheet.cause not in repr(case) + case._repr_html_()
    assert case.check().outcome == "not attempted"
    assert case.doctor().findings[0].cause == sheet.cause
    assert case.solution().verdict is None
    solved = case.solution(apply=True)
    assert solved, repr(solved)
    assert {row[1]: row[4] for row in gym.cases()}[sheet.name] == "✓ solved"
    gym.stop()
    assert snapshot(cloud) == before
    assert [row["name"] for row in cloud.sandbox.faults() if row["on"]] == []


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_two_faults_are_both_found(cloud: Cloud, gym: Gym, pair: tuple[str, str]) -> None:
    before = snapshot(cloud)
    fitting = [seed for seed in range(40) if gym.pair_of(pair[0], seed) == pair]
    case = gym.start(pair[0], double=True, seed=fitting[0])
    assert case.name == "+".join(pair)
    both = {BY_NAME[name].cause for name in pair}
    assert both <= {finding.cause for finding in case.doctor(full=True).findings}
    assert not case.check()
    assert case.solution(apply=True)
    gym.stop()
    assert snapshot(cloud) == before


def test_a_seed_makes_chance_repeatable(gym: Gym) -> None:
    names = [gym.start(seed=seed).name for seed in (7, 7, 8, 9)]
    assert names[0] == names[1]
    assert len(set(names)) > 1
    assert gym.start(double=True, seed=3).name == gym.start(double=True, seed=3).name
    assert "+" in str(gym.case and gym.case.name)


def test_what_the_learner_has_stays(cloud: Cloud, gym: Gym) -> None:
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    for name in ("hardened-1", "web-1"):
        cloud.instances[name].attach(role)
    before = snapshot(cloud)
    for name in ("heirloom", "spring-cleaning", "house-rules"):
        gym.start(name)  # the one before is stopped
    cloud.roles["gym-reader"].revoke("gym-house-rules")
    cloud.roles["gym-reader"].grant(rr.policy.read_objects("sandbox-photos"))
    gym.stop()
    assert snapshot(cloud) == before
    gym.stop()  # nothing open: nothing to do
    assert snapshot(cloud) == before


@pytest.mark.parametrize("name", ["locked-cellar", "heirloom"])
def test_settings_changed_in_a_case_leave_nothing_to_clean_up(cloud: Cloud, gym: Gym, name: str) -> None:
    before = snapshot(cloud.reset())  # no ledger of earlier tests either
    case = gym.start(name)
    vm = cloud.instances[case.instance]
    vm.set_hardening(vm.http_tokens != "required")
    vm.set_metadata(vm.http_endpoint != "enabled")
    assert len(cloud.created()) == 2
    gym.stop()
    assert snapshot(cloud) == before
    assert cloud.clean_up().ok
    assert snapshot(cloud) == before


def test_another_kernel_can_stop_it(cloud: Cloud, world: Sandbox) -> None:
    before = snapshot(cloud)
    rr.gym(cloud).start("locked-cellar")
    assert snapshot(cloud) != before
    rr.gym(rr.connect(world)).stop()
    assert snapshot(cloud) == before


def test_a_world_that_was_reset_meanwhile_is_no_obstacle(cloud: Cloud, gym: Gym) -> None:
    before = snapshot(cloud.reset())  # no ledger of earlier tests either
    cloud.roles.create("EcsRamRole")
    cloud.instances["hardened-1"].attach("EcsRamRole")
    gym.start("heirloom")
    cloud.reset()
    gym.stop()
    assert snapshot(cloud) == before
    gym.start("landlord")
    gym.stop()
    assert snapshot(cloud) == before


def test_any_route_counts_and_a_wrong_one_does_not(cloud: Cloud, gym: Gym) -> None:
    case = gym.start("heirloom")
    cloud.instances[case.instance].set_hardening(False)  # instead of another provider
    assert case.check()
    case = gym.start("night-shift")
    case.set(key="testfolder/notes.txt")
    assert case.try_again().ok
    verdict = case.check()
    assert verdict.outcome == "not yet", "it is another object"
    assert "example picture" in verdict.message
    assert "testfolder/example.png" not in verdict.message, "where it is, is for the learner to find"


def test_hints_giving_up_and_what_is_over(gym: Gym) -> None:
    case = gym.start("empty-hands")
    total = case.hint().total
    assert [case.hint().number for _ in range(total)] == [*range(2, total + 1), total]
    assert "doctor" in case.hint().text
    assert "Show solution" in repr(case.hint())
    with pytest.raises(InputError, match="none is number 99"):
        case.hint(99)
    assert "grant" in case.give_up().code
    assert gym.case is None
    with pytest.raises(InputError, match="was stopped"):
        case.try_again()
    other = gym.start(1)
    with pytest.raises(InputError, match="another case is open"):
        case.check()
    assert other.is_open


def test_bad_input_changes_nothing(cloud: Cloud, gym: Gym) -> None:
    before = snapshot(cloud)
    with pytest.raises(InputError, match=r"no case 'night-shft'.*Did you mean 'night-shift'"):
        gym.start("night-shft")
    with pytest.raises(InputError, match="no case 99"):
        gym.start(99)
    with pytest.raises(InputError, match="one would hide the other"):
        gym.start("rush-hour", double=True)
    assert snapshot(cloud) == before
    case = gym.start("night-shift")
    with pytest.raises(InputError, match=r"no parameter 'keys'.*Did you mean 'key'"):
        case.set(keys="x")
    with pytest.raises(InputError, match="no signature 'V5'"):
        case.set(signature="V5")


def test_not_in_a_live_account(tmp_path: object) -> None:
    with pytest.raises(SandboxError, match="sandbox only"):
        rr.gym(rr.connect("live", state=str(tmp_path)))


def test_no_secret_is_printed(cloud: Cloud, gym: Gym) -> None:
    case = gym.start("two-of-three")
    issued = [str.__str__(row["access_key_secret"]) for row in cloud.sandbox.status()["users"]]
    text = repr(case) + case.symptom.words + repr(case.program) + repr(case.check())
    assert not [secret for secret in issued if secret in text]
