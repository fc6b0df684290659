"""What the OpenAPI side's younger operations rest on, and which documented errors each operation can answer.

`ROWS` are (service, operation, behaviour, basis, source) for the sandbox's coverage table. `PRODUCED` and
`NOT_PRODUCED` name every error code of the vendor's lists, and ours, by operation; `docs/openapi.md` is made of them
and of the register of operations:

    python -m ramrole_nb.sandbox.services.openapi_truth > docs/openapi.md
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Literal

from ..openapi import Operation, operations
from . import ecs, ram, sts

__all__ = ["GATEWAY", "NOT_PRODUCED", "OURS", "PRODUCED", "ROWS", "render_markdown"]

_SERVICES = (ecs, ram, sts)  # importing them is what registers their operations

Row = tuple[str, str, str, Literal["documentation", "client", "ours"], str]

_RAM_META = "https://api.aliyun.com/meta/v1/products/Ram/versions/2015-05-01/api-docs.json"
_RAM_DOCS = "https://github.com/AlibabaCloudDocs/ram (API reference, error messages)"
_RAM_LIMITS = "https://www.alibabacloud.com/help/en/ram/product-overview/limits"
_DECODE = "https://help.aliyun.com/en/ram/developer-reference/api-ram-2015-05-01-decodediagnosticmessage"
_ECS_META = "https://api.aliyun.com/meta/v1/products/Ecs/versions/2014-05-26/api-docs.json"
_ECS = "https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-"
_ECS_SDK = "https://github.com/aliyun/alibabacloud-python-sdk (alibabacloud_ecs20140526 7.11.8, doc-strings)"
_STS_META = "https://api.aliyun.com/meta/v1/products/Sts/versions/2015-04-01/api-docs.json"
_STS_SDK = "https://github.com/aliyun/alibabacloud-python-sdk (alibabacloud_sts20150401 1.2.0, doc-strings)"
_EVALUATION = "https://help.aliyun.com/en/ram/support/faq-about-ram-roles-and-sts-tokens"
_SOURCE_IDENTITY = (
    "https://www.alibabacloud.com/help/en/ram/user-guide/"
    "session-tagging-and-fine-grained-access-control-for-assumed-roles-using-sourceidentity"
)
_HARDENED = (
    "https://www.alibabacloud.com/help/en/ecs/user-guide/access-instance-metadata-using-hardened-only-mode"
)
_NOT_FOUND = "not found in the documentation"
_LIMIT = "a limit of the sandbox"

ROWS: tuple[Row, ...] = (
    (
        "OpenAPI",
        "*",
        "A parameter of the vendor's that is not modelled: 400 UnsupportedParameter.<Name>",
        "ours",
        _LIMIT,
    ),
    (
        "OpenAPI",
        "*",
        "A parameter the vendor's operation does not have is ignored",
        "client",
        "https://github.com/aliyun/alibabacloud-python-sdk (OwnerId and its like are sent to every ECS operation)",
    ),
    (
        "OpenAPI",
        "*",
        "XML answers: <NameResponse>, a list's items one element each inside the list's element",
        "documentation",
        _ECS_META,
    ),
    (
        "OpenAPI",
        "*",
        "XML nests where some samples flatten a list of one",
        "ours",
        "the samples contradict their JSON",
    ),
    (
        "OpenAPI",
        "*",
        "EncodedDiagnosticMessage in every AccessDeniedDetail, beginning AQI",
        "documentation",
        _DECODE,
    ),
    (
        "Ram",
        "CreatePolicyVersion",
        "At most five versions; RotateStrategy drops the oldest",
        "documentation",
        _RAM_LIMITS,
    ),
    ("Ram", "CreatePolicyVersion", "Answer, errors, SetAsDefault", "documentation", _RAM_META),
    ("Ram", "CreatePolicyVersion", "Numbers are never used again", "ours", _NOT_FOUND),
    (
        "Ram",
        "CreatePolicyVersion",
        "An unknown RotateStrategy: InvalidParameter.RotateStrategy",
        "ours",
        _NOT_FOUND,
    ),
    ("Ram", "ListPolicyVersions", "Oldest first", "documentation", _RAM_META),
    ("Ram", "SetDefaultPolicyVersion", "Counts from the next request on", "documentation", _EVALUATION),
    (
        "Ram",
        "DeletePolicyVersion",
        "The default one: 409 DeleteConflict.Policy.Version.Default",
        "documentation",
        _RAM_DOCS,
    ),
    ("Ram", "ListEntitiesForPolicy", "Users, groups and roles", "documentation", _RAM_META),
    ("Ram", "ListEntitiesForPolicy", "In the order they were attached", "ours", _NOT_FOUND),
    (
        "Ram",
        "DeletePolicy",
        "CascadingDelete deletes the other versions, and detaches nobody",
        "documentation",
        _RAM_META,
    ),
    (
        "Ram",
        "DecodeDiagnosticMessage",
        "Fields, errors, needs ram:DecodeDiagnosticMessage on *",
        "documentation",
        _DECODE,
    ),
    (
        "Ram",
        "DecodeDiagnosticMessage",
        "Messages expire after a day",
        "ours",
        "EncodedMessageExpire has no number",
    ),
    (
        "Ram",
        "DecodeDiagnosticMessage",
        "AuthConditions holds all condition keys of the request",
        "ours",
        _NOT_FOUND,
    ),
    (
        "Ram",
        "DecodeDiagnosticMessage",
        "MatchedPolicies holds the policies that deny",
        "ours",
        "an implicit deny matches none",
    ),
    (
        "Sts",
        "AssumeRole",
        "Answer with role/…, errors and texts, 900 seconds to MaxSessionDuration",
        "documentation",
        _STS_META,
    ),
    (
        "Sts",
        "AssumeRole",
        "Needs the caller's policy and the role's trust policy",
        "documentation",
        _EVALUATION,
    ),
    ("Sts", "AssumeRole", "The session policy limits the role's policies", "documentation", _EVALUATION),
    ("Sts", "AssumeRole", "Form of ExternalId", "documentation", _STS_SDK),
    (
        "Sts",
        "AssumeRole",
        "The trust policy's key sts:ExternalId",
        "ours",
        "the page on external ids was not at hand",
    ),
    (
        "Sts",
        "AssumeRole",
        "SourceIdentity is kept along a chain and cannot be changed",
        "documentation",
        _SOURCE_IDENTITY,
    ),
    ("Sts", "AssumeRole", "Form of SourceIdentity; the code NoPermission.SourceIdentity", "ours", _NOT_FOUND),
    (
        "Sts",
        "AssumeRole",
        "The order of the checks: form, permission, role, trust, duration",
        "ours",
        _NOT_FOUND,
    ),
    ("Ecs", "DescribeInstanceStatus", "Answer, limits, errors", "documentation", _ECS_META),
    ("Ecs", "DescribeInstanceStatus", "An id that is not there is left out", "ours", _NOT_FOUND),
    ("Ecs", "DescribeInstanceAttribute", "Answer and errors", "documentation", _ECS_META),
    ("Ecs", "DescribeInstanceAttribute", "No ClusterId, VlanId, ExpiredTime, dedicated host", "ours", _LIMIT),
    (
        "Ecs",
        "DescribeCloudAssistantStatus",
        "Answer, limits, errors",
        "documentation",
        _ECS + "describecloudassistantstatus",
    ),
    (
        "Ecs",
        "DescribeCloudAssistantStatus",
        "An agent below the least version stops in hardened-only mode",
        "documentation",
        _HARDENED,
    ),
    (
        "Ecs",
        "DescribeCloudAssistantStatus",
        "Reports every minute; stops with HttpEndpoint disabled",
        "ours",
        _NOT_FOUND,
    ),
    ("Ecs", "RunCommand", "Parameters, limits, errors, ClientToken", "documentation", _ECS + "runcommand"),
    ("Ecs", "RunCommand", "Custom and built-in parameters", "documentation", _ECS_SDK),
    (
        "Ecs",
        "RunCommand",
        "Off until the knob run_command is set: 403 Operation.Forbidden",
        "ours",
        "it runs scripts on this computer",
    ),
    (
        "Ecs",
        "RunCommand",
        "The script has an empty folder as /root, and the instance's proxy",
        "ours",
        _LIMIT,
    ),
    ("Ecs", "RunCommand", "A time-out of 1 to 86400 s; eight scripts at once", "ours", _NOT_FOUND),
    (
        "Ecs",
        "RunCommand",
        "What a script started ends with it",
        "ours",
        "nothing may be left on this computer",
    ),
    ("Ecs", "RunCommand", "What stops one instance shows in its result", "ours", "the page names no code"),
    ("Ecs", "DescribeInvocations", "Answer, paging, errors; Base64 by default", "documentation", _ECS_META),
    (
        "Ecs",
        "DescribeInvocationResults",
        "Answer, paging, ErrorCode; Base64 by default",
        "documentation",
        _ECS + "describeinvocationresults",
    ),
    (
        "Ecs",
        "DescribeInvocationResults",
        "24 KB of output, the rest counted in Dropped",
        "documentation",
        _ECS_SDK,
    ),
    (
        "Ecs",
        "DescribeInvocationResults",
        "Finished whatever the exit code; Failed where it did not end by itself",
        "ours",
        "the page's states overlap",
    ),
)

# -- error codes -----------------------------------------------------------------------------------------------

#: What the gateway answers for any operation.
GATEWAY = (
    "InvalidAccessKeyId.NotFound",
    "InvalidAccessKeyId.Inactive",
    "InvalidTimeStamp.Format",
    "InvalidTimeStamp.Expired",
    "MissingSecurityToken",
    "InvalidSecurityToken.Malformed",
    "InvalidSecurityToken.MismatchWithAccessKey",
    "InvalidSecurityToken.Expired",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "SignatureNonceUsed",
    "InvalidVersion",
    "InvalidAction.NotFound",
    "InvalidProduct.NotFound",
)

#: Codes of ours, where the vendor's were not found.
OURS = frozenset(
    [
        "InvalidInstance.RamRoleAttached",
        "InvalidInstance.RamRoleNotAttached",
        "InvalidParameter.InvokeRecordStatus",
        "InvalidParameter.Marker",
        "InvalidParameter.MaxItems",
        "InvalidParameter.MaxSessionDuration",
        "InvalidParameter.NewMaxSessionDuration",
        "InvalidParameter.OSType",
        "InvalidParameter.PageNumber",
        "InvalidParameter.PageSize",
        "InvalidParameter.Parameters",
        "InvalidParameter.RotateStrategy",
        "InvalidParameter.SourceIdentity",
        "InvalidParameter.Tag",
        "InvalidParameter.Timeout",
        "DeleteConflict.Policy.Role",
        "NoPermission.SourceIdentity",
    ]
)

_ROLE = ("InvalidParameter.RoleName.InvalidChars", "InvalidParameter.RoleName.Length")
_ROLE_HELD = (*_ROLE, "EntityNotExist.Role", "NoPermission")
_POLICY = ("InvalidParameter.PolicyName.InvalidChars", "InvalidParameter.PolicyName.Length")
_POLICY_HELD = (*_POLICY, "EntityNotExist.Policy", "NoPermission")
_TYPED = ("InvalidParameter.PolicyType", *_POLICY_HELD)
_DOCUMENT = ("InvalidParameter.PolicyDocument.Length", "MalformedPolicyDocument")
_VERSION = ("InvalidParameter.VersionId.Format", "EntityNotExist.Policy.Version")
_PAGING = ("InvalidParameter.MaxItems", "InvalidParameter.Marker")
_FORBIDDEN = ("Forbidden.RAM",)
_TOKENS = (
    "InvalidParam.PageNumber",
    "InvalidParam.PageSize",
    "InvalidParameter.NextToken",
    "InvalidParameter.MaxResults",
)

#: Operation to the codes it can answer, besides the gateway's and Missing….
PRODUCED: Mapping[str, tuple[str, ...]] = {
    "CreateRole": (
        *_ROLE,
        "InvalidParameter.AssumeRolePolicyDocument.Length",
        "InvalidParameter.Description.Length",
        "InvalidParameter.MaxSessionDuration",
        "InvalidParameter.Tag",
        "MalformedPolicyDocument",
        "EntityAlreadyExists.Role",
        "LimitExceeded.Role",
        "NoPermission",
    ),
    "GetRole": _ROLE_HELD,
    "UpdateRole": (
        *_ROLE_HELD,
        "InvalidParameter.NewAssumeRolePolicyDocument.Length",
        "InvalidParameter.NewDescription.Length",
        "InvalidParameter.NewMaxSessionDuration",
        "MalformedPolicyDocument",
    ),
    "DeleteRole": (*_ROLE_HELD, "DeleteConflict.Role.Policy"),
    "ListRoles": (*_PAGING, "InvalidParameter.Tag", "NoPermission"),
    "CreatePolicy": (
        *_POLICY,
        *_DOCUMENT,
        "InvalidParameter.Description.Length",
        "InvalidParameter.Tag",
        "EntityAlreadyExists.Policy",
        "LimitExceeded.Policy",
        "NoPermission",
    ),
    "GetPolicy": _TYPED,
    "GetPolicyVersion": (*_TYPED, *_VERSION),
    "ListPolicies": ("InvalidParameter.PolicyType", *_PAGING, "InvalidParameter.Tag", "NoPermission"),
    "CreatePolicyVersion": (
        *_POLICY_HELD,
        *_DOCUMENT,
        "InvalidParameter.RotateStrategy",
        "LimitExceeded.Policy.Version",
    ),
    "ListPolicyVersions": _TYPED,
    "SetDefaultPolicyVersion": (*_POLICY_HELD, *_VERSION),
    "DeletePolicyVersion": (*_POLICY_HELD, *_VERSION, "DeleteConflict.Policy.Version.Default"),
    "DeletePolicy": (
        *_POLICY_HELD,
        "DeleteConflict.Policy.User",
        "DeleteConflict.Policy.Group",
        "DeleteConflict.Policy.Role",
        "DeleteConflict.Policy.Version",
    ),
    "AttachPolicyToRole": (
        *_TYPED,
        *_ROLE,
        "EntityNotExist.Role",
        "EntityAlreadyExists.Role.Policy",
        "LimitExceeded.Role.Policy",
    ),
    "DetachPolicyFromRole": (*_TYPED, *_ROLE, "EntityNotExist.Role", "EntityNotExist.Role.Policy"),
    "ListPoliciesForRole": _ROLE_HELD,
    "ListEntitiesForPolicy": _TYPED,
    "DecodeDiagnosticMessage": ("NoPermission", "EntityNotExist", "EncodedMessageExpire"),
    "GetUser": ("InvalidParameter.UserName.InvalidChars", "EntityNotExist.User", "NoPermission"),
    "ListPoliciesForUser": ("InvalidParameter.UserName.InvalidChars", "EntityNotExist.User", "NoPermission"),
    "ListGroupsForUser": ("InvalidParameter.UserName.InvalidChars", "EntityNotExist.User", "NoPermission"),
    "ListPoliciesForGroup": ("EntityNotExist.Group", "NoPermission"),
    "GetCallerIdentity": (),
    "AssumeRole": (
        "InvalidParameter.RoleArn",
        "InvalidParameter.RoleSessionName",
        "InvalidParameter.DurationSeconds",
        "InvalidParameter.ExternalId",
        "InvalidParameter.PolicyGrammar",
        "InvalidParameter.PolicySize",
        "InvalidParameter.SourceIdentity",
        "NoPermission",
        "NoPermission.SourceIdentity",
        "EntityNotExist.Role",
    ),
    "DescribeRegions": (
        *_FORBIDDEN,
        "Invalid.InstanceChargeType",
        "InvalidAcceptLanguage.NotFound",
        "InvalidResourceType.NotFound",
    ),
    "DescribeInstances": (
        "InvalidRegionId.NotFound",
        "InvalidInstanceIds.Malformed",
        "InvalidStatus.NotFound",
        "InvalidNetworkType.NotFound",
        "InvalidTag.Mismatch",
        "InvalidTagCount",
        "InvalidParameter.NextToken",
        "InvalidParameter.PageSize",
        "InvalidParameter.PageNumber",
        "DryRunOperation",
        *_FORBIDDEN,
    ),
    "DescribeInstanceStatus": (
        "InvalidRegionId.NotFound",
        "InvalidParameter.TooManyInstanceIds",
        "Abs.InvalidInstanceIds.MalFormed",
        "InvalidZoneId.NotFound",
        "InvalidParameter.PageSize",
        "InvalidParameter.PageNumber",
        *_FORBIDDEN,
    ),
    "DescribeInstanceAttribute": ("InvalidInstanceId.NotFound", *_FORBIDDEN),
    "DescribeInstanceRamRole": (
        "InvalidRegionId.NotFound",
        "InvalidInstanceIds.Malformed",
        "InvalidParameter.AllEmpty",
        "InvalidInstanceId.NotFound",
        *_FORBIDDEN,
    ),
    "AttachInstanceRamRole": (
        "InvalidRegionId.NotFound",
        "InvalidInstanceIds.Malformed",
        "InvalidInstanceId.NotFound",
        "InvalidNetworkType.MismatchRamRole",
        "InvalidRamRole.NotFound",
        "InvalidRamRole.NotEcsRole",
        "InvalidUser.PassRoleForbidden",
        "InvalidInstance.RamRoleAttached",
        *_FORBIDDEN,
    ),
    "DetachInstanceRamRole": (
        "InvalidRegionId.NotFound",
        "InvalidInstanceIds.Malformed",
        "InvalidInstanceId.NotFound",
        "InvalidInstance.RamRoleNotAttached",
        *_FORBIDDEN,
    ),
    "ModifyInstanceMetadataOptions": (
        "InvalidHttpEndpoint.NotSupported",
        "InvalidHttpTokens.NotSupported",
        "InvalidHttpPutResponseHopLimit.NotSupported",
        "InvalidInstanceMetadataTags.NotSupported",
        "InvalidInstanceId.NotFound",
        *_FORBIDDEN,
    ),
    "DescribeCloudAssistantStatus": (
        "InvalidRegionId.NotFound",
        "InvalidInstance.NotFound",
        "InstanceIds.ExceedLimit",
        "MissingParam.InstanceId",
        "InvalidParameter.OSType",
        *_TOKENS,
        *_FORBIDDEN,
    ),
    "RunCommand": (
        "InvalidRegionId.NotFound",
        "Operation.Forbidden",
        "MissingParam.InstanceId",
        "InstanceIds.ExceedLimit",
        "InvalidInstance.NotFound",
        "InvalidInstance.NotMatch",
        "InvalidCmdType.NotFound",
        "CmdContent.DecodeError",
        "CmdContent.ExceedLimit",
        "CmdName.ExceedLimit",
        "CmdDesc.ExceedLimit",
        "Username.ExceedLimit",
        "InvalidRepeatMode.NotFound",
        "MissingParam.Frequency",
        "InvalidTerminationMode.NotFound",
        "InvalidParameter.WorkingDir",
        "InvalidParameterCharacter.CommandWorkingDir",
        "InvalidParameter.Timeout",
        "InvalidParameter.Parameters",
        "Parameter.Disabled",
        "Parameter.NotMatched",
        "CmdParam.EmptyKey",
        "CmdParam.InvalidParamName",
        "CmdParamName.ExceedLimit",
        "CmdParamCount.ExceedLimit",
        "ParameterCount.ExceedLimit",
        "ParameterKey.ExceedLimit",
        "ParameterKey.Duplicate",
        "ParameterType.NotSupported",
        "InvalidClientToken.Malformed",
        "IdempotentParameterMismatch",
        *_FORBIDDEN,
    ),
    "DescribeInvocations": ("InvalidRegionId.NotFound", *_TOKENS, *_FORBIDDEN),
    "DescribeInvocationResults": (
        "InvalidRegionId.NotFound",
        "InvalidParameter.InvokeRecordStatus",
        *_TOKENS,
        *_FORBIDDEN,
    ),
}

_TAGS = "Tag is refused as not modelled"
_RESOURCE_TAGS = "ResourceTag is refused as not modelled"
_CONTAINERS = "containers are refused as not modelled"
_GROUPS = "resource groups are refused as not modelled"
_STORE = "there is no Parameter Store"
_FAULT = "a fault of the sandbox is answered by its front, for every operation"
_REGIONS = "every region has the operation"
_FILTER = "the filter is refused as not modelled"

_TAG_CODES = {
    "NumberExceed.Tags": _TAGS,
    "InvalidTagValue.Malformed": _TAGS,
    "Duplicate.TagKey": _TAGS,
    "InvalidTagKey.Malformed": _TAGS,
    "MissingParameter.TagKey": _TAGS,
}
_ASSISTANT = {
    "RegionId.ApiNotSupported": _REGIONS,
    "InternalError.Dispatch": _FAULT,
    "ServiceUnavailable": _FAULT,
    "InternalError": _FAULT,
}
_QUERY_FORBIDDEN = {"Operation.Forbidden": "queries are always permitted"}

#: Operation to the documented codes it never answers, with the reason.
NOT_PRODUCED: Mapping[str, Mapping[str, str]] = {
    "DecodeDiagnosticMessage": {
        "NotSupport": "only users and role sessions can sign",
        "SearchInaccurate": "messages are sealed: nothing is searched",
        "TooManyRequests": "messages are sealed: nothing is searched",
    },
    "GetCallerIdentity": {"InternalError": _FAULT},
    "AssumeRole": {
        "InvalidParameter.SerialNumber": "no parameter of that name is documented",
        "InvalidParameter.TokenCode": "no parameter of that name is documented",
        "InvalidParameter.ContentType": "bodies of another type hold no parameters",
        "AuthenticationFail.ApiUsername": "of an inner interface",
        "AuthenticationFail.ApiPassword": "of an inner interface",
        "InternalError": _FAULT,
    },
    "DescribeRegions": {"Unauthorized.EmptyRegion": "every account sees the regions"},
    "DescribeInstances": {
        "InvalidHpcClusterId.NotFound": _FILTER,
        "InvalidHpcClusterId.Creating": _FILTER,
        "InvalidInstanceChargeType.NotFound": _FILTER,
        "InvalidInternetChargeType.ValueNotSupported": _FILTER,
        "InvalidLockReason.NotFound": _FILTER,
        "InvalidFilterKey.NotFound": _FILTER,
        "InvalidFilterValue": _FILTER,
        "InternalError": _FAULT,
    },
    "DescribeInstanceAttribute": {"InternalError": _FAULT},
    "DescribeInstanceRamRole": {
        "InvalidNetworkType.MismatchRamRole": "a question about a classic instance is answered: it has no role",
        "InternalError": _FAULT,
    },
    "DetachInstanceRamRole": {
        "InvalidNetworkType.MismatchRamRole": "a classic instance has nothing to detach: that item fails",
        "InvalidUser.PassRoleForbidden": "what of Detach would need ram:PassRole is not documented",
    },
    "DescribeCloudAssistantStatus": {**_ASSISTANT, **_QUERY_FORBIDDEN},
    "DescribeInvocations": {**_ASSISTANT, **_TAG_CODES, **_QUERY_FORBIDDEN},
    "DescribeInvocationResults": {**_ASSISTANT, **_TAG_CODES, **_QUERY_FORBIDDEN},
    "RunCommand": {
        **_ASSISTANT,
        **_TAG_CODES,
        "InvalidContainerId.Malformed": _CONTAINERS,
        "InvalidContainerName.Malformed": _CONTAINERS,
        "InvalidParam.Frequency": "Frequency is refused as not modelled",
        "WindowsPasswordName.Missed": "Windows scripts do not run here",
        "WindowsPasswordName.ExceedLimit": "WindowsPasswordName is refused as not modelled",
        "NumberExceed.ResourceTags": _RESOURCE_TAGS,
        "MissingParameter.ResourceTagKey": _RESOURCE_TAGS,
        "InvalidResourceTagKey.Malformed": _RESOURCE_TAGS,
        "InvalidResourceTagValue.Malformed": _RESOURCE_TAGS,
        "Duplicate.ResourceTagKey": _RESOURCE_TAGS,
        "InvalidResourceTag.InstanceNotFound": _RESOURCE_TAGS,
        "InvalidResourceTag.ConflictWithInstanceIds": _RESOURCE_TAGS,
        "CmdCount.ExceedQuota": "no commands are kept",
        "Invocation.ExceedQuota": "there is no daily quota",
        "ParameterStore.NotSupported": _STORE,
        "ParameterStore.InvalidParameters": _STORE,
        "ParameterStore.NoPermission": _STORE,
        "TemporaryAccessKey.Error": "the gateway answers for keys first",
        "OperationDenied.BidOwnResource": "no such accounts here",
        "IdempotentProcessing": "requests are handled one after the other",
        "InvalidStatus.ResourceGroup": _GROUPS,
        "InvalidResourceGroup.NotFound": _GROUPS,
        "InvalidParameterCharacter.CommandName": "the page allows all character sets",
        "InvalidParameterCharacter.CommandDescription": "the page allows all character sets",
        "InvalidCmdId.NotFound": "RunCommand has no CommandId",
    },
}

#: Of RAM's global table, which has no operation (AlibabaCloudDocs/ram).
RAM_NOT_PRODUCED = {
    "Inactive": "the account's RAM is always active",
    "InternalError": _FAULT,
}


# -- docs/openapi.md -------------------------------------------------------------------------------------------


def render_markdown() -> str:
    """Return `docs/openapi.md`: per operation what is honoured, refused, and answered as an error."""
    lines = [
        "# RAM, STS and ECS in the sandbox",
        "",
        "Made by `python -m ramrole_nb.sandbox.services.openapi_truth`; a test holds it against the register.",
        "",
        "**Honoured** parameters count (bold: required by the gateway). **Refused** ones are the vendor's, not modelled",
        "here: 400 `UnsupportedParameter.<Name>`. Whatever else is sent is ignored, as the real gateway ignores it.",
        "Codes with a dagger (†) are ours, where the vendor's were not found. Every operation also answers what the",
        "gateway checks: " + ", ".join(f"`{code}`" for code in GATEWAY) + ";",
        "an absent parameter is `Missing<Name>`, or `MissingParameter.<Name>` where ECS's pages say so.",
        "",
        "What each behaviour rests on is in the coverage table of the sandbox.",
    ]
    for product, title in (("Ram", "RAM 2015-05-01"), ("Sts", "STS 2015-04-01"), ("Ecs", "ECS 2014-05-26")):
        lines += [
            "",
            f"## {title}",
            "",
            "| operation | honoured parameters | refused | error codes answered |",
            "|---|---|---|---|",
        ]
        lines += [
            _line(found) for found in sorted(operations(), key=lambda o: o.name) if found.product == product
        ]
    lines += [
        "",
        "## Documented codes that are never answered",
        "",
        "| operation | code | reason |",
        "|---|---|---|",
        *(f"| every one of RAM | `{code}` | {why} |" for code, why in RAM_NOT_PRODUCED.items()),
    ]
    for name in sorted(NOT_PRODUCED):
        lines += [f"| {name} | `{code}` | {why} |" for code, why in NOT_PRODUCED[name].items()]
    return "\n".join(lines) + "\n"


def _line(found: Operation) -> str:
    honoured = ", ".join(f"**{p.name}**" if p.required else p.name for p in found.params)
    refused = ", ".join(sorted(found.refused))
    codes = ", ".join(f"`{code}`{'†' if code in OURS else ''}" for code in PRODUCED[found.name])
    return f"| {found.name} | {honoured or 'none'} | {refused or 'none'} | {codes or 'none of its own'} |"


if __name__ == "__main__":
    sys.stdout.write(render_markdown())
