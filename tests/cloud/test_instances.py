"""The table of instances: look up, attach, detach, replace, many at once, hardening."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from ramrole_nb.errors import (
    AccessDenied,
    Conflict,
    InputError,
    InvalidRequest,
    MetadataError,
    NotFound,
    PreflightRefused,
)
from tests.cloud.conftest import Hands, Journal, session_of

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

WEB = "i-2zesandboxweb1"


# ---- the table


def test_the_table_covers_every_region(cloud: Cloud) -> None:
    vms = list(cloud.instances)
    names = "web-1 web-2 hardened-1 windows-1 batch-1 batch-2 classic-1 stopped-1"
    assert sorted(vm.name for vm in vms) == sorted(names.split())
    assert {vm.region_id for vm in vms} == {"cn-beijing", "cn-hangzhou"}
    by_name = {vm.name: vm for vm in vms}
    assert by_name["hardened-1"].http_tokens == "required"
    assert by_name["windows-1"].os_type == "windows"
    assert by_name["classic-1"].network_type == "classic"
    assert by_name["stopped-1"].status == "Stopped"
    assert [vm.name for vm in cloud.instances.all(region_id="cn-hangzhou")] == [
        "batch-1",
        "batch-2",
        "classic-1",
        "stopped-1",
    ]


def test_the_table_shows_each_ones_role(cloud: Cloud) -> None:
    cloud.instances["web-1"].attach(cloud.roles.create("EcsRamRole"))
    for text in (repr(cloud.instances), cloud.instances._repr_html_()):
        assert "EcsRamRole" in text
        assert "hardened only" in text
        assert "stopped-1" in text


def test_look_up_by_id_and_by_name_in_any_region(cloud: Cloud) -> None:
    assert cloud.instances[WEB].name == "web-1"
    assert cloud.instances["web-1"].instance_id == WEB
    assert cloud.instances["batch-1"].region_id == "cn-hangzhou"
    assert cloud.instances["i-bp1sandboxbatch1"].name == "batch-1"


@pytest.mark.parametrize(
    ("typo", "near"), [("web1", "web-1"), ("wbe-1", "web-1"), ("i-2zesandboxweb9", "i-2zesandboxweb1")]
)
def test_a_typo_is_answered_with_the_nearest(cloud: Cloud, typo: str, near: str) -> None:
    with pytest.raises(NotFound, match="There is no instance") as caught:
        cloud.instances[typo]
    assert "Did you mean" in caught.value.what
    assert near[:5] in caught.value.what
    assert caught.value.code == "InvalidInstanceId.NotFound"


@pytest.mark.parametrize("bad", ["", None, 3])
def test_what_is_no_name_makes_no_request(cloud: Cloud, journal: Journal, bad: Any) -> None:
    with pytest.raises(InputError):
        cloud.instances[bad]
    assert journal.entries == []


def test_a_name_that_several_have_asks_for_an_id(cloud: Cloud, hands: Hands) -> None:
    hands.on_store(lambda s: s.run("UPDATE instances SET facts=replace(facts, '\"batch-2\"', '\"batch-1\"')"))
    with pytest.raises(InputError, match="2 instances are called 'batch-1'") as caught:
        cloud.instances["batch-1"]
    assert "i-bp1sandboxbatch1" in caught.value.next_step


def test_who_may_see_no_instance_is_told_so(as_user: Callable[..., Cloud], hands: Hands) -> None:
    hands.let("viewer", ("Allow", "ecs:DescribeRegions", "*"))
    with pytest.raises(NotFound, match="no instance 'web-1'") as caught:
        as_user("viewer").instances["web-1"]
    assert "empty list" in caught.value.reason


def test_more_instances_than_a_page(cloud: Cloud, hands: Hands) -> None:
    ids = hands.add_instances(250)
    assert [vm.instance_id for vm in cloud.instances.all(region_id="cn-hangzhou")][4:] == ids


# ---- one instance


def test_attach(cloud: Cloud, journal: Journal) -> None:
    role, vm = cloud.roles.create("EcsRamRole"), cloud.instances["web-1"]
    assert vm.role_name == ""
    assert vm.attach(role) is vm
    assert (vm.role_name, vm.attachment.role_name) == ("EcsRamRole", "EcsRamRole")
    journal.mark()
    vm.attach("EcsRamRole")
    assert journal.writes == []


def test_a_second_role_is_a_conflict_before_any_change(cloud: Cloud, journal: Journal) -> None:
    vm = cloud.instances["web-1"].attach(cloud.roles.create("First"))
    cloud.roles.create("Second")
    journal.mark()
    with pytest.raises(Conflict, match="already has the role 'First'") as caught:
        vm.attach("Second")
    assert "cloud.instances['web-1'].replace_role('Second')" in caught.value.next_step
    assert journal.writes == []
    assert vm.role_name == "First"


def test_a_second_role_is_the_services_conflict_too(cloud: Cloud) -> None:
    """Attached by someone else between our look and our call."""
    vm = cloud.instances["web-1"].attach(cloud.roles.create("First"))
    cloud.roles.create("Second")
    result = cloud.instances.attach("Second", [vm])
    assert not result.ok
    assert result.failed[0].code == "InvalidInstance.RamRoleAttached"
    assert "failed" in repr(result)
    assert vm.role_name == "First"


def test_attach_a_role_that_is_not_there(cloud: Cloud, journal: Journal) -> None:
    cloud.roles.create("EcsRamRole")
    journal.mark()
    with pytest.raises(NotFound, match="Did you mean 'EcsRamRole'"):
        cloud.instances["web-1"].attach("EcsRamRoel")
    assert journal.writes == []


@pytest.mark.parametrize("bad", ["", "under_score", None, 4])
def test_attach_what_is_no_role_name(cloud: Cloud, journal: Journal, bad: Any) -> None:
    vm = cloud.instances["web-1"]
    journal.mark()
    with pytest.raises(InputError, match="no role name"):
        vm.attach(bad)
    with pytest.raises(InputError, match="no role name"):
        vm.replace_role(bad)
    assert journal.entries == []


def test_attach_a_role_ecs_may_not_assume(cloud: Cloud, journal: Journal) -> None:
    trust = {
        "Version": "1",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "fc.aliyuncs.com"}}
        ],
    }
    role = cloud.roles.create("ForFc", trust=trust)
    journal.mark()
    with pytest.raises(InputError, match="ECS may not assume the role 'ForFc'") as caught:
        cloud.instances["web-1"].attach(role)
    assert "InvalidRamRole.NotEcsRole" in caught.value.reason
    assert journal.writes == []


def test_attach_to_an_instance_in_a_classic_network(cloud: Cloud) -> None:
    role = cloud.roles.create("EcsRamRole")
    with pytest.raises(InvalidRequest) as caught:
        cloud.instances["classic-1"].attach(role)
    assert caught.value.code == "InvalidNetworkType.MismatchRamRole"
    assert "VPC" in caught.value.reason
    assert cloud.created() == ["delete role EcsRamRole"]


def test_detach(cloud: Cloud, journal: Journal) -> None:
    vm = cloud.instances["web-1"].attach(cloud.roles.create("EcsRamRole"))
    vm.detach()
    assert vm.role_name == ""
    journal.mark()
    assert vm.detach() is vm  # nothing attached: nothing to do
    assert journal.writes == []


def test_session_policy_narrows_the_role(cloud: Cloud) -> None:
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    only = {
        "Version": "1",
        "Statement": [
            {"Effect": "Allow", "Action": "oss:*", "Resource": "acs:oss:*:*:sandbox-photos/reports/*"}
        ],
    }
    vm = cloud.instances["web-1"].attach(role, session_policy=only)
    bucket = cloud.buckets["sandbox-photos"].using(vm)
    assert bucket.head("reports/2026/sales.csv").size > 0
    with pytest.raises(AccessDenied):
        bucket.head("testfolder/example.png")
    with pytest.raises(Conflict, match="already has the role") as caught:
        vm.attach(role, session_policy=only)
    assert "cloud.instances['web-1'].detach()" in caught.value.next_step
    assert "replace_role" not in caught.value.next_step


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:*" + "x" * 1100, "Resource": "*"}]},
    ],
)
def test_a_bad_session_policy_is_refused_before_any_change(cloud: Cloud, journal: Journal, bad: Any) -> None:
    role, vm = cloud.roles.create("EcsRamRole"), cloud.instances["web-1"]
    journal.mark()
    with pytest.raises(InputError):
        vm.attach(role, session_policy=bad)
    assert journal.writes == []


# ---- replace


def test_replace_role_gives_another_identity(cloud: Cloud) -> None:
    first, second = cloud.roles.create("First"), cloud.roles.create("Second")
    vm = cloud.instances["web-1"].attach(first)
    before = vm.identity()
    vm.replace_role(second)
    after = vm.identity()
    assert before.arn.endswith(f":assumed-role/First/vm-ram-{WEB}")
    assert after.arn.endswith(f":assumed-role/Second/vm-ram-{WEB}")
    assert vm.role_name == "Second"


def test_replace_role_by_the_same_or_without_one(cloud: Cloud, journal: Journal) -> None:
    role, vm = cloud.roles.create("First"), cloud.instances["web-1"]
    vm.replace_role(role)  # none yet: it is attached
    assert vm.role_name == "First"
    journal.mark()
    vm.replace_role("First")
    assert journal.writes == []


def test_replace_role_checks_both_halves_before_the_first(
    cloud: Cloud, as_user: Callable[..., Cloud], hands: Hands, journal: Journal
) -> None:
    cloud.instances["web-1"].attach(cloud.roles.create("First"))
    cloud.roles.create("Second")
    every = "ecs:Describe*", "ram:Get*", "ram:List*", "ecs:DetachInstanceRamRole", "ecs:AttachInstanceRamRole"
    hands.let("operator", ("Allow", every, "*"), ("Allow", "ram:PassRole", "acs:ram:*:*:role/First"))
    vm = as_user("operator").instances["web-1"]
    journal.mark()
    with pytest.raises(PreflightRefused, match="ram:PassRole"):
        vm.replace_role("Second")
    with pytest.raises(NotFound):
        as_user("admin").instances["web-1"].replace_role("Third")
    assert journal.writes == []
    assert vm.role_name == "First"


def test_the_old_role_is_put_back_when_attaching_fails(cloud: Cloud, journal: Journal) -> None:
    """A program on web-2 whose role may pass First but not Second.

    It cannot know that beforehand: its own session policy is not readable, so the pre-flight says UNKNOWN and the call
    is tried.
    """
    cloud.instances["web-1"].attach(cloud.roles.create("First"))
    cloud.roles.create("Second")
    manager = cloud.roles.create("Manager")
    manager.grant(
        {
            "Version": "1",
            "Statement": [
                {"Effect": "Allow", "Action": ["ecs:*", "ram:Get*", "ram:List*"], "Resource": "*"},
                {"Effect": "Allow", "Action": "ram:PassRole", "Resource": "acs:ram:*:*:role/First"},
            ],
        }
    )
    there = session_of(cloud, cloud.instances["web-2"].attach(manager))
    vm = there.instances["web-1"]
    journal.mark()
    with pytest.raises(AccessDenied) as caught:
        vm.replace_role("Second")
    assert caught.value.code == "InvalidUser.PassRoleForbidden"
    assert "'First' was put back" in str(caught.value)
    assert journal.writes == ["DetachInstanceRamRole", "AttachInstanceRamRole", "AttachInstanceRamRole"]
    assert vm.role_name == "First"
    assert "cannot tell whether" in there.preflight_notes[-1]
    assert "ram:PassRole" in there.preflight_notes[-1]


def test_it_is_said_when_the_old_role_cannot_be_put_back(cloud: Cloud) -> None:
    cloud.instances["web-1"].attach(cloud.roles.create("First"))
    cloud.roles.create("Second")
    manager = cloud.roles.create("Manager")
    manager.grant(
        {
            "Version": "1",
            "Statement": [{"Effect": "Allow", "Action": ["ecs:*", "ram:Get*", "ram:List*"], "Resource": "*"}],
        }
    )
    there = session_of(cloud, cloud.instances["web-2"].attach(manager))
    with pytest.raises(AccessDenied, match="Putting 'First' back failed too, so it has no role"):
        there.instances["web-1"].replace_role("Second")
    assert cloud.instances["web-1"].role_name == ""


# ---- many at once


def test_many_at_once_go_in_calls_of_a_hundred(cloud: Cloud, hands: Hands, journal: Journal) -> None:
    """The rows of 250 more instances are put into the state, since there is no call that makes instances.

    The batches, and the services' limits of 100 ids and 50 rows a page, are the real ones.
    """
    ids = hands.add_instances(250)
    role = cloud.roles.create("EcsRamRole")
    for taken in (ids[3], ids[120]):
        cloud.instances.attach(cloud.roles.create("Other"), [taken])
    told: list[tuple[int, int]] = []
    journal.mark()
    result = cloud.instances.attach(role, ids, progress=lambda done, total: told.append((done, total)))
    assert told == [(100, 250), (200, 250), (250, 250)]
    calls = [e for e in journal.entries if e["operation"] == "AttachInstanceRamRole"]
    assert [len(json.loads(e["params"]["InstanceIds"])) for e in calls] == [100, 100, 50]
    assert [item.instance_id for item in result.items] == ids
    assert [item.instance_id for item in result.failed] == [ids[3], ids[120]]
    assert {item.code for item in result.failed} == {"InvalidInstance.RamRoleAttached"}
    assert all(item.request_id for item in result.items)
    roles = cloud.instances.roles(cloud.instances.all(region_id="cn-hangzhou"))
    assert sorted(roles.values()) == ["", "", "", "", *["EcsRamRole"] * 248, "Other", "Other"]
    # And off again, over both regions.
    cloud.instances.attach(role, ["web-1", "web-2"])
    done = cloud.instances.detach([*ids, "web-1", "web-2"])
    assert done.ok
    assert not any(cloud.instances.roles(list(cloud.instances)).values())
    assert [line for line in cloud.created() if line.startswith("detach")] == []


def test_cancel_stops_before_the_next_call(cloud: Cloud, hands: Hands, journal: Journal) -> None:
    ids = hands.add_instances(250)
    role = cloud.roles.create("EcsRamRole")
    seen: list[int] = []
    journal.mark()
    result = cloud.instances.attach(
        role, ids, progress=lambda done, _: seen.append(done), cancel=lambda: bool(seen)
    )
    assert journal.writes == ["AttachInstanceRamRole"]
    assert [item.ok for item in result.items] == [True] * 100 + [False] * 150
    assert {item.code for item in result.failed} == {"Cancelled"}
    assert len([line for line in cloud.created() if line.startswith("detach")]) == 100


def test_one_instance_that_makes_the_service_refuse_the_call_does_not_stop_the_others(
    cloud: Cloud, journal: Journal
) -> None:
    """ECS refuses the whole call for one instance in a classic network; so its call is made in halves."""
    role = cloud.roles.create("EcsRamRole")
    journal.mark()
    result = cloud.instances.attach(role, ["web-1", "batch-1", "classic-1", "batch-2"])
    assert [(item.instance_id, item.ok) for item in result.items] == [
        (WEB, True),
        ("i-bp1sandboxbatch1", True),
        ("i-bp1sandboxclassic1", False),
        ("i-bp1sandboxbatch2", True),
    ]
    (failed,) = result.failed
    assert failed.code == "InvalidNetworkType.MismatchRamRole"
    assert failed.request_id
    assert "VPC" in failed.next_step
    # web-1; the three of the other region; batch-1; classic-1 and batch-2; each of the two.
    assert journal.writes.count("AttachInstanceRamRole") == 6
    assert sorted(line for line in cloud.created() if line.startswith("detach")) == sorted(
        f"detach role EcsRamRole from {i}" for i in (WEB, "i-bp1sandboxbatch1", "i-bp1sandboxbatch2")
    )


def test_a_refusal_that_concerns_all_is_not_asked_for_again_and_again(
    cloud: Cloud, world: Sandbox, journal: Journal
) -> None:
    """Nobody is refused by name here: the call is made once a region, and each instance is told."""
    role = cloud.roles.create("EcsRamRole")
    ids = cloud.instances._resolve(["web-1", "web-2", "batch-1"])
    journal.mark()
    world.fault("empty-reply")
    result = cloud.instances.attach(role, ids)
    assert journal.writes.count("AttachInstanceRamRole") == 2
    assert [item.ok for item in result.items] == [False, False, False]
    assert all(item.message and item.next_step for item in result.items)


def test_an_unknown_id_among_many_changes_nothing(cloud: Cloud, journal: Journal) -> None:
    cloud.roles.create("EcsRamRole")
    journal.mark()
    with pytest.raises(InputError, match="Did you mean 'web-2'"):
        cloud.instances.attach("EcsRamRole", ["web-1", "wbe-2"])
    with pytest.raises(InputError, match="No instances"):
        cloud.instances.attach("EcsRamRole", [])
    assert journal.writes == []


def test_a_name_that_several_have_is_not_guessed_at(cloud: Cloud, hands: Hands, journal: Journal) -> None:
    cloud.roles.create("EcsRamRole")
    hands.on_store(lambda s: s.run("UPDATE instances SET facts=replace(facts, '\"batch-2\"', '\"batch-1\"')"))
    journal.mark()
    with pytest.raises(InputError, match="2 instances are called 'batch-1'") as caught:
        cloud.instances.attach("EcsRamRole", ["web-1", "batch-1"])
    assert "i-bp1sandboxbatch1, i-bp1sandboxbatch2" in caught.value.next_step
    assert journal.writes == []
    assert cloud.instances.attach("EcsRamRole", ["i-bp1sandboxbatch1"]).ok


def test_a_result_says_what_to_do_and_folds_what_went_well(cloud: Cloud, hands: Hands) -> None:
    ids = hands.add_instances(20)
    cloud.instances.attach(cloud.roles.create("Other"), [ids[7]])
    result = cloud.instances.attach(cloud.roles.create("EcsRamRole"), ids)
    html, text = result._repr_html_(), repr(result)
    assert result.summary == "19 of 20 done, 1 failed"
    for shown in (html, text):
        assert "failed ✕" in shown
        assert "cloud.instances.replace(role, ids)" in shown
        assert result.failed[0].request_id in shown
        assert "extra-007" in shown
    assert html.index("extra-007") < html.index("<details>") < html.index("extra-006")
    assert "the 19 that went well" in html


def test_the_same_instance_twice_is_asked_for_once(cloud: Cloud) -> None:
    result = cloud.instances.attach(
        cloud.roles.create("EcsRamRole"), ["web-1", WEB, cloud.instances["web-1"]]
    )
    assert len(result.items) == 1
    assert result.ok


# ---- replace, many at once


def _roles(cloud: Cloud, *names: str) -> None:
    for name in names:
        cloud.roles.create(name)


def test_many_are_given_another_role(cloud: Cloud, hands: Hands, journal: Journal) -> None:
    ids = hands.add_instances(150)
    _roles(cloud, "First", "Second", "Third")
    cloud.instances.attach("First", ids[:120])
    cloud.instances.attach("Third", ids[120:140])
    cloud.instances.attach("Second", [ids[149]])
    told: list[tuple[int, int]] = []
    journal.mark()
    result = cloud.instances.replace("Second", ids, progress=lambda done, total: told.append((done, total)))
    assert result.ok
    assert [item.instance_id for item in result.items] == ids
    assert "already" in result.items[149].message
    assert told == [(100, 149), (149, 149)]
    # The gap of each is that between two calls: not first all off, and then all on.
    assert journal.writes == ["DetachInstanceRamRole", "AttachInstanceRamRole"] * 2
    assert set(cloud.instances.roles([vm for vm in cloud.instances if vm.instance_id in ids]).values()) == {
        "Second"
    }
    assert len([line for line in cloud.created() if line.startswith("detach")]) == 150


def test_replacing_many_checks_both_halves_before_the_first(
    cloud: Cloud, as_user: Callable[..., Cloud], hands: Hands, journal: Journal
) -> None:
    _roles(cloud, "First", "Second")
    cloud.instances.attach("First", ["web-1", "web-2"])
    every = "ecs:Describe*", "ram:Get*", "ram:List*", "ecs:DetachInstanceRamRole", "ecs:AttachInstanceRamRole"
    hands.let("operator", ("Allow", every, "*"), ("Allow", "ram:PassRole", "acs:ram:*:*:role/First"))
    journal.mark()
    with pytest.raises(PreflightRefused, match="ram:PassRole"):
        as_user("operator").instances.replace("Second", ["web-1", "web-2"])
    with pytest.raises(NotFound):
        cloud.instances.replace("Third", ["web-1", "web-2"])
    with pytest.raises(InputError, match="Did you mean 'web-2'"):
        cloud.instances.replace("Second", ["web-1", "wbe-2"])
    assert journal.writes == []
    assert cloud.instances["web-1"].role_name == cloud.instances["web-2"].role_name == "First"


def _manager(cloud: Cloud, *passes: str) -> Cloud:
    """A session that may pass only these roles, and cannot know that beforehand (see the test of one above)."""
    statements = [{"Effect": "Allow", "Action": ["ecs:*", "ram:Get*", "ram:List*"], "Resource": "*"}]
    statements += [
        {"Effect": "Allow", "Action": "ram:PassRole", "Resource": f"acs:ram:*:*:role/{name}"}
        for name in passes
    ]
    manager = cloud.roles.create("Manager")
    manager.grant({"Version": "1", "Statement": statements})
    return session_of(cloud, cloud.instances["hardened-1"].attach(manager))


def test_each_gets_its_own_old_role_back_when_attaching_fails(cloud: Cloud) -> None:
    _roles(cloud, "First", "Second", "Third")
    cloud.instances.attach("First", ["web-1", "batch-1"])
    cloud.instances.attach("Third", ["web-2"])
    there = _manager(cloud, "First", "Third")
    result = there.instances.replace("Second", ["web-1", "web-2", "batch-1", "batch-2"])
    assert [item.ok for item in result.items] == [False] * 4
    assert {item.code for item in result.items} == {"InvalidUser.PassRoleForbidden"}
    assert all("ram:PassRole" in item.next_step and item.request_id for item in result.items)
    said = {item.instance_id: item.message for item in result.items}
    assert "'First' was put back" in said[WEB]
    assert "'Third' was put back" in said["i-2zesandboxweb2"]
    assert "put back" not in said["i-bp1sandboxbatch2"]  # it had none
    held = {vm.name: role for vm in cloud.instances if (role := vm.role_name)}
    assert held == {"web-1": "First", "web-2": "Third", "batch-1": "First", "hardened-1": "Manager"}


def test_it_is_said_of_each_whose_role_cannot_be_put_back(cloud: Cloud) -> None:
    _roles(cloud, "First", "Second", "Third")
    cloud.instances.attach("First", ["web-1"])
    cloud.instances.attach("Third", ["web-2"])
    result = _manager(cloud, "Third").instances.replace("Second", ["web-1", "web-2"])
    assert "Putting 'First' back failed too, so it has no role" in result.items[0].message
    assert "'Third' was put back" in result.items[1].message
    assert cloud.instances["web-1"].role_name == ""
    assert cloud.instances["web-2"].role_name == "Third"


def test_a_lost_answer_in_the_middle_of_a_replacement_leaves_nobody_without_a_role(
    cloud: Cloud, world: Sandbox
) -> None:
    """The calls are done and their answers are lost: what is attached is looked up, and it goes on."""
    _roles(cloud, "First", "Second")
    cloud.instances.attach("First", ["web-1", "batch-1"])
    world.fault("empty-reply")
    result = cloud.instances.replace("Second", ["web-1", "batch-1"])
    assert result.ok
    assert all("looked up" in item.message for item in result.items)
    assert cloud.instances["web-1"].role_name == cloud.instances["batch-1"].role_name == "Second"


def test_one_in_a_classic_network_does_not_keep_the_others_from_their_new_role(cloud: Cloud) -> None:
    _roles(cloud, "First", "Second")
    cloud.instances.attach("First", ["batch-1", "batch-2"])
    result = cloud.instances.replace("Second", ["batch-1", "classic-1", "batch-2"])
    assert [item.ok for item in result.items] == [True, False, True]
    assert result.failed[0].code == "InvalidNetworkType.MismatchRamRole"
    assert cloud.instances["batch-1"].role_name == cloud.instances["batch-2"].role_name == "Second"


def test_cancelling_a_replacement_stops_between_two_hundreds(
    cloud: Cloud, hands: Hands, journal: Journal
) -> None:
    ids = hands.add_instances(150)
    _roles(cloud, "First", "Second")
    cloud.instances.attach("First", ids)
    seen: list[int] = []
    journal.mark()
    result = cloud.instances.replace(
        "Second", ids, progress=lambda done, _: seen.append(done), cancel=lambda: bool(seen)
    )
    assert journal.writes == ["DetachInstanceRamRole", "AttachInstanceRamRole"]
    assert result.summary == "100 of 150 done, 50 not tried: cancelled"
    assert sorted(set(cloud.instances.roles(cloud.instances._resolve(ids)).values())) == ["First", "Second"]


# ---- hardening


def test_hardening_of_many(cloud: Cloud, journal: Journal) -> None:
    told: list[tuple[int, int]] = []
    result = cloud.instances.set_hardening(
        True,
        ["web-1", "windows-1", "hardened-1", "batch-1"],
        progress=lambda done, total: told.append((done, total)),
    )
    assert [item.ok for item in result.items] == [True, False, True, True]
    (failed,) = result.failed
    assert failed.code == "InvalidHttpTokens.NotSupported"
    assert failed.request_id
    assert failed.next_step == "leave it at optional"
    assert "already" in result.items[2].message
    assert told[-1] == (3, 3)
    assert journal.writes.count("ModifyInstanceMetadataOptions") == 3
    modes = {vm.name: vm.http_tokens for vm in cloud.instances}
    assert [name for name, tokens in modes.items() if tokens == "required"] == [
        "web-1",
        "hardened-1",
        "batch-1",
    ]
    assert cloud.instances.set_hardening(False, ["web-1", "hardened-1", "batch-1"]).ok
    assert {vm.http_tokens for vm in cloud.instances} == {"optional"}
    journal.mark()
    assert cloud.instances.set_hardening(False, ["web-1", "batch-1"]).ok
    assert journal.writes == []


def test_hardening_of_many_is_quick_and_can_be_cancelled(
    cloud: Cloud, hands: Hands, journal: Journal
) -> None:
    ids = hands.add_instances(60)
    assert cloud.instances.set_hardening(True, ids[:20]).ok
    journal.mark()
    seen: list[int] = []
    result = cloud.instances.set_hardening(
        True, ids, progress=lambda done, _: seen.append(done), cancel=lambda: len(seen) > 2
    )
    done = journal.writes.count("ModifyInstanceMetadataOptions")
    assert 3 <= done < 40
    assert len(result.not_tried) == 40 - done
    assert len(result.items) == 60
    hard = [vm for vm in cloud.instances if vm.http_tokens == "required" and vm.name.startswith("extra")]
    assert len(hard) == 20 + done


def test_hardening_of_many_is_checked_first(
    as_user: Callable[..., Cloud], cloud: Cloud, journal: Journal
) -> None:
    ids = [vm.instance_id for vm in cloud.instances]
    journal.mark()
    with pytest.raises(PreflightRefused, match="ecs:ModifyInstanceMetadataOptions"):
        as_user("viewer").instances.set_hardening(True, ids)
    with pytest.raises(InputError, match="Did you mean 'web-1'"):
        cloud.instances.set_hardening(True, ["wbe-1"])
    assert journal.writes == []


def test_hardening_of_many_when_the_service_is_down(cloud: Cloud, world: Sandbox) -> None:
    vms = cloud.instances._resolve(["web-1", "batch-1"])
    assert cloud.context.preflight.account_id  # read before, and kept for a moment
    world.fault("throttling")
    result = cloud.instances.set_hardening(True, vms)
    assert {item.code for item in result.items} == {"Throttling.User"}
    assert all("try again" in item.next_step for item in result.items)


def test_hardening_on_and_off(cloud: Cloud) -> None:
    vm = cloud.instances["web-1"]
    hard = vm.set_hardening()
    assert hard.http_tokens == "required"
    assert cloud.instances["web-1"].http_tokens == "required"
    assert hard.set_hardening(False).http_tokens == "optional"
    assert cloud.instances["web-1"].http_tokens == "optional"


def test_hardening_does_not_switch_disabled_metadata_on(cloud: Cloud, hands: Hands) -> None:
    hands.on_store(lambda s: s.run("UPDATE instances SET http_endpoint='disabled' WHERE instance_id=?", WEB))
    cloud.instances["web-1"].set_hardening()
    assert cloud.instances["web-1"].http_endpoint == "disabled"


def test_windows_cannot_be_hardened_only(cloud: Cloud) -> None:
    with pytest.raises(InvalidRequest) as caught:
        cloud.instances["windows-1"].set_hardening()
    assert caught.value.code == "InvalidHttpTokens.NotSupported"
    assert "Windows" in caught.value.reason
    assert cloud.instances["windows-1"].http_tokens == "optional"


# ---- where this runs


def test_here_is_said_to_be_impossible_off_the_instance(cloud: Cloud, journal: Journal) -> None:
    with pytest.raises(InputError, match="cannot be asked from here"):
        _ = cloud.here
    assert journal.entries == []


def test_regions_that_may_not_be_listed(as_user: Callable[..., Cloud], hands: Hands) -> None:
    """Without ecs:DescribeRegions the session's region is what can be seen."""
    hands.let("viewer", ("Allow", "ecs:DescribeInstances", "*"))
    assert {vm.region_id for vm in as_user("viewer").instances} == {"cn-beijing"}
    assert {vm.region_id for vm in as_user("viewer", region="cn-hangzhou").instances} == {"cn-hangzhou"}


def test_metadata_is_switched_off_and_on_again(cloud: Cloud) -> None:
    cloud.roles.create("EcsRamRole")
    vm = cloud.instances["web-1"].attach("EcsRamRole").set_hardening()
    off = vm.set_metadata(False)
    assert (off.http_endpoint, off.http_tokens) == ("disabled", "required")
    with pytest.raises(MetadataError):
        off.credentials(refresh=True)
    on = cloud.instances["web-1"].set_metadata(True)
    assert (on.http_endpoint, on.http_tokens) == ("enabled", "required"), "the other option stays"
    assert on.credentials(refresh=True).role_name == "EcsRamRole"


def test_looking_at_a_table_is_no_step_on_the_wire(cloud: Cloud) -> None:
    assert "web-1" in repr(cloud.instances)
    assert [call.action for call in cloud.wire.since() if not call.check] == []
