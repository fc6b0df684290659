"""DescribeInstances and DescribeRegions.

Source: https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeinstances
"""

from __future__ import annotations

import base64
import binascii
import re
import sqlite3
from collections.abc import Mapping
from typing import Any

from ....policy import Outcome, matches
from ...errors import OpenApiError
from ...openapi import Call, operation, read_json
from .common import REGIONS, check_region, facts, instance_arn, instance_ids, network_fields

_STATUSES = ("Pending", "Running", "Starting", "Stopping", "Stopped")

# Filters of the real operation that the sandbox's instances have no field for: refused, never ignored.
_NO_SUCH_FILTER = (
    "InnerIpAddresses",
    "EipAddresses",
    "InstanceChargeType",
    "InternetChargeType",
    "LockReason",
    "DeviceAvailable",
    "IoOptimized",
    "NeedSaleCycle",
    "InstanceTypeFamily",
    "KeyPairName",
    "ResourceGroupId",
    "HpcClusterId",
    "RdmaIpAddresses",
    "Ipv6Address",
    "HttpPutResponseHopLimit",
    "Filter",
)
_HONOURED = (
    "InstanceIds",
    "Status",
    "InstanceNetworkType",
    "InstanceType",
    "ImageId",
    "VpcId",
    "VSwitchId",
    "ZoneId",
    "HttpTokens",
    "HttpEndpoint",
    "SecurityGroupId",
    "PrivateIpAddresses",
    "PublicIpAddresses",
    "InstanceName",
    "Tag",
    "AdditionalAttributes",
    "DryRun",
    "PageNumber",
    "PageSize",
    "MaxResults",
    "NextToken",
)


def _shown(row: sqlite3.Row, *, with_options: bool) -> dict[str, Any]:
    known = facts(row)
    shown: dict[str, Any] = {
        "InstanceId": row["instance_id"],
        "InstanceName": known["name"],
        "HostName": known["hostname"],
        "Status": known["status"],
        "RegionId": row["region_id"],
        "ZoneId": known["zone_id"],
        "InstanceType": known["instance_type"],
        "OSType": known["os_type"],
        "OSName": known["os_name"],
        "ImageId": known["image_id"],
        "SerialNumber": known["serial_number"],
        "InstanceNetworkType": known["network_type"],
        "CreationTime": known["created"],
        **network_fields(known),
        "NetworkInterfaces": {
            "NetworkInterface": [
                {
                    "MacAddress": known["mac"],
                    "PrimaryIpAddress": known["private_ip"],
                    "NetworkInterfaceId": known["network_interface_id"],
                }
            ]
        },
        "Tags": {"Tag": [{"TagKey": k, "TagValue": v} for k, v in known["tags"].items()]},
    }
    if with_options:
        shown["MetadataOptions"] = {
            "HttpEndpoint": row["http_endpoint"],
            "HttpTokens": row["http_tokens"],
            "HttpPutResponseHopLimit": row["hop_limit"],
        }
    return shown


def _wanted(row: sqlite3.Row, params: Mapping[str, str], ids: list[str] | None) -> bool:
    known = facts(row)
    exact = {
        "Status": known["status"],
        "InstanceNetworkType": known["network_type"],
        "InstanceType": known["instance_type"],
        "ImageId": known["image_id"],
        "VpcId": known["vpc_id"],
        "VSwitchId": known["vswitch_id"],
        "ZoneId": known["zone_id"],
        "HttpTokens": row["http_tokens"],
        "HttpEndpoint": row["http_endpoint"],
        "SecurityGroupId": known["security_group_id"],
    }
    if ids is not None and row["instance_id"] not in ids:
        return False
    for param, address in (
        ("PrivateIpAddresses", known["private_ip"]),
        ("PublicIpAddresses", known["public_ip"]),
    ):
        if params.get(param) and address not in _addresses(params[param], param):
            return False
    for number in range(1, 21):
        key, value = params.get(f"Tag.{number}.Key"), params.get(f"Tag.{number}.Value")
        if key and (key not in known["tags"] or value not in (None, "", known["tags"][key])):
            return False
    if params.get("InstanceName") and not matches(params["InstanceName"], known["name"]):
        return False
    return all(not params.get(name) or params[name] == value for name, value in exact.items())


def _addresses(text: str, param: str) -> list[str]:
    try:
        found = read_json(text)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise OpenApiError(400, f"InvalidParameter.{param}", f"The specified parameter {param} is not valid.")
    return found


def _check_filters(params: Mapping[str, str]) -> None:
    tags = {name.split(".")[1] for name in params if re.fullmatch(r"Tag\.\d{1,4}\.(Key|Value)", name)}
    if any(not params.get(f"Tag.{number}.Key") for number in tags):
        raise OpenApiError(
            400, "InvalidTag.Mismatch", "The specified Tag.n.Key and Tag.n.Value are not match."
        )
    if len(tags) > 20:
        raise OpenApiError(400, "InvalidTagCount", "The specified tags are beyond the permitted range.")
    if params.get("Status") and params["Status"] not in _STATUSES:
        raise OpenApiError(404, "InvalidStatus.NotFound", "The specified Status is not found.")
    if (params.get("InstanceNetworkType") or "vpc") not in ("vpc", "classic"):
        raise OpenApiError(
            404, "InvalidNetworkType.NotFound", "The specified InstanceNetworkType is not found."
        )


@operation("Ecs", "DescribeInstances", required=["RegionId"], optional=_HONOURED, refused=_NO_SUCH_FILTER)
def describe_instances(call: Call) -> dict[str, Any]:
    """List instances of a region.

    A caller without the permission gets an empty list, not an error; DryRun tells the difference.
    """
    check_region(call)
    params = call.params
    _check_filters(params)
    ids = instance_ids(call, least=0) if params.get("InstanceIds") else None
    everything = instance_arn(call, "*")
    if call.flag("DryRun"):
        call.need("ecs:DescribeInstances", everything)
        raise OpenApiError(400, "DryRunOperation", "Request validation has been passed with DryRun flag set.")
    rows = []
    if call.may("ecs:DescribeInstances", everything).outcome is Outcome.ALLOW:
        rows = [
            row
            for row in call.store.all(
                "SELECT * FROM instances WHERE region_id=? ORDER BY position", call.region_id
            )
            if _wanted(row, params, ids)
        ]
    elif ids:
        rows = [
            row
            for row in call.store.all(
                "SELECT * FROM instances WHERE region_id=? ORDER BY position", call.region_id
            )
            if _wanted(row, params, ids)
            and call.may("ecs:DescribeInstances", instance_arn(call, row["instance_id"])).outcome
            is Outcome.ALLOW
        ]
    with_options = "META_OPTIONS" in call.listed("AdditionalAttributes")
    if params.get("MaxResults") or params.get("NextToken"):
        start, size = _token(call), call.integer("MaxResults", 10, low=1, high=100)
        number = 1
    else:
        size = call.integer("PageSize", 10, low=1, high=100)
        number = call.integer("PageNumber", 1, low=1, high=1_000_000)
        start = (number - 1) * size
    end = start + size
    token = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(rows) else ""
    return {
        "TotalCount": len(rows),
        "PageNumber": number,
        "PageSize": size,
        "NextToken": token,
        "Instances": {"Instance": [_shown(row, with_options=with_options) for row in rows[start:end]]},
    }


def _token(call: Call) -> int:
    token = call.get("NextToken")
    if not token:
        return 0
    try:
        return max(0, int(base64.urlsafe_b64decode(token.encode()).decode()))
    except (ValueError, binascii.Error):
        raise OpenApiError(
            400, "InvalidParameter.NextToken", "The specified parameter NextToken is not valid."
        ) from None


@operation(
    "Ecs",
    "DescribeRegions",
    resources=lambda _: ["*"],
    optional=["InstanceChargeType", "ResourceType", "AcceptLanguage"],
)
def describe_regions(call: Call) -> dict[str, Any]:
    """List the regions."""
    language = call.get("AcceptLanguage", "zh-CN") or "zh-CN"
    if language not in ("zh-CN", "en-US", "ja"):
        raise OpenApiError(
            404,
            "InvalidAcceptLanguage.NotFound",
            "Only Chinese (zh-CN), English (en-US), and Japanese (ja) are allowed.",
        )
    # The allowed values of these two are the SDK's doc-strings'; every region has all of them here.
    if call.get("InstanceChargeType") not in (
        "",
        "PrePaid",
        "PostPaid",
        "SpotWithPriceLimit",
        "SpotAsPriceGo",
    ):
        raise OpenApiError(
            403, "Invalid.InstanceChargeType", "The specified instanceChargeType is not valid."
        )
    if call.get("ResourceType") not in ("", "instance", "disk", "reservedinstance", "ddh"):
        raise OpenApiError(
            404, "InvalidResourceType.NotFound", "The ResourceType provided does not exist in our records."
        )
    regions = [
        {
            "RegionId": region_id,
            "RegionEndpoint": f"ecs.{region_id}.aliyuncs.com",
            "LocalName": chinese if language == "zh-CN" else english,
            "Status": "available",
        }
        for region_id, (english, chinese) in REGIONS.items()
    ]
    return {"Regions": {"Region": regions}}
