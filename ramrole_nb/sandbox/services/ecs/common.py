"""What ECS's operations share: regions, instance ids, ARNs, and the rows of instances."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from ...errors import OpenApiError
from ...openapi import Call

__all__ = ["REGIONS", "check_region", "find_instances", "instance_arn", "instance_ids", "instance_resources"]

# A few of the public regions: the ones the worlds use and their neighbours.
# Source: https://api.aliyun.com/meta/v1/products/Ecs/versions/2014-05-26/api-docs.json (DescribeRegions)
REGIONS = {
    "cn-beijing": ("China (Beijing)", "华北2（北京）"),
    "cn-hangzhou": ("China (Hangzhou)", "华东1（杭州）"),
    "cn-shanghai": ("China (Shanghai)", "华东2（上海）"),
    "cn-shenzhen": ("China (Shenzhen)", "华南1（深圳）"),
    "ap-southeast-1": ("Singapore", "新加坡"),
    "ap-southeast-5": ("Indonesia (Jakarta)", "印度尼西亚（雅加达）"),
    "eu-central-1": ("Germany (Frankfurt)", "德国（法兰克福）"),
    "us-west-1": ("US (Silicon Valley)", "美国（硅谷）"),
}


def check_region(call: Call) -> str:
    """Return the call's region, or raise InvalidRegionId.NotFound."""
    if call.region_id not in REGIONS:
        raise OpenApiError(404, "InvalidRegionId.NotFound", "The specified RegionId does not exist.")
    return call.region_id


def instance_arn(call: Call, instance_id: str) -> str:
    """Return the ARN that permissions on an instance are checked on."""
    return f"acs:ecs:{call.region_id}:{call.account_id}:instance/{instance_id}"


def instance_ids(call: Call, *, least: int = 1, limit: int = 100) -> list[str]:
    """Return the ids of the InstanceIds parameter, a JSON array of 1 to 100 in a string, without repeats.

    Source: https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-attachinstanceramrole
    """
    try:
        ids = json.loads(call.get("InstanceIds"))
    except ValueError:
        ids = None
    well_formed = isinstance(ids, list) and all(isinstance(i, str) and i for i in ids)
    if not well_formed or not least <= len(ids) <= limit:
        raise OpenApiError(400, "InvalidInstanceIds.Malformed", "The specified instanceIds are not valid.")
    return list(dict.fromkeys(ids))


def instance_resources(call: Call) -> list[str]:
    """Return the ARNs of every instance a call names."""
    return [instance_arn(call, i) for i in instance_ids(call)]


def find_instances(
    call: Call, ids: list[str], *, message: str = "The specified instanceId does not exist."
) -> list[sqlite3.Row]:
    """Return the rows of these instances in the call's region, or raise InvalidInstanceId.NotFound."""
    check_region(call)
    rows = []
    for instance_id in ids:
        row = call.store.one(
            "SELECT * FROM instances WHERE instance_id=? AND region_id=?", instance_id, call.region_id
        )
        if row is None:
            raise OpenApiError(404, "InvalidInstanceId.NotFound", message)
        rows.append(row)
    return rows


def facts(row: sqlite3.Row) -> dict[str, Any]:
    """Return an instance's unchanging facts."""
    loaded: dict[str, Any] = json.loads(row["facts"])
    return loaded
