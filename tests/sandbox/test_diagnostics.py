"""EncodedDiagnosticMessage in every refusal, and RAM's DecodeDiagnosticMessage.

facts/ram.md §4 (answer), §5 (errors), facts/signing.md §6 (AccessDeniedDetail).
"""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from functools import partial
from typing import Any

import oss2
import pytest
from alibabacloud_ecs20140526 import models as em
from alibabacloud_ram20150501 import models as rm

from ramrole_nb.sandbox import diagnosis
from tests.sandbox.drive import Caller, Drive, document, refused
from tests.sandbox.test_sts import ROLE, assume, trust
from tests.sandbox.vendor import demo, same_shape

DENY_NOTES = document(
    ("Deny", "oss:GetObject", "acs:oss:*:*:sandbox-photos/private/*"), ("Allow", "oss:*", "*")
)


def decode(drive: Drive, message: str, who: str | Caller = "admin") -> Any:
    request = rm.DecodeDiagnosticMessageRequest(encoded_diagnostic_message=message)
    return drive.ram(who).decode_diagnostic_message(request).body.to_map()


def told(drive: Drive, message: str) -> Any:
    return decode(drive, message)["DecodedDiagnosticMessage"]


def ram_message(drive: Drive) -> str:
    error = refused(lambda: drive.make_role_as("viewer", "x"), 403, "NoPermission")
    return str(error.access_denied_detail["EncodedDiagnosticMessage"])


def oss_message(body: bytes) -> str:
    found = ET.fromstring(body).findtext("AccessDeniedDetail/EncodedDiagnosticMessage")  # noqa: S314 - our server's
    assert found, body
    return found


def test_of_ram(drive: Drive) -> None:
    """facts/ram.md §4: begins AQI; AuthResource comes only from decoding; an implicit deny matches nothing."""
    message = ram_message(drive)
    assert message.startswith("AQI")
    found = told(drive, message)
    assert found["ExplicitDeny"] is False
    assert found["NoPermissionPolicyType"] == "AccountLevelIdentityBasedPolicy"
    assert found["AuthAction"] == "ram:CreateRole"
    assert found["AuthResource"] == f"acs:ram:*:{drive.account}:role/*"
    assert found["MatchedPolicies"] == []
    principal = found["AuthPrincipal"]
    user = drive.ram().get_user(rm.GetUserRequest(user_name="viewer")).body.user
    assert principal == {
        "AuthPrincipalType": "SubUser",
        "AuthPrincipalOwnerId": drive.account,
        "AuthPrincipalDisplayName": user.user_id,
    }
    conditions = {c["ConditionKey"]: c["ConditionValues"] for c in found["AuthConditions"]}
    assert conditions["acs:SourceIp"] == ["127.0.0.1"]


def test_of_oss(drive: Drive) -> None:
    """An explicit deny names the policy, its version and who holds it."""
    session = drive.session(DENY_NOTES)
    with pytest.raises(oss2.exceptions.AccessDenied) as caught:
        drive.bucket(session).get_object("private/salaries.csv")
    found = told(drive, oss_message(caught.value.body))
    same_shape(demo("ram", "DecodeDiagnosticMessage")["DecodedDiagnosticMessage"], found)
    assert found["ExplicitDeny"] is True
    assert found["AuthAction"] == "oss:GetObject"
    assert found["AuthResource"].endswith(":sandbox-photos/private/salaries.csv")
    assert found["AuthPrincipal"]["AuthPrincipalType"] == "AssumedRoleUser"
    assert found["MatchedPolicies"] == [
        {
            "Effect": "Deny",
            "PolicyIdentifier": "EcsRamRole-0",
            "PolicyType": "Custom",
            "PolicyVersion": "v1",
            "AttachedEntityType": "RamRole",
            "AttachedScope": "Account",
        }
    ]


def test_of_ecs(drive: Drive) -> None:
    error = refused(
        lambda: drive.attach(who="viewer", role="EcsRamRole"),
        403,
        "Forbidden.RAM",
    )
    found = told(drive, error.access_denied_detail["EncodedDiagnosticMessage"])
    assert found["AuthAction"] == "ecs:AttachInstanceRamRole"
    assert found["AuthResource"].endswith("instance/i-2zesandboxweb1")


def test_of_ecs_dry_run(drive: Drive) -> None:
    session = drive.session()
    error = refused(
        lambda: drive.ecs(session).describe_instances(
            em.DescribeInstancesRequest(region_id="cn-beijing", dry_run=True)
        ),
        403,
        "Forbidden.RAM",
    )
    assert told(drive, error.access_denied_detail["EncodedDiagnosticMessage"])["AuthAction"] == (
        "ecs:DescribeInstances"
    )


def test_of_a_session_policy(drive: Drive) -> None:
    """NoPermissionPolicyType SessionPolicy, both ways."""
    session = drive.session(
        "AliyunOSSReadOnlyAccess", session_policy=document(("Allow", "oss:ListObjects", "*"))
    )
    with pytest.raises(oss2.exceptions.AccessDenied) as caught:
        drive.bucket(session).get_object("testfolder/notes.txt")
    found = told(drive, oss_message(caught.value.body))
    assert found["NoPermissionPolicyType"] == "SessionPolicy"


def test_of_a_trust_policy(drive: Drive) -> None:
    """facts/ram.md §4: NoPermissionPolicyType AssumeRolePolicy."""
    drive.make_role(ROLE, trust=trust(f"acs:ram::{drive.account}:user/viewer"))
    error = refused(lambda: assume(drive), 403, "NoPermission")
    found = told(drive, error.access_denied_detail["EncodedDiagnosticMessage"])
    assert found["NoPermissionPolicyType"] == "AssumeRolePolicy"
    assert found["AuthAction"] == "sts:AssumeRole"


def test_needs_the_permission(drive: Drive) -> None:
    """facts/ram.md §5: 403 with this operation's own text; that refusal can be decoded too."""
    message = ram_message(drive)
    error = refused(
        lambda: decode(drive, message, "operator"),
        403,
        "NoPermission",
        "You do not have the required permissions.",
    )
    found = told(drive, error.access_denied_detail["EncodedDiagnosticMessage"])
    assert (found["AuthAction"], found["AuthResource"]) == ("ram:DecodeDiagnosticMessage", "*")


def test_what_cannot_be_decoded(drive: Drive) -> None:
    """facts/ram.md §5: 404 EntityNotExist for whatever is not a message of this state, changed ones included."""
    message = ram_message(drive)
    raw = bytearray(base64.b64decode(message))
    raw[-1] ^= 1
    for wrong in (
        "x",
        "AQI",
        "AQIBIAAAA",
        message[:-8],
        base64.b64encode(bytes(raw)).decode(),
        "é" * 10,
    ):
        refused(
            partial(decode, drive, wrong),
            404,
            "EntityNotExist",
            "The specific DecodedDiagnosticMessage cannot be found.",
        )
    refused(
        lambda: drive.ram().decode_diagnostic_message(rm.DecodeDiagnosticMessageRequest()),
        400,
        "MissingEncodedDiagnosticMessage",
    )


def test_expires(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """facts/ram.md §5: EncodedMessageExpire; after a day, which is ours."""
    message = ram_message(drive)
    monkeypatch.setattr(diagnosis, "LIFETIME_SECONDS", -1.0)
    refused(
        lambda: decode(drive, message),
        400,
        "EncodedMessageExpire",
        "The EncodedDiagnosticMessage is expired.",
    )


def test_outlives_a_reset(drive: Drive) -> None:
    """Sealed, not stored: nothing is written for a refusal."""
    message = ram_message(drive)
    drive.sandbox.reset()
    assert told(drive, message)["AuthAction"] == "ram:CreateRole"
