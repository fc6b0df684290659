"""Before a change: the caller's own policies are read, and what is surely missing is named before anything is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from ramrole_nb.errors import AccessDenied, PreflightRefused
from tests.cloud.conftest import session_of

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from tests.cloud.conftest import Hands, Journal

READ = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*"}]}
LOOK = ("ecs:Describe*", "ram:Get*", "ram:List*")


def test_operator_may_do_the_page_and_nothing_is_noted(as_user: Callable[..., Cloud]) -> None:
    """The page's sample policy lets operator create, grant, attach and detach."""
    cloud = as_user("operator")
    role = cloud.roles.create("EcsRamRole")
    role.grant(READ)
    vm = cloud.instances["web-1"].attach(role)
    assert vm.credentials().role_name == "EcsRamRole"
    vm.detach()
    assert cloud.preflight_notes == []


@pytest.mark.parametrize(
    ("user", "change", "missing"),
    [
        ("viewer", lambda c: c.roles.create("New"), {"ram:CreateRole"}),
        (
            "viewer",
            lambda c: c.roles["EcsRamRole"].grant("AliyunOSSReadOnlyAccess"),
            {"ram:AttachPolicyToRole"},
        ),
        ("viewer", lambda c: c.roles["EcsRamRole"].grant(READ), {"ram:CreatePolicy"}),
        (
            "viewer",
            lambda c: c.instances["web-1"].attach("EcsRamRole"),
            {"ecs:AttachInstanceRamRole", "ram:PassRole"},
        ),
        ("viewer", lambda c: c.instances["web-2"].detach(), {"ecs:DetachInstanceRamRole"}),
        ("viewer", lambda c: c.instances["web-1"].set_hardening(), {"ecs:ModifyInstanceMetadataOptions"}),
        ("operator", lambda c: c.instances["web-1"].set_hardening(), {"ecs:ModifyInstanceMetadataOptions"}),
        ("operator", lambda c: c.roles["EcsRamRole"].delete(), {"ram:DeleteRole"}),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_changed(
    cloud: Cloud,
    as_user: Callable[..., Cloud],
    journal: Journal,
    user: str,
    change: Callable[[Cloud], object],
    missing: set[str],
) -> None:
    role = cloud.roles.create("EcsRamRole")
    cloud.instances["web-2"].attach(role)
    there = as_user(user)
    journal.mark()
    with pytest.raises(PreflightRefused) as caught:
        change(there)
    error = caught.value
    assert {action for action, _ in error.missing} == missing
    assert f"{user} may not" in error.what
    assert "Nothing was changed" in error.what
    assert error.reason
    assert all(action in error.next_step for action in missing)
    assert journal.writes == []
    # And rightly so: the service itself refuses, too.
    assert there.created() == cloud.created()


def test_pass_role_on_another_role_only(
    cloud: Cloud, as_user: Callable[..., Cloud], hands: Hands, journal: Journal
) -> None:
    cloud.roles.create("Mine")
    cloud.roles.create("Theirs")
    hands.let(
        "operator",
        ("Allow", [*LOOK, "ecs:AttachInstanceRamRole"], "*"),
        ("Allow", "ram:PassRole", "acs:ram:*:*:role/Mine"),
    )
    there = as_user("operator")
    journal.mark()
    with pytest.raises(PreflightRefused, match="ram:PassRole is missing") as caught:
        there.instances["web-1"].attach("Theirs")
    account = cloud.identity().account_id
    assert caught.value.missing == (("ram:PassRole", f"acs:ram:*:{account}:role/Theirs"),)
    assert journal.writes == []
    assert there.instances["web-1"].attach("Mine").role_name == "Mine"


def test_an_explicit_deny_is_the_reason(
    cloud: Cloud, as_user: Callable[..., Cloud], hands: Hands, journal: Journal
) -> None:
    cloud.roles.create("EcsRamRole")
    hands.let("operator", ("Allow", "*", "*"), ("Deny", "ram:PassRole", "*"))
    journal.mark()
    with pytest.raises(PreflightRefused) as caught:
        as_user("operator").instances["web-1"].attach("EcsRamRole")
    assert "only-operator" in caught.value.reason
    assert "denies" in caught.value.reason.lower() or "deny" in caught.value.reason.lower()
    assert journal.writes == []


def test_what_cannot_be_read_is_said_and_tried(
    as_user: Callable[..., Cloud], hands: Hands, journal: Journal
) -> None:
    hands.let("operator", ("Allow", ["ram:CreateRole", "ram:GetRole"], "*"))
    cloud = as_user("operator")
    journal.mark()
    assert cloud.roles.create("EcsRamRole").name == "EcsRamRole"
    assert journal.writes == ["CreateRole"]
    note = cloud.preflight_notes[-1]
    assert "cannot tell whether operator may create role EcsRamRole" in note
    assert "NoPermission" in note


def test_what_cannot_be_read_and_is_not_allowed_is_the_services_refusal(
    as_user: Callable[..., Cloud],
    hands: Hands,
) -> None:
    hands.let("operator", ("Allow", ["ram:GetRole"], "*"))
    cloud = as_user("operator")
    with pytest.raises(AccessDenied) as caught:
        cloud.roles.create("EcsRamRole")
    assert (caught.value.status, caught.value.code) == (403, "NoPermission")
    assert "ram:CreateRole" in str(caught.value)
    assert "cannot tell" in cloud.preflight_notes[-1]
    assert cloud.created() == []


def test_a_program_on_an_instance(cloud: Cloud) -> None:
    """A role's own policies are read; a session policy may narrow them, which only the service knows."""
    role = cloud.roles.create("Maker")
    role.grant({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "ram:*", "Resource": "*"}]})
    there = session_of(cloud, cloud.instances["web-1"].attach(role))
    assert there.roles.create("Made").name == "Made"
    assert there.preflight_notes == []
    vm = there.instances.all(region_id="cn-beijing")
    assert vm == []  # no ecs:DescribeInstances


def test_the_policies_are_read_anew_after_a_while(
    as_user: Callable[..., Cloud], hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ramrole_nb.cloud import preflight

    monkeypatch.setattr(preflight, "_KEEP_SECONDS", 0.0)
    there = as_user("viewer")
    with pytest.raises(PreflightRefused):
        there.roles.create("EcsRamRole")
    hands.let("viewer", ("Allow", "*", "*"))
    assert there.roles.create("EcsRamRole").name == "EcsRamRole"


def test_one_action_reads_the_policies_once(as_user: Callable[..., Cloud], journal: Journal) -> None:
    cloud = as_user("operator")
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    cloud.instances["web-1"].attach(role)
    counts: dict[str, int] = {}
    for name in journal.operations:
        counts[name] = counts.get(name, 0) + 1
    assert counts["ListPoliciesForUser"] == 1
    assert counts["GetCallerIdentity"] == 1


def test_the_administrator_is_evaluated_like_anyone(cloud: Cloud) -> None:
    """AdministratorAccess allows everything, through the same evaluation."""
    decision = cloud.context.preflight.decide(_need("ecs:AnythingAtAll"))
    assert decision.outcome.name == "ALLOW"


def _need(action: str, resource: str = "*") -> Any:
    from ramrole_nb.cloud.preflight import Need

    return Need(action, resource)


def test_everything_that_is_missing_is_named_at_once(as_user: Callable[..., Cloud], cloud: Cloud) -> None:
    cloud.roles.create("Theirs").grant("AliyunOSSReadOnlyAccess")
    with pytest.raises(PreflightRefused) as caught:
        as_user("operator").roles["Theirs"].delete(revoke=True)
    assert {action for action, _ in caught.value.missing} == {"ram:DetachPolicyFromRole", "ram:DeleteRole"}
    for words in ("ram:DetachPolicyFromRole", "ram:DeleteRole", "Nothing was changed"):
        assert words in str(caught.value)
