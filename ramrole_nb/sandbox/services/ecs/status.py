"""DescribeInstanceStatus and DescribeInstanceAttribute.

Source: https://api.aliyun.com/meta/v1/products/Ecs/versions/2014-05-26/api-docs.json
"""

from __future__ import annotations

import re
from typing import Any

from ...errors import OpenApiError
from ...openapi import Call, operation
from .common import check_region, facts, instance_arn, network_fields, repeated_instance_ids

# Processors and memory in MiB. Source: https://www.alibabacloud.com/help/en/ecs/user-guide/overview-of-instance-families
_SIZES = {"ecs.n4.large": (2, 4096), "ecs.c7.large": (2, 4096), "ecs.g7.large": (2, 8192)}
_SIZES |= {"ecs.g8i.large": (2, 8192), "ecs.g7.xlarge": (4, 16_384)}


def _status_resources(call: Call) -> list[str]:
    return [instance_arn(call, i) for i in call.listed("InstanceId")] or [instance_arn(call, "*")]


@operation(
    "Ecs",
    "DescribeInstanceStatus",
    required=["RegionId"],
    optional=["InstanceId", "ZoneId", "PageNumber", "PageSize"],
    refused=["ClusterId"],
    resources=_status_resources,
)
def describe_instance_status(call: Call) -> dict[str, Any]:
    """List the states of a region's instances; an id that is not there is left out (ours, not found)."""
    check_region(call)
    ids = repeated_instance_ids(
        call,
        too_many=(403, "InvalidParameter.TooManyInstanceIds", "Instance ids cannot be more than 100."),
    )
    if any(not re.fullmatch(r"i-[a-z0-9]{1,40}", i) for i in ids):
        raise OpenApiError(403, "Abs.InvalidInstanceIds.MalFormed", "The specified instanceIds is not valid.")
    zone = call.get("ZoneId")
    if zone and not re.fullmatch(rf"{re.escape(call.region_id)}-[a-z]", zone):
        raise OpenApiError(
            404, "InvalidZoneId.NotFound", "The ZoneId provided does not exist in our records."
        )
    size = call.integer("PageSize", 10, low=1, high=50)
    number = call.integer("PageNumber", 1, low=1, high=1_000_000)
    rows = [
        row
        for row in call.store.all(
            "SELECT * FROM instances WHERE region_id=? ORDER BY position", call.region_id
        )
        if (not ids or row["instance_id"] in ids) and (not zone or facts(row)["zone_id"] == zone)
    ]
    shown = rows[(number - 1) * size : number * size]
    return {
        "TotalCount": len(rows),
        "PageNumber": number,
        "PageSize": size,
        "InstanceStatuses": {
            "InstanceStatus": [
                {"InstanceId": row["instance_id"], "Status": facts(row)["status"]} for row in shown
            ]
        },
    }


def _attribute_resource(call: Call) -> list[str]:
    row = call.store.one("SELECT region_id FROM instances WHERE instance_id=?", call.get("InstanceId"))
    region = row["region_id"] if row else "*"
    return [f"acs:ecs:{region}:{call.account_id}:instance/{call.get('InstanceId')}"]


@operation("Ecs", "DescribeInstanceAttribute", required=["InstanceId"], resources=_attribute_resource)
def describe_instance_attribute(call: Call) -> dict[str, Any]:
    """Return an instance's attributes; it has no RegionId, ids are unique.

    Of the documented answer the sandbox leaves out what its instances have no fact for: ClusterId, DedicatedHost…,
    VlanId, CreditSpecification, ExpiredTime (they are paid as they go), and locks, of which there are none.
    """
    row = call.store.one("SELECT * FROM instances WHERE instance_id=?", call.get("InstanceId"))
    if row is None:
        raise OpenApiError(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist.")
    known = facts(row)
    cpu, memory = _SIZES.get(known["instance_type"], (2, 4096))
    return {
        "InstanceId": row["instance_id"],
        "InstanceName": known["name"],
        "Description": "",
        "HostName": known["hostname"],
        "Status": known["status"],
        "RegionId": row["region_id"],
        "ZoneId": known["zone_id"],
        "InstanceType": known["instance_type"],
        "ImageId": known["image_id"],
        "SerialNumber": known["serial_number"],
        "InstanceNetworkType": known["network_type"],
        "CreationTime": known["created"],
        "Cpu": cpu,
        "Memory": memory,
        "InstanceChargeType": "PostPaid",
        "InternetChargeType": "PayByTraffic",
        "InternetMaxBandwidthIn": 100 if known["public_ip"] else 0,
        "InternetMaxBandwidthOut": 5 if known["public_ip"] else 0,
        "IoOptimized": "optimized",
        "StoppedMode": "KeepCharging" if known["status"] == "Stopped" else "Not-applicable",
        "EnableJumboFrame": False,
        **network_fields(known),
        "OperationLocks": {"LockReason": []},
    }
