"""Clean-up: in order, again and again, after a kill, and only what is this world's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ramrole_nb as rr
from ramrole_nb.cloud.settings import Noted
from ramrole_nb.connect import _asker
from ramrole_nb.ledger import Ledger
from ramrole_nb.sandbox import Sandbox, process
from ramrole_nb.sandbox.client import read_runtime

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from tests.cloud.conftest import Journal

READ = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*"}]}


def make_everything(cloud: Cloud) -> None:
    first, second = cloud.roles.create("First"), cloud.roles.create("Second")
    first.grant("AliyunOSSReadOnlyAccess")
    made = first.grant(READ)
    second.grant(made.name)
    cloud.instances["web-1"].attach(first)
    cloud.instances["batch-1"].attach(second)
    cloud.buckets["sandbox-photos"].upload(b"x", "mine.txt")
    cloud.instances["web-2"].set_hardening()


def nothing_is_left(cloud: Cloud) -> None:
    assert list(cloud.roles) == []
    assert cloud.roles.policies(kind="Custom", search="First") == []
    assert not any(cloud.instances.roles(list(cloud.instances)).values())
    assert "mine.txt" not in [o.key for o in cloud.buckets["sandbox-photos"].list(delimiter="")]
    assert cloud.instances["web-2"].http_tokens == "optional"
    assert cloud.created() == []


def test_everything_goes_in_the_order_the_services_accept(cloud: Cloud, journal: Journal) -> None:
    make_everything(cloud)
    planned = cloud.created()
    journal.mark()
    told: list[tuple[int, int]] = []
    report = cloud.clean_up(lambda done, total, _: told.append((done, total)))
    assert report.ok
    assert [what for what, _ in report.results] == planned
    assert {result for _, result in report.results} == {"done"}
    assert told == [(n, 10) for n in range(10)]
    kinds = ["Detach" if "InstanceRamRole" in w else w.replace("Instance", "") for w in journal.writes]
    assert kinds == [
        "ModifyMetadataOptions",
        "Detach",
        "Detach",
        *["DetachPolicyFromRole"] * 3,
        "DeletePolicy",
        "DeleteRole",
        "DeleteRole",
        "DeleteObject",
    ]
    nothing_is_left(cloud)
    assert "done" in repr(report)


def modes(cloud: Cloud) -> dict[str, tuple[str, str]]:
    return {vm.name: (vm.http_endpoint, vm.http_tokens) for vm in cloud.instances}


def test_settings_are_put_back(cloud: Cloud) -> None:
    before = modes(cloud)
    cloud.instances["web-2"].set_hardening()
    cloud.instances["hardened-1"].set_hardening(False)
    cloud.instances["batch-1"].set_metadata(False)
    cloud.instances.set_hardening(True, ["web-1", "batch-1", "batch-2", "hardened-1"])
    assert cloud.created() == [
        "set HttpTokens=optional on i-bp1sandboxbatch2 as before",
        "set HttpTokens=optional on i-bp1sandboxbatch1 as before",
        "set HttpTokens=optional on i-2zesandboxweb1 as before",
        "set HttpEndpoint=enabled on i-bp1sandboxbatch1 as before",
        "set HttpTokens=optional on i-2zesandboxweb2 as before",
    ], "hardened-1 is as it was"
    rows = list(cloud.ledger())
    assert {row.kind for row in rows} == {"setting"}
    assert all(row.may.startswith("✓") for row in rows), "whether the caller may is told"
    assert modes(cloud) != before
    assert cloud.clean_up().ok
    assert modes(cloud) == before
    assert cloud.created() == []


def test_the_first_former_value_counts_and_setting_it_back_leaves_nothing(cloud: Cloud) -> None:
    vm = cloud.instances["web-2"]
    first = vm.set_hardening()
    first.set_hardening()  # so already
    assert len(cloud.created()) == 1
    first.set_hardening(False)
    assert cloud.created() == []
    first.set_hardening()  # as it was read, it is hardened; it is not, so this is a change
    assert len(cloud.created()) == 1
    assert cloud.instances.set_hardening(False, ["web-2"]).ok
    assert cloud.created() == []
    assert vm.set_hardening(False).http_tokens == "optional"
    assert cloud.created() == [], "what changes nothing is not noted"


def test_a_setting_that_somebody_else_changed_since_stays(cloud: Cloud) -> None:
    cloud.instances["web-2"].set_hardening()
    cloud.context.calls.ecs(
        "ModifyInstanceMetadataOptions",
        instance_id="i-2zesandboxweb2",
        http_endpoint="disabled",
        http_tokens="optional",
    )
    report = cloud.clean_up()
    assert [told for _, told in report.results] == ["gone already"]
    assert modes(cloud)["web-2"] == ("disabled", "optional")
    cloud.instances["web-2"].set_hardening()
    assert cloud.clean_up().ok
    assert modes(cloud)["web-2"] == ("disabled", "optional"), "the other option stays as it is"


def test_a_refused_setting_is_not_noted_and_one_without_an_answer_is(cloud: Cloud, world: Sandbox) -> None:
    with pytest.raises(rr.errors.InvalidRequest):
        cloud.instances["windows-1"].set_hardening()
    result = cloud.instances.set_hardening(True, ["windows-1", "web-1"], cancel=lambda: False)
    assert [item.ok for item in result.items] == [False, True]
    assert cloud.created() == ["set HttpTokens=optional on i-2zesandboxweb1 as before"]
    vms = [cloud.instances[name] for name in ("web-2", "batch-1")]
    assert cloud.context.preflight.account_id
    world.fault("openapi-500")
    assert not cloud.instances.set_hardening(True, vms).ok
    with pytest.raises(rr.errors.ServerFault):
        vms[0].set_metadata(False)
    world.fault("openapi-500", False)
    assert cloud.created()[:3] == [
        "set HttpEndpoint=enabled on i-2zesandboxweb2 as before (if it was set)",
        "set HttpTokens=optional on i-bp1sandboxbatch1 as before (if it was set)",
        "set HttpTokens=optional on i-2zesandboxweb2 as before (if it was set)",
    ]
    assert cloud.clean_up().ok
    assert modes(cloud)["web-2"] == ("enabled", "optional")


def test_what_was_not_tried_is_not_noted(cloud: Cloud) -> None:
    result = cloud.instances.set_hardening(True, ["web-1", "web-2"], cancel=lambda: True)
    assert len(result.not_tried) == 2
    assert cloud.created() == []


@pytest.mark.parametrize("made", [True, False])
def test_a_setting_whose_outcome_nobody_wrote_down(cloud: Cloud, made: bool) -> None:
    """As after a kill of the program, between the entry and the call or after the call."""
    vm, before = cloud.instances["web-2"], modes(cloud)
    Noted(cloud.context, "HttpTokens", "required", [vm], {vm.instance_id: "optional"})
    if made:
        cloud.context.calls.ecs(
            "ModifyInstanceMetadataOptions",
            instance_id=vm.instance_id,
            http_endpoint="enabled",
            http_tokens="required",
        )
    report = cloud.clean_up()
    assert report.results == (
        (
            f"set HttpTokens=optional on {vm.instance_id} as before (if it was set)",
            "done" if made else "gone already",
        ),
    )
    assert modes(cloud) == before


def test_again_there_is_nothing_to_do(cloud: Cloud, journal: Journal) -> None:
    make_everything(cloud)
    cloud.clean_up()
    journal.mark()
    report = cloud.clean_up()
    assert report.ok
    assert report.results == ()
    assert repr(report) == "nothing to clean up"
    assert journal.writes == []


def test_what_someone_else_removed_meanwhile_is_no_failure(cloud: Cloud) -> None:
    make_everything(cloud)
    calls = cloud.context.calls
    calls.ecs("DetachInstanceRamRole", instance_ids='["i-2zesandboxweb1"]')
    calls.ram(
        "DetachPolicyFromRole", policy_type="System", policy_name="AliyunOSSReadOnlyAccess", role_name="First"
    )
    report = cloud.clean_up()
    assert report.ok
    assert [result for _, result in report.results].count("gone already") == 2
    nothing_is_left(cloud)


def test_what_was_put_in_the_place_of_ours_stays(cloud: Cloud) -> None:
    """The instance got another role meanwhile, from someone else."""
    cloud.instances["web-1"].attach(cloud.roles.create("First"))
    calls = cloud.context.calls
    calls.ram(
        "CreateRole",
        role_name="Theirs",
        assume_role_policy_document=rr.policy.trust_for_service("ecs.aliyuncs.com"),
    )
    calls.ecs("DetachInstanceRamRole", instance_ids='["i-2zesandboxweb1"]')
    calls.ecs("AttachInstanceRamRole", instance_ids='["i-2zesandboxweb1"]', ram_role_name="Theirs")
    assert cloud.clean_up().ok
    assert cloud.instances["web-1"].role_name == "Theirs"
    assert [r.name for r in cloud.roles] == ["Theirs"]


def test_what_fails_is_said_and_stays_for_the_next_run(cloud: Cloud, as_user: Callable[..., Cloud]) -> None:
    operator = as_user("operator")
    operator.roles.create("EcsRamRole").grant("AliyunOSSReadOnlyAccess")
    report = operator.clean_up()
    assert not report.ok
    assert report.left == 2
    assert all("failed" in result for _, result in report.results)
    assert "ram:DetachPolicyFromRole" in report.results[0][1]
    assert len(operator.created()) == 2
    assert cloud.clean_up().ok  # someone who may
    nothing_is_left(cloud)


def test_what_more_was_granted_to_our_role_does_not_keep_it(cloud: Cloud) -> None:
    cloud.roles.create("EcsRamRole")
    cloud.context.calls.ram(
        "AttachPolicyToRole",
        policy_type="System",
        policy_name="AliyunOSSReadOnlyAccess",
        role_name="EcsRamRole",
    )
    assert cloud.clean_up().ok
    nothing_is_left(cloud)


def test_only_this_world_mode_and_account(cloud: Cloud, world: Sandbox) -> None:
    path = world.state / "ledger.jsonl"
    account = cloud.identity().account_id
    others = [
        Ledger(path, mode="live", account_id=account, world="default"),
        Ledger(path, mode="sandbox", account_id="1", world="default"),
        Ledger(path, mode="sandbox", account_id=account, world="new-account"),
    ]
    for ledger in others:
        ledger.done(ledger.intend("role", "EcsRamRole"))
    cloud.roles.create("EcsRamRole")
    assert cloud.created() == ["delete role EcsRamRole"]
    cloud.clean_up()
    assert cloud.created() == []
    assert [len(ledger.open_entries()) for ledger in others] == [1, 1, 1]


def test_a_refused_call_leaves_nothing_to_clean_up(cloud: Cloud) -> None:
    with pytest.raises(rr.errors.RamroleError):
        cloud.instances["classic-1"].attach(cloud.roles.create("EcsRamRole"))
    assert cloud.created() == ["delete role EcsRamRole"]


def test_the_ledger_as_a_table(cloud: Cloud, world: Sandbox) -> None:
    nothing = cloud.ledger()
    assert len(nothing) == 0
    assert "Nothing to clean up" in repr(nothing)
    assert "Nothing to clean up" in nothing._repr_html_()
    make_everything(cloud)
    cloud.context.ledger.intend("role", "Perhaps")
    account = cloud.identity().account_id
    for ledger in (
        Ledger(world.state / "ledger.jsonl", mode="live", account_id="1234567890123456"),
        Ledger(world.state / "ledger.jsonl", mode="sandbox", account_id=account, world="new-account"),
    ):
        for name in ("A", "B")[: 1 + (ledger.mode == "live")]:
            ledger.done(ledger.intend("role", name))
    found = cloud.ledger()
    assert [step.what for step in found] == cloud.created()
    assert [step.kind for step in found][:3] == ["setting", "attachment", "attachment"]
    assert [step.what for step in found if not step.certain] == ["delete role Perhaps (if it exists)"]
    assert all(step.since.endswith("Z") and step.why for step in found)
    assert {step.may for step in found} == {"✓ yes", ""}  # "": an object
    for shown in (repr(found), found._repr_html_()):
        assert "may exist" in shown
        assert "2 things of the live account 1234567890123456 are not touched from here" in shown
        assert "1 thing of the sandbox&#x27;s world" in shown or "1 thing of the sandbox's world" in shown


def test_the_table_says_beforehand_what_the_caller_may_not_undo(as_user: Callable[..., Cloud]) -> None:
    operator = as_user("operator")
    operator.roles.create("EcsRamRole").grant("AliyunOSSReadOnlyAccess")
    assert [step.may for step in operator.ledger()] == [
        "✕ missing: ram:DetachPolicyFromRole",
        "✕ missing: ram:DeleteRole",
    ]


def test_what_failed_keeps_code_request_and_next_step(as_user: Callable[..., Cloud]) -> None:
    operator = as_user("operator")
    operator.roles.create("EcsRamRole")
    report = operator.clean_up()
    (item,) = report.items
    assert (item.ok, item.code) == (False, "NoPermission")
    assert item.request_id
    assert "ram:DeleteRole" in item.next_step
    assert report.summary == "0 of 1 undone, 1 left: running it again goes on from there"
    assert item.request_id in report._repr_html_()


def test_cancel_stops_between_two_things_and_the_next_run_goes_on(cloud: Cloud, journal: Journal) -> None:
    make_everything(cloud)
    planned = cloud.created()
    done: list[str] = []
    journal.mark()
    report = cloud.clean_up(lambda *told: done.append(told[2]), cancel=lambda: len(done) == 3)
    assert done == planned[:3]
    assert report.cancelled
    assert (report.ok, report.left) == (False, 7)
    assert [item.told for item in report.items] == ["done"] * 3 + ["not tried: cancelled"] * 7
    assert len(journal.writes) == 3
    assert cloud.created() == planned[3:]
    assert cloud.clean_up().ok
    nothing_is_left(cloud)


def test_who_is_asked_sees_exactly_what_goes_and_a_no_changes_nothing(cloud: Cloud, journal: Journal) -> None:
    make_everything(cloud)
    asked: list[list[str]] = []
    journal.mark()

    def no(plan: Sequence[str]) -> bool:
        asked.append(list(plan))
        return False

    with pytest.raises(rr.errors.ChangeNotConfirmed) as caught:
        cloud.clean_up(confirm=no)
    assert asked == [cloud.created()]
    assert list(caught.value.plan) == cloud.created()
    assert journal.writes == []
    assert cloud.clean_up(confirm=bool).ok
    asked.clear()
    assert cloud.clean_up(confirm=no).ok  # nothing to ask about
    assert asked == []


@pytest.mark.parametrize(("changes", "times"), [("ask", 1), ("yes", 1), ("no", 0)])
def test_a_live_gate_is_answered_by_who_is_asked_and_only_once(
    cloud: Cloud, changes: str, times: int
) -> None:
    """The session's gate is the live one, `connect`'s own; what it guards is the sandbox."""
    cloud.roles.create("EcsRamRole")
    cloud.context.confirm = _asker(changes, "a test")
    asked: list[list[str]] = []

    def yes(plan: Sequence[str]) -> bool:
        asked.append(list(plan))
        return True

    if changes == "no":
        with pytest.raises(rr.errors.ChangeNotConfirmed):
            cloud.clean_up(confirm=yes)
    else:
        assert cloud.clean_up(confirm=yes).ok
    assert asked == [["delete role EcsRamRole"]] * times


def test_reset_clears_the_ledger(cloud: Cloud) -> None:
    make_everything(cloud)
    assert cloud.reset() is cloud
    nothing_is_left(cloud)


_CHILD = """
    import os, signal, sys
    import ramrole_nb as rr

    cloud = rr.connect()
    role = cloud.roles.create("FromAChild")
    role.grant("AliyunOSSReadOnlyAccess")
    role.grant({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*"}]})
    vm = cloud.instances["web-1"].attach(role)
    print("made", flush=True)
    if sys.argv[1] == "between":
        # Killed between the ledger's line and the call, and between the call and its second line.
        cloud.context.ledger.intend("role", "NeverMade")
        cloud.context.ledger.intend("role", "MadeButNotNoted")
        cloud.context.calls.ram(
            "CreateRole", role_name="MadeButNotNoted",
            assume_role_policy_document=rr.policy.trust_for_service("ecs.aliyuncs.com"))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["after", "between"])
def test_after_a_kill_of_the_client(tmp_path: Path, moment: str) -> None:
    state = tmp_path / "state"
    os.environ["RAMROLE_STATE"] = str(state)
    try:
        killed = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(_CHILD), moment],
            capture_output=True,
            text=True,
            check=False,
        )
        assert killed.stdout == "made\n", killed.stderr
        assert killed.returncode == -signal.SIGKILL
        cloud = rr.connect()
        assert "delete role FromAChild" in cloud.created()
        report = cloud.clean_up()
        assert report.ok
        if moment == "between":
            assert ("delete role NeverMade (if it exists)", "gone already") in report.results
            assert ("delete role MadeButNotNoted (if it exists)", "done") in report.results
        assert list(cloud.roles) == []
        assert not any(cloud.instances.roles(list(cloud.instances)).values())
        assert cloud.created() == []
    finally:
        process.stop(state)
    assert read_runtime(state) is None


def test_a_relative_state_folder_is_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAMROLE_STATE", "here")
    try:
        cloud = rr.connect()
        cloud.roles.create("EcsRamRole")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["here"]
        assert (tmp_path / "here" / "runtime.json").is_file()
        assert (tmp_path / "here" / "ledger.jsonl").is_file()
    finally:
        process.stop(tmp_path / "here")
