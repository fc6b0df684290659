"""The instances panel: each click is one call of the library, on what is selected; one failure hides no other."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb
from ramrole_nb.errors import InputError, PreflightRefused, ServiceError
from ramrole_nb.policy import trust_for_service
from ramrole_nb.widgets import InstancesPanel
from tests.cloud.conftest import Hands, Journal
from tests.test_secrets import secrets_of
from tests.widgets.conftest import button, click, failure_of, shows_its_failure, states

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

Made = Callable[[Any], Any]

WEB, WEB2, BATCH = "i-2zesandboxweb1", "i-2zesandboxweb2", "i-bp1sandboxbatch1"
BUTTONS = ("Attach role", "Replace role", "Detach role", "Security hardening mode only", "Both modes")
READ = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*"}]}


@pytest.fixture
def world(world: Sandbox) -> Sandbox:
    """The sandbox as at its start, and nothing in the ledger beside it."""
    (world.state / "ledger.jsonl").unlink(missing_ok=True)
    return world


@pytest.fixture
def hands(world: Sandbox) -> Hands:
    return Hands(world)


@pytest.fixture
def journal(world: Sandbox) -> Journal:
    return Journal(world)


def state_of(cloud: Cloud) -> dict[str, tuple[str, str]]:
    """What the world says of each instance: its role and its metadata mode."""
    vms = list(cloud.instances)
    roles = cloud.instances.roles(vms)
    return {vm.name: (roles[vm.instance_id], vm.http_tokens) for vm in vms}


# ---- the table and what is selected


def test_it_shows_every_instance_of_every_region(cloud: Cloud, made: Made) -> None:
    cloud.instances["web-1"].attach(cloud.roles.create("EcsRamRole"))
    panel = made(InstancesPanel(cloud))
    rows = {row["name"]: row for row in panel.table.rows}
    assert len(rows) == 8
    assert rows["web-1"] == {
        "id": WEB,
        "name": "web-1",
        "region": "cn-beijing",
        "status": "Running",
        "system": "linux",
        "network": "vpc",
        "metadata": "both modes",
        "role": "EcsRamRole",
    }
    assert rows["hardened-1"]["metadata"] == "hardened only"
    assert rows["classic-1"]["network"] == "classic"
    for shown in (panel.html(), panel.text()):
        assert "8 instances, 1 with a role" in shown
        assert all(name in shown for name in rows)
    panel.region.value = "cn-hangzhou"
    panel.refresh()
    panel.wait()
    assert {row["name"] for row in panel.table.rows} == {"batch-1", "batch-2", "classic-1", "stopped-1"}
    assert panel.region.options == ("all regions", *cloud.instances.regions())
    assert {"cn-beijing", "cn-hangzhou"} <= set(panel.region.options)
    with pytest.raises(InputError, match="no instance 'web-1' in cn-hangzhou"):
        panel.select("web-1")


def test_what_is_given_is_chosen_at_the_start(cloud: Cloud, made: Made) -> None:
    for name in ("Another", "EcsRamRole"):
        cloud.roles.create(name)
    panel = made(InstancesPanel(cloud, "EcsRamRole", instances=("web-1", BATCH)))
    assert panel.table.selected == [WEB, BATCH]
    assert panel.role.value == "EcsRamRole"
    panel.select("web-2")
    panel.refresh()
    panel.wait()
    assert panel.table.selected == [WEB2], "reading anew does not choose again what was chosen at the start"


def test_what_is_given_and_not_there_is_said(cloud: Cloud, made: Made) -> None:
    panel = made(InstancesPanel(cloud, instances=("wbe-1",)))
    assert "Did you mean 'web-1'" in str(panel.model.error)
    assert "Did you mean" in panel.html()
    assert panel.table.selected == []
    with pytest.raises(InputError, match="Did you mean 'web-2'"):
        panel.select("wbe-2")
    with pytest.raises(InputError, match="no role name"):
        InstancesPanel(cloud, "under_score")


def test_a_name_that_two_have_is_not_guessed_at(cloud: Cloud, made: Made, hands: Hands) -> None:
    hands.on_store(lambda s: s.run("UPDATE instances SET facts=replace(facts, '\"batch-2\"', '\"batch-1\"')"))
    panel = made(InstancesPanel(cloud))
    with pytest.raises(InputError, match="2 instances are called 'batch-1'"):
        panel.select("batch-1")
    assert panel.select(BATCH).table.selected == [BATCH]


def test_what_the_browser_selects_is_checked_here(cloud: Cloud, made: Made, journal: Journal) -> None:
    """The selection is a trait that the browser sets: ids that were never shown count for nothing."""
    cloud.roles.create("EcsRamRole")
    panel = made(InstancesPanel(cloud, "EcsRamRole"))
    panel.table.set_state({"selected": [WEB, "i-notmine", "<script>"]})
    assert [vm.instance_id for vm in panel.selected] == [WEB]
    panel.table.set_state({"selected": ["i-notmine"]})
    journal.mark()
    for text in BUTTONS:
        click(panel, text)
        assert "No instance is selected" in panel.text()
        assert "next step" in panel._outcome.value
    assert journal.writes == []


def test_only_roles_that_ecs_may_assume_are_offered(cloud: Cloud, made: Made) -> None:
    cloud.roles.create("ForFc", trust=trust_for_service("fc.aliyuncs.com"))
    panel = made(InstancesPanel(cloud, instances=[WEB]))
    assert panel.role.options == ()
    assert "no role yet that ECS may assume" in panel._role_now.value
    click(panel, "Attach role")
    assert isinstance(panel.model.error, InputError)
    cloud.roles.create("EcsRamRole")
    panel.refresh()
    panel.wait()
    assert panel.role.options == ("EcsRamRole",)
    other = made(InstancesPanel(cloud, "ForFc", instances=[WEB]))
    assert other.role.value is None, "another role must not slip into the place of the one that was named"
    assert "The role ForFc is not offered" in other.html()
    click(other, "Attach role")
    assert "'ForFc' cannot be chosen" in other.text()


def test_it_follows_what_is_done_elsewhere(cloud: Cloud, made: Made) -> None:
    panel = made(InstancesPanel(cloud, "EcsRamRole", instances=["web-1"]))
    cloud.instances["web-1"].attach(cloud.roles.create("EcsRamRole"))
    for _ in range(100):
        if panel.role.value == "EcsRamRole" and panel.table.rows[0]["role"] == "EcsRamRole":
            break
        time.sleep(0.05)
    assert panel.role.value == "EcsRamRole", "offered, and chosen, once it exists"
    assert panel.table.rows[0]["role"] == "EcsRamRole"
    assert panel.table.selected == [WEB]


# ---- the actions


def test_clicking_leaves_what_typing_leaves(world: Sandbox, made: Made) -> None:
    def start() -> Cloud:
        cloud = ramrole_nb.connect(world).reset()
        for name in ("First", "Second"):
            cloud.roles.create(name)
        return cloud

    clicked = start()
    panel = made(InstancesPanel(clicked, "First", instances=["web-1", "web-2", "batch-1"]))
    click(panel, "Attach role")
    assert panel.model.error is None
    panel.select("web-1", "batch-1")
    panel.role.value = "Second"
    click(panel, "Replace role")
    panel.select("web-2")
    click(panel, "Detach role")
    panel.select("web-1", "web-2", "hardened-1")
    click(panel, "Security hardening mode only")
    panel.select("hardened-1")
    click(panel, "Both modes")
    first, ledger = state_of(clicked), clicked.created()

    typed = start()
    typed.instances.attach("First", ["web-1", "web-2", "batch-1"])
    typed.instances.replace("Second", ["web-1", "batch-1"])
    typed.instances.detach(["web-2"])
    typed.instances.set_hardening(True, ["web-1", "web-2", "hardened-1"])
    typed.instances.set_hardening(False, ["hardened-1"])
    assert state_of(typed) == first
    assert sorted(typed.created()) == sorted(ledger)
    assert first["web-1"] == ("Second", "required")
    assert first["hardened-1"] == ("", "optional")


def test_one_failure_hides_no_other_result(cloud: Cloud, made: Made) -> None:
    cloud.roles.create("Other")
    cloud.roles.create("EcsRamRole")
    cloud.instances.attach("Other", ["batch-2"])
    panel = made(
        InstancesPanel(cloud, "EcsRamRole", instances=["web-1", "batch-1", "batch-2", "classic-1", "web-2"])
    )
    click(panel, "Attach role")
    result = panel.model.result
    assert [item.ok for item in result.items] == [True, True, True, False, False][:0] or len(
        result.items
    ) == 5
    by_name = {result.names[item.instance_id]: item for item in result.items}
    assert {name for name, item in by_name.items() if item.ok} == {"web-1", "web-2", "batch-1"}
    assert by_name["batch-2"].code == "InvalidInstance.RamRoleAttached"
    assert by_name["classic-1"].code == "InvalidNetworkType.MismatchRamRole"
    assert "3 of 5 done, 2 failed" in panel.model.status
    assert panel._status.kind == "failed"
    for name, item in by_name.items():
        assert name in panel._outcome.value
        assert item.request_id in panel._outcome.value
    assert "cloud.instances.replace(role, ids)" in panel._outcome.value
    assert "use an instance in a VPC" in panel._outcome.value
    held = {row["name"]: row["role"] for row in panel.table.rows}
    assert (held["web-1"], held["batch-2"], held["classic-1"]) == ("EcsRamRole", "Other", "–")


def test_replacing_says_before_and_after_that_there_is_a_gap(cloud: Cloud, made: Made) -> None:
    cloud.roles.create("First")
    cloud.roles.create("Second")
    cloud.instances.attach("First", ["web-1", "batch-1"])
    panel = made(InstancesPanel(cloud, "Second", instances=["web-1", "batch-1"]))
    notes = [w.value for w in panel.box.children if isinstance(getattr(w, "value", None), str)]
    assert any("In between an instance has no role" in note for note in notes)
    panel.replace().wait()
    assert "2 of 2 done" in panel.model.status
    assert "there was none for a moment" in panel.model.status
    assert state_of(cloud)["batch-1"][0] == "Second"
    assert "First" in panel.code["Shell (aliyun, curl)"], "the code detaches the old role"
    assert panel.code["Shell (aliyun, curl)"].count("AttachInstanceRamRole") == 2, "one a region"


def test_a_session_policy_is_checked_and_given(cloud: Cloud, made: Made, journal: Journal) -> None:
    cloud.roles.create("EcsRamRole").grant("AliyunOSSReadOnlyAccess")
    panel = made(InstancesPanel(cloud, "EcsRamRole", instances=["web-1"]))
    journal.mark()
    panel.session_policy.value = "{"
    assert "✕ not yet" in panel._policy_check.said.value
    click(panel, "Attach role")
    assert isinstance(panel.model.error, InputError)
    long = {**READ, "Statement": [{**READ["Statement"][0], "Resource": "acs:oss:*:*:" + "x" * 1100}]}  # type: ignore[dict-item]
    panel.session_policy.value = json.dumps(long)
    assert "1,024 is the limit" in panel._policy_check.said.value
    click(panel, "Attach role")
    assert "1,024 is the limit" in panel.text()
    assert journal.writes == []
    only = json.dumps(
        {
            "Version": "1",
            "Statement": [
                {"Effect": "Allow", "Action": "oss:*", "Resource": "acs:oss:*:*:sandbox-photos/reports/*"}
            ],
        }
    )
    panel.session_policy.value = only
    assert "✓" in panel._policy_check.said.value
    click(panel, "Attach role")
    assert failure_of(panel) is None
    bucket = cloud.buckets["sandbox-photos"].using(cloud.instances["web-1"])
    assert bucket.head("reports/2026/sales.csv").size > 0
    with pytest.raises(ServiceError):
        bucket.head("testfolder/example.png")


def test_hardening_many_shows_the_one_that_cannot_be(cloud: Cloud, made: Made) -> None:
    panel = made(InstancesPanel(cloud, instances=["web-1", "windows-1", "batch-1"]))
    panel.harden(True).wait()
    assert "2 of 3 done, 1 failed" in panel.model.status
    assert "InvalidHttpTokens.NotSupported" in panel._outcome.value
    assert {row["name"] for row in panel.table.rows if row["metadata"] == "hardened only"} == {
        "web-1",
        "batch-1",
        "hardened-1",
    }
    assert "HttpTokens required" in panel.code["Shell (aliyun, curl)"]


def test_hundreds_at_once_with_progress(cloud: Cloud, made: Made, hands: Hands, journal: Journal) -> None:
    ids = hands.add_instances(300)
    cloud.roles.create("EcsRamRole")
    panel = made(InstancesPanel(cloud, "EcsRamRole"))
    assert len(panel.table.rows) == 308
    began = time.perf_counter()
    panel.select(*ids)
    assert time.perf_counter() - began < 1
    captions: list[str] = []
    panel._bar.observe(lambda change: captions.append(change["new"]), names=["caption"])
    journal.mark()
    click(panel, "Attach role")
    assert journal.writes == ["AttachInstanceRamRole"] * 3
    assert "100 of 300, instances" in captions
    assert "300 of 300 done" in panel.model.status
    assert "none failed" in panel._outcome.value
    assert "the 300 that went well" in panel._outcome.value
    assert "and 208 more" in panel.text()
    assert sum(row["role"] == "EcsRamRole" for row in panel.table.rows) == 300


def test_cancelling_says_what_was_already_done(cloud: Cloud, made: Made, hands: Hands) -> None:
    ids = hands.add_instances(250)
    cloud.roles.create("EcsRamRole")
    panel = made(InstancesPanel(cloud, "EcsRamRole"))
    panel.select(*ids)
    # The button is pressed when the first hundred is through.
    panel._bar.observe(lambda change: panel._cancel.click() if change["new"] else None, names=["value"])
    click(panel, "Attach role")
    done = sum(1 for role, _ in state_of(cloud).values() if role)
    assert done in {100, 200}
    assert f"{done} of 250 done, {250 - done} not tried: cancelled" in panel.model.status
    assert panel._status.kind == "cancelled"
    assert "run it again for these" in panel._outcome.value
    assert len([line for line in cloud.created() if line.startswith("detach")]) == done


# ---- permissions and failures


def test_missing_permissions_are_named_before_the_call(world: Sandbox, made: Made, journal: Journal) -> None:
    ramrole_nb.connect(world).roles.create("EcsRamRole")
    panel = made(InstancesPanel(ramrole_nb.connect(world, user="viewer"), "EcsRamRole", ["web-1"]))
    for action in (
        "ecs:AttachInstanceRamRole",
        "ecs:DetachInstanceRamRole",
        "ecs:ModifyInstanceMetadataOptions",
        "ram:PassRole",
    ):
        assert action in panel._permissions.value
        assert action in panel.text()
    journal.mark()
    for text in BUTTONS[:4]:
        click(panel, text)
        assert isinstance(panel.model.error, PreflightRefused), text
        assert "is missing. Nothing was changed" in panel._outcome.value
    assert journal.writes == []
    allowed = made(InstancesPanel(ramrole_nb.connect(world), "EcsRamRole", ["web-1"]))
    assert "✓ Your permissions allow each action" in allowed._permissions.value


def test_permissions_are_told_of_what_is_selected(world: Sandbox, made: Made, hands: Hands) -> None:
    for name in ("First", "Second"):
        ramrole_nb.connect(world).roles.create(name)
    reads = ["ecs:Describe*", "ram:Get*", "ram:List*"]
    hands.let(
        "operator",
        ("Allow", reads, "*"),
        ("Allow", "ecs:*", f"acs:ecs:*:*:instance/{WEB}"),
        ("Allow", "ecs:AttachInstanceRamRole", "acs:ram:*:*:role/*"),
        ("Allow", "ram:PassRole", "acs:ram:*:*:role/First"),
    )
    panel = made(InstancesPanel(ramrole_nb.connect(world, user="operator"), "First", ["web-1"]))
    assert "✓ Your permissions allow each" in panel._permissions.value
    panel.role.value = "Second"
    assert "ram:PassRole" in panel._permissions.value
    assert "ecs:DetachInstanceRamRole" not in panel._permissions.value
    panel.role.value = "First"
    panel.select("web-1", "web-2")
    assert "ram:PassRole" not in panel._permissions.value
    assert "ecs:DetachInstanceRamRole" in panel._permissions.value
    assert "web-2" in panel._permissions.value
    assert "web-1" not in panel._permissions.value


@pytest.mark.parametrize("fault", ["openapi-500", "throttling"])
@pytest.mark.parametrize("text", BUTTONS)
def test_every_button_shows_its_failure(world: Sandbox, made: Made, text: str, fault: str) -> None:
    admin = ramrole_nb.connect(world)
    for name in ("First", "Second"):
        admin.roles.create(name)
    if text != "Attach role":
        admin.instances.attach("First", ["web-1"])
    if text == "Both modes":
        admin.instances.set_hardening(True, ["web-1"])
    panel = made(InstancesPanel(admin, "Second" if text == "Replace role" else "First", ["web-1"]))
    world.fault(fault)
    click(panel, text)
    shows_its_failure(panel)
    world.fault(fault, on=False)
    admin.context.preflight.forget()
    click(panel, text)
    assert panel.model.error is None, "the next click works"
    assert panel.model.result.ok


def test_an_instance_that_is_gone_meanwhile_is_told_with_its_request(
    cloud: Cloud, made: Made, hands: Hands
) -> None:
    cloud.roles.create("EcsRamRole")
    panel = made(InstancesPanel(cloud, "EcsRamRole", ["web-1", "web-2"]))
    hands.on_store(lambda store: store.run("DELETE FROM instances WHERE instance_id=?", WEB2))
    click(panel, "Attach role")
    result = panel.model.result
    assert [(item.ok, item.code) for item in result.items] == [
        (True, "200"),
        (False, "InvalidInstanceId.NotFound"),
    ]
    assert result.items[1].request_id in panel._outcome.value
    assert {row["name"] for row in panel.table.rows}.isdisjoint({"web-2"})
    assert panel.table.selected == [WEB]


def test_who_may_see_nothing_is_not_shown_a_blank(world: Sandbox, made: Made, hands: Hands) -> None:
    hands.let("viewer", ("Allow", "ecs:DescribeRegions", "*"))
    panel = made(InstancesPanel(ramrole_nb.connect(world, user="viewer")))
    for shown in (panel.html(), panel.text()):
        assert "no instance here that you may see" in shown
    assert "The roles cannot be listed" in panel._role_now.value


def test_a_second_click_while_it_works_is_ignored(
    cloud: Cloud, made: Made, hands: Hands, journal: Journal
) -> None:
    ids = hands.add_instances(100)
    cloud.roles.create("EcsRamRole")
    panel = made(InstancesPanel(cloud, "EcsRamRole"))
    panel.select(*ids)
    journal.mark()
    first = panel.attach()
    assert panel.attach() is first
    assert panel.detach() is first
    assert all(button(panel, text).disabled for text in BUTTONS)
    panel.wait()
    assert journal.writes == ["AttachInstanceRamRole"]


# ---- what it leaves behind


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files where Linux lists them")
def test_fifty_panels_leave_no_thread_and_no_socket(cloud: Cloud) -> None:
    def used() -> tuple[int, int]:
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    InstancesPanel(cloud).wait().close()
    before = used()
    for _ in range(50):
        InstancesPanel(cloud, instances=["web-1"]).wait().close()
    time.sleep(0.3)
    threads, sockets = used()
    assert threads <= before[0] + 1
    assert sockets <= before[1] + 4


def test_it_shows_no_secret(world: Sandbox, made: Made) -> None:
    cloud = ramrole_nb.connect(world)
    cloud.roles.create("EcsRamRole")
    panel = made(InstancesPanel(cloud, "EcsRamRole", ["web-1"]))
    click(panel, "Attach role")
    cloud.instances["web-1"].credentials()
    click(panel, "Security hardening mode only")
    shown = states(panel) + panel.html() + panel.text() + "".join(panel.code.values())
    assert WEB in shown
    for secret in secrets_of(world):
        assert secret not in shown
