"""What is known of the actions and condition keys of the services in scope: OSS, ECS, RAM and STS.

OSS actions and what they act on: https://www.alibabacloud.com/help/en/oss/user-guide/authorization-syntax-and-elements.
ECS: https://www.alibabacloud.com/help/en/ecs/developer-reference/ram-authentication. RAM and STS:
https://www.alibabacloud.com/help/en/ram/ram-authentication. The list of OSS is meant to hold what a policy of this
toolkit's subject needs; those of ECS and RAM hold part of many hundred, so an absent name proves nothing there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from ramrole_nb.policy.matching import action_matches

__all__ = [
    "ALIASES",
    "CONDITION_KEYS",
    "FOREIGN_ACTIONS",
    "FOREIGN_SERVICES",
    "KNOWN_ACTIONS",
    "OSS_FORMS",
    "SERVICES",
    "action_named",
    "expand",
    "known_actions",
    "misfit",
    "near",
]

Form = Literal["service", "bucket", "object"]

_SERVICE = "ListBuckets"
_BUCKET = (
    "ListObjects ListObjectVersions ListMultipartUploads PutBucket DeleteBucket GetBucketInfo GetBucketLocation "
    "GetBucketStat GetBucketAcl PutBucketAcl GetBucketPolicy PutBucketPolicy DeleteBucketPolicy GetBucketPolicyStatus "
    "GetBucketVersioning PutBucketVersioning GetBucketLifecycle PutBucketLifecycle DeleteBucketLifecycle GetBucketLogging "
    "PutBucketLogging DeleteBucketLogging GetBucketWebsite PutBucketWebsite DeleteBucketWebsite "
    "GetBucketReferer PutBucketReferer GetBucketCors PutBucketCors DeleteBucketCors "
    "GetBucketEncryption PutBucketEncryption DeleteBucketEncryption "
    "GetBucketTagging PutBucketTagging DeleteBucketTagging GetBucketRequestPayment PutBucketRequestPayment "
    "GetBucketReplication PutBucketReplication DeleteBucketReplication GetBucketReplicationLocation "
    "GetBucketReplicationProgress GetBucketInventory PutBucketInventory DeleteBucketInventory ListBucketInventory "
    "GetBucketTransferAcceleration PutBucketTransferAcceleration GetBucketWorm InitiateBucketWorm CompleteBucketWorm "
    "ExtendBucketWorm AbortBucketWorm GetBucketAccessMonitor PutBucketAccessMonitor GetBucketResourceGroup "
    "PutBucketResourceGroup GetBucketPublicAccessBlock PutBucketPublicAccessBlock DeleteBucketPublicAccessBlock"
)
_OBJECT = (
    "GetObject GetObjectVersion PutObject DeleteObject DeleteObjectVersion GetObjectAcl GetObjectVersionAcl PutObjectAcl "
    "PutObjectVersionAcl GetObjectTagging GetObjectVersionTagging PutObjectTagging PutObjectVersionTagging "
    "DeleteObjectTagging DeleteObjectVersionTagging RestoreObject RestoreObjectVersion AbortMultipartUpload ListParts "
    "PutLiveChannel GetLiveChannel DeleteLiveChannel ProcessImm PostProcessTask"
)

_FORMS: dict[str, Form] = {f"oss:{name}": "bucket" for name in _BUCKET.split()}
_FORMS |= {f"oss:{name}": "object" for name in _OBJECT.split()}
_FORMS[f"oss:{_SERVICE}"] = "service"
#: OSS action -> what it acts on.
OSS_FORMS: Mapping[str, Form] = MappingProxyType(_FORMS)

_ECS = (
    "AttachInstanceRamRole DetachInstanceRamRole DescribeInstanceRamRole DescribeInstances DescribeInstanceAttribute "
    "DescribeInstanceStatus DescribeRegions DescribeZones DescribeCloudAssistantStatus DescribeInvocations "
    "DescribeInvocationResults ModifyInstanceMetadataOptions ModifyInstanceAttribute RunCommand InvokeCommand CreateCommand "
    "DescribeCommands StopInvocation RunInstances CreateInstance StartInstance StopInstance RebootInstance DeleteInstance"
)
_RAM = (
    "CreateRole GetRole UpdateRole DeleteRole ListRoles PassRole CreatePolicy GetPolicy DeletePolicy ListPolicies "
    "CreatePolicyVersion GetPolicyVersion DeletePolicyVersion ListPolicyVersions SetDefaultPolicyVersion AttachPolicyToRole "
    "DetachPolicyFromRole AttachPolicyToUser DetachPolicyFromUser AttachPolicyToGroup DetachPolicyFromGroup "
    "ListPoliciesForRole ListPoliciesForUser ListPoliciesForGroup ListEntitiesForPolicy DecodeDiagnosticMessage CreateUser "
    "GetUser UpdateUser DeleteUser ListUsers CreateGroup GetGroup DeleteGroup ListGroups AddUserToGroup RemoveUserFromGroup "
    "ListGroupsForUser ListUsersForGroup CreateAccessKey ListAccessKeys UpdateAccessKey DeleteAccessKey "
    "GenerateCredentialReport CreateServiceLinkedRole"
)
_STS = "AssumeRole AssumeRoleWithSAML AssumeRoleWithOIDC GetCallerIdentity"

#: Every action known here, as the vendor writes it.
KNOWN_ACTIONS: tuple[str, ...] = (
    *OSS_FORMS,
    *(f"ecs:{name}" for name in _ECS.split()),
    *(f"ram:{name}" for name in _RAM.split()),
    *(f"sts:{name}" for name in _STS.split()),
)
_BY_LOWER = {action.lower(): action for action in KNOWN_ACTIONS}

#: The services in scope, by their code in actions and ARNs.
SERVICES: tuple[str, ...] = ("oss", "ecs", "ram", "sts")

#: Names of API operations that are no actions -> the action that is asked for.
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "oss:headobject": "oss:GetObject",
        "oss:getobjectmeta": "oss:GetObject",
        "oss:selectobject": "oss:GetObject",
        "oss:getsymlink": "oss:GetObject",
        "oss:listobjectsv2": "oss:ListObjects",
        "oss:getbucket": "oss:ListObjects",
        "oss:getservice": "oss:ListBuckets",
        "oss:initiatemultipartupload": "oss:PutObject",
        "oss:completemultipartupload": "oss:PutObject",
        "oss:uploadpart": "oss:PutObject",
        "oss:postobject": "oss:PutObject",
        "oss:appendobject": "oss:PutObject",
        "oss:putsymlink": "oss:PutObject",
        "oss:copyobject": "oss:GetObject on the source and oss:PutObject on the target",
        "oss:uploadpartcopy": "oss:GetObject on the source and oss:PutObject on the target",
        "oss:deleteobjects": "oss:DeleteObject",
        "oss:deletemultipleobjects": "oss:DeleteObject",
    }
)

#: Actions of another cloud whose name means something else here (in lower case) -> ours.
FOREIGN_ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "s3:listbucket": "oss:ListObjects",
        "s3:listallmybuckets": "oss:ListBuckets",
        "s3:listbucketversions": "oss:ListObjectVersions",
        "ec2:associateiaminstanceprofile": "ecs:AttachInstanceRamRole",
    }
)

#: Services of another cloud that people write out of habit -> ours.
FOREIGN_SERVICES: Mapping[str, str] = MappingProxyType({"s3": "oss", "ec2": "ecs", "iam": "ram"})

#: Condition keys as written -> what a value is: string, number, date, boolean or ip; an entry ending in "/" takes a
#: tag's name. Global keys: https://www.alibabacloud.com/help/en/ram/policy-elements
CONDITION_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "acs:CurrentTime": "date",
        "acs:SecureTransport": "boolean",
        "acs:SourceIp": "ip",
        "acs:SourceVpc": "string",
        "acs:MFAPresent": "boolean",
        "acs:PrincipalARN": "string",
        "acs:PrincipalRDId": "string",
        "acs:PrincipalRDPath": "string",
        "acs:RequestTag/": "string",
        "acs:ResourceTag/": "string",
        "acs:Service": "string",
        "acs:UserAgent": "string",
        "acs:AccessId": "string",
        "ecs:tag/": "string",
        "oss:Prefix": "string",
        "oss:Delimiter": "string",
        "oss:BucketTag/": "string",
        "oss:ExistingObjectTag/": "string",
        "oss:RequestObjectTag/": "string",
        "sts:ExternalId": "string",
    }
)


def known_actions() -> tuple[str, ...]:
    """Return the actions known here, as the vendor writes them; the cloud has many more."""
    return KNOWN_ACTIONS


def action_named(name: str) -> str:
    """Return a known action's exact spelling, whatever the letter case of `name`; empty where it is not known."""
    return _BY_LOWER.get(name.lower(), "")


def expand(pattern: str) -> tuple[str, ...]:
    """Return the known actions that an Action value covers."""
    return tuple(action for action in KNOWN_ACTIONS if action_matches(pattern, action))


def misfit(action: str, resource: str) -> str:
    """Say why no request ever asks for an OSS action on a resource (a bucket action on an object, say); else nothing."""
    form = OSS_FORMS.get(action_named(action))
    parts = resource.split(":", 4)
    if form is None or len(parts) < 5 or parts[1] != "oss" or not parts[4]:
        return ""
    name = parts[4]
    is_object = "/" in name
    if form == "object" and not is_object and "*" not in name:
        return f"{action} works on objects, and {name} is a bucket: no request asks for this."
    if form == "bucket" and is_object:
        return f"{action} works on a bucket, and {name} is an object: no request asks for this."
    if form == "service" and name != "*":
        return f"{action} works on no bucket or object: no request asks for this."
    return ""


def near(word: str, valid: Iterable[str], cutoff: float = 0.75) -> str:
    """Return the valid name nearest to `word`, letter case aside; empty where none is near."""
    names = {name.lower(): name for name in valid}
    found = difflib.get_close_matches(word.lower(), list(names), n=1, cutoff=cutoff)
    return names[found[0]] if found else ""
