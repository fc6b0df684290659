"""DescribeInstanceStatus, DescribeInstanceAttribute and DescribeCloudAssistantStatus, through alibabacloud_ecs20140526.

facts/ecs.md §7, §11, facts/imds.md §4 (least agent versions).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models as em

from tests.sandbox.drive import CLASSIC, HARDENED, STOPPED, WEB, WEB2, WINDOWS, Drive, refused
from tests.sandbox.vendor import demo, metadata, same_shape

STAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")


def documented(name: str, code: str) -> tuple[int, str, str]:
    status, message = metadata()["ecs"][name]["errors"][code]
    return status, code, message


def status(drive: Drive, *ids: str, region: str = "cn-beijing", who: str = "admin", **more: Any) -> Any:
    request = em.DescribeInstanceStatusRequest(region_id=region, instance_id=list(ids) or None, **more)
    return drive.ecs(who, region).describe_instance_status(request).body.to_map()


def attribute(drive: Drive, instance: str, *, who: str = "admin") -> Any:
    request = em.DescribeInstanceAttributeRequest(instance_id=instance)
    return drive.ecs(who).describe_instance_attribute(request).body.to_map()


def assistant(drive: Drive, *ids: str, region: str = "cn-beijing", who: str = "admin", **more: Any) -> Any:
    request = em.DescribeCloudAssistantStatusRequest(region_id=region, instance_id=list(ids) or None, **more)
    return drive.ecs(who, region).describe_cloud_assistant_status(request).body.to_map()


def agents(found: Any) -> dict[str, Any]:
    rows = found["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"]
    return {row["InstanceId"]: row for row in rows}


def harden(drive: Drive, instance: str, tokens: str = "required", endpoint: str = "enabled") -> None:
    request = em.ModifyInstanceMetadataOptionsRequest(
        region_id="cn-beijing", instance_id=instance, http_endpoint=endpoint, http_tokens=tokens
    )
    drive.ecs().modify_instance_metadata_options(request)


# -- DescribeInstanceStatus ------------------------------------------------------------------------------------


def test_status(drive: Drive) -> None:
    found = status(drive, region="cn-hangzhou")
    same_shape(demo("ecs", "DescribeInstanceStatus"), found)
    states = {s["InstanceId"]: s["Status"] for s in found["InstanceStatuses"]["InstanceStatus"]}
    assert len(states) == found["TotalCount"] == 4
    assert (states[STOPPED], states[CLASSIC]) == ("Stopped", "Running")


def test_status_of_some(drive: Drive) -> None:
    found = status(drive, WEB, WINDOWS, "i-nosuch")["InstanceStatuses"]["InstanceStatus"]
    assert [s["InstanceId"] for s in found] == [WEB, WINDOWS]
    found = status(drive, zone_id="cn-beijing-k")["InstanceStatuses"]["InstanceStatus"]
    assert [s["InstanceId"] for s in found] == [HARDENED, WINDOWS]


def test_status_pages(drive: Drive) -> None:
    pages = [status(drive, page_size=3, page_number=n) for n in (1, 2)]
    assert [len(p["InstanceStatuses"]["InstanceStatus"]) for p in pages] == [3, 1]


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("InvalidParameter.TooManyInstanceIds", lambda d: status(d, *(f"i-{n}" for n in range(101)))),
        ("Abs.InvalidInstanceIds.MalFormed", lambda d: status(d, "web-1")),
        ("InvalidZoneId.NotFound", lambda d: status(d, zone_id="cn-hangzhou-k")),
    ],
)
def test_status_refusals(drive: Drive, code: str, call: Callable[[Drive], object]) -> None:
    refused(lambda: call(drive), *documented("DescribeInstanceStatus", code))


def test_status_not_modelled(drive: Drive) -> None:
    """Ours: what is not modelled is refused, by name."""
    error = refused(lambda: status(drive, cluster_id="cls-1"), 400, "UnsupportedParameter.ClusterId")
    assert "not modelled by the sandbox" in error.message


# -- DescribeInstanceAttribute ---------------------------------------------------------------------------------

# What the sandbox's instances have no fact for.
_LEFT_OUT = ("ClusterId", "VlanId", "ExpiredTime", "CreditSpecification", "DedicatedHostAttribute")


@pytest.mark.parametrize("instance", [WEB, CLASSIC, STOPPED, WINDOWS])
def test_attribute(drive: Drive, instance: str) -> None:
    found = attribute(drive, instance)
    same_shape(demo("ecs", "DescribeInstanceAttribute"), found, without=(*_LEFT_OUT, "EipAddress.Bandwidth"))
    assert found["InstanceId"] == instance
    assert found["Status"] == ("Stopped" if instance == STOPPED else "Running")
    assert found["InstanceNetworkType"] == ("classic" if instance == CLASSIC else "vpc")


def test_attribute_refusals(drive: Drive) -> None:
    refused(
        lambda: attribute(drive, "i-nosuch"),
        *documented("DescribeInstanceAttribute", "InvalidInstanceId.NotFound"),
    )
    refused(
        lambda: drive.ecs().describe_instance_attribute(em.DescribeInstanceAttributeRequest()),
        400,
        "MissingInstanceId",
    )
    refused(lambda: attribute(drive, WEB, who=drive.session()), 403, "Forbidden.RAM")  # type: ignore[arg-type]


# -- DescribeCloudAssistantStatus ------------------------------------------------------------------------------


def test_assistant(drive: Drive) -> None:
    """facts/ecs.md §11: the documented answer; CloudAssistantStatus is a string."""
    found = assistant(drive, WEB)
    same_shape(demo("ecs", "DescribeCloudAssistantStatus"), found)
    agent = agents(found)[WEB]
    assert agent["CloudAssistantStatus"] == "true"
    assert agent["CloudAssistantVersion"] == "2.2.3.857"
    assert (agent["InvocationCount"], agent["ActiveTaskCount"]) == (0, 0)
    assert STAMP.fullmatch(agent["LastHeartbeatTime"])


def test_assistant_of_all(drive: Drive) -> None:
    found = agents(assistant(drive, region="cn-hangzhou"))
    assert found[STOPPED]["CloudAssistantStatus"] == "false"
    assert found[CLASSIC]["CloudAssistantStatus"] == "false", "Cloud Assistant is for VPCs"
    assert list(agents(assistant(drive, ostype="Windows"))) == [WINDOWS]
    assert agents(assistant(drive, ostype="FreeBSD")) == {}


def test_assistant_below_the_least_version(drive: Drive) -> None:
    """facts/imds.md §4: below 2.2.3.857 the agent does not work on a hardened-only instance."""
    assert agents(assistant(drive, WEB2, HARDENED)) != {}
    before = agents(assistant(drive, WEB2))[WEB2]
    assert (before["CloudAssistantVersion"], before["CloudAssistantStatus"]) == ("2.2.0.106", "true")
    harden(drive, WEB2)
    assert agents(assistant(drive, WEB2))[WEB2]["CloudAssistantStatus"] == "false"
    assert agents(assistant(drive, HARDENED))[HARDENED]["CloudAssistantStatus"] == "true"


def test_assistant_pages(drive: Drive) -> None:
    first = assistant(drive, max_results=3)
    assert len(agents(first)) == 3
    rest = assistant(drive, max_results=3, next_token=first["NextToken"])
    assert len(agents(rest)) == 1
    assert rest.get("NextToken") == ""
    assert len(agents(assistant(drive, page_size=3, page_number=2))) == 1


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("InvalidInstance.NotFound", lambda d: assistant(d, "i-nosuch")),
        ("InvalidInstance.NotFound", lambda d: assistant(d, STOPPED)),
        ("InvalidRegionId.NotFound", lambda d: assistant(d, region="cn-nowhere")),
        ("InstanceIds.ExceedLimit", lambda d: assistant(d, *(f"i-{n}" for n in range(101)))),
        ("InvalidParam.PageSize", lambda d: assistant(d, page_size=51)),
        ("InvalidParam.PageNumber", lambda d: assistant(d, page_number=0)),
        ("InvalidParameter.MaxResults", lambda d: assistant(d, max_results=51)),
        ("InvalidParameter.NextToken", lambda d: assistant(d, next_token="?")),
    ],
)
def test_assistant_refusals(drive: Drive, code: str, call: Callable[[Drive], object]) -> None:
    refused(lambda: call(drive), *documented("DescribeCloudAssistantStatus", code))


# -- DescribeInstances: what test_ecs.py does not have ---------------------------------------------------------


def tagged(drive: Drive, *tags: em.DescribeInstancesRequestTag) -> Any:
    request = em.DescribeInstancesRequest(region_id="cn-beijing", tag=list(tags))
    return drive.ecs().describe_instances(request).body.to_map()


def test_tag_filters(drive: Drive) -> None:
    """contract/ecs.json: a value without its key, and more than 20 tags."""
    tag = em.DescribeInstancesRequestTag
    assert tagged(drive, tag(key="name", value="web-1"))["TotalCount"] == 1
    refused(lambda: tagged(drive, tag(value="x")), *documented("DescribeInstances", "InvalidTag.Mismatch"))
    many = [tag(key=f"k{n}", value="x") for n in range(21)]
    refused(lambda: tagged(drive, *many), *documented("DescribeInstances", "InvalidTagCount"))


def test_filters_not_modelled(drive: Drive) -> None:
    """Ours: refused by name, never ignored."""
    for name, value in (("instance_charge_type", "PrePaid"), ("key_pair_name", "x")):
        request = em.DescribeInstancesRequest(region_id="cn-beijing", **{name: value})
        error = refused(
            lambda request=request: drive.ecs().describe_instances(request),  # type: ignore[misc]
            400,
            "UnsupportedParameter." + {"instance_charge_type": "InstanceChargeType"}.get(name, "KeyPairName"),
        )
        assert "not modelled by the sandbox" in error.message
