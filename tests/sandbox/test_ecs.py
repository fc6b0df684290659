"""ECS through alibabacloud_ecs20140526: answers as documented, and every documented refusal that can be produced.

facts/ecs.md, with the vendor's metadata in tests/data/contract.json
(https://api.aliyun.com/meta/v1/products/Ecs/versions/2014-05-26/api-docs.json).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models as em
from alibabacloud_tea_openapi.exceptions import ServerException

from tests.sandbox.drive import (
    BATCH,
    CLASSIC,
    ECS_TRUST,
    HARDENED,
    STOPPED,
    WEB,
    WEB2,
    WINDOWS,
    Caller,
    Drive,
    contract,
    demo,
    document,
    refused,
    same_shape,
)

PEKING, HANGZHOU = "cn-beijing", "cn-hangzhou"


def documented(operation: str, code: str) -> tuple[int, str, str]:
    """Status, code and message of an error as the vendor's metadata has it for an operation."""
    status, message = contract("ecs", operation)["errors"][code]
    return status, code, message


def attach(
    drive: Drive,
    ids: str | list[str],
    role: str | None = "EcsRamRole",
    region: str | None = PEKING,
    who: str | Caller = "admin",
    **more: Any,
) -> Any:
    ids = ids if isinstance(ids, str) else json.dumps(ids)
    request = em.AttachInstanceRamRoleRequest(region_id=region, ram_role_name=role, instance_ids=ids, **more)
    return drive.ecs(who, region or PEKING).attach_instance_ram_role(request).body.to_map()


def detach(
    drive: Drive, ids: str | list[str], role: str | None = None, region: str = PEKING, **more: Any
) -> Any:
    ids = ids if isinstance(ids, str) else json.dumps(ids)
    request = em.DetachInstanceRamRoleRequest(region_id=region, ram_role_name=role, instance_ids=ids)
    return drive.ecs(more.get("who", "admin"), region).detach_instance_ram_role(request).body.to_map()


def roles(drive: Drive, region: str = PEKING, who: str | Caller = "admin", **request: Any) -> Any:
    if "ids" in request:
        request["instance_ids"] = json.dumps(request.pop("ids"))
    answer = drive.ecs(who, region).describe_instance_ram_role(
        em.DescribeInstanceRamRoleRequest(region_id=region, **request)
    )
    return answer.body.to_map()


def held(drive: Drive, **request: Any) -> list[tuple[str, str]]:
    found = roles(drive, **request)["InstanceRamRoleSets"]["InstanceRamRoleSet"]
    return [(item["InstanceId"], item["RamRoleName"]) for item in found]


# -- AttachInstanceRamRole (https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-attachinstanceramrole)


def test_attach(drive: Drive) -> None:
    """facts/ecs.md §2: the documented answer; Code is the string "200", Message `success`."""
    drive.make_role()
    found = attach(drive, [WEB, WEB2])
    same_shape(demo("ecs", "AttachInstanceRamRole"), found)
    assert (found["RamRoleName"], found["TotalCount"], found["FailCount"]) == ("EcsRamRole", 2, 0)
    assert found["AttachInstanceRamRoleResults"]["AttachInstanceRamRoleResult"] == [
        {"InstanceId": i, "Code": "200", "Message": "success", "Success": True} for i in (WEB, WEB2)
    ]
    assert held(drive, ids=[WEB, WEB2]) == [(WEB, "EcsRamRole"), (WEB2, "EcsRamRole")]


def test_one_role_on_many_instances_and_a_repeated_id_counts_once(drive: Drive) -> None:
    """facts/ecs.md §3: one role may be on many instances. That a repeated id counts once is ours."""
    drive.make_role()
    assert attach(drive, [WEB, WEB])["TotalCount"] == 1
    assert attach(drive, [WEB2, HARDENED, WINDOWS])["FailCount"] == 0
    assert len(held(drive, ram_role_name="EcsRamRole")) == 4


def test_stopped_instance_can_be_attached(drive: Drive) -> None:
    """facts/ecs.md §2: no instance status is documented as required."""
    drive.make_role()
    assert attach(drive, [STOPPED], region=HANGZHOU)["FailCount"] == 0


def test_second_role_fails_by_item(drive: Drive) -> None:
    """Ours: "an error is returned if the instance already has a RAM role"; its code is not found (facts/ecs.md §2)."""
    for name in ("First", "Second"):
        drive.make_role(name)
    attach(drive, [WEB], "First")
    found = attach(drive, [WEB, WEB2], "Second")
    assert (found["TotalCount"], found["FailCount"]) == (2, 1)
    failed, done = found["AttachInstanceRamRoleResults"]["AttachInstanceRamRoleResult"]
    assert (failed["InstanceId"], failed["Success"]) == (WEB, False)
    assert failed["Code"] not in ("", "200")
    assert failed["Message"] != "success"
    assert (done["InstanceId"], done["Success"], done["Code"]) == (WEB2, True, "200")
    assert held(drive, ids=[WEB, WEB2]) == [(WEB, "First"), (WEB2, "Second")]
    assert attach(drive, [WEB], "First")["FailCount"] == 1, "the same role again fails too"


@pytest.mark.parametrize(
    "ids",
    ["i-1", "[", '"i-1"', "[1]", "[null]", '[""]', "[]", "{}", json.dumps([f"i-{n}" for n in range(101)])],
)
def test_malformed_instance_ids(drive: Drive, ids: str) -> None:
    """facts/ecs.md §2, §4, §5: a JSON array of 1-100 ids, else InvalidInstanceIds.Malformed."""
    drive.make_role()
    code = "InvalidInstanceIds.Malformed"
    refused(lambda: attach(drive, ids), *documented("AttachInstanceRamRole", code))
    refused(lambda: detach(drive, ids), *documented("DetachInstanceRamRole", code))
    refused(lambda: roles(drive, instance_ids=ids), *documented("DescribeInstanceRamRole", code))


def test_a_hundred_ids_are_taken(drive: Drive) -> None:
    """facts/ecs.md §2: 1-100. None of these exists, so the answer is the next check's."""
    drive.make_role()
    ids = [f"i-{number}" for number in range(100)]
    refused(lambda: attach(drive, ids), *documented("AttachInstanceRamRole", "InvalidInstanceId.NotFound"))


@pytest.mark.parametrize("missing", ["RegionId", "RamRoleName", "InstanceIds"])
def test_attach_missing_parameter(drive: Drive, missing: str) -> None:
    """facts/ecs.md §2: MissingParameter.X (2021 docs)."""
    given: dict[str, Any] = {"region": PEKING, "role": "EcsRamRole", "ids": [WEB]}
    given[{"RegionId": "region", "RamRoleName": "role", "InstanceIds": "ids"}[missing]] = (
        "" if missing == "InstanceIds" else None
    )
    refused(
        lambda: attach(drive, **given),
        400,
        f"MissingParameter.{missing}",
        f"The input parameter {missing} that is mandatory for processing this request is missing.",
    )


def test_unknown_instance(drive: Drive) -> None:
    """facts/ecs.md §2: a top-level 404 as seen in https://github.com/alibaba/terraform-provider/issues/210."""
    drive.make_role()
    code = "InvalidInstanceId.NotFound"
    for ids in (["i-nosuch"], [WEB, "i-nosuch"], [BATCH]):
        refused(lambda ids=ids: attach(drive, ids), *documented("AttachInstanceRamRole", code))  # type: ignore[misc]
        refused(lambda ids=ids: detach(drive, ids), *documented("DetachInstanceRamRole", code))  # type: ignore[misc]
        refused(lambda ids=ids: roles(drive, ids=ids), *documented("DescribeInstanceRamRole", code))  # type: ignore[misc]
    assert held(drive, ids=[WEB]) == [(WEB, "")], "nothing was done for the good id"


def test_unknown_role(drive: Drive) -> None:
    """facts/ecs.md §2: InvalidRamRole.NotFound."""
    refused(
        lambda: attach(drive, [WEB], "nosuch"),
        *documented("AttachInstanceRamRole", "InvalidRamRole.NotFound"),
    )


@pytest.mark.parametrize(
    "trust",
    [
        ECS_TRUST.replace("ecs.aliyuncs.com", "fc.aliyuncs.com"),
        ECS_TRUST.replace('{"Service": ["ecs.aliyuncs.com"]}', '{"RAM": ["acs:ram::1234567890123456:root"]}'),
        ECS_TRUST.replace('"Allow"', '"Deny"'),
        ECS_TRUST.replace("sts:AssumeRole", "sts:GetCallerIdentity"),
    ],
)
def test_role_without_trust_in_ecs(drive: Drive, trust: str) -> None:
    """facts/ecs.md §2: InvalidRamRole.NotEcsRole, HTTP 404 here (401 in RunInstances)."""
    assert trust != ECS_TRUST
    drive.make_role(trust=trust)
    refused(lambda: attach(drive, [WEB]), *documented("AttachInstanceRamRole", "InvalidRamRole.NotEcsRole"))


def test_classic_network(drive: Drive) -> None:
    """facts/ecs.md §2: InvalidNetworkType.MismatchRamRole; the instance must be in a VPC."""
    drive.make_role()
    for ids in ([CLASSIC], [BATCH, CLASSIC]):
        refused(
            lambda ids=ids: attach(drive, ids, region=HANGZHOU),  # type: ignore[misc]
            *documented("AttachInstanceRamRole", "InvalidNetworkType.MismatchRamRole"),
        )
    assert held(drive, region=HANGZHOU, ids=[BATCH]) == [(BATCH, "")]


# -- who may attach (facts/ecs.md §2, §12) --------------------------------------------------------------------------

INSTANCE_AND_ROLE = ["acs:ecs:*:*:instance/*", "acs:ram:*:*:role/*"]
MAY_ATTACH = ("Allow", "ecs:AttachInstanceRamRole", INSTANCE_AND_ROLE)
MAY_PASS = ("Allow", "ram:PassRole", "*")
FORBIDDEN = (
    403,
    "Forbidden.RAM",
    "User not authorized to operate on the specified resource, or this API doesn't support RAM.",
)


def caller(drive: Drive, *statements: Any) -> Caller:
    """A role session on another instance that may do what the statements say."""
    return drive.session(document(*statements), instance=WEB2, role="Caller")


def test_pass_role_is_needed(drive: Drive) -> None:
    """facts/ecs.md §2: missing ram:PassRole is InvalidUser.PassRoleForbidden."""
    drive.make_role()
    who = caller(drive, MAY_ATTACH)
    code = "InvalidUser.PassRoleForbidden"
    refused(lambda: attach(drive, [WEB], who=who), *documented("AttachInstanceRamRole", code))
    assert held(drive, ids=[WEB]) == [(WEB, "")]


def test_attach_action_is_needed(drive: Drive) -> None:
    """facts/ecs.md §2: missing ecs:AttachInstanceRamRole is Forbidden.RAM, with AccessDeniedDetail (signing.md §6)."""
    drive.make_role()
    who = caller(drive, MAY_PASS)
    error = refused(lambda: attach(drive, [WEB], who=who), *FORBIDDEN)
    detail = error.data["AccessDeniedDetail"]
    assert detail["AuthAction"] == "ecs:AttachInstanceRamRole"
    assert detail["AuthPrincipalType"] == "AssumedRoleUser"
    assert detail["AuthPrincipalDisplayName"] == f"Caller:vm-ram-{WEB2}"
    assert detail["AuthPrincipalOwnerId"] == drive.account
    assert detail["NoPermissionType"] == "ImplicitDeny"
    assert error.data["HostId"] == "ecs.cn-beijing.aliyuncs.com", "E16: the body names the host"
    assert error.access_denied_detail == detail, "the SDK finds it"


@pytest.mark.parametrize(
    "resources",
    [
        ["acs:ecs:*:*:instance/*"],
        ["acs:ram:*:*:role/*"],
        ["acs:ecs:cn-hangzhou:*:instance/*", "acs:ram:*:*:role/*"],
        [f"acs:ecs:*:*:instance/{WEB2}", "acs:ram:*:*:role/*"],
        ["acs:ecs:*:*:instance/*", "acs:ram:*:*:role/Other*"],
    ],
)
def test_attach_needs_instance_and_role(drive: Drive, resources: list[str]) -> None:
    """facts/ecs.md §2, §12: on the instance's ARN **and** on the role's ARN."""
    drive.make_role()
    who = caller(drive, ("Allow", "ecs:AttachInstanceRamRole", resources), MAY_PASS)
    refused(lambda: attach(drive, [WEB], who=who), *FORBIDDEN)


def test_attach_with_exactly_the_documented_rights(drive: Drive) -> None:
    """facts/ecs.md §2; facts/ram.md §6: ram:PassRole's condition key acs:Service is ecs.aliyuncs.com."""
    drive.make_role()
    arns = [
        f"acs:ecs:cn-beijing:{drive.account}:instance/{WEB}",
        f"acs:ram:*:{drive.account}:role/EcsRamRole",
    ]
    who = caller(
        drive,
        ("Allow", "ecs:AttachInstanceRamRole", arns),
        {
            "Effect": "Allow",
            "Action": "ram:PassRole",
            "Resource": arns[1],
            "Condition": {"StringEquals": {"acs:Service": "ecs.aliyuncs.com"}},
        },
    )
    assert attach(drive, [WEB], who=who)["FailCount"] == 0


def test_pass_role_for_another_service_or_role_is_not_enough(drive: Drive) -> None:
    """facts/ram.md §6: the role's ARN and acs:Service are judged."""
    drive.make_role()
    conditional = {
        "Effect": "Allow",
        "Action": "ram:PassRole",
        "Resource": "*",
        "Condition": {"StringEquals": {"acs:Service": "fc.aliyuncs.com"}},
    }
    who = caller(drive, MAY_ATTACH, conditional, ("Allow", "ram:PassRole", "acs:ram:*:*:role/Other"))
    code = "InvalidUser.PassRoleForbidden"
    refused(lambda: attach(drive, [WEB], who=who), *documented("AttachInstanceRamRole", code))


# -- session policies ------------------------------------------------------------------------------------------


def test_session_policy_limits(drive: Drive) -> None:
    """facts/ecs.md §2, policy.md §4: 1-1024 characters. The codes of too long and malformed ones are ours."""
    drive.make_role()
    text = document(("Allow", "oss:*", "*"))
    refused(
        lambda: attach(drive, [WEB], policy=text + " " * (1025 - len(text))), 400, "InvalidParameter.Policy"
    )
    for bad in ("{", document(("Allow", "GetObject", "*")), document({"Effect": "Allow", "Action": "oss:*"})):
        refused(lambda bad=bad: attach(drive, [WEB], policy=bad), 400, "InvalidParameter.Policy")  # type: ignore[misc]
    assert attach(drive, [WEB], policy=text + " " * (1024 - len(text)))["FailCount"] == 0


# -- DetachInstanceRamRole (https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-detachinstanceramrole)


def test_detach(drive: Drive) -> None:
    """facts/ecs.md §4: the documented answer; Message is `Success` here."""
    drive.make_role()
    attach(drive, [WEB, WEB2])
    found = detach(drive, [WEB], "EcsRamRole")
    same_shape(demo("ecs", "DetachInstanceRamRole"), found)
    assert (found["RamRoleName"], found["TotalCount"], found["FailCount"]) == ("EcsRamRole", 1, 0)
    assert found["DetachInstanceRamRoleResults"]["DetachInstanceRamRoleResult"] == [
        {
            "InstanceId": WEB,
            "Code": "200",
            "Message": "Success",
            "Success": True,
            "InstanceRamRoleSets": {"InstanceRamRoleSet": [{"InstanceId": WEB, "RamRoleName": "EcsRamRole"}]},
        }
    ]
    assert held(drive, ids=[WEB, WEB2]) == [(WEB, ""), (WEB2, "EcsRamRole")]
    assert detach(drive, [WEB2])["FailCount"] == 0, "RamRoleName is optional"


def test_detach_of_nothing_or_another_role_fails_by_item(drive: Drive) -> None:
    """Ours: not found (facts/ecs.md §4)."""
    drive.make_role()
    attach(drive, [WEB])
    found = detach(drive, [WEB, WEB2], "Other")
    assert (found["TotalCount"], found["FailCount"]) == (2, 2)
    assert held(drive, ids=[WEB]) == [(WEB, "EcsRamRole")]
    found = detach(drive, [WEB, WEB2])
    items = found["DetachInstanceRamRoleResults"]["DetachInstanceRamRoleResult"]
    assert [(i["InstanceId"], i["Success"]) for i in items] == [(WEB, True), (WEB2, False)]
    assert items[1]["Code"] not in ("", "200")


def test_detach_action_is_needed_whatever_its_case(drive: Drive) -> None:
    """facts/ecs.md §4, policy.md §2: `ecs:DetachInstanceRAMRole` works, RAM actions are not case-sensitive."""
    drive.make_role()
    attach(drive, [WEB])
    who = caller(drive, ("Allow", "ecs:AttachInstanceRamRole", "*"))
    refused(lambda: detach(drive, [WEB], who=who), *FORBIDDEN)
    drive.grant("Caller", document(("Allow", "ecs:DetachInstanceRAMRole", "*")))
    assert detach(drive, [WEB], who=who)["FailCount"] == 0


@pytest.mark.parametrize("missing", ["RegionId", "InstanceIds"])
def test_detach_missing_parameter(drive: Drive, missing: str) -> None:
    """facts/ecs.md §2: the form of Attach's 2021 documentation, for Detach too (ours)."""
    request = em.DetachInstanceRamRoleRequest(
        region_id=None if missing == "RegionId" else PEKING,
        instance_ids=None if missing == "InstanceIds" else json.dumps([WEB]),
    )
    refused(lambda: drive.ecs().detach_instance_ram_role(request), 400, f"MissingParameter.{missing}")


# -- DescribeInstanceRamRole -------------------------------------------------------------------------------------


def test_describe_by_ids_by_role_and_page(drive: Drive) -> None:
    """facts/ecs.md §5: by ids, by role, PageSize 1-50 default 10; ours: no role is an empty name."""
    drive.make_role()
    attach(drive, [WEB, WEB2, WINDOWS])
    found = roles(drive, ids=[WEB, HARDENED])
    same_shape(demo("ecs", "DescribeInstanceRamRole"), found)
    assert (found["RegionId"], found["TotalCount"]) == (PEKING, 2)
    assert held(drive, ids=[WEB, HARDENED]) == [(WEB, "EcsRamRole"), (HARDENED, "")]
    by_role = [i for i, _ in held(drive, ram_role_name="EcsRamRole")]
    assert sorted(by_role) == sorted([WEB, WEB2, WINDOWS])
    pages = [held(drive, ram_role_name="EcsRamRole", page_size=2, page_number=n) for n in (1, 2, 3)]
    assert [len(p) for p in pages] == [2, 1, 0]
    assert [i for p in pages for i, _ in p] == by_role
    assert held(drive, ram_role_name="Other") == []
    assert roles(drive, region=HANGZHOU, ram_role_name="EcsRamRole")["TotalCount"] == 0


def test_describe_needs_ids_or_role(drive: Drive) -> None:
    """facts/ecs.md §5: 403 InvalidParameter.AllEmpty; its message is a bare %s, so the text is ours."""
    status, code, message = documented("DescribeInstanceRamRole", "InvalidParameter.AllEmpty")
    assert message == "%s"
    refused(lambda: roles(drive), status, code)


def test_describe_page_size(drive: Drive) -> None:
    """facts/ecs.md §5: PageSize 1-50. The code is ours."""
    for size in (0, 51):
        refused(
            lambda size=size: roles(drive, ram_role_name="x", page_size=size),  # type: ignore[misc]
            400,
            "InvalidParameter.PageSize",
        )


def test_describe_needs_permission(drive: Drive) -> None:
    """facts/ecs.md §12."""
    who = drive.session("AliyunOSSReadOnlyAccess", instance=WEB2, role="Caller")
    refused(lambda: roles(drive, who=who, ids=[WEB]), *FORBIDDEN)
    refused(lambda: roles(drive, who=who, ram_role_name="x"), *FORBIDDEN)


# -- DescribeInstances -------------------------------------------------------------------------------------------


def listing(drive: Drive, region: str = PEKING, who: str | Caller = "admin", **request: Any) -> Any:
    if "ids" in request:
        request["instance_ids"] = json.dumps(request.pop("ids"))
    answer = drive.ecs(who, region).describe_instances(
        em.DescribeInstancesRequest(region_id=region, **request)
    )
    return answer.body.to_map()


def shown(drive: Drive, **request: Any) -> list[str]:
    return [i["InstanceId"] for i in listing(drive, **request)["Instances"]["Instance"]]


USEFUL = [
    "InstanceId",
    "InstanceName",
    "HostName",
    "Status",
    "RegionId",
    "ZoneId",
    "InstanceType",
    "OSType",
    "OSName",
    "ImageId",
    "InstanceNetworkType",
    "VpcAttributes",
    "PublicIpAddress",
    "EipAddress",
    "SecurityGroupIds",
    "NetworkInterfaces",
    "CreationTime",
    "SerialNumber",
    "Tags",
]


def test_describe_instances(drive: Drive) -> None:
    """facts/ecs.md §7: the useful fields, of the documented types; the RAM role is not part of the reply."""
    found = listing(drive)
    sample = demo("ecs", "DescribeInstances")
    top = {name: sample[name] for name in ("RequestId", "TotalCount", "PageNumber", "PageSize", "NextToken")}
    same_shape(top, found)
    model = sample["Instances"]["Instance"][0]
    for item in found["Instances"]["Instance"]:
        same_shape(
            {name: model[name] for name in USEFUL},
            item,
            without=[
                "EipAddress.IsSupportUnassociate",
                "EipAddress.Bandwidth",
                *(
                    f"NetworkInterfaces.NetworkInterface.{name}"
                    for name in ("Type", "PrivateIpSets", "Ipv6Sets", "Ipv4PrefixSets", "Ipv6PrefixSets")
                ),
            ],
        )
        assert "RamRoleName" not in item
        assert "MetadataOptions" not in item
    vm = found["Instances"]["Instance"][0]
    assert (vm["InstanceId"], vm["InstanceName"], vm["Status"], vm["OSType"]) == (
        WEB,
        "web-1",
        "Running",
        "linux",
    )
    assert (vm["InstanceNetworkType"], vm["CreationTime"]) == ("vpc", "2026-01-15T08:00Z")


def test_metadata_options_only_when_asked(drive: Drive) -> None:
    """facts/imds.md §4, ecs.md §7: AdditionalAttributes META_OPTIONS."""
    found = listing(drive, ids=[WEB, HARDENED], additional_attributes=["META_OPTIONS"])
    options = {i["InstanceId"]: i["MetadataOptions"] for i in found["Instances"]["Instance"]}
    assert options == {
        WEB: {"HttpEndpoint": "enabled", "HttpTokens": "optional", "HttpPutResponseHopLimit": 0},
        HARDENED: {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 0},
    }


def test_an_empty_list_of_ids_is_an_empty_result(drive: Drive) -> None:
    """facts/ecs.md §7: `[]` returns an empty result; so does an id that does not exist."""
    assert shown(drive, ids=[]) == []
    assert shown(drive, ids=["i-nosuch"]) == []
    assert shown(drive, ids=[WEB2, "i-nosuch"]) == [WEB2]


def test_without_permission_the_list_is_empty(drive: Drive) -> None:
    """facts/ecs.md §7, the trap: no error but an empty list."""
    who = drive.session("AliyunOSSReadOnlyAccess", instance=WEB2, role="Caller")
    found = listing(drive, who=who)
    assert (found["TotalCount"], found["Instances"]["Instance"]) == (0, [])
    assert shown(drive, who=who, ids=[WEB]) == []
    drive.grant("Caller", document(("Allow", "ecs:DescribeInstances", f"acs:ecs:*:*:instance/{WEB}")))
    assert shown(drive, who=who, ids=[WEB, WEB2]) == [WEB]


def test_dry_run_tells_whether_one_may(drive: Drive) -> None:
    """facts/ecs.md §7: success is reported as the error code DryRunOperation (its status and text are ours)."""
    refused(lambda: listing(drive, dry_run=True), 400, "DryRunOperation")
    who = drive.session("AliyunOSSReadOnlyAccess", instance=WEB2, role="Caller")
    refused(lambda: listing(drive, who=who, dry_run=True), *FORBIDDEN)


def test_paging_by_number_and_by_token(drive: Drive) -> None:
    """facts/ecs.md §7: PageNumber/PageSize (default 10), or MaxResults/NextToken."""
    everything = shown(drive)
    assert everything == [WEB, WEB2, HARDENED, WINDOWS]
    first = listing(drive)
    assert (first["PageNumber"], first["PageSize"], first["TotalCount"], first["NextToken"]) == (1, 10, 4, "")
    assert [shown(drive, page_size=3, page_number=n) for n in (1, 2, 3)] == [
        everything[:3],
        everything[3:],
        [],
    ]
    seen, token = [], None
    for _ in range(4):
        page = listing(drive, max_results=1, next_token=token)
        seen += [i["InstanceId"] for i in page["Instances"]["Instance"]]
        assert page["TotalCount"] == 4
        token = page["NextToken"]
    assert (seen, token) == (everything, "")
    for size in (0, 101):
        refused(lambda size=size: listing(drive, page_size=size), 400, "InvalidParameter.PageSize")  # type: ignore[misc]
        refused(lambda size=size: listing(drive, max_results=size), 400, "InvalidParameter.MaxResults")  # type: ignore[misc]
    refused(lambda: listing(drive, next_token="x"), 400, "InvalidParameter.NextToken")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"status": "Stopped"}, [STOPPED]),
        ({"instance_network_type": "classic"}, [CLASSIC]),
        ({"instance_name": "batch-*"}, [BATCH, BATCH.replace("batch1", "batch2")]),
        ({"instance_name": "batch-1"}, [BATCH]),
        ({"tag": [em.DescribeInstancesRequestTag(key="name", value="batch-1")]}, [BATCH]),
        ({"tag": [em.DescribeInstancesRequestTag(key="nosuch")]}, []),
        ({"private_ip_addresses": '["192.168.0.15"]'}, [BATCH]),
        ({"http_tokens": "required"}, []),
        ({"zone_id": "cn-hangzhou-b"}, [CLASSIC]),
    ],
)
def test_filters(drive: Drive, request_: dict[str, Any], expected: list[str]) -> None:
    """facts/ecs.md §7: filters Status, VpcId, Tag…, HttpTokens."""
    assert shown(drive, region=HANGZHOU, **request_) == expected


def test_bad_filters(drive: Drive) -> None:
    """facts/ecs.md §7: InvalidStatus.NotFound, InvalidNetworkType.NotFound."""
    refused(
        lambda: listing(drive, status="running"), *documented("DescribeInstances", "InvalidStatus.NotFound")
    )
    refused(
        lambda: listing(drive, instance_network_type="VPC"),
        *documented("DescribeInstances", "InvalidNetworkType.NotFound"),
    )


def test_unmodelled_filter_is_refused_not_ignored(drive: Drive) -> None:
    """Ours: a clear 501 for what the sandbox's instances have no field for."""
    for request in ({"instance_charge_type": "PrePaid"}, {"key_pair_name": "x"}, {"resource_group_id": "x"}):
        with pytest.raises(ServerException) as caught:
            listing(drive, **request)
        assert (caught.value.status_code, caught.value.code) == (501, "NotImplemented")


@pytest.mark.parametrize(
    "call",
    [
        lambda d: listing(d, region="cn-nowhere"),
        lambda d: attach(d, [WEB], region="cn-nowhere"),
        lambda d: roles(d, region="cn-nowhere", ids=[WEB]),
    ],
)
def test_unknown_region(drive: Drive, call: Callable[[Drive], object]) -> None:
    """facts/ecs.md §9: InvalidRegionId.NotFound is RunCommand's; taken for these operations too (ours)."""
    drive.make_role()
    refused(lambda: call(drive), 404, "InvalidRegionId.NotFound")


def test_describe_instances_needs_a_region(drive: Drive) -> None:
    """facts/signing.md §4: MissingRegionId."""
    refused(
        lambda: drive.ecs().describe_instances(em.DescribeInstancesRequest()),
        400,
        "MissingRegionId",
        "RegionId is mandatory for this action.",
    )


# -- DescribeRegions ---------------------------------------------------------------------------------------------


def regions(drive: Drive, who: str | Caller = "admin", **request: Any) -> Any:
    return drive.ecs(who).describe_regions(em.DescribeRegionsRequest(**request)).body.to_map()


def test_describe_regions(drive: Drive) -> None:
    """facts/ecs.md §8: the documented answer; names in Chinese by default."""
    found = regions(drive)
    same_shape(demo("ecs", "DescribeRegions"), found)
    names = {r["RegionId"]: r["LocalName"] for r in found["Regions"]["Region"]}
    assert {PEKING, HANGZHOU} <= set(names)
    assert names[HANGZHOU] == "华东1（杭州）"
    english = regions(drive, accept_language="en-US")["Regions"]["Region"]
    hangzhou = next(r for r in english if r["RegionId"] == HANGZHOU)
    assert (hangzhou["LocalName"], hangzhou["RegionEndpoint"], hangzhou["Status"]) == (
        "China (Hangzhou)",
        "ecs.cn-hangzhou.aliyuncs.com",
        "available",
    )


def test_describe_regions_refusals(drive: Drive) -> None:
    """facts/ecs.md §8."""
    name = "DescribeRegions"
    refused(lambda: regions(drive, accept_language="xx"), *documented(name, "InvalidAcceptLanguage.NotFound"))
    refused(lambda: regions(drive, resource_type="xx"), *documented(name, "InvalidResourceType.NotFound"))
    refused(
        lambda: regions(drive, instance_charge_type="xx"), *documented(name, "Invalid.InstanceChargeType")
    )
    who = drive.session("AliyunOSSReadOnlyAccess", instance=WEB2, role="Caller")
    refused(lambda: regions(drive, who=who), *FORBIDDEN)


# -- ModifyInstanceMetadataOptions ---------------------------------------------------------------------------------


def modify(drive: Drive, instance: str = WEB, who: str | Caller = "admin", **options: Any) -> Any:
    options.setdefault("http_endpoint", "enabled")
    request = em.ModifyInstanceMetadataOptionsRequest(region_id=PEKING, instance_id=instance, **options)
    return drive.ecs(who).modify_instance_metadata_options(request).body.to_map()


def options_of(drive: Drive, instance: str = WEB) -> dict[str, Any]:
    found = listing(drive, ids=[instance], additional_attributes=["META_OPTIONS"])
    options: dict[str, Any] = found["Instances"]["Instance"][0]["MetadataOptions"]
    return options


def test_modify_metadata_options(drive: Drive) -> None:
    """facts/ecs.md §6: the reply is the request id; what is not given stays."""
    assert set(modify(drive, http_tokens="required", http_put_response_hop_limit=5)) == {"RequestId"}
    assert options_of(drive) == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 5,
    }
    modify(drive, http_endpoint="disabled")
    assert options_of(drive) == {
        "HttpEndpoint": "disabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 5,
    }
    assert options_of(drive, WEB2)["HttpTokens"] == "optional"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"http_endpoint": "on"}, "InvalidHttpEndpoint.NotSupported"),
        ({"http_tokens": "Required"}, "InvalidHttpTokens.NotSupported"),
        ({"http_put_response_hop_limit": 0}, "InvalidHttpPutResponseHopLimit.NotSupported"),
        ({"http_put_response_hop_limit": 65}, "InvalidHttpPutResponseHopLimit.NotSupported"),
        ({"instance_metadata_tags": "on"}, "InvalidInstanceMetadataTags.NotSupported"),
        ({"instance": "i-nosuch"}, "InvalidInstanceId.NotFound"),
        ({"instance": None}, "InvalidInstanceId.NotFound"),
        # Ours: that the API refuses to force a Windows instance with this code (imds.md §4 says it cannot be).
        ({"instance": WINDOWS, "http_tokens": "required"}, "InvalidHttpTokens.NotSupported"),
    ],
)
def test_modify_metadata_options_refusals(drive: Drive, options: dict[str, Any], code: str) -> None:
    """facts/ecs.md §6."""
    before = options_of(drive)
    refused(lambda: modify(drive, **options), *documented("ModifyInstanceMetadataOptions", code))
    assert options_of(drive) == before


def test_modify_metadata_options_missing_and_forbidden(drive: Drive) -> None:
    """facts/ecs.md §6, §12: HttpEndpoint is required; the action on the instance's ARN."""
    refused(lambda: _modify_without(drive), 400, "MissingHttpEndpoint")
    refused(lambda: modify(drive, who="viewer"), *FORBIDDEN)
    who = caller(drive, ("Allow", "ecs:ModifyInstanceMetadataOptions", f"acs:ecs:*:*:instance/{HARDENED}"))
    refused(lambda: modify(drive, who=who), *FORBIDDEN)
    assert modify(drive, HARDENED, who=who)


def _modify_without(drive: Drive) -> object:
    request = em.ModifyInstanceMetadataOptionsRequest(region_id=PEKING, instance_id=WEB)
    return drive.ecs().modify_instance_metadata_options(request)
