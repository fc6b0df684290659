"""The wire forms of the OpenAPI side: XML, RPC V1 (HMAC-SHA1) by three programs, forms, and what is refused.

facts/signing.md §3 (RPC V1), §5 (errors); the vendor's sample answers in XML (tests/data/openapi.json).
"""

from __future__ import annotations

import inspect
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from alibabacloud_ecs20140526 import models as em
from alibabacloud_ecs20140526.client import Client as Ecs
from alibabacloud_ram20150501 import models as rm
from alibabacloud_ram20150501.client import Client as Ram
from alibabacloud_sts20150401 import models as sm
from alibabacloud_sts20150401.client import Client as Sts
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest

from ramrole_nb.sandbox.openapi import Operation, operations
from ramrole_nb.sandbox.services import ecs, ram, sts
from tests.sandbox.drive import ECS_TRUST, READ_OSS, WEB, Answer, Caller, Drive, curl, refused
from tests.sandbox.sign import acs3, rpc_v1
from tests.sandbox.test_sts import ROLE, assume, caller, root, trust
from tests.sandbox.vendor import metadata, sample_xml

VERSIONS = {"Ram": "2015-05-01", "Ecs": "2014-05-26", "Sts": "2015-04-01"}
HOSTS = {
    "Ram": "ram.aliyuncs.com",
    "Ecs": "ecs.cn-beijing.aliyuncs.com",
    "Sts": "sts.cn-beijing.aliyuncs.com",
}
_SERVICES = (ecs, ram, sts)  # importing them is what registers their operations
REGISTERED = {(o.product, o.name): o for o in operations()}


def rpc(
    drive: Drive,
    product: str,
    action: str,
    params: Mapping[str, str] | None = None,
    *,
    who: str | Caller = "admin",
    post: bool = False,
    **more: str,
) -> Answer:
    """Call an operation with curl, signed as RPC V1: in the query, or as a form."""
    signed = rpc_v1(
        drive.caller(who), action, VERSIONS[product], params, method="POST" if post else "GET", **more
    )
    text = urlencode(signed)
    url = f"http://{HOSTS[product]}/"
    if post:
        return curl("--data-binary", "@-", url, proxy=drive.url, data=text.encode())
    return curl(f"{url}?{text}", proxy=drive.url)


def tree(answer: Answer) -> ET.Element:
    assert answer["content-type"] == "text/xml;charset=utf-8"
    return ET.fromstring(answer.body)  # noqa: S314 - our own server's


def paths(element: ET.Element, above: str = "") -> set[str]:
    """Return the path of every element."""
    found = set()
    for child in element:
        path = f"{above}/{child.tag}"
        found |= {path} | paths(child, path)
    return found


# -- XML -------------------------------------------------------------------------------------------------------


def _prepare(drive: Drive) -> None:
    drive.make_role(ROLE, "AliyunOSSReadOnlyAccess", trust=trust(root(drive)))
    drive.grant(ROLE, "AliyunRAMReadOnlyAccess")
    drive.make_role("Empty", trust=ECS_TRUST)
    drive.make_role("Attached", trust=ECS_TRUST)
    drive.attach(WEB, "Attached")
    drive.ram().create_policy(rm.CreatePolicyRequest(policy_name="mine", policy_document=READ_OSS))
    drive.ram().create_policy_version(
        rm.CreatePolicyVersionRequest(policy_name="mine", policy_document=READ_OSS)
    )
    drive.ram().create_policy(rm.CreatePolicyRequest(policy_name="spare", policy_document=READ_OSS))
    drive.sandbox.set(run_command=True)
    request = em.RunCommandRequest(
        region_id="cn-beijing", type="RunShellScript", command_content="true", instance_id=[WEB]
    )
    drive.ecs().run_command(request)


_MINE = {"PolicyName": "mine"}
_REGION = {"RegionId": "cn-beijing"}
_WEBS = {**_REGION, "InstanceIds": json.dumps([WEB])}
CALLS: dict[str, dict[str, str]] = {
    "CreateRole": {"RoleName": "New", "AssumeRolePolicyDocument": ECS_TRUST, "Description": "d"},
    "GetRole": {"RoleName": ROLE},
    "UpdateRole": {"RoleName": ROLE, "NewDescription": "d"},
    "DeleteRole": {"RoleName": "Empty"},
    "ListRoles": {"MaxItems": "1"},
    "CreatePolicy": {"PolicyName": "new", "PolicyDocument": READ_OSS},
    "GetPolicy": {**_MINE, "PolicyType": "Custom"},
    "DeletePolicy": {"PolicyName": "spare"},
    "ListPolicies": {"MaxItems": "1"},
    "CreatePolicyVersion": {**_MINE, "PolicyDocument": READ_OSS},
    "GetPolicyVersion": {**_MINE, "PolicyType": "Custom", "VersionId": "v1"},
    "ListPolicyVersions": {**_MINE, "PolicyType": "Custom"},
    "SetDefaultPolicyVersion": {**_MINE, "VersionId": "v1"},
    "DeletePolicyVersion": {**_MINE, "VersionId": "v2"},
    "AttachPolicyToRole": {**_MINE, "PolicyType": "Custom", "RoleName": ROLE},
    "DetachPolicyFromRole": {
        "PolicyName": "AliyunOSSReadOnlyAccess",
        "PolicyType": "System",
        "RoleName": ROLE,
    },
    "ListPoliciesForRole": {"RoleName": ROLE},
    "ListEntitiesForPolicy": {"PolicyName": "AliyunRAMReadOnlyAccess", "PolicyType": "System"},
    "AssumeRole": {"RoleSessionName": "alice"},
    "GetCallerIdentity": {},
    "DescribeRegions": {"AcceptLanguage": "en-US"},
    "DescribeInstances": {**_REGION, "AdditionalAttributes.1": "META_OPTIONS"},
    "DescribeInstanceStatus": _REGION,
    "DescribeInstanceAttribute": {"InstanceId": WEB},
    "DescribeInstanceRamRole": _WEBS,
    "AttachInstanceRamRole": {
        **_REGION,
        "RamRoleName": "Attached",
        "InstanceIds": '["i-2zesandboxhardened1"]',
    },
    "DetachInstanceRamRole": _WEBS,
    "ModifyInstanceMetadataOptions": {**_REGION, "InstanceId": WEB, "HttpEndpoint": "enabled"},
    "DescribeCloudAssistantStatus": {**_REGION, "InstanceId.1": WEB},
    "RunCommand": {
        **_REGION,
        "Type": "RunShellScript",
        "CommandContent": "true",
        "InstanceId.1": WEB,
        "Timeout": "5",
    },
    "DescribeInvocations": _REGION,
    "DescribeInvocationResults": _REGION,
}

# Elements of the samples that the sandbox leaves out, or that it nests where a sample flattens a list of one against its
# own siblings and the JSON (InstanceRamRoleSets, Tags). ExitCode is there once a script has ended.
_ELSEWHERE: dict[str, set[str]] = {
    "DescribeInstanceAttribute": {
        "/ClusterId",
        "/VlanId",
        "/ExpiredTime",
        "/CreditSpecification",
        "/DedicatedHostAttribute",
        "/DedicatedHostAttribute/DedicatedHostName",
        "/DedicatedHostAttribute/DedicatedHostId",
        "/EipAddress/Bandwidth",
        "/OperationLocks/LockReason",
    },
    # No user holds the policy that a group and a role hold.
    "ListEntitiesForPolicy": {
        "/Users/User",
        *(f"/Users/User/{name}" for name in ("UserId", "UserName", "DisplayName", "AttachDate")),
    },
    "DetachInstanceRamRole": {
        "/DetachInstanceRamRoleResults/DetachInstanceRamRoleResult/InstanceRamRoleSets/InstanceId",
        "/DetachInstanceRamRoleResults/DetachInstanceRamRoleResult/InstanceRamRoleSets/RamRoleName",
    },
    "DescribeInvocations": {
        "/Invocations/Invocation/InvokeInstances/InvokeInstance/ExitCode",
        "/Invocations/Invocation/InvokeInstances/Tags",
        "/Invocations/Invocation/InvokeInstances/Tags/TagKey",
        "/Invocations/Invocation/InvokeInstances/Tags/TagValue",
    },
    "DescribeInvocationResults": {
        "/Invocation/InvocationResults/InvocationResult/ExitCode",
        "/Invocation/InvocationResults/InvocationResult/Tags/TagKey",
        "/Invocation/InvocationResults/InvocationResult/Tags/TagValue",
    },
}


def _samples() -> list[tuple[str, str]]:
    return [(o.product, o.name) for o in operations() if o.name in CALLS]


@pytest.mark.parametrize(("product", "name"), _samples())
def test_xml(drive: Drive, product: str, name: str) -> None:
    """Every operation in XML: `<NameResponse>` with RequestId, and every element of the vendor's sample."""
    _prepare(drive)
    try:
        params = dict(CALLS[name])
        if name == "AssumeRole":
            params["RoleArn"] = f"acs:ram::{drive.account}:role/{ROLE}"
        answer = rpc(drive, product, name, params, Format="XML")
    finally:
        drive.sandbox.set(run_command=None)
    assert answer.status == 200, answer.text
    found = tree(answer)
    assert found.tag == f"{name}Response"
    assert re.fullmatch(r"[0-9A-F-]{36}", found.findtext("RequestId") or "")
    sample = sample_xml(product.lower(), name)
    if sample and name != "DescribeInstances":  # its many fields: test_ecs.py holds which are there
        wanted = ET.fromstring(sample.removeprefix('<?xml version="1.0" encoding="UTF-8" ?>').strip())  # noqa: S314
        assert wanted.tag == found.tag
        missing = paths(wanted) - paths(found) - _ELSEWHERE.get(name, set())
        assert not missing, missing


def test_every_operation_of_the_metadata_is_there() -> None:
    """All that contract/ram.json, ecs.json and sts.json hold is registered, and its XML is tested above."""
    for product, found in metadata().items():
        for name in found:
            assert (product.title(), name) in REGISTERED
            assert name in CALLS or name == "DecodeDiagnosticMessage"


def test_lists_nest(drive: Drive) -> None:
    """Lists: one element a list, one child an item."""
    answer = tree(rpc(drive, "Ecs", "DescribeInstanceStatus", {"RegionId": "cn-beijing"}))
    assert [e.tag for e in answer.findall("InstanceStatuses/*")] == ["InstanceStatus"] * 4


def test_xml_errors(drive: Drive) -> None:
    """facts/signing.md §5: <Error> with RequestId, HostId, Code and Message; AccessDeniedDetail in it."""
    answer = rpc(drive, "Ram", "GetRole", {"RoleName": "no-such"})
    found = tree(answer)
    assert (answer.status, found.tag) == (404, "Error")
    assert {e.tag for e in found} >= {"RequestId", "HostId", "Code", "Message"}
    assert found.findtext("Code") == "EntityNotExist.Role"
    found = tree(rpc(drive, "Ram", "DeleteRole", {"RoleName": "x"}, who="viewer"))
    message = found.findtext("AccessDeniedDetail/EncodedDiagnosticMessage") or ""
    decoded = tree(rpc(drive, "Ram", "DecodeDiagnosticMessage", {"EncodedDiagnosticMessage": message}))
    assert decoded.findtext("DecodedDiagnosticMessage/AuthAction") == "ram:DeleteRole"


def test_xml_escapes(drive: Drive) -> None:
    """Policies hold quotes, and descriptions whatever people write."""
    drive.ram().create_role(
        rm.CreateRoleRequest(
            role_name="R", assume_role_policy_document=ECS_TRUST, description='<b>&amp; "ü" \'%'
        )
    )
    found = tree(rpc(drive, "Ram", "GetRole", {"RoleName": "R"}))
    assert found.findtext("Role/Description") == '<b>&amp; "ü" \'%'
    assert found.findtext("Role/AssumeRolePolicyDocument") == ECS_TRUST


def test_xml_for_acs3(drive: Drive) -> None:
    """ACS3 has no Format: the Accept header asks."""
    message = acs3(
        drive.users["admin"],
        "GetCallerIdentity",
        VERSIONS["Sts"],
        extra={"accept": "application/xml"},
        host=HOSTS["Sts"],
    )
    args = [part for name, value in message.headers.items() for part in ("-H", f"{name}: {value}")]
    answer = curl("-X", "POST", *args, f"http://{HOSTS['Sts']}/", proxy=drive.url)
    assert tree(answer).tag == "GetCallerIdentityResponse"


# -- RPC V1 ----------------------------------------------------------------------------------------------------


def test_rpc_v1_by_the_new_sdks(drive: Drive) -> None:
    """facts/signing.md §1: `signature_algorithm='v2'` signs with HMAC-SHA1; lists and long texts too."""
    made: dict[type, Any] = {
        kind: kind(drive.config("admin", HOSTS[name], signature_algorithm="v2"))
        for kind, name in ((Ram, "Ram"), (Ecs, "Ecs"), (Sts, "Sts"))
    }
    made[Ram].create_role(
        rm.CreateRoleRequest(role_name=ROLE, assume_role_policy_document=trust(root(drive)))
    )
    arn = f"acs:ram::{drive.account}:role/{ROLE}"
    answer = made[Sts].assume_role(sm.AssumeRoleRequest(role_arn=arn, role_session_name="alice"))
    assert answer.body.credentials.access_key_id.startswith("STS.")
    found = made[Ecs].describe_instance_status(
        em.DescribeInstanceStatusRequest(region_id="cn-beijing", instance_id=[WEB])
    )
    assert found.body.total_count == 1
    refused(lambda: made[Ram].get_role(rm.GetRoleRequest(role_name="no-such")), 404, "EntityNotExist.Role")


def _core(drive: Drive, who: Caller | None = None) -> Any:
    """A client of aliyun-python-sdk-core: the older SDK, RPC V1 only."""
    given = who or drive.users["admin"]
    if given.token:
        return AcsClient(
            region_id="cn-beijing", credential=StsTokenCredential(given.key_id, given.secret, given.token)
        )
    return AcsClient(given.key_id, given.secret, "cn-beijing")


def _core_call(
    drive: Drive,
    client: Any,
    product: str,
    action: str,
    *,
    method: str = "POST",
    form: Mapping[str, str] | None = None,
    **query: str,
) -> Any:
    request = CommonRequest(
        domain=drive.url.removeprefix("http://"), version=VERSIONS[product], action_name=action
    )
    request.set_protocol_type("http")
    request.set_method(method)
    request.set_accept_format("json")
    for name, value in query.items():
        request.add_query_param(name, value)
    for name, value in (form or {}).items():
        request.add_body_params(name, value)
    return json.loads(client.do_action_with_exception(request))


def test_rpc_v1_by_the_old_sdk(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """aliyun-python-sdk-core: GET, POST, parameters in a form, security tokens, errors."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    client = _core(drive)
    for method in ("GET", "POST"):
        found = _core_call(drive, client, "Sts", "GetCallerIdentity", method=method)
        assert found["Arn"] == f"acs:ram::{drive.account}:user/admin"
    form = {"RoleName": ROLE, "AssumeRolePolicyDocument": trust(root(drive)), "Description": "a b+c ü*~"}
    found = _core_call(drive, client, "Ram", "CreateRole", form=form)
    assert found["Role"]["Description"] == "a b+c ü*~"
    session = caller(assume(drive))
    found = _core_call(drive, _core(drive, session), "Sts", "GetCallerIdentity")
    assert found["Arn"].endswith(f"assumed-role/{ROLE}/alice")
    with pytest.raises(ServerException) as caught:
        _core_call(drive, client, "Ram", "GetRole", RoleName="no-such")
    assert (caught.value.get_http_status(), caught.value.get_error_code()) == (404, "EntityNotExist.Role")


@pytest.mark.parametrize("post", [False, True])
def test_rpc_v1_by_curl(drive: Drive, post: bool) -> None:
    """GET, and POST with a form body: long texts travel there."""
    document = READ_OSS + " " * (6144 - len(READ_OSS))
    params = {"PolicyName": "long", "PolicyDocument": document}
    answer = rpc(drive, "Ram", "CreatePolicy", params, post=post, Format="JSON")
    assert answer.status == 200, answer.text
    assert answer.json()["Policy"]["PolicyName"] == "long"
    found = drive.ram().get_policy(rm.GetPolicyRequest(policy_name="long", policy_type="Custom"))
    assert found.body.default_policy_version.policy_document == document


def test_a_long_query_through_the_sdk(drive: Drive) -> None:
    """The SDK sends all in the query: a policy of 6144 characters that each need three to be written."""
    text = READ_OSS.replace("oss:List*", "oss:" + "*" * (6143 - len(READ_OSS)))[:6144]
    json.loads(text)
    drive.ram().create_policy(rm.CreatePolicyRequest(policy_name="long", policy_document=text))


def test_rpc_v1_wrong_signatures(drive: Drive) -> None:
    """A changed parameter, in the query and in the form, is refused with the string the server signed."""
    for post in (False, True):
        method = "POST" if post else "GET"
        signed = rpc_v1(drive.users["admin"], "GetRole", VERSIONS["Ram"], {"RoleName": "a"}, method=method)
        text = urlencode({**signed, "RoleName": "b"})
        url = f"http://{HOSTS['Ram']}/"
        answer = curl("-d", text, url, proxy=drive.url) if post else curl(f"{url}?{text}", proxy=drive.url)
        found = tree(answer)
        assert (answer.status, found.findtext("Code")) == (400, "SignatureDoesNotMatch")
        assert "server string to sign is:" + method in (found.findtext("Message") or "")


# -- parameters ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("found", operations(), ids=lambda o: f"{o.product}.{o.name}")
def test_every_parameter_is_honoured_or_refused(found: Operation) -> None:
    """Each parameter of the vendor's metadata and of the SDK's request is declared, one way or the other."""
    models = {"Ram": rm, "Ecs": em, "Sts": sm}[found.product]
    declared = set(found.honoured) | found.refused
    assert not set(found.honoured) & found.refused
    request = getattr(models, f"{found.name}Request", None)
    sdk = _wire_names(request) if request else set()
    documented = metadata()[found.product.lower()].get(found.name, {"parameters": []})["parameters"]
    wanted = {name.partition(".")[0] for name in documented} | sdk
    assert wanted == declared


def _wire_names(request: Any) -> set[str]:
    """The parameters an SDK's request class sends, but for the ones of the past that every ECS request has."""
    names = re.findall(r"result\['([^']+)'\] =", inspect.getsource(request.to_map))
    old = {"OwnerAccount", "OwnerId", "ResourceOwnerAccount", "ResourceOwnerId"}
    return {name.partition(".")[0] for name in names} - old


@pytest.mark.parametrize("found", [o for o in operations() if o.refused], ids=lambda o: o.name)
def test_refused_parameters(drive: Drive, found: Operation) -> None:
    """Ours: 400 UnsupportedParameter.<Name>, said before anything is done; empty ones do not count."""
    given = {param.name: "x" for param in found.params if param.required}
    for name in sorted(found.refused):
        for sent in (name, f"{name}.1.Key"):
            answer = rpc(drive, found.product, found.name, {**given, sent: "x"}, Format="JSON")
            assert (answer.status, answer.json()["Code"]) == (400, f"UnsupportedParameter.{sent}")
            assert "not modelled by the sandbox" in answer.json()["Message"]
        answer = rpc(drive, found.product, found.name, {**given, name: ""}, Format="JSON")
        assert "UnsupportedParameter" not in answer.text


@pytest.mark.parametrize(
    "found", [o for o in operations() if any(p.required for p in o.params)], ids=lambda o: o.name
)
def test_required_parameters(drive: Drive, found: Operation) -> None:
    """facts/signing.md §4 and ecs.md §2: Missing{Name}, or MissingParameter.{Name} where ECS's pages have it."""
    required = [param.name for param in found.params if param.required]
    for name in required:
        given = {other: "x" for other in required if other != name}
        answer = rpc(drive, found.product, found.name, given, Format="JSON")
        assert (answer.status, answer.json()["Code"]) == (400, f"{found.missing}{name}")
        assert f"{name}" in answer.json()["Message"]
    documented = metadata()[found.product.lower()].get(found.name)
    if (
        documented and found.product != "Ram"
    ):  # RAM's are all "not required" there, and enforced by RAM itself
        # InstanceId of ModifyInstanceMetadataOptions and others may be left out there; Type and the like may not.
        assert set(documented["required"]) <= set(required), "the metadata requires more"


def test_unknown_parameters_are_ignored(drive: Drive) -> None:
    """As the real gateway does: the SDKs themselves send `OwnerId` and its like to whatever operation."""
    drive.make_role(ROLE)
    answer = rpc(drive, "Ram", "GetRole", {"RoleName": ROLE, "OwnerId": "1", "Colour": "blue"}, Format="JSON")
    assert answer.status == 200


_LONG_TRUST = ECS_TRUST + " " * 6145


@pytest.mark.parametrize(
    ("product", "name", "params", "code"),
    [
        (
            "Ram",
            "CreateRole",
            {"RoleName": "R", "AssumeRolePolicyDocument": _LONG_TRUST},
            "InvalidParameter.AssumeRolePolicyDocument.Length",
        ),
        (
            "Ram",
            "UpdateRole",
            {"RoleName": ROLE, "NewAssumeRolePolicyDocument": _LONG_TRUST},
            "InvalidParameter.NewAssumeRolePolicyDocument.Length",
        ),
        (
            "Ram",
            "UpdateRole",
            {"RoleName": ROLE, "NewDescription": "d" * 1025},
            "InvalidParameter.NewDescription.Length",
        ),
        (
            "Ram",
            "UpdateRole",
            {"RoleName": ROLE, "NewMaxSessionDuration": "3599"},
            "InvalidParameter.NewMaxSessionDuration",
        ),
        ("Ram", "ListRoles", {"Tag": "{"}, "InvalidParameter.Tag"),
        ("Ram", "GetUser", {"UserName": "a b"}, "InvalidParameter.UserName.InvalidChars"),
        (
            "Ecs",
            "DescribeCloudAssistantStatus",
            {"RegionId": "cn-beijing", "OSType": "BeOS"},
            "InvalidParameter.OSType",
        ),
    ],
)
def test_codes_no_other_test_has(
    drive: Drive, product: str, name: str, params: dict[str, str], code: str
) -> None:
    """facts/ram.md §5; the codes of Tag, NewMaxSessionDuration and OSType are ours."""
    drive.make_role(ROLE, trust=ECS_TRUST)
    answer = rpc(drive, product, name, params, Format="JSON", post=True)
    assert (answer.status, answer.json()["Code"]) == (400, code)


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
def test_parameters_of_a_command(drive: Drive, text: str) -> None:
    """Ours: what is no JSON object."""
    drive.sandbox.set(run_command=True)
    params = {**CALLS["RunCommand"], "EnableParameter": "true", "Parameters": text}
    answer = rpc(drive, "Ecs", "RunCommand", params, Format="JSON")
    assert (answer.status, answer.json()["Code"]) == (400, "InvalidParameter.Parameters")


@pytest.mark.parametrize("text", ["0", "86401", "x", "-1", "1.5"])
def test_time_outs_of_a_command(drive: Drive, text: str) -> None:
    """Ours: 1 to 86400 seconds."""
    drive.sandbox.set(run_command=True)
    answer = rpc(drive, "Ecs", "RunCommand", {**CALLS["RunCommand"], "Timeout": text}, Format="JSON")
    assert (answer.status, answer.json()["Code"]) == (400, "InvalidParameter.Timeout")


def test_items_that_fail(drive: Drive) -> None:
    """Ours: an instance that has a role, or has none, fails alone."""
    drive.make_role(ROLE, trust=ECS_TRUST)
    drive.attach(WEB, ROLE)
    [item] = drive.attach(WEB, ROLE)["AttachInstanceRamRoleResults"]["AttachInstanceRamRoleResult"]
    assert (item["Success"], item["Code"]) == (False, "InvalidInstance.RamRoleAttached")
    drive.detach(WEB)
    [item] = drive.detach(WEB)["DetachInstanceRamRoleResults"]["DetachInstanceRamRoleResult"]
    assert (item["Success"], item["Code"]) == (False, "InvalidInstance.RamRoleNotAttached")


@pytest.mark.parametrize(
    ("product", "name", "params", "code"),
    [
        (
            "Ecs",
            "DescribeInstanceRamRole",
            {"RegionId": "cn-beijing", "InstanceIds": "["},
            "InvalidInstanceIds.Malformed",
        ),
        (
            "Ecs",
            "DescribeInstances",
            {"RegionId": "cn-beijing", "PrivateIpAddresses": "["},
            "InvalidParameter.PrivateIpAddresses",
        ),
        ("Ram", "ListRoles", {"Tag": "["}, "InvalidParameter.Tag"),
        (
            "Ram",
            "CreatePolicy",
            {"PolicyName": "p", "PolicyDocument": "["},
            "InvalidParameter.PolicyDocument.Length",
        ),
    ],
)
def test_deep_json(drive: Drive, product: str, name: str, params: dict[str, str], code: str) -> None:
    """A list in a list in a list, and so on: refused like other nonsense, not a fault."""
    deep = {key: value * 50_000 if value == "[" else value for key, value in params.items()}
    answer = rpc(drive, product, name, deep, Format="JSON", post=True)
    assert (answer.status, answer.json()["Code"]) == (400, code)
