"""What the sandbox does, operation by operation, and what each behaviour rests on.

Three bases: the vendor's documentation (pages, published metadata, the vendor's own repositories), what clients do or
were seen to receive (SDK sources, captured traffic, public reports), and ours: a guess, a stand-in or a limit of the
sandbox, where no source was found. A test holds this list against the operations that are registered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

from .services.openapi_truth import ROWS as OPENAPI_ROWS
from .services.oss.truth import ROWS as OSS_ROWS

__all__ = ["BEHAVIOURS", "IMDS_PATHS", "Basis", "Behaviour", "render_markdown"]

Basis = Literal["documentation", "client", "ours"]
DOC: Basis = "documentation"
CLIENT: Basis = "client"
OURS: Basis = "ours"

# What the metadata service answers, as it is asked for. `*` in the list of operations: all of a service.
IMDS_PATHS = (
    "PUT /latest/api/token",
    "GET /latest/meta-data/ram/security-credentials/",
    "GET /latest/meta-data/ram/security-credentials/ROLE",
    "GET /latest/meta-data/…",
    "GET /latest/dynamic/instance-identity/document",
)


@dataclass(frozen=True)
class Behaviour:
    """One behaviour of one operation; `source` is an address, or for what is ours the reason."""

    service: str
    operation: str
    behaviour: str
    basis: Basis
    source: str


_EN = "https://www.alibabacloud.com/help/en/"
_SEED = "https://help.aliyun.com/zh/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance"
_IMDS = f"{_EN}ecs/user-guide/view-instance-metadata"
_IMDS_2021 = "https://github.com/AlibabaCloudDocs/ecs (intl.en-US, Instance metadata items)"
_TOOL = "https://github.com/aliyun/credentials-python (1.0.12, provider/ecs_ram_role.py)"
_RAM_META = "https://api.aliyun.com/meta/v1/products/Ram/versions/2015-05-01/api-docs.json"
_RAM_DOCS = "https://github.com/AlibabaCloudDocs/ram (API reference, error messages)"
_RAM_SDK = "https://github.com/aliyun/alibabacloud-python-sdk (alibabacloud_ram20150501 1.3.0)"
_RAM_LIMITS = f"{_EN}ram/product-overview/limits"
_RAM_FAQ = "https://help.aliyun.com/en/ram/support/faq-about-ram-roles-and-sts-tokens"
_GRAMMAR = f"{_EN}ram/policy-elements"
_GRAMMAR_NOTICE = "https://www.alibabacloud.com/zh/notice/upgradenotification_of_ram_policy_grammar_verification_upgrade_1a2"
_ROS_CDK = "https://github.com/aliyun/Resource-Orchestration-Service-Cloud-Development-Kit/issues/58"
_ECS_META = "https://api.aliyun.com/meta/v1/products/Ecs/versions/2014-05-26/api-docs.json"
_ECS = f"{_EN}ecs/developer-reference/api-ecs-2014-05-26-"
_FORBIDDEN_RAM = "https://github.com/alibaba/terraform-provider/issues/182"
_STS_META = "https://api.aliyun.com/meta/v1/products/Sts/versions/2015-04-01/api-docs.json"
_ACS3 = f"{_EN}sdk/product-overview/v3-request-structure-and-signature"
_GATEWAY = "https://help.aliyun.com/document_detail/48054.html"
_TEA = "https://github.com/aliyun/darabonba-openapi (alibabacloud_tea_openapi 0.4.6)"
_OSS = "https://github.com/AlibabaCloudDocs/oss (API reference, troubleshooting)"
_OSS2 = "https://github.com/aliyun/aliyun-oss-python-sdk (oss2 2.19.1)"
_OSS_EC = "https://help.aliyun.com/en/oss/user-guide/"
_OSS_RANGE = f"{_EN}oss/how-to-obtain-oss-resources-by-segmenting-http-range-requests"
_OSS_V1 = f"{_EN}oss/developer-reference/include-signatures-in-the-authorization-header"
_OSS_V4 = f"{_EN}oss/developer-reference/recommend-to-use-signature-version-4"
_OSS_RAM = f"{_EN}oss/user-guide/authorization-syntax-and-elements"
_OSS_REGIONS = "https://alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints"
_NOT_FOUND = "not found in the documentation"
_LIMIT = "a limit of the sandbox"

_Line = tuple[Basis, str, str]


def _of(service: str, operation: str, *lines: _Line) -> tuple[Behaviour, ...]:
    return tuple(Behaviour(service, operation, text, basis, source) for basis, text, source in lines)


_IMDS_ROWS = (
    *_of(
        "IMDS",
        "*",
        (DOC, "Answers at 100.100.100.200 over plain HTTP, to VPC instances only", _IMDS),
        (DOC, "GET with an unknown or expired token: 401, in either mode", _IMDS),
        (DOC, "GET without a token while HttpTokens=required: 403", _IMDS),
        (CLIENT, "The page of a 404, byte for byte", "https://github.com/aliyun/aliyun-cli/issues/525"),
        (OURS, "The pages of 400, 401, 403 and 405 are like the one of 404", f"bodies {_NOT_FOUND}"),
        (OURS, "HttpEndpoint=disabled: 403 for everything", _NOT_FOUND),
        (
            OURS,
            "X-Forwarded-For on a GET is not looked at",
            f"only the token's PUT is documented; the rest {_NOT_FOUND}",
        ),
        (OURS, "No frequency limit", f"its number and its answer are {_NOT_FOUND}"),
        (
            OURS,
            "The proxy user names the instance; without one 407",
            "how a program on loopback says where it runs",
        ),
        (
            OURS,
            "A stopped instance: 502; one in a classic network: 504",
            "the real ones give no answer at all",
        ),
        (
            OURS,
            "Knobs: a delay before each answer; a token endpoint that fails with 500",
            "for lessons and tests",
        ),
    ),
    *_of(
        "IMDS",
        "PUT /latest/api/token",
        (DOC, "TTL 1 to 21600 s: 200 and the token; else 400", _IMDS),
        (DOC, "A missing TTL: 400 (the wording covers it; inferred)", _IMDS),
        (DOC, "With X-Forwarded-For: 403, checked before the TTL (its documented example has none)", _IMDS),
        (DOC, "Valid on the instance that got it only, reusable, any number of them", _IMDS),
        (CLIENT, "GET instead of PUT: 405", "https://github.com/aliyun/credentials-nodejs/issues/111"),
        (OURS, "The token's form and length; no TTL header in the answer", _NOT_FOUND),
    ),
    *_of(
        "IMDS",
        "GET /latest/meta-data/ram/security-credentials/",
        (DOC, "The attached role's name; none attached: 404", _SEED),
        (CLIENT, "No newline at the end", _TOOL),
        (CLIENT, "The path's `Ram` too", "https://github.com/aliyun/ossutil (lib/command.go)"),
        (OURS, "A role is listed as soon as it is attached", f"the real delay is {_NOT_FOUND}"),
    ),
    *_of(
        "IMDS",
        "GET /latest/meta-data/ram/security-credentials/ROLE",
        (DOC, "Six fields, key id STS.…, valid for six hours", _SEED),
        (DOC, "A new credential 30 minutes before the old one expires; both are valid then", _IMDS_2021),
        (CLIENT, "Times without fraction; Code is Success", _TOOL),
        (CLIENT, "A wrong name: 404", "https://github.com/aliyun/aliyun-cli/issues/525"),
        (
            CLIENT,
            "The session is called vm-ram-<instance id>",
            "https://github.com/hashicorp/vault-plugin-auth-alicloud",
        ),
        (DOC, "Repeated GETs give the same until rotation (implied by LastUpdated)", _SEED),
        (OURS, "After Detach 404 at once; credentials that are out stay valid until they expire", _NOT_FOUND),
        (OURS, "A role deleted while attached: 404; made again: served anew", _NOT_FOUND),
        (
            OURS,
            "A role that no longer trusts ECS: 200 with another Code",
            f"clients refuse it; the answer is {_NOT_FOUND}",
        ),
        (OURS, "Knobs credential_lifetime and credential_rotation", "to see expiry and rotation in seconds"),
    ),
    *_of(
        "IMDS",
        "GET /latest/meta-data/…",
        (DOC, "A directory lists the names of the next level, one a line", _IMDS),
        (DOC, "tags/instance/KEY only with InstanceMetadataTags=enabled", _IMDS),
        (OURS, "disks, public-keys, eipv4, ipv6 and instance/spot are absent: 404", _LIMIT),
        (OURS, "Directories are listed with a slash after their name", _NOT_FOUND),
    ),
    *_of(
        "IMDS",
        "GET /latest/dynamic/instance-identity/document",
        (DOC, "JSON with nine keys", _IMDS),
        (OURS, "No signature of it (pkcs7)", _LIMIT),
    ),
)

_GATEWAY_ROWS = (
    *_of(
        "OpenAPI",
        "*",
        (DOC, "ACS3-HMAC-SHA256, rebuilt from the client's list of signed headers", _ACS3),
        (
            DOC,
            "HMAC-SHA1 with parameters (RPC), GET and POST, XML by default",
            "https://github.com/AlibabaCloudDocs/ram (signature)",
        ),
        (CLIENT, "The SDK signs every header it sets, and a space sent as + is signed as %20", _TEA),
        (
            DOC,
            "Codes and texts of the gateway's refusals: key, time, nonce, token, version, action, product",
            _GATEWAY,
        ),
        (
            CLIENT,
            "The server's string to sign ends the text of a mismatch",
            "https://github.com/aliyun/alibaba-cloud-sdk-go",
        ),
        (DOC, "15 minutes of skew; a nonce once per key", _GATEWAY),
        (
            DOC,
            "An unknown key is 404 (one table says 400)",
            "https://github.com/AlibabaCloudDocs/ecs (faascmd FAQ)",
        ),
        (
            DOC,
            "AccessDeniedDetail of a refusal",
            "https://www.alibabacloud.com/help/en/rds (DescribeBackups)",
        ),
        (
            OURS,
            "The order of the checks: key, time, token, signature, nonce, parameters, permission",
            _NOT_FOUND,
        ),
        (OURS, "A refused request uses no nonce up", _NOT_FOUND),
        (OURS, "A parameter twice: 400 InvalidParameter", _NOT_FOUND),
        (OURS, "A token beside a user's key: …MismatchWithAccessKey", _NOT_FOUND),
        (
            OURS,
            "An x-acs- header, or the type of a body, that is not signed: IncompleteSignature",
            _NOT_FOUND,
        ),
        (OURS, "http is served as https is: no InvalidProtocol.NeedSsl", "nothing leaves this machine"),
        (OURS, "No throttling", _LIMIT),
        (
            OURS,
            "What the evaluator cannot tell is denied, with `not modelled` in the journal",
            "rather refused than guessed",
        ),
    ),
    *_of(
        "Sts",
        "GetCallerIdentity",
        (DOC, "Fields; UserId for users only, RoleId for roles only; needs no permission", _STS_META),
        (
            CLIENT,
            "An instance's ARN is assumed-role/ROLE/vm-ram-ID",
            "https://github.com/hashicorp/vault-plugin-auth-alicloud",
        ),
    ),
)

_ROLE_NAME: tuple[_Line, ...] = (
    (DOC, "RoleName: 1-64 letters, digits, . and -", _RAM_META),
    (DOC, "EntityNotExist.Role, InvalidParameter.RoleName.…", _RAM_DOCS),
)
_POLICY_NAME: tuple[_Line, ...] = (
    (DOC, "PolicyName: 1-128 letters, digits and -; PolicyType System or Custom", _RAM_META),
    (DOC, "EntityNotExist.Policy, InvalidParameter.PolicyName.…, InvalidParameter.PolicyType", _RAM_DOCS),
)
_PAGING: tuple[_Line, ...] = (
    (DOC, "MaxItems 1-1000, default 100; Marker", _RAM_META),
    (CLIENT, "Tag filters, and items carry Tags", _RAM_SDK),
    (OURS, "Codes of a bad MaxItems or Marker; the order is by name", _NOT_FOUND),
)
_DOCUMENT: tuple[_Line, ...] = (
    (DOC, "Elements and values are checked: MalformedPolicyDocument", _GRAMMAR_NOTICE),
    (
        CLIENT,
        "The text for a missing Action",
        "https://github.com/aliyun/terraform-provider-alicloud/pull/9949",
    ),
    (CLIENT, "The text for a missing Version", _ROS_CDK),
    (OURS, "The other texts of MalformedPolicyDocument", _NOT_FOUND),
)

_RAM_ROWS = (
    *_of(
        "Ram",
        "*",
        (
            CLIENT,
            "NoPermission names Resource and Action",
            "https://github.com/alibaba/funcraft (docs/usage/faq-zh.md)",
        ),
        (DOC, "Actions and resources of each operation", _RAM_DOCS),
        (DOC, "Policies of the user, of its groups, of the role; a Deny anywhere wins", _GRAMMAR),
        (DOC, "A change counts on the next call, also for tokens that are out", _RAM_FAQ),
        (OURS, "The ARN of a system policy has `system` as its account", _NOT_FOUND),
        (
            OURS,
            "Eight system policies; three of them are stand-ins and say so",
            "the others' texts are not public",
        ),
    ),
    *_of(
        "Ram",
        "CreateRole",
        *_ROLE_NAME,
        *_DOCUMENT,
        (DOC, "MaxSessionDuration 3600-43200, default 3600; Description up to 1024", _RAM_META),
        (DOC, "EntityAlreadyExists.Role; LimitExceeded.Role at 1000", _RAM_LIMITS),
        (OURS, "A trust policy up to 6144 characters", f"the number is {_NOT_FOUND}"),
        (OURS, "The code of a bad MaxSessionDuration; AllowConsoleLogin is not looked at", _NOT_FOUND),
        (OURS, "Role names are compared with their case", f"the rule is {_NOT_FOUND}"),
    ),
    *_of("Ram", "GetRole", *_ROLE_NAME, (DOC, "The Role object with UpdateDate", _RAM_META)),
    *_of("Ram", "UpdateRole", *_ROLE_NAME, *_DOCUMENT, (DOC, "What is not given stays", _RAM_META)),
    *_of(
        "Ram",
        "DeleteRole",
        *_ROLE_NAME,
        (DOC, "DeleteConflict.Role.Policy while it holds policies", _RAM_DOCS),
        (
            DOC,
            "Its tokens lose every permission at once; a new role of the name does not revive them",
            _RAM_FAQ,
        ),
        (OURS, "A role attached to an instance can be deleted", _NOT_FOUND),
    ),
    *_of("Ram", "ListRoles", *_PAGING, (DOC, "Items without AssumeRolePolicyDocument", _RAM_META)),
    *_of(
        "Ram",
        "CreatePolicy",
        *_POLICY_NAME,
        *_DOCUMENT,
        (DOC, "Up to 6144 characters, 1500 an account", _RAM_LIMITS),
        (DOC, "EntityAlreadyExists.Policy, `The group` as documented", _RAM_DOCS),
        (OURS, "A system policy's name is taken", _NOT_FOUND),
        (OURS, "White space counts in the length", _NOT_FOUND),
    ),
    *_of(
        "Ram",
        "GetPolicy",
        *_POLICY_NAME,
        (DOC, "PolicyDocument is N/A; the text is in DefaultPolicyVersion", _RAM_META),
        (
            DOC,
            "Published system policies word for word",
            f"{_EN}ram/developer-reference/aliyunossreadonlyaccess",
        ),
    ),
    *_of(
        "Ram",
        "GetPolicyVersion",
        *_POLICY_NAME,
        (DOC, "InvalidParameter.VersionId.Format, EntityNotExist.Policy.Version", _RAM_DOCS),
        (OURS, "A system policy has its current version only", _LIMIT),
    ),
    *_of("Ram", "ListPolicies", *_PAGING, (DOC, "By PolicyType", _RAM_META)),
    *_of(
        "Ram",
        "DeletePolicy",
        *_POLICY_NAME,
        (DOC, "DeleteConflict.Policy.User and .Group while attached", _RAM_DOCS),
        (OURS, "DeleteConflict.Policy.Role, named after its siblings", _NOT_FOUND),
        (DOC, "DeleteConflict.Policy.Version with more than one version", _RAM_DOCS),
    ),
    *_of(
        "Ram",
        "AttachPolicyToRole",
        *_POLICY_NAME,
        (
            DOC,
            "Permission on the role and on the policy",
            "https://help.aliyun.com/zh/ram/developer-reference/aliyunservicerolepolicyforcloudsso",
        ),
        (DOC, "10 custom and 20 system policies a role: LimitExceeded.Role.Policy", _RAM_LIMITS),
        (OURS, "The 20 cannot be reached: fewer system policies are known", _LIMIT),
        (CLIENT, "EntityAlreadyExists.Role.Policy", "AlibabaCloud PHP SDK tests"),
        (OURS, "Its text, after the documented one for users", _NOT_FOUND),
    ),
    *_of(
        "Ram",
        "DetachPolicyFromRole",
        *_POLICY_NAME,
        (CLIENT, "EntityNotExist.Role.Policy", "https://github.com/aliyun/terraform-provider-alicloud"),
        (OURS, "Its text", _NOT_FOUND),
    ),
    *_of("Ram", "ListPoliciesForRole", *_ROLE_NAME, (DOC, "Fields with AttachDate", _RAM_META)),
    *_of(
        "Ram",
        "GetUser",
        (CLIENT, "Fields as the SDK's model has them", _RAM_SDK),
        (OURS, "EntityNotExist.User, after its siblings; users and groups cannot be changed", _LIMIT),
    ),
    *_of("Ram", "ListPoliciesForUser", (CLIENT, "Fields as the SDK's model has them", _RAM_SDK)),
    *_of("Ram", "ListGroupsForUser", (CLIENT, "Fields as the SDK's model has them", _RAM_SDK)),
    *_of(
        "Ram",
        "ListPoliciesForGroup",
        (CLIENT, "Fields as the SDK's model has them", _RAM_SDK),
        (OURS, "EntityNotExist.Group, after its siblings", _NOT_FOUND),
    ),
)

_INSTANCE_IDS: tuple[_Line, ...] = (
    (DOC, "InstanceIds: a JSON array of 1-100; InvalidInstanceIds.Malformed", _ECS_META),
    (DOC, "InvalidInstanceId.NotFound for one that is not in the region", _ECS_META),
    (OURS, "A repeated id counts once", _NOT_FOUND),
)

_ECS_ROWS = (
    *_of(
        "Ecs",
        "*",
        (CLIENT, "No permission: 403 Forbidden.RAM", _FORBIDDEN_RAM),
        (OURS, "An unknown region: InvalidRegionId.NotFound", "the code is RunCommand's"),
        (OURS, "Eight regions are known", _LIMIT),
    ),
    *_of(
        "Ecs",
        "AttachInstanceRamRole",
        *_INSTANCE_IDS,
        (DOC, "Fields; Code is the string 200", f"{_ECS}attachinstanceramrole"),
        (
            DOC,
            "Permission on the instances and on the role, and ram:PassRole",
            f"{_ECS}attachinstanceramrole",
        ),
        (
            DOC,
            "InvalidUser.PassRoleForbidden, InvalidRamRole.NotFound, .NotEcsRole, MismatchRamRole",
            _ECS_META,
        ),
        (
            DOC,
            "acs:Service in a condition of ram:PassRole",
            f"{_EN}ram/developer-reference/aliyunfcfullaccess",
        ),
        (DOC, "MissingParameter.X (documentation of 2021)", f"{_ECS}attachinstanceramrole"),
        (DOC, "Policy cuts the session's permissions, 1-1024 characters", f"{_ECS}attachinstanceramrole"),
        (OURS, "A Policy too long or malformed: InvalidParameter.Policy", _NOT_FOUND),
        (
            CLIENT,
            "An unknown instance fails the whole call",
            "https://github.com/alibaba/terraform-provider/issues/210",
        ),
        (OURS, "A second role: that item fails, InvalidInstance.RamRoleAttached", _NOT_FOUND),
        (DOC, "No instance status is asked for", f"{_ECS}attachinstanceramrole"),
        (OURS, "The role attached is in force at once", f"the real delay is {_NOT_FOUND}"),
    ),
    *_of(
        "Ecs",
        "DetachInstanceRamRole",
        *_INSTANCE_IDS,
        (DOC, "Fields; Message is Success with a capital", _ECS_META),
        (DOC, "The action's letter case does not matter (DetachInstanceRAMRole on the page)", _GRAMMAR),
        (
            OURS,
            "Nothing attached, or another role: that item fails, InvalidInstance.RamRoleNotAttached",
            _NOT_FOUND,
        ),
        (
            OURS,
            "InvalidUser.PassRoleForbidden and MismatchRamRole never happen here",
            f"when they would is {_NOT_FOUND}",
        ),
    ),
    *_of(
        "Ecs",
        "DescribeInstanceRamRole",
        *_INSTANCE_IDS,
        (DOC, "By ids or by role, PageSize 1-50; neither: 403 InvalidParameter.AllEmpty", _ECS_META),
        (
            OURS,
            "The text of AllEmpty (documented as %s); an instance without a role has an empty name",
            _NOT_FOUND,
        ),
        (
            OURS,
            "The permission is asked for on the instances",
            "the pair with the role is documented for Attach only",
        ),
    ),
    *_of(
        "Ecs",
        "DescribeInstances",
        (
            DOC,
            "The useful fields; paging by number or by token; MetadataOptions only when asked for",
            _ECS_META,
        ),
        (DOC, "No permission: an empty list; DryRun tells the difference", f"{_ECS}describeinstances"),
        (OURS, "DryRunOperation is 400, and its text", _NOT_FOUND),
        (DOC, "InvalidStatus.NotFound, InvalidNetworkType.NotFound", _ECS_META),
        (
            OURS,
            "Filters of fields that the sandbox's instances do not have: 400 UnsupportedParameter.<Name>",
            _LIMIT,
        ),
        (OURS, "Fields of charging, disks, hosts and the like are left out", _LIMIT),
        (OURS, "A permission on single instances counts where their ids are given", _NOT_FOUND),
    ),
    *_of(
        "Ecs",
        "DescribeRegions",
        (DOC, "Fields; names in Chinese by default", f"{_ECS}describeregions"),
        (
            DOC,
            "InvalidAcceptLanguage.NotFound, InvalidResourceType.NotFound, Invalid.InstanceChargeType",
            _ECS_META,
        ),
        (OURS, "Japanese names are the English ones", _LIMIT),
    ),
    *_of(
        "Ecs",
        "ModifyInstanceMetadataOptions",
        (DOC, "HttpEndpoint required; codes and texts of bad values", f"{_ECS}modifyinstancemetadataoptions"),
        (
            DOC,
            "A Windows instance cannot be forced to tokens",
            f"{_EN}ecs/user-guide/access-instance-metadata-using-hardened-only-mode",
        ),
        (OURS, "That the API says so with InvalidHttpTokens.NotSupported", _NOT_FOUND),
        (OURS, "Hop limits 1 to 64; the limit has no effect", "everything is one hop away"),
        (OURS, "In force at once", f"the real delay is {_NOT_FOUND}"),
    ),
)

_OBJECT_READ: tuple[_Line, ...] = (
    (DOC, "Needs oss:GetObject on bucket/key", _OSS_RAM),
    (
        DOC,
        "Header set; If-Match and If-Unmodified-Since: 412; If-None-Match and If-Modified-Since: 304",
        _OSS,
    ),
    (DOC, "NoSuchKey, EC 0026-00000001", _OSS),
)
_OBJECT_LIST: tuple[_Line, ...] = (
    (DOC, "Needs oss:ListObjects on the bucket; oss:Prefix and oss:Delimiter in conditions", _OSS_RAM),
    (DOC, "Elements, paging, delimiter; names in the order of UTF-8", _OSS),
    (CLIENT, "Which elements must be there; encoding-type=url", _OSS2),
    (OURS, "Texts of a bad max-keys, token or encoding", _NOT_FOUND),
)

_OSS_ROWS = (
    *_of(
        "Oss",
        "*",
        (DOC, "Signature V1, header and URL", _OSS_V1),
        (DOC, "Signature V4, header and URL; AdditionalHeaders wherever it stands", _OSS_V4),
        (CLIENT, "The set of sub-resources that V1 signs; `+` in a query is a space", _OSS2),
        (
            DOC,
            "UNSIGNED-PAYLOAD only: EC 0002-00000214; another region: EC 0002-00000226",
            f"{_OSS_EC}0002-00000214",
        ),
        (DOC, "Refusals of keys, tokens, clock and signature, with their EC", f"{_OSS_EC}0002-00000007"),
        (OURS, "The Code beside EC 0002-00000003 (STS key without token)", "its page states none"),
        (OURS, "AccessKeyIdAndSecurityTokenNotMatch has EC 0002-00000004", "the pairing is inferred"),
        (OURS, "Texts of an expired presigned URL; header and URL signed both: InvalidArgument", _NOT_FOUND),
        (
            DOC,
            "Virtual-host style; the service's domain takes no bucket: SecondLevelDomainForbidden",
            _OSS_REGIONS,
        ),
        (DOC, "Another region's endpoint: AccessDenied with the right one", _OSS),
        (OURS, "EC 0003-00001403 with it", _NOT_FOUND),
        (OURS, "Path style at the sandbox's own address, for all regions", "oss2 does so with an IP address"),
        (OURS, "The internal endpoint from elsewhere: 504", "the real one does not answer at all"),
        (DOC, "Error body with EC, RecommendDoc and AccessDeniedDetail", f"{_OSS_EC}0003-00000201"),
        (CLIENT, "HEAD's errors travel in x-oss-err", _OSS2),
        (DOC, "Implicit deny: EC 0003-00000001, explicit: 0003-00000201", f"{_OSS_EC}0003-00000201"),
        (
            DOC,
            "A session policy's cut: `Access denied by authorizer's policy.`",
            "https://www.alibabacloud.com/help/doc-detail/161911.html",
        ),
        (DOC, "Names of buckets and objects", _OSS),
        (DOC, "Object calls fall back on the bucket's ACL; a Deny wins over it", _OSS),
        (OURS, "Sub-resources and x-oss- headers that are not modelled: 501, never ignored", _LIMIT),
    ),
    *_of(
        "Oss",
        "ListBuckets",
        (DOC, "Needs oss:ListBuckets; elements; prefix, marker, max-keys", _OSS),
        (OURS, "Buckets of all regions at any region's endpoint", _NOT_FOUND),
    ),
    *_of("Oss", "GetBucketInfo", (DOC, "Elements; needs oss:GetBucketInfo; NoSuchBucket", _OSS)),
    *_of("Oss", "GetBucketLocation", (DOC, "oss-REGION; needs oss:GetBucketLocation", _OSS)),
    *_of("Oss", "ListObjects", *_OBJECT_LIST, (DOC, "marker, NextMarker; Owner", _OSS)),
    *_of(
        "Oss",
        "ListObjectsV2",
        *_OBJECT_LIST,
        (DOC, "start-after, continuation-token, KeyCount; Owner with fetch-owner", _OSS),
        (OURS, "The form of the token", _NOT_FOUND),
    ),
    *_of(
        "Oss",
        "GetObject",
        *_OBJECT_READ,
        (
            DOC,
            "Ranges: by default one that does not fit gives the whole object; standard cuts it or 416",
            _OSS_RANGE,
        ),
        (DOC, "Of several ranges the first only", _OSS_RANGE),
        (OURS, "A suffix too long with standard: 206, all of it; malformed with standard: 200", _NOT_FOUND),
        (OURS, "x-oss-multi-range-behavior: 501", _LIMIT),
        (DOC, "response-* overrides, not for anonymous", _OSS),
        (DOC, "x-oss-hash-crc64ecma is the whole object's, also with a range", _OSS2),
        (OURS, "A missing key is 404 for who may read it, whether or not they may list", _NOT_FOUND),
    ),
    *_of("Oss", "HeadObject", *_OBJECT_READ, (OURS, "Range is not looked at", _NOT_FOUND)),
    *_of("Oss", "GetObjectMeta", (DOC, "ETag, size, Last-Modified (and the CRC); needs oss:GetObject", _OSS)),
    *_of(
        "Oss",
        "PutObject",
        (DOC, "Needs oss:PutObject; ETag, Content-MD5 and CRC in the answer", _OSS),
        (DOC, "x-oss-forbid-overwrite: 409 FileAlreadyExists", _OSS),
        (DOC, "Content-MD5 is checked: InvalidDigest", _OSS),
        (OURS, "Codes of a body beyond 5 GB, or without a length", _NOT_FOUND),
        (OURS, "A broken upload leaves the old object as it was", "the body comes first, then its row"),
    ),
    *_of("Oss", "DeleteObject", (DOC, "204, also where nothing was; needs oss:DeleteObject", _OSS)),
)

_MORE_OPENAPI_ROWS = tuple(Behaviour(*row) for row in OPENAPI_ROWS)
_MORE_OSS_ROWS = tuple(
    Behaviour(service, operation, text, cast("Basis", basis), source)
    for service, operation, text, basis, source in OSS_ROWS
)

BEHAVIOURS: tuple[Behaviour, ...] = (
    *_IMDS_ROWS,
    *_GATEWAY_ROWS,
    *_RAM_ROWS,
    *_ECS_ROWS,
    *_OSS_ROWS,
    *_MORE_OPENAPI_ROWS,
    *_MORE_OSS_ROWS,
)


def render_markdown(behaviours: Iterable[Behaviour] = BEHAVIOURS) -> str:
    """Return the list as Markdown: a table a service, `*` standing for all of its operations."""
    rows = list(behaviours)
    lines = [
        "# What the sandbox does, and what that rests on",
        "",
        "**documentation**: the vendor's pages, metadata and repositories. **client**: what SDKs do or were seen to",
        "receive. **ours**: a guess, a stand-in or a limit, where no source was found.",
    ]
    for service in dict.fromkeys(row.service for row in rows):
        lines += [
            "",
            f"## {service}",
            "",
            "| operation | behaviour | basis | source or reason |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {_cell(r.operation)} | {_cell(r.behaviour)} | {r.basis} | {_cell(r.source)} |"
            for r in rows
            if r.service == service
        ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")


if __name__ == "__main__":
    import sys

    sys.stdout.write(render_markdown())
