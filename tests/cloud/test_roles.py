"""Roles and grants: the names of design §5, done and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb as rr
from ramrole_nb.errors import Conflict, InputError, InvalidRequest, NotFound, PreflightRefused

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from tests.cloud.conftest import Hands, Journal

READ = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*"}]}
USER_TRUST = {
    "Version": "1",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"RAM": ["acs:ram::1234567890123456:root"]},
        }
    ],
}


def test_create_gives_a_role_that_ecs_may_assume(cloud: Cloud) -> None:
    role = cloud.roles.create("EcsRamRole", description="for the test", max_session_duration=7200)
    assert (role.name, role.trusts_ecs) == ("EcsRamRole", True)
    read = cloud.roles["EcsRamRole"]
    assert (read.description, read.max_session_duration, read.role_id) == ("for the test", 7200, role.role_id)
    assert read.arn == role.arn
    assert read.arn.split(":")[3] == cloud.identity().account_id
    assert [r.name for r in cloud.roles] == ["EcsRamRole"]
    assert "EcsRamRole" in cloud.roles
    assert "Other" not in cloud.roles


def test_create_again_returns_the_same_role_and_changes_nothing(cloud: Cloud, journal: Journal) -> None:
    first = cloud.roles.create("EcsRamRole")
    journal.mark()
    # The same meaning, written another way.
    trust = json.loads(first.trust_policy)
    trust["Statement"][0]["Principal"]["Service"] = "ecs.aliyuncs.com"
    again = cloud.roles.create("EcsRamRole", trust=json.dumps(trust, indent=3))
    assert again.role_id == first.role_id
    assert journal.writes == []


def test_create_with_another_trust_is_a_conflict(cloud: Cloud, journal: Journal) -> None:
    cloud.roles.create("EcsRamRole")
    journal.mark()
    with pytest.raises(Conflict, match="another trust policy") as caught:
        cloud.roles.create("EcsRamRole", trust=USER_TRUST)
    assert caught.value.code == "EntityAlreadyExists.Role"
    assert "set_trust" in caught.value.next_step
    assert journal.writes == []


@pytest.mark.parametrize(
    "name", ["", "under_score", "with space", "x" * 65, "Rolle-ä", "a/b", "a\n", 5, None, b"bytes"]
)
def test_a_bad_role_name_makes_no_request(cloud: Cloud, journal: Journal, name: Any) -> None:
    for call in (cloud.roles.create, cloud.roles.get, cloud.roles.__getitem__):
        with pytest.raises(InputError, match="no role name") as caught:
            call(name)
        assert "for example" in caught.value.next_step
    assert name not in cloud.roles
    assert journal.entries == []


@pytest.mark.parametrize(
    "bad",
    [
        {"trust": "{not json"},
        {"trust": {"Version": "2", "Statement": []}},
        {"trust": READ},
        {"description": "x" * 1025},
        {"max_session_duration": 3599},
        {"max_session_duration": 43_201},
    ],
)
def test_a_bad_option_makes_no_request(cloud: Cloud, journal: Journal, bad: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        cloud.roles.create("EcsRamRole", **bad)
    assert journal.entries == []


def test_a_typo_in_a_role_name_is_answered_with_the_nearest(cloud: Cloud) -> None:
    cloud.roles.create("EcsRamRole")
    with pytest.raises(NotFound, match="Did you mean 'EcsRamRole'") as caught:
        cloud.roles["EcsRamRoel"]
    assert caught.value.code == "EntityNotExist.Role"
    assert cloud.roles.get("EcsRamRoel") is None


def test_grant_a_system_policy_by_name(cloud: Cloud, journal: Journal) -> None:
    role = cloud.roles.create("EcsRamRole")
    policy = role.grant("AliyunOSSReadOnlyAccess")
    assert (policy.name, policy.type) == ("AliyunOSSReadOnlyAccess", "System")
    assert [(p.name, p.type) for p in role.policies()] == [("AliyunOSSReadOnlyAccess", "System")]
    journal.mark()
    assert role.grant("AliyunOSSReadOnlyAccess").name == policy.name
    assert journal.writes == []


def test_grant_a_custom_policy_by_name(cloud: Cloud) -> None:
    made = cloud.roles.create("First").grant(READ)
    other = cloud.roles.create("Second")
    granted = other.grant(made.name)
    assert (granted.name, granted.type) == (made.name, "Custom")
    assert [p.name for p in other.policies()] == [made.name]
    assert json.loads(granted.document) == READ


def test_grant_a_document_names_the_policy_by_its_content(cloud: Cloud, journal: Journal) -> None:
    role = cloud.roles.create("Ecs.Ram-Role")
    policy = role.grant(READ)
    prefix, _, digest = policy.name.rpartition("-")
    assert prefix == "Ecs-Ram-Role"
    assert len(digest) == 8
    assert int(digest, 16) >= 0
    journal.mark()
    # The same content with other white space and order of keys is the same policy.
    text = json.dumps(dict(reversed(READ.items())), indent=4)
    assert role.grant(text).name == policy.name
    assert journal.writes == []
    assert role.grant(rr.policy.read_objects("sandbox-photos", prefix="testfolder/")).name != policy.name
    assert len(role.policies()) == 2


def test_a_custom_policy_of_that_name_with_another_content_is_a_conflict(cloud: Cloud, hands: Hands) -> None:
    role = cloud.roles.create("EcsRamRole")
    policy = role.grant(READ)
    other = json.dumps(READ).replace("GetObject", "PutObject")
    hands.on_store(
        lambda s: s.run("UPDATE policy_versions SET document=? WHERE policy_name=?", other, policy.name)
    )
    with pytest.raises(Conflict, match="another content"):
        role.grant(READ)


@pytest.mark.parametrize("bad", ["", "no policy!", "x" * 129, None, 7, [READ]])
def test_what_is_neither_a_name_nor_a_document_is_refused_before_any_call(
    cloud: Cloud, journal: Journal, bad: Any
) -> None:
    role = cloud.roles.create("EcsRamRole")
    journal.mark()
    with pytest.raises(InputError, match="neither a policy name nor a policy document"):
        role.grant(bad)
    assert journal.entries == []


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        '{"Version":"1"}',
        {"Version": "1", "Statement": [{"Effect": "Maybe", "Action": "*", "Resource": "*"}]},
        {
            "Version": "1",
            "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}],
        },
    ],
)
def test_a_malformed_document_is_refused_before_any_call(cloud: Cloud, journal: Journal, bad: Any) -> None:
    role = cloud.roles.create("EcsRamRole")
    journal.mark()
    with pytest.raises(InputError, match="malformed") as caught:
        role.grant(bad)
    assert caught.value.next_step
    assert journal.entries == []


def test_a_document_over_the_limit_is_refused_before_any_call(cloud: Cloud, journal: Journal) -> None:
    role = cloud.roles.create("EcsRamRole")
    journal.mark()
    long = {
        "Version": "1",
        "Statement": [{"Effect": "Allow", "Action": ["oss:Get" + "x" * 6200], "Resource": "*"}],
    }
    with pytest.raises(InputError, match="limit"):
        role.grant(long)
    assert journal.entries == []


def test_a_typo_in_a_policy_name_is_answered_with_the_nearest(cloud: Cloud, journal: Journal) -> None:
    role = cloud.roles.create("EcsRamRole")
    journal.mark()
    with pytest.raises(NotFound, match="Did you mean 'AliyunOSSReadOnlyAccess'"):
        role.grant("AliyunOSSReadonlyAcces")
    assert journal.writes == []


def test_revoke(cloud: Cloud) -> None:
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    custom = role.grant(READ)
    with pytest.raises(NotFound, match="Did you mean 'AliyunOSSReadOnlyAccess'") as caught:
        role.revoke("AliyunOSSReadOnly")
    assert caught.value.code == "EntityNotExist.Role.Policy"
    role.revoke("AliyunOSSReadOnlyAccess")
    role.revoke(custom.name)
    assert role.policies() == []
    # The policy itself is still there, and still to be cleaned up.
    assert cloud.created() == [f"delete policy {custom.name}", "delete role EcsRamRole"]


def test_delete_without_policies(cloud: Cloud) -> None:
    cloud.roles.create("EcsRamRole").delete()
    assert "EcsRamRole" not in cloud.roles
    assert cloud.created() == []


def test_delete_with_policies_is_the_services_conflict_or_revokes_first(cloud: Cloud) -> None:
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    with pytest.raises(Conflict) as caught:
        role.delete()
    assert (caught.value.code, caught.value.status) == ("DeleteConflict.Role.Policy", 409)
    assert "revoke=True" in caught.value.next_step
    assert "EcsRamRole" in cloud.roles
    role.delete(revoke=True)
    assert "EcsRamRole" not in cloud.roles
    assert cloud.created() == []


def test_delete_of_a_role_that_is_gone(cloud: Cloud) -> None:
    role = cloud.roles.create("EcsRamRole")
    role.delete()
    with pytest.raises(NotFound) as caught:
        role.delete()
    assert caught.value.code == "EntityNotExist.Role"


def test_set_trust(cloud: Cloud, journal: Journal) -> None:
    role = cloud.roles.create("Person", trust=USER_TRUST)
    assert not role.trusts_ecs
    changed = role.set_trust(rr.policy.trust_for_service("ecs.aliyuncs.com"))
    assert changed.trusts_ecs
    assert cloud.roles["Person"].trusts_ecs
    journal.mark()
    with pytest.raises(InputError, match="trust policy is malformed"):
        changed.set_trust(READ)
    assert journal.entries == []


def test_search_policies(cloud: Cloud) -> None:
    cloud.roles.create("EcsRamRole").grant(READ)
    found = [p.name for p in cloud.roles.policies("OSS", kind="System")]
    assert "AliyunOSSReadOnlyAccess" in found
    assert all(p.type == "Custom" for p in cloud.roles.policies(kind="Custom"))
    everything = cloud.roles.policies()
    assert {p.type for p in everything} == {"System", "Custom"}
    assert len({(p.type, p.name) for p in everything}) == len(everything)


def test_many_roles_come_over_several_pages(cloud: Cloud, hands: Hands) -> None:
    def add(store: Any) -> None:
        for n in range(1200):
            store.run(
                "INSERT INTO roles VALUES (?, ?, '', ?, 3600, '[]', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z')",
                f"role-{n:04d}",
                f"3{n:017d}",
                json.dumps(USER_TRUST),
            )

    hands.on_store(add)
    names = [role.name for role in cloud.roles]
    assert len(names) == len(set(names)) == 1200


def test_tags_travel_with_the_role(cloud: Cloud, journal: Journal) -> None:
    """A live session tags what it creates; the SDK wants its own model for a tag."""
    cloud.context.tags = {"created-by": "ramrole_nb"}
    cloud.roles.create("EcsRamRole")
    made = next(entry for entry in journal.entries if entry["operation"] == "CreateRole")
    assert json.loads(made["params"]["Tag"]) == [{"Key": "created-by", "Value": "ramrole_nb"}]


def test_operator_creates_and_grants_but_does_not_clean_up(
    as_user: Callable[..., Cloud], journal: Journal
) -> None:
    """The page's sample policy, verbatim: no ram:DetachPolicyFromRole, ram:DeleteRole, ram:DeletePolicy (pains S4)."""
    operator = as_user("operator")
    role = operator.roles.create("EcsRamRole")
    role.grant(READ)
    journal.mark()
    for call, missing in (
        (lambda: role.revoke(role.policies()[0].name), "ram:DetachPolicyFromRole"),
        (lambda: role.delete(revoke=True), "ram:DetachPolicyFromRole"),
        (role.delete, "ram:DeleteRole"),
        (lambda: role.set_trust(rr.policy.trust_for_service("ecs.aliyuncs.com")), "ram:UpdateRole"),
    ):
        with pytest.raises(PreflightRefused, match=missing):
            call()
    assert journal.writes == []


def test_the_service_refuses_what_our_checks_let_through(cloud: Cloud) -> None:
    with pytest.raises(InvalidRequest) as caught:
        cloud.context.calls.ram("CreatePolicy", policy_name="p", policy_document='{"Version":"1"}')
    assert caught.value.code == "MalformedPolicyDocument"
    assert "parse_policy" in caught.value.next_step


def test_a_role_of_a_list_tells_whom_it_trusts(cloud: Cloud) -> None:
    cloud.roles.create("ForEcs")
    cloud.roles.create("ForOthers", trust=rr.policy.trust_for_service("fc.aliyuncs.com"))
    listed = {role.name: role for role in cloud.roles}
    assert listed["ForEcs"].trust_policy == "", "ListRoles does not tell it"
    assert listed["ForEcs"].trusts_ecs
    assert not listed["ForOthers"].trusts_ecs
    assert "ECS (ecs.aliyuncs.com)" in repr(listed["ForEcs"])


# ---- which of them ECS may assume


FOR_FC = {
    "Version": "1",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "fc.aliyuncs.com"}}
    ],
}


def test_the_roles_ecs_may_assume(cloud: Cloud) -> None:
    for number in range(12):
        cloud.roles.create(f"Role{number}", trust=FOR_FC if number % 3 == 0 else None)
    wanted = sorted(f"Role{n}" for n in range(12) if n % 3)
    assert cloud.roles.for_ecs() == wanted
    cloud.roles["Role0"].set_trust(rr.policy.trust_for_service("ecs.aliyuncs.com"))
    cloud.roles["Role1"].set_trust(FOR_FC)  # in the second in which it was last read, perhaps
    assert cloud.roles.for_ecs() == sorted({*wanted, "Role0"} - {"Role1"})


def test_what_is_known_of_roles_is_not_asked_again(
    cloud: Cloud, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        cloud.roles.create(f"Role{number}")
    cloud.roles.for_ecs()
    monkeypatch.setattr("ramrole_nb.cloud.assumable._SETTLED_SECONDS", 0.0)  # rather than wait for it
    cloud.roles.for_ecs()
    journal.mark()
    assert len(cloud.roles.for_ecs()) == 5
    assert journal.operations == ["ListRoles"]
    cloud.roles["Role3"].delete()
    cloud.roles.create("Role3", trust=FOR_FC)  # another role of the same name
    assert cloud.roles.for_ecs() == ["Role0", "Role1", "Role2", "Role4"]
