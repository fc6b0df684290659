"""AttachInstanceRamRole, DetachInstanceRamRole, DescribeInstanceRamRole.

Source: https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-attachinstanceramrole and siblings.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from ....policy import (
    MAX_ATTACH_SESSION_POLICY,
    MalformedPolicyDocument,
    Outcome,
    parse_policy,
    trusts_service,
)
from ...errors import OpenApiError
from ...openapi import Call, operation
from .common import check_region, facts, find_instances, instance_ids, instance_resources

ECS_SERVICE = "ecs.aliyuncs.com"


def _attach_resources(call: Call) -> list[str]:
    # The documentation asks for the permission on the instances and on the role.
    role = f"acs:ram:{call.region_id}:{call.account_id}:role/{call.get('RamRoleName')}"
    return [*instance_resources(call), role]


def _pass_role(call: Call, role_name: str) -> None:
    decision = call.may(
        "ram:PassRole", f"acs:ram:*:{call.account_id}:role/{role_name}", {"acs:Service": ECS_SERVICE}
    )
    if decision.outcome is not Outcome.ALLOW:
        raise OpenApiError(
            403,
            "InvalidUser.PassRoleForbidden",
            "The RAM user does not have the privilege to pass a RAM role.",
        )


def _session_policy(call: Call) -> str:
    text = call.get("Policy")
    if not text:
        return ""
    if len(text) > MAX_ATTACH_SESSION_POLICY:
        raise OpenApiError(
            400, "InvalidParameter.Policy", "The size of Policy must not exceed 1024 characters."
        )
    try:
        parse_policy(text, kind="session")
    except MalformedPolicyDocument as error:
        raise OpenApiError(400, "InvalidParameter.Policy", error.message) from None
    return text


@operation(
    "Ecs",
    "AttachInstanceRamRole",
    required=["RegionId", "RamRoleName", "InstanceIds"],
    optional=["Policy"],
    missing="MissingParameter.",
    resources=_attach_resources,
)
def attach_instance_ram_role(call: Call) -> dict[str, Any]:
    """Give instances a role. An instance that has one already fails by itself; the others are done.

    That failure's code is ours: the documentation says "an error is returned" and names none.
    """
    rows = find_instances(call, instance_ids(call))
    if any(facts(row)["network_type"] != "vpc" for row in rows):
        raise OpenApiError(
            403,
            "InvalidNetworkType.MismatchRamRole",
            "Ram role cannot be applied to instances of Classic network type.",
        )
    role = call.store.one("SELECT * FROM roles WHERE name=?", call.get("RamRoleName"))
    if role is None:
        raise OpenApiError(404, "InvalidRamRole.NotFound", "The specified RAMRoleName does not exist.")
    if not trusts_service(role["trust_policy"], ECS_SERVICE):
        raise OpenApiError(
            404,
            "InvalidRamRole.NotEcsRole",
            "The specified ram role is not authorized for ecs, please check your role policy.",
        )
    session_policy = _session_policy(call)
    _pass_role(call, role["name"])
    results: list[dict[str, Any]] = []
    with call.store.transaction():
        for row in rows:
            done = call.store.run(
                "INSERT INTO instance_roles VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                row["instance_id"],
                role["name"],
                session_policy,
                time.time(),
                secrets.token_hex(8),
            )
            if done:
                item = {"Code": "200", "Message": "success", "Success": True}
            else:
                item = {
                    "Code": "InvalidInstance.RamRoleAttached",
                    "Message": "The specified instance already has a RAM role attached.",
                    "Success": False,
                }
            results.append({"InstanceId": row["instance_id"], **item})
    return {
        "RamRoleName": role["name"],
        "TotalCount": len(results),
        "FailCount": sum(not r["Success"] for r in results),
        "AttachInstanceRamRoleResults": {"AttachInstanceRamRoleResult": results},
    }


@operation(
    "Ecs",
    "DetachInstanceRamRole",
    required=["RegionId", "InstanceIds"],
    optional=["RamRoleName"],
    missing="MissingParameter.",
    resources=instance_resources,
)
def detach_instance_ram_role(call: Call) -> dict[str, Any]:
    """Take the role from instances. Credentials already given out stay valid until they expire.

    Nothing attached, or another role than the one named: that item fails (ours, not found in the documentation).
    """
    rows = find_instances(call, instance_ids(call))
    wanted = call.get("RamRoleName")
    results: list[dict[str, Any]] = []
    with call.store.transaction():
        for row in rows:
            instance_id = row["instance_id"]
            held = call.store.one("SELECT role_name FROM instance_roles WHERE instance_id=?", instance_id)
            name = held["role_name"] if held else ""
            item: dict[str, Any] = {"InstanceId": instance_id}
            if held and (not wanted or wanted == name):
                call.store.run("DELETE FROM instance_roles WHERE instance_id=?", instance_id)
                call.store.run("DELETE FROM instance_credentials WHERE instance_id=?", instance_id)
                item |= {"Code": "200", "Message": "Success", "Success": True}
            else:
                item |= {
                    "Code": "InvalidInstance.RamRoleNotAttached",
                    "Message": "The specified RAM role is not attached to the instance.",
                    "Success": False,
                }
            item["InstanceRamRoleSets"] = {
                "InstanceRamRoleSet": [{"InstanceId": instance_id, "RamRoleName": name}] if held else []
            }
            results.append(item)
    return {
        "RamRoleName": wanted,
        "TotalCount": len(results),
        "FailCount": sum(not r["Success"] for r in results),
        "DetachInstanceRamRoleResults": {"DetachInstanceRamRoleResult": results},
    }


def _describe_resources(call: Call) -> list[str]:
    if call.get("InstanceIds"):
        return instance_resources(call)
    return [f"acs:ecs:{call.region_id}:{call.account_id}:instance/*"]


@operation(
    "Ecs",
    "DescribeInstanceRamRole",
    required=["RegionId"],
    optional=["InstanceIds", "RamRoleName", "PageNumber", "PageSize"],
    missing="MissingParameter.",
    resources=_describe_resources,
)
def describe_instance_ram_role(call: Call) -> dict[str, Any]:
    """Tell which role instances have, or which instances have a role.

    An instance asked for by id that has none is answered with an empty name (ours, not found).
    """
    check_region(call)
    ids = instance_ids(call) if call.get("InstanceIds") else []
    role = call.get("RamRoleName")
    if not ids and not role:
        raise OpenApiError(
            403,
            "InvalidParameter.AllEmpty",
            "The parameters InstanceIds and RamRoleName cannot both be empty.",
        )
    found = call.store.all(
        "SELECT i.instance_id, r.role_name, r.attached FROM instances i"
        " LEFT JOIN instance_roles r ON r.instance_id = i.instance_id WHERE i.region_id=? ORDER BY i.position",
        call.region_id,
    )
    rows = [
        {
            "instance_id": row["instance_id"],
            "role_name": row["role_name"] if row["role_name"] and call.knobs.shows(row["attached"]) else "",
        }
        for row in found
    ]
    if ids:
        # Without the full stop that Attach and Detach have: so it stands in this operation's list of errors.
        find_instances(call, ids, message="The specified instanceId does not exist")
        rows = [row for row in rows if row["instance_id"] in ids]
    if role:
        rows = [row for row in rows if row["role_name"] == role]
    size = call.integer("PageSize", 10, low=1, high=50)
    number = call.integer("PageNumber", 1, low=1, high=1_000_000)
    shown = rows[(number - 1) * size : number * size]
    return {
        "RegionId": call.region_id,
        "TotalCount": len(rows),
        "PageNumber": number,
        "PageSize": size,
        "InstanceRamRoleSets": {
            "InstanceRamRoleSet": [
                {"InstanceId": row["instance_id"], "RamRoleName": row["role_name"]} for row in shown
            ]
        },
    }
