"""Versions of a custom policy, and the users, groups and roles that hold a policy.

Source: https://api.aliyun.com/meta/v1/products/Ram/versions/2015-05-01/api-docs.json; error texts
https://github.com/AlibabaCloudDocs/ram.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from ....policy import MAX_CUSTOM_POLICY, SYSTEM_POLICIES
from ...errors import OpenApiError
from ...openapi import Call, operation
from .common import (
    check_document,
    check_policy_name,
    check_version_id,
    find_policy,
    policy_resource,
    role_arn,
    stamp,
)
from .policies import version_shown

# Source: https://www.alibabacloud.com/help/en/ram/product-overview/limits
MAX_VERSIONS = 5

ROTATE = "DeleteOldestNonDefaultVersionWhenLimitExceeded"


def _versions(call: Call, name: str) -> list[sqlite3.Row]:
    """Return a custom policy's versions, oldest first."""
    rows = call.store.all("SELECT * FROM policy_versions WHERE policy_name=?", name)
    return sorted(rows, key=lambda row: int(row["version_id"][1:]))


@operation(
    "Ram",
    "CreatePolicyVersion",
    resources=policy_resource,
    optional=["PolicyName", "PolicyDocument", "SetAsDefault", "RotateStrategy"],
)
def create_policy_version(call: Call) -> dict[str, Any]:
    """Add a version, of at most five; numbers are never used again.

    With `RotateStrategy` the oldest version that is not the default makes room. An unknown strategy is refused; its
    code is ours (not found in the documentation).
    """
    name = check_policy_name(call.get("PolicyName"))
    document = check_document(call.get("PolicyDocument"), "identity", "PolicyDocument", MAX_CUSTOM_POLICY)
    strategy = call.get("RotateStrategy") or "None"
    if strategy not in ("None", ROTATE):
        raise OpenApiError(
            400, "InvalidParameter.RotateStrategy", 'The parameter - "RotateStrategy" is incorrect.'
        )
    store = call.store
    with store.transaction():
        policy = find_policy(store, "Custom", name)
        held = _versions(call, name)
        if len(held) >= MAX_VERSIONS:
            spare = [row["version_id"] for row in held if row["version_id"] != policy["DefaultVersion"]]
            if strategy != ROTATE:
                raise OpenApiError(
                    409,
                    "LimitExceeded.Policy.Version",
                    "The count of policy version beyond the current limits.",
                )
            store.run("DELETE FROM policy_versions WHERE policy_name=? AND version_id=?", name, spare[0])
        number = store.one("SELECT next_version FROM policies WHERE name=?", name)
        version_id, now = f"v{number['next_version'] if number else 1}", stamp()
        store.run("INSERT INTO policy_versions VALUES (?, ?, ?, ?)", name, version_id, document, now)
        store.run("UPDATE policies SET next_version=next_version+1, updated=? WHERE name=?", now, name)
        if call.flag("SetAsDefault"):
            store.run("UPDATE policies SET default_version=? WHERE name=?", version_id, name)
    store.permissions_changed()
    return {"PolicyVersion": version_shown(call, find_policy(store, "Custom", name), version_id)}


@operation("Ram", "ListPolicyVersions", resources=policy_resource, optional=["PolicyType", "PolicyName"])
def list_policy_versions(call: Call) -> dict[str, Any]:
    """List a policy's versions, oldest first as in the documented sample. A system policy shows the one it has here."""
    policy = find_policy(call.store, call.get("PolicyType"), call.get("PolicyName"))
    name = policy["PolicyName"]
    if policy["PolicyType"] == "System":
        ids = [SYSTEM_POLICIES[name].version]
    else:
        ids = [row["version_id"] for row in _versions(call, name)]
    return {"PolicyVersions": {"PolicyVersion": [version_shown(call, policy, i) for i in ids]}}


@operation("Ram", "SetDefaultPolicyVersion", resources=policy_resource, optional=["PolicyName", "VersionId"])
def set_default_policy_version(call: Call) -> dict[str, Any]:
    """Make a version the one that counts, from the next request on."""
    version_id, name = check_version_id(call), check_policy_name(call.get("PolicyName"))
    with call.store.transaction():
        version_shown(call, find_policy(call.store, "Custom", name), version_id)
        call.store.run(
            "UPDATE policies SET default_version=?, updated=? WHERE name=?", version_id, stamp(), name
        )
    call.store.permissions_changed()
    return {}


@operation("Ram", "DeletePolicyVersion", resources=policy_resource, optional=["PolicyName", "VersionId"])
def delete_policy_version(call: Call) -> dict[str, Any]:
    """Delete a version that is not the default one."""
    version_id, name = check_version_id(call), check_policy_name(call.get("PolicyName"))
    with call.store.transaction():
        policy = find_policy(call.store, "Custom", name)
        version_shown(call, policy, version_id)
        if version_id == policy["DefaultVersion"]:
            raise OpenApiError(
                409,
                "DeleteConflict.Policy.Version.Default",
                "The default policy version CAN NOT been deleted directly.",
            )
        call.store.run("DELETE FROM policy_versions WHERE policy_name=? AND version_id=?", name, version_id)
    return {}


@operation("Ram", "ListEntitiesForPolicy", resources=policy_resource, optional=["PolicyType", "PolicyName"])
def list_entities_for_policy(call: Call) -> dict[str, Any]:
    """List the users, groups and roles a policy is attached to, in the order they were attached."""
    policy = find_policy(call.store, call.get("PolicyType"), call.get("PolicyName"))
    key = (policy["PolicyType"], policy["PolicyName"])
    users = call.store.all(
        "SELECT u.*, a.attached FROM policy_attachments a JOIN users u ON u.name = a.entity_name"
        " WHERE a.entity_type='User' AND a.policy_type=? AND a.policy_name=? ORDER BY a.rowid",
        *key,
    )
    groups = call.store.all(
        "SELECT g.*, a.attached FROM policy_attachments a JOIN groups g ON g.name = a.entity_name"
        " WHERE a.entity_type='Group' AND a.policy_type=? AND a.policy_name=? ORDER BY a.rowid",
        *key,
    )
    roles = call.store.all(
        "SELECT r.*, a.attached FROM policy_attachments a JOIN roles r ON r.name = a.entity_name"
        " WHERE a.entity_type='Role' AND a.policy_type=? AND a.policy_name=? ORDER BY a.rowid",
        *key,
    )
    return {
        "Groups": {
            "Group": [
                {"GroupName": r["name"], "Comments": r["comments"], "AttachDate": r["attached"]}
                for r in groups
            ]
        },
        "Users": {
            "User": [
                {
                    "UserId": r["user_id"],
                    "UserName": r["name"],
                    "DisplayName": r["display_name"],
                    "AttachDate": r["attached"],
                }
                for r in users
            ]
        },
        "Roles": {
            "Role": [
                {
                    "RoleId": r["role_id"],
                    "RoleName": r["name"],
                    "Arn": role_arn(call.account_id, r["name"]),
                    "Description": r["description"],
                    "AttachDate": r["attached"],
                }
                for r in roles
            ]
        },
    }
