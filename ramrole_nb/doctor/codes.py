"""Which cause a service's code, error number (EC) or wording means. Tables alone, for `decode` to read.

Sources: the error tables of the operations in scope (AttachInstanceRamRole and the others of ECS, RAM and STS), OSS's
"Error responses" and its pages by EC, https://help.aliyun.com/en/document_detail/434846.html for the gateway's codes, and
the sources of the SDKs for their own sentences.
"""

from __future__ import annotations

import re

__all__ = ["CODES", "DENIALS", "EC", "OURS", "PREFIXES", "SAID_BY_SERVICES", "SAID_BY_TOOLS", "SHARED"]

# Of OSS, by its error number: it is more exact than the code. https://www.alibabacloud.com/help/en/oss/support/0002-00000007
EC: dict[str, str] = {
    "0002-00000001": "signature-malformed",
    "0002-00000003": "security-token-missing",
    "0002-00000004": "credential-mixed",
    "0002-00000006": "security-token-invalid",
    "0002-00000007": "credential-expired",
    "0002-00000008": "security-token-invalid",
    "0002-00000010": "signature-malformed",
    "0002-00000040": "signature-mismatch",
    "0002-00000080": "signature-v1-refused",
    "0002-00000214": "signature-malformed",
    "0002-00000224": "signature-malformed",
    "0002-00000226": "signing-region-wrong",
    "0002-00000501": "clock-skew",
    "0002-00000504": "clock-skew",
    "0003-00000002": "anonymous",
    "0003-00000301": "session-policy",
    "0003-00000801": "user-disabled",
    "0003-00001401": "bucket-not-in-host",
    "0015-00000101": "bucket-not-found",
    "0026-00000001": "object-not-found",
    "0048-00000401": "public-endpoint-forbidden",
}

# By code. What a code alone does not decide (AccessDenied, NoPermission …) is in `decode`.
CODES: dict[str, str] = {
    # the gateway
    "SignatureDoesNotMatch": "signature-mismatch",
    "InvalidAccessKeySecret": "signature-mismatch",
    "IncompleteSignature": "signature-malformed",
    "InvalidSignatureMethod": "signature-malformed",
    "InvalidAuthorizationHeader": "signature-malformed",
    "MissingSignature": "signature-malformed",
    "MissingAccessKeyId": "signature-malformed",
    "MissingSignatureNonce": "signature-malformed",
    "SignatureNonceUsed": "nonce-used",
    "InvalidTimeStamp.Expired": "clock-skew",
    "IllegalTimestamp": "time-malformed",
    "InvalidTimeStamp.Format": "time-malformed",
    "InvalidAccessKeyId": "access-key-unknown",
    "InvalidAccessKeyId.NotFound": "access-key-unknown",
    "InvalidAccessKeyId.Inactive": "access-key-disabled",
    "TemporaryAccessKey.Error": "security-token-missing",
    "MissingSecurityToken": "security-token-missing",
    "InvalidSecurityToken.Expired": "credential-expired",
    "InvalidSecurityToken.Malformed": "security-token-invalid",
    "InvalidSecurityToken.MismatchWithAccessKey": "credential-mixed",
    "InvalidAction.NotFound": "action-unknown",
    "InvalidApi.NotFound": "action-unknown",
    "InvalidVersion": "action-unknown",
    "UnsupportedHTTPMethod": "method-not-allowed",
    "InvalidProduct.NotFound": "service-host-wrong",
    "InvalidProtocol.NeedSsl": "needs-https",
    "InternalError": "service-failed",
    "InternalError.Dispatch": "service-failed",
    "ServiceUnavailable": "service-failed",
    "TooManyRequests": "throttled",
    # ECS
    "InvalidUser.PassRoleForbidden": "pass-role-missing",
    "InvalidRamRole.NotFound": "role-not-found",
    "InvalidRamRole.NotEcsRole": "trust-without-ecs",
    "InvalidInstance.RamRoleAttached": "role-already-attached",
    "InvalidInstance.RamRoleNotAttached": "no-role-attached",
    "InvalidInstanceId.NotFound": "instance-not-found",
    "InvalidInstance.NotFound": "instance-not-found",
    "InstanceNotExists": "instance-not-found",
    "InstanceReleased": "instance-not-found",
    "InvalidInstanceIds.Malformed": "instance-ids-malformed",
    "Abs.InvalidInstanceIds.MalFormed": "instance-ids-malformed",
    "InvalidParameter.TooManyInstanceIds": "instance-ids-malformed",
    "InstanceIds.ExceedLimit": "instance-ids-malformed",
    "MissingParam.InstanceId": "parameter-missing",
    "InvalidNetworkType.MismatchRamRole": "classic-network",
    "InvalidHttpTokens.NotSupported": "metadata-option-refused",
    "InvalidHttpEndpoint.NotSupported": "metadata-option-refused",
    "InvalidHttpPutResponseHopLimit.NotSupported": "metadata-option-refused",
    "InvalidInstanceMetadataTags.NotSupported": "metadata-option-refused",
    "InvalidRegionId.NotFound": "region-unknown",
    "RegionId.ApiNotSupported": "region-unknown",
    "Unauthorized.EmptyRegion": "permission-missing",
    "InvalidInstance.NotMatch": "command-failed",
    "CmdContent.DecodeError": "parameter-invalid",
    "CmdContent.ExceedLimit": "parameter-invalid",
    "Parameter.NotMatched": "parameter-invalid",
    "Parameter.Disabled": "parameter-invalid",
    "Invocation.ExceedQuota": "limit-reached",
    "CmdCount.ExceedQuota": "limit-reached",
    # what DescribeInvocationResults says of a command
    "InstanceNotRunning": "instance-not-running",
    "IncorrectInstanceStatus": "instance-not-running",
    "ClientNotRunning": "assistant-not-answering",
    "ClientNotResponse": "assistant-not-answering",
    "ClientNeedUpgrade": "assistant-not-answering",
    "ClientIsUpgrading": "assistant-not-answering",
    "DeliveryTimeout": "assistant-not-answering",
    "ExecutionTimeout": "command-failed",
    "ExecutionException": "command-failed",
    "ExecutionInterrupted": "command-failed",
    "ExitCodeNonzero": "command-failed",
    # RAM and STS
    "Inactive": "ram-inactive",
    "EntityNotExist.Role": "role-not-found",
    "EntityNotExist.Policy": "policy-not-found",
    "EntityNotExist.Policy.Version": "policy-not-found",
    "EntityNotExist.Role.Policy": "policy-not-granted",
    "EntityNotExist.User": "user-not-found",
    "EntityNotExist.Group": "user-not-found",
    "EntityAlreadyExists.Role": "role-exists",
    "EntityAlreadyExists.Policy": "policy-exists",
    "EntityAlreadyExists.Role.Policy": "policy-already-granted",
    "DeleteConflict.Role.Policy": "role-still-has-policies",
    "DeleteConflict.Policy.Role": "policy-in-use",
    "DeleteConflict.Policy.User": "policy-in-use",
    "DeleteConflict.Policy.Group": "policy-in-use",
    "DeleteConflict.Policy.Version": "policy-in-use",
    "DeleteConflict.Policy.Version.Default": "policy-in-use",
    "MalformedPolicyDocument": "policy-malformed",
    "InvalidParameter.PolicyGrammar": "policy-malformed",
    "InvalidParameter.PolicySize": "policy-malformed",
    "InvalidParameter.PolicyDocument.Length": "policy-malformed",
    "InvalidParameter.RoleName.InvalidChars": "name-invalid",
    "InvalidParameter.RoleName.Length": "name-invalid",
    "InvalidParameter.PolicyName.InvalidChars": "name-invalid",
    "InvalidParameter.PolicyName.Length": "name-invalid",
    "InvalidParameter.UserName.InvalidChars": "name-invalid",
    "EncodedMessageExpire": "diagnostic-message-stale",
    "SearchInaccurate": "diagnostic-message-stale",
    # OSS
    "SecurityTokenExpired": "credential-expired",
    "InvalidSecurityToken": "security-token-invalid",
    "AccessKeyIdAndSecurityTokenNotMatch": "credential-mixed",
    "RequestTimeTooSkewed": "clock-skew",
    "PublicEndpointForbidden": "public-endpoint-forbidden",
    "SecondLevelDomainForbidden": "bucket-not-in-host",
    "NonStandardHostForbidden": "host-not-oss",
    "PermanentRedirect": "endpoint-wrong-region",
    "TransferAccelerationDisabled": "acceleration-off",
    "UserDisable": "user-disabled",
    "NoSuchBucket": "bucket-not-found",
    "NoSuchKey": "object-not-found",
    "SymlinkTargetNotExist": "object-not-found",
    "InvalidBucketName": "bucket-name-invalid",
    "InvalidObjectName": "object-name-invalid",
    "BucketAlreadyExists": "bucket-exists",
    "BucketNotEmpty": "bucket-not-empty",
    "TooManyBuckets": "limit-reached",
    "FileAlreadyExists": "object-exists",
    "InvalidObjectState": "object-archived",
    "InvalidRange": "range-invalid",
    "PreconditionFailed": "precondition-failed",
    "NoSuchUpload": "upload-not-found",
    "InvalidPart": "upload-parts-wrong",
    "InvalidPartOrder": "upload-parts-wrong",
    "EntityTooSmall": "upload-parts-wrong",
    "EntityTooLarge": "body-malformed",
    "ObjectNotAppendable": "object-kind-wrong",
    "PositionNotEqualToLength": "object-kind-wrong",
    "MissingContentLength": "body-malformed",
    "IncompleteBody": "body-malformed",
    "InvalidDigest": "body-malformed",
    "MalformedXML": "body-malformed",
    "MethodNotAllowed": "method-not-allowed",
}

# By the beginning of a code, where the rest names what is meant.
PREFIXES: tuple[tuple[str, str], ...] = (
    ("Throttling", "throttled"),
    ("LimitExceeded", "limit-reached"),
    ("InvalidSecurityToken", "security-token-invalid"),
    ("MissingParameter", "parameter-missing"),
    ("MissingParam", "parameter-missing"),
    ("InvalidParameterCharacter", "name-invalid"),
    ("InvalidParameter", "parameter-invalid"),
    ("InvalidParam", "parameter-invalid"),
    ("InvalidArgument", "parameter-invalid"),
)

# Codes that other clouds use as well: they count only beside something of Alibaba Cloud's.
SHARED = frozenset({
    "AccessDenied", "Forbidden", "Unauthorized", "Inactive", "InternalError", "InternalError.Dispatch",
    "ServiceUnavailable", "TooManyRequests", "SignatureDoesNotMatch", "IncompleteSignature", "InvalidAccessKeyId",
    "MissingSecurityToken", "InvalidSecurityToken", "RequestTimeTooSkewed", "MalformedPolicyDocument", "NoSuchBucket",
    "NoSuchKey", "InvalidBucketName", "InvalidObjectName", "BucketAlreadyExists", "BucketNotEmpty", "TooManyBuckets",
    "FileAlreadyExists", "InvalidObjectState", "InvalidRange", "PreconditionFailed", "NoSuchUpload", "InvalidPart",
    "InvalidPartOrder", "EntityTooSmall", "EntityTooLarge", "MissingContentLength", "IncompleteBody", "InvalidDigest",
    "MalformedXML", "MethodNotAllowed", "PermanentRedirect", "InvalidVersion", "EntityNotExist", "MissingParameter",
    "InvalidParameter", "InvalidArgument", "LimitExceeded", "Throttling", "Parameter.Disabled", "ExecutionTimeout",
    "ExecutionException", "DeliveryTimeout", "InstanceNotRunning", "NoPermission", "InvalidAuthorizationHeader",
    "InvalidSignatureMethod", "IncorrectInstanceStatus", "MissingSignature", "ExecutionInterrupted",
})  # fmt: skip

# Codes of a refusal; why is in what stands beside them.
DENIALS = frozenset(
    {"AccessDenied", "NoPermission", "NoPermission.SourceIdentity", "Forbidden.RAM", "Forbidden", "Unauthorized",
     "ParameterStore.NoPermission", "Operation.Forbidden", "OperationDenied", "NoPermissionError"}
)  # fmt: skip

# Our own errors that are a cause by themselves.
OURS: dict[str, str] = {
    "SandboxNotRunning": "sandbox-not-running",
    "NoRoleAttached": "no-role-attached",
    "WrongRoleName": "role-name-wrong",
    "HardenedOnly": "hardened-only",
    "MetadataUnreachable": "metadata-unreachable",
    "CredentialsExpired": "credential-expired",
    "IntegrityError": "transfer-altered",
    "PreflightRefused": "permission-missing",
}

_SAID = r"(?:[^\n]{0,200})"


def _compiled(*rows: tuple[str, str, bool]) -> tuple[tuple[re.Pattern[str], str, bool], ...]:
    return tuple((re.compile(pattern, re.I), cause, needs) for pattern, cause, needs in rows)


# Sentences that decide, whatever the code beside them: (pattern, cause, whether it needs something of Alibaba Cloud's).
SAID_BY_SERVICES = _compiled(
    (r"must be addressed using the specified endpoint", "endpoint-wrong-region", True),
    (r"must be addressed using OSS third level domain", "bucket-not-in-host", False),
    (r"Please use virtual hosted style to access", "bucket-not-in-host", True),
    (r"The specified object is not valid", "object-name-invalid", True),
    (r"The specified bucket is not valid", "bucket-name-invalid", True),
    (r"No Ram role for instance found", "role-not-visible-yet", False),
    # what the chain says; each of its sources adds its own trouble behind it
    (r"unable to load credentials from any of the providers in the chain", "no-credentials", True),
    # oss2's own provider: https://github.com/aliyun/aliyun-oss-python-sdk (oss2/credentials.py)
    (r"Failed to fetch credentials url, http code:403", "client-without-token", True),
    (r"Your host is invalid\. Please use Open Storage Service", "host-not-oss", False),
    (r"The OSS Access Key Id you provided is disabled", "access-key-disabled", False),
    (r"The OSS Access Key Id you provided does not exist", "access-key-unknown", False),
    (r"Access denied by authorizer's policy", "session-policy", True),
    (r"Invalid signing region in Authorization header", "signing-region-wrong", True),
    (r"The region should not be None in signature version 4", "signing-region-missing", False),
    (r"The bucket you access does not belong to you", "acl-refuses", True),
    (r"You do not have read (?:permission on this object|acl permission)", "acl-refuses", True),
    (r"Anonymous (?:user has no right to access|access is forbidden)", "anonymous", True),
    (r"You are forbidden to list buckets", "permission-missing", True),
    (r"The bucket_name is invalid, please check it", "bucket-name-invalid", True),
    (r"Specified access key is not found or invalid", "access-key-unknown", True),
    (r"Specified time stamp or date value is expired", "clock-skew", False),
    (r"SecurityToken is mandatory for this action", "security-token-missing", False),
    (r"User not authorized to operate on the specified resource", "permission-missing", False),
    (r"does not have the privilege to pass a RAM role", "pass-role-missing", False),
    (r"The specified ram role is not authorized for ecs", "trust-without-ecs", False),
    (r"Request was denied due to (?:user|api|request) (?:flow control|throttling)", "throttled", False),
)  # fmt: skip

# Sentences of SDKs, Python and the notebook; they count where no service's code was read.
SAID_BY_TOOLS = _compiled(
    (r"No cached value was found", "no-credentials", True),
    (r"(?:not found|could not find) credentials? in (?:the )?(?:default )?provider chain", "no-credentials", True),
    (r"IMDS credentials is disabled", "no-credentials", True),
    (r"ecsUrl is empty", "no-credentials", True),
    # bytes
    (r"IncompleteRead\b", "transfer-cut-off", True),
    (r"Inconsistent(?:Error|Exception)\b(?!" + _SAID + r"algorithm)", "transfer-altered", True),
    (r"crc64\(\d{1,25}\) is not equal", "transfer-altered", True),
    (r"the crc (?:of )?" + _SAID + r"between client and oss", "transfer-altered", True),
    # Python and the notebook
    (r"signal only works in main thread", "not-main-thread", True),
    (r"SchedulerNotRunningError", "scheduler-stopped", True),
    (r"cannot schedule new futures after (?:interpreter )?shutdown", "scheduler-stopped", True),
    (r"can't start new thread", "too-many-threads", True),
    (r"No module named '?(?:oss2|alibabacloud_\w+|Tea\b|darabonba)", "package-missing", False),
    (r"Error displaying widget: model not found", "widget-lost", False),
    (r"unexpected end of JSON input|Failed to parse the value as json format", "reply-not-the-services", True),
)  # fmt: skip
