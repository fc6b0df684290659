"""Permission policies, their versions, and whom they are attached to.

Source: https://api.aliyun.com/meta/v1/products/Ram/versions/2015-05-01/api-docs.json; error texts
https://github.com/AlibabaCloudDocs/ram (typos are theirs).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ....policy import MAX_CUSTOM_POLICY, SYSTEM_POLICIES
from ...errors import OpenApiError
from ...openapi import Call, operation
from .common import (
    check_description,
    check_document,
    check_policy_name,
    check_policy_type,
    check_version_id,
    find_policy,
    find_role,
    page,
    policy_resource,
    role_resource,
    stamp,
    tagged_as_wanted,
    tags,
    tags_shown,
)

# Source: https://www.alibabacloud.com/help/en/ram/product-overview/limits
MAX_CUSTOM_POLICIES = 1500
MAX_SYSTEM_PER_ROLE = 20
MAX_CUSTOM_PER_ROLE = 10


def _all_policies(call: Call) -> list[str]:
    return [f"acs:ram:*:{call.account_id}:policy/*"]


def _role_and_policy(call: Call) -> Iterable[str]:
    return [*role_resource(call), *policy_resource(call)]


@operation(
    "Ram",
    "CreatePolicy",
    resources=_all_policies,
    optional=["PolicyName", "PolicyDocument", "Description", "Tag"],
)
def create_policy(call: Call) -> dict[str, Any]:
    """Create a custom policy, version v1."""
    name = check_policy_name(call.get("PolicyName"))
    document = check_document(call.get("PolicyDocument"), "identity", "PolicyDocument", MAX_CUSTOM_POLICY)
    description = check_description(call)
    policy_tags = tags(call)
    with call.store.transaction():
        if name in SYSTEM_POLICIES or call.store.one("SELECT 1 FROM policies WHERE name=?", name):
            raise OpenApiError(409, "EntityAlreadyExists.Policy", "The group does already EXIST.")
        count = call.store.one("SELECT count(*) AS n FROM policies")
        if count and count["n"] >= MAX_CUSTOM_POLICIES:
            raise OpenApiError(409, "LimitExceeded.Policy", "The count of policy beyond the current limits.")
        now = stamp()
        call.store.run(
            "INSERT INTO policies VALUES (?, ?, 'v1', 2, ?, ?, ?)", name, description, policy_tags, now, now
        )
        call.store.run("INSERT INTO policy_versions VALUES (?, 'v1', ?, ?)", name, document, now)
    return {
        "Policy": {
            "PolicyName": name,
            "PolicyType": "Custom",
            "Description": description,
            "DefaultVersion": "v1",
            "CreateDate": now,
        }
    }


def version_shown(call: Call, policy: dict[str, Any], version_id: str) -> dict[str, Any]:
    """Return one version as answers show it, or raise EntityNotExist.Policy.Version."""
    if policy["PolicyType"] == "System":
        system = SYSTEM_POLICIES[policy["PolicyName"]]
        if version_id != system.version:
            raise OpenApiError(404, "EntityNotExist.Policy.Version", "The policy version does not exist.")
        return {
            "VersionId": system.version,
            "IsDefaultVersion": True,
            "PolicyDocument": system.document,
            "CreateDate": system.update_date,
        }
    row = call.store.one(
        "SELECT * FROM policy_versions WHERE policy_name=? AND version_id=?", policy["PolicyName"], version_id
    )
    if row is None:
        raise OpenApiError(404, "EntityNotExist.Policy.Version", "The policy version does not exist.")
    return {
        "VersionId": version_id,
        "IsDefaultVersion": version_id == policy["DefaultVersion"],
        "PolicyDocument": row["document"],
        "CreateDate": row["created"],
    }


@operation("Ram", "GetPolicy", resources=policy_resource, optional=["PolicyType", "PolicyName"])
def get_policy(call: Call) -> dict[str, Any]:
    """Return a policy; the text is in DefaultPolicyVersion, as in the documented answer."""
    policy = find_policy(call.store, call.get("PolicyType"), call.get("PolicyName"))
    return {
        "Policy": {**policy, "PolicyDocument": "N/A"},
        "DefaultPolicyVersion": version_shown(call, policy, policy["DefaultVersion"]),
    }


@operation(
    "Ram", "GetPolicyVersion", resources=policy_resource, optional=["PolicyType", "PolicyName", "VersionId"]
)
def get_policy_version(call: Call) -> dict[str, Any]:
    """Return one version with its text."""
    version_id = check_version_id(call)
    policy = find_policy(call.store, call.get("PolicyType"), call.get("PolicyName"))
    return {"PolicyVersion": version_shown(call, policy, version_id)}


@operation(
    "Ram", "ListPolicies", resources=_all_policies, optional=["PolicyType", "Marker", "MaxItems", "Tag"]
)
def list_policies(call: Call) -> dict[str, Any]:
    """List policies by type and name, a page at a time; custom ones first, as the order is ours."""
    kind = call.get("PolicyType")
    if kind:
        check_policy_type(kind)
    tags(call)  # refused, where it is wrong, also while there is nothing to compare with
    custom = {
        row["name"]: row["tags"] for row in call.store.all("SELECT name, tags FROM policies ORDER BY name")
    }
    names = [("Custom", n) for n in custom if kind != "System" and tagged_as_wanted(call, custom[n])]
    names += [("System", n) for n in sorted(SYSTEM_POLICIES) if kind != "Custom" and not call.get("Tag")]
    shown, fields = page(call, names)
    items = [
        {**find_policy(call.store, kind, name), **(tags_shown(custom[name]) if kind == "Custom" else {})}
        for kind, name in shown
    ]
    return {**fields, "Policies": {"Policy": items}}


@operation("Ram", "DeletePolicy", resources=policy_resource, optional=["PolicyName", "CascadingDelete"])
def delete_policy(call: Call) -> dict[str, Any]:
    """Delete a custom policy that is attached to nobody and has one version."""
    name = check_policy_name(call.get("PolicyName"))
    store = call.store
    with store.transaction():
        find_policy(store, "Custom", name)
        for kind in ("User", "Group", "Role"):
            if store.one(
                "SELECT 1 FROM policy_attachments WHERE policy_type='Custom' AND policy_name=? AND entity_type=?",
                name,
                kind,
            ):
                # The code for roles is not in the table of errors; named after its two siblings.
                raise OpenApiError(
                    409,
                    f"DeleteConflict.Policy.{kind}",
                    f"The policy CAN NOT been attached to any {kind.lower()} while deleting the policy.",
                )
        versions = store.one("SELECT count(*) AS n FROM policy_versions WHERE policy_name=?", name)
        if versions and versions["n"] > 1 and not call.flag("CascadingDelete"):
            raise OpenApiError(
                409,
                "DeleteConflict.Policy.Version",
                "The policy CAN NOT has any version except the defaul version.",
            )
        store.run("DELETE FROM policy_versions WHERE policy_name=?", name)
        store.run("DELETE FROM policies WHERE name=?", name)
    store.permissions_changed()
    return {}


@operation(
    "Ram",
    "AttachPolicyToRole",
    resources=_role_and_policy,
    optional=["PolicyType", "PolicyName", "RoleName"],
    refused=["ResourceGroupId"],
)
def attach_policy_to_role(call: Call) -> dict[str, Any]:
    """Grant a policy to a role; it counts from the next request on."""
    kind, name = call.get("PolicyType"), call.get("PolicyName")
    store = call.store
    with store.transaction():
        find_policy(store, kind, name)
        role = find_role(store, call.get("RoleName"))["name"]
        held = store.all("SELECT * FROM policy_attachments WHERE entity_type='Role' AND entity_name=?", role)
        if any(row["policy_type"] == kind and row["policy_name"] == name for row in held):
            # The code is confirmed by clients; its text for roles follows the documented one for users.
            raise OpenApiError(
                409, "EntityAlreadyExists.Role.Policy", "The role has already been attached this policy."
            )
        limit = MAX_SYSTEM_PER_ROLE if kind == "System" else MAX_CUSTOM_PER_ROLE
        if sum(row["policy_type"] == kind for row in held) >= limit:
            raise OpenApiError(
                409,
                "LimitExceeded.Role.Policy",
                "The count of policies attached to the role beyond the current limits.",
            )
        store.run("INSERT INTO policy_attachments VALUES ('Role', ?, ?, ?, ?)", role, kind, name, stamp())
    store.permissions_changed()
    return {}


@operation(
    "Ram",
    "DetachPolicyFromRole",
    resources=_role_and_policy,
    optional=["PolicyType", "PolicyName", "RoleName"],
    refused=["ResourceGroupId"],
)
def detach_policy_from_role(call: Call) -> dict[str, Any]:
    """Take a policy from a role."""
    kind, name = call.get("PolicyType"), call.get("PolicyName")
    find_policy(call.store, kind, name)
    role = find_role(call.store, call.get("RoleName"))["name"]
    gone = call.store.run(
        "DELETE FROM policy_attachments WHERE entity_type='Role' AND entity_name=? AND policy_type=? AND policy_name=?",
        role,
        kind,
        name,
    )
    if not gone:
        # The code is one Terraform handles; the text is ours.
        raise OpenApiError(404, "EntityNotExist.Role.Policy", "The policy is not attached to the role.")
    call.store.permissions_changed()
    return {}


def attached_policies(call: Call, entity_type: str, name: str) -> dict[str, Any]:
    """Return the policies attached to a user, a group or a role, in the order they were attached."""
    rows = call.store.all(
        "SELECT * FROM policy_attachments WHERE entity_type=? AND entity_name=? ORDER BY rowid",
        entity_type,
        name,
    )
    shown = []
    for row in rows:
        policy = find_policy(call.store, row["policy_type"], row["policy_name"])
        kept = {k: policy[k] for k in ("PolicyName", "PolicyType", "Description", "DefaultVersion")}
        shown.append({**kept, "AttachDate": row["attached"]})
    return {"Policies": {"Policy": shown}}


@operation("Ram", "ListPoliciesForRole", resources=role_resource, optional=["RoleName"])
def list_policies_for_role(call: Call) -> dict[str, Any]:
    """List a role's policies."""
    return attached_policies(call, "Role", find_role(call.store, call.get("RoleName"))["name"])
