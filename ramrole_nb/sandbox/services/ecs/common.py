"""What ECS's operations share: regions, instance ids, ARNs, and the rows of instances."""

from __future__ import annotations

import base64
import binascii
import json
import re
import sqlite3
from collections.abc import Mapping
from typing import Any, TypeVar

from ...errors import OpenApiError
from ...openapi import Call, read_json

__all__ = [
    "REGIONS",
    "check_region",
    "check_region_records",
    "facts",
    "find_assisted",
    "find_instances",
    "instance_arn",
    "instance_ids",
    "instance_resources",
    "network_fields",
    "repeated_instance_ids",
    "token_page",
]

T = TypeVar("T")

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


def check_region_records(call: Call) -> str:
    """Return the call's region; Cloud Assistant's operations have another text for an unknown one."""
    if call.region_id not in REGIONS:
        raise OpenApiError(
            404, "InvalidRegionId.NotFound", "The RegionId provided does not exist in our records."
        )
    return call.region_id


def instance_arn(call: Call, instance_id: str) -> str:
    """Return the ARN that permissions on an instance are checked on."""
    return f"acs:ecs:{call.region_id}:{call.account_id}:instance/{instance_id}"


def instance_ids(call: Call, *, least: int = 1, limit: int = 100) -> list[str]:
    """Return the ids of the InstanceIds parameter, a JSON array of 1 to 100 in a string, without repeats.

    Source: https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-attachinstanceramrole
    """
    try:
        ids = read_json(call.get("InstanceIds"))
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


def repeated_instance_ids(call: Call, *, too_many: tuple[int, str, str], limit: int = 100) -> list[str]:
    """Return the ids of `InstanceId.1`, `InstanceId.2` and so on, at most 100, without repeats."""
    ids = call.listed("InstanceId")
    if any(not i for i in ids):
        raise OpenApiError(400, "MissingParam.InstanceId", "The parameter instanceId is missing or empty.")
    if len(ids) > limit:
        raise OpenApiError(*too_many)
    return list(dict.fromkeys(ids))


def find_assisted(call: Call, ids: list[str]) -> list[sqlite3.Row]:
    """Return the rows of these instances, or raise InvalidInstance.NotFound, as Cloud Assistant names it."""
    rows = []
    for instance_id in ids:
        row = call.store.one(
            "SELECT * FROM instances WHERE instance_id=? AND region_id=?", instance_id, call.region_id
        )
        if row is None:
            raise OpenApiError(404, "InvalidInstance.NotFound", "The specified instance does not exist.")
        rows.append(row)
    return rows


def token_page(call: Call, rows: list[T]) -> tuple[list[T], dict[str, Any]]:
    """Cut a list by MaxResults and NextToken or by PageNumber and PageSize, as Cloud Assistant's operations do.

    At most 50 a page, 10 without a word. Source:
    https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeinvocationresults
    """

    def number(name: str, default: int, high: int, code: str, message: str) -> int:
        text = call.get(name) or str(default)
        if not re.fullmatch(r"\d{1,7}", text) or not 1 <= int(text) <= high:
            raise OpenApiError(400, code, message)
        return int(text)

    old = "The specified parameter is invalid."
    size = number("PageSize", 10, 50, "InvalidParam.PageSize", old)
    page = number("PageNumber", 1, 1_000_000, "InvalidParam.PageNumber", old)
    start = (page - 1) * size
    if call.get("MaxResults") or call.get("NextToken"):
        size = number(
            "MaxResults",
            10,
            50,
            "InvalidParameter.MaxResults",
            "The specified parameter MaxResults is not valid.",
        )
        page, start = 1, _token_start(call.get("NextToken"))
    end = start + size
    token = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(rows) else ""
    return rows[start:end], {"PageNumber": page, "PageSize": size, "NextToken": token}


def _token_start(token: str) -> int:
    if not token:
        return 0
    try:
        text = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        text = ""
    if not re.fullmatch(r"\d{1,9}", text):
        raise OpenApiError(
            400, "InvalidParameter.NextToken", "The specified parameter NextToken is not valid."
        )
    return int(text)


def network_fields(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields on an instance's network that its descriptions share."""
    vpc = known["network_type"] == "vpc"
    return {
        "VpcAttributes": {
            "VpcId": known["vpc_id"],
            "VSwitchId": known["vswitch_id"],
            "NatIpAddress": "",
            "PrivateIpAddress": {"IpAddress": [known["private_ip"]] if vpc else []},
        },
        "InnerIpAddress": {"IpAddress": [] if vpc else [known["private_ip"]]},
        "PublicIpAddress": {"IpAddress": [known["public_ip"]] if known["public_ip"] else []},
        "EipAddress": {"IpAddress": "", "AllocationId": "", "InternetChargeType": ""},
        "SecurityGroupIds": {"SecurityGroupId": [known["security_group_id"]]},
    }
