"""Who is asking: signatures, keys, tokens, clocks and nonces, and the hosts and origins that are refused.

facts/signing.md §4 (https://help.aliyun.com/document_detail/48054.html) and facts/oss.md §5
(https://help.aliyun.com/en/oss/user-guide/0002-00000007 and its siblings). Tampering: test_auth_tampering.py.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest
from alibabacloud_ram20150501 import models as rm
from alibabacloud_ram20150501.client import Client as Ram
from alibabacloud_sts20150401.client import Client as Sts

from tests.sandbox.drive import WEB, WEB2, Caller, Drive, curl, demo, refused, same_shape, xml
from tests.sandbox.sign import Reply, acs3, iso, oss_v1, oss_v4, rpc_v1, send
from tests.sandbox.test_oss import PHOTO, refuses

RAM, STS = "2015-05-01", "2015-04-01"
MISMATCH = "Specified signature is not matched with our calculation. server string to sign is:"


def whoami(drive: Drive, who: str | Caller) -> Any:
    return drive.sts(who).get_caller_identity().body.to_map()


def two_instances(drive: Drive) -> tuple[Caller, Caller]:
    """The credentials of two instances with the same role."""
    drive.make_role("EcsRamRole", "AliyunOSSReadOnlyAccess")
    drive.attach(WEB)
    drive.attach(WEB2)
    return drive.credential(WEB), drive.credential(WEB2)


def disable(drive: Drive, user: str) -> None:
    """Disable a user's key. The sandbox has no call for it (yet), so it is done in the state."""
    with sqlite3.connect(drive.sandbox.state / "state.db") as db:
        changed = db.execute("UPDATE access_keys SET status='Inactive' WHERE user_name=?", (user,)).rowcount
    db.close()
    assert changed == 1


# -- STS GetCallerIdentity (facts/signing.md §8) ------------------------------------------------------------------


def test_caller_identity_of_a_user(drive: Drive) -> None:
    """facts/signing.md §8: IdentityType RAMUser, UserId and no RoleId; needs no permission."""
    for name in ("admin", "operator", "viewer"):
        found = whoami(drive, name)
        sample = {k: v for k, v in demo("sts", "GetCallerIdentity").items() if k != "RoleId"}
        same_shape(sample, found)
        assert found["IdentityType"] == "RAMUser"
        assert found["Arn"] == f"acs:ram::{drive.account}:user/{name}"
        assert found["PrincipalId"] == found["UserId"]
        assert "RoleId" not in found


def test_caller_identity_of_an_instance(drive: Drive) -> None:
    """facts/imds.md §3.3: assumed-role/<role>/vm-ram-<instance>, PrincipalId <RoleId>:<session>, no UserId."""
    found = whoami(drive, drive.session())
    role = drive.ram().get_role(rm.GetRoleRequest(role_name="EcsRamRole")).body.role
    assert {k: v for k, v in found.items() if k != "RequestId"} == {
        "IdentityType": "AssumedRoleUser",
        "AccountId": drive.account,
        "PrincipalId": f"{role.role_id}:vm-ram-{WEB}",
        "RoleId": role.role_id,
        "Arn": f"acs:ram::{drive.account}:assumed-role/EcsRamRole/vm-ram-{WEB}",
    }


# -- the gateway's refusals, through the SDK ------------------------------------------------------------------------


def test_wrong_secret(drive: Drive) -> None:
    """facts/signing.md §4: SignatureDoesNotMatch, with the server's string to sign for the client to compare."""
    admin = drive.users["admin"]
    error = refused(
        lambda: whoami(drive, replace(admin, secret=admin.secret + "x")), 400, "SignatureDoesNotMatch"
    )
    text = error.data["Message"]
    assert text.startswith(MISMATCH)
    assert re.fullmatch(r"ACS3-HMAC-SHA256\n[0-9a-f]{64}", text.removeprefix(MISMATCH))


def test_unknown_key(drive: Drive) -> None:
    """facts/signing.md §4: InvalidAccessKeyId.NotFound, HTTP 404."""
    for key_id in ("LTAIEXAMPLEUNKNOWN", "STS.EXAMPLEUNKNOWN"):
        refused(
            lambda key_id=key_id: whoami(drive, Caller(key_id, "secret")),  # type: ignore[misc]
            404,
            "InvalidAccessKeyId.NotFound",
            "Specified access key is not found.",
        )


def test_disabled_key(drive: Drive) -> None:
    """facts/signing.md §4: InvalidAccessKeyId.Inactive; facts/oss.md §5: InvalidAccessKeyId "... is disabled."."""
    disable(drive, "viewer")
    refused(
        lambda: whoami(drive, "viewer"),
        400,
        "InvalidAccessKeyId.Inactive",
        "Specified access key is disabled.",
    )
    for version in ("v1", "v4"):
        refuses(
            lambda version=version: drive.bucket("viewer", version=version).get_object(PHOTO),  # type: ignore[misc]
            403,
            "InvalidAccessKeyId",
            "The OSS Access Key Id you provided is disabled.",
            "0002-00000902",
        )
    assert whoami(drive, "admin")


def test_expired_token(drive: Drive) -> None:
    """facts/signing.md §4: InvalidSecurityToken.Expired; facts/oss.md §5: SecurityTokenExpired, EC 0002-00000007."""
    drive.sandbox.set(credential_lifetime=100.0)
    who = drive.session("AliyunOSSReadOnlyAccess")
    assert drive.bucket(who).get_object(PHOTO).read()
    assert whoami(drive, who)
    drive.sandbox.set(clock_skew=101)
    refused(
        lambda: whoami(drive, who), 400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired."
    )
    for version in ("v1", "v4"):
        refuses(
            lambda version=version: drive.bucket(who, version=version).get_object(PHOTO),  # type: ignore[misc]
            403,
            "SecurityTokenExpired",
            "The security token you provided has expired.",
            "0002-00000007",
        )


def test_token_of_another_key(drive: Drive) -> None:
    """facts/signing.md §4: …MismatchWithAccessKey; facts/oss.md §5: AccessKeyIdAndSecurityTokenNotMatch (EC 0002-00000004).

    This is the mixed triple of credentials-python issue 55 (facts/credentials-tool.md §4).
    """
    first, second = two_instances(drive)
    mixed = replace(first, token=second.token)
    refused(
        lambda: whoami(drive, mixed),
        400,
        "InvalidSecurityToken.MismatchWithAccessKey",
        "Specified SecurityToken mismatch with the AccessKey.",
    )
    for version in ("v1", "v4"):
        refuses(
            lambda version=version: drive.bucket(mixed, version=version).get_object(PHOTO),  # type: ignore[misc]
            403,
            "AccessKeyIdAndSecurityTokenNotMatch",
            "The OSS access key id and security token you provided does not match.",
            "0002-00000004",
        )
    refused(lambda: whoami(drive, replace(first, secret=second.secret)), 400, "SignatureDoesNotMatch")


def test_malformed_token(drive: Drive) -> None:
    """facts/signing.md §4: InvalidSecurityToken.Malformed; facts/oss.md §5: InvalidSecurityToken."""
    who = replace(drive.session("AliyunOSSReadOnlyAccess"), token="nonsense")
    refused(
        lambda: whoami(drive, who),
        400,
        "InvalidSecurityToken.Malformed",
        "Specified SecurityToken is malformed.",
    )
    for version in ("v1", "v4"):
        refuses(
            lambda version=version: drive.bucket(who, version=version).get_object(PHOTO),  # type: ignore[misc]
            403,
            "InvalidSecurityToken",
            "The security token you provided is invalid.",
            "0002-00000006",
        )


def test_missing_token(drive: Drive) -> None:
    """facts/signing.md §4: MissingSecurityToken; facts/oss.md §5: EC 0002-00000003 (its Code is ours)."""
    who = replace(drive.session("AliyunOSSReadOnlyAccess"), token="")
    refused(
        lambda: whoami(drive, who), 400, "MissingSecurityToken", "SecurityToken is mandatory for this action."
    )
    for version in ("v1", "v4"):
        error = refuses(
            lambda version=version: drive.bucket(who, version=version).get_object(PHOTO),  # type: ignore[misc]
            403,
            "InvalidAccessKeyId",
            ec="0002-00000003",
        )
        assert error.details["OSSAccessKeyId"] == who.key_id


def test_token_with_a_users_key(drive: Drive) -> None:
    """Ours: a token beside a key that has none."""
    who = replace(drive.users["admin"], token=drive.session().token)
    refused(lambda: whoami(drive, who), 400, "InvalidSecurityToken.MismatchWithAccessKey")
    refuses(lambda: drive.bucket(who).get_object(PHOTO), 403, "InvalidSecurityToken")


@pytest.mark.parametrize("skew", [901, -901, 80_000])
def test_clock_knob(drive: Drive, skew: int) -> None:
    """facts/signing.md §4, oss.md §5: more than 15 minutes apart is refused, by both services."""
    drive.sandbox.set(clock_skew=skew + (2 if skew > 0 else -2))
    refused(
        lambda: whoami(drive, "admin"),
        400,
        "InvalidTimeStamp.Expired",
        "Specified time stamp or date value is expired.",
    )
    for version in ("v1", "v4"):
        error = refuses(
            lambda version=version: drive.bucket(version=version).get_object(PHOTO),  # type: ignore[misc]
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            "0002-00000504",
        )
        assert error.details["MaxAllowedSkewMilliseconds"] == "900000"
    drive.sandbox.set(clock_skew=890 if skew > 0 else -890)
    assert whoami(drive, "admin")
    assert drive.bucket(version="v1").get_object(PHOTO).read()


# -- by requests signed in this test --------------------------------------------------------------------------------


def code_of(reply: Reply) -> tuple[int, str]:
    return reply.status, json.loads(reply.body).get("Code", "")


def test_own_signatures_are_accepted(drive: Drive) -> None:
    """The controls of the refusals below: signed right, they are answered."""
    admin = drive.users["admin"]
    assert send(drive.url, acs3(admin, "ListRoles", RAM)).status == 200
    assert send(drive.url, oss_v1(admin, "GET", "sandbox-photos", PHOTO)).status == 200
    assert send(drive.url, oss_v4(admin, "GET", "sandbox-photos", PHOTO)).status == 200
    assert send(drive.url, oss_v4(admin, "GET", "sandbox-photos", PHOTO, additional=("host",))).status == 200
    session = drive.session("AliyunOSSReadOnlyAccess")
    for request in (
        acs3(session, "GetCallerIdentity", STS, host="sts.cn-beijing.aliyuncs.com"),
        oss_v1(session, "GET", "sandbox-photos", PHOTO),
        oss_v4(session, "GET", "sandbox-photos", PHOTO),
    ):
        assert send(drive.url, request).status == 200


@pytest.mark.parametrize("offset", [-901, 901])
def test_old_and_future_dates(drive: Drive, offset: int) -> None:
    """facts/signing.md §4, oss.md §5: truly signed with another time."""
    admin, moment = drive.users["admin"], time.time() + offset + (2 if offset > 0 else -2)
    assert code_of(send(drive.url, acs3(admin, "ListRoles", RAM, date=iso(moment)))) == (
        400,
        "InvalidTimeStamp.Expired",
    )
    date = formatdate(moment, usegmt=True)
    for request in (
        oss_v1(admin, "GET", "sandbox-photos", PHOTO, date=date),
        oss_v1(admin, "GET", "sandbox-photos", PHOTO, headers={"x-oss-date": date}),
        oss_v4(admin, "GET", "sandbox-photos", PHOTO, moment=moment),
    ):
        reply = send(drive.url, request)
        assert reply.status == 403
        assert b"<Code>RequestTimeTooSkewed</Code>" in reply.body
        assert b"<EC>0002-00000504</EC>" in reply.body


@pytest.mark.parametrize(
    "date", ["yesterday", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00", "", "1769000000"]
)
def test_malformed_dates(drive: Drive, date: str) -> None:
    """facts/signing.md §4: InvalidTimeStamp.Format; facts/oss.md §5: no RFC 1123 Date is AccessDenied."""
    admin = drive.users["admin"]
    signed = acs3(admin, "ListRoles", RAM, date=date or " ")
    assert code_of(send(drive.url, signed)) == (400, "InvalidTimeStamp.Format")
    reply = send(drive.url, oss_v1(admin, "GET", "sandbox-photos", PHOTO, date=date or " "))
    assert reply.status == 403
    assert b"<Code>AccessDenied</Code>" in reply.body


def test_replayed_nonce(drive: Drive) -> None:
    """facts/signing.md §4: SignatureNonceUsed; a nonce is unique per AccessKey."""
    admin, viewer = drive.users["admin"], drive.users["viewer"]
    request = acs3(admin, "ListRoles", RAM, nonce="once")
    spoiled = acs3(replace(admin, secret="wrong"), "ListRoles", RAM, nonce="once")
    assert code_of(send(drive.url, spoiled))[1] == "SignatureDoesNotMatch", "uses nothing up (ours)"
    assert send(drive.url, request).status == 200
    for again in (request, acs3(admin, "ListPolicies", RAM, nonce="once")):
        reply = send(drive.url, again)
        assert code_of(reply) == (400, "SignatureNonceUsed")
        assert json.loads(reply.body)["Message"] == "Specified signature nonce was used already."
    assert send(drive.url, acs3(viewer, "ListRoles", RAM, nonce="once")).status == 200
    query = rpc_v1(admin, "ListRoles", RAM, Format="JSON", SignatureNonce="twice")
    assert [curl_rpc(drive, query).status for _ in range(2)] == [200, 400]


def test_nonce_survives_a_replay_at_the_edge_of_the_window(drive: Drive) -> None:
    """facts/signing.md §4: unique within the 15-minute window, whichever side of now the date is on."""
    admin = drive.users["admin"]
    request = acs3(admin, "ListRoles", RAM, date=iso(time.time() + 880))
    assert send(drive.url, request).status == 200
    drive.sandbox.set(clock_skew=1770)  # the same date, now 890 s in the past
    assert code_of(send(drive.url, request)) == (400, "SignatureNonceUsed")
    with sqlite3.connect(drive.sandbox.state / "state.db") as db:
        (until,) = db.execute("SELECT min(expires) FROM nonces").fetchone()
    db.close()
    assert until - time.time() > 1770, "it is remembered for as long as the date could be accepted"


def test_unsigned_acs_header(drive: Drive) -> None:
    """facts/signing.md §2: x-acs-* and host are signed; a header slipped in afterwards is refused (code: §4)."""
    admin = drive.users["admin"]
    for name in ("x-acs-signature-method", "X-Acs-Unknown"):
        reply = send(drive.url, acs3(admin, "ListRoles", RAM, unsigned={name: "x"}))
        assert code_of(reply) == (400, "IncompleteSignature")


@pytest.mark.parametrize(
    "header",
    [
        "Bearer x",
        "ACS3-HMAC-SHA256",
        "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=xyz",
        "ACS3-HMAC-SHA256 Credential=,SignedHeaders=host,Signature=" + "0" * 64,
        "OSS a:b",
    ],
)
def test_malformed_openapi_authorization(drive: Drive, header: str) -> None:
    """facts/signing.md §4: IncompleteSignature."""
    request = acs3(drive.users["admin"], "ListRoles", RAM)
    request.headers["Authorization"] = header
    assert code_of(send(drive.url, request)) == (400, "IncompleteSignature")


def test_form_body_is_signed_and_read(drive: Drive) -> None:
    """facts/signing.md §2: the body's hash is signed; parameters may travel in a form."""
    admin = drive.users["admin"]
    kind = {"content-type": "application/x-www-form-urlencoded"}
    request = acs3(admin, "GetUser", RAM, body=b"UserName=viewer", extra=kind)
    reply = send(drive.url, request)
    assert json.loads(reply.body)["User"]["UserName"] == "viewer"
    request = acs3(admin, "GetUser", RAM, body=b"UserName=viewer", extra=kind)
    request.body = b"UserName=admins"
    assert code_of(send(drive.url, request)) == (400, "SignatureDoesNotMatch")
    request = acs3(admin, "GetUser", RAM, {"UserName": "viewer"}, body=b"UserName=admin", extra=kind)
    assert code_of(send(drive.url, request)) == (400, "InvalidParameter"), "twice, so which one was meant?"


def test_gateway_routing_errors(drive: Drive) -> None:
    """facts/signing.md §4: InvalidVersion, InvalidProduct.NotFound, InvalidAction.NotFound."""
    admin = drive.users["admin"]
    for request, expected in (
        (acs3(admin, "ListRoles", "2099-01-01"), (400, "InvalidVersion")),
        (acs3(admin, "ListRoles", RAM, host="ecs.cn-beijing.aliyuncs.com"), (404, "InvalidProduct.NotFound")),
        (acs3(admin, "NoSuchAction", RAM), (404, "InvalidAction.NotFound")),
        (acs3(admin, "ListRoles", RAM, method="PUT"), (405, "UnsupportedHTTPMethod")),  # ours
    ):
        assert code_of(send(drive.url, request)) == expected


# -- RPC, HMAC-SHA1 (facts/signing.md §3) ---------------------------------------------------------------------------


def curl_rpc(
    drive: Drive, params: dict[str, str], *, post: bool = False, host: str = "ram.aliyuncs.com"
) -> Any:
    args = [arg for k, v in params.items() for arg in ("--data-urlencode", f"{k}={v}")]
    return curl(*args, *([] if post else ["-G"]), f"http://{host}/", proxy=drive.url)


def test_rpc_with_curl(drive: Drive) -> None:
    """facts/signing.md §3: GET and POST form; XML by default, JSON where Format says so."""
    admin = drive.users["admin"]
    answer = curl_rpc(drive, rpc_v1(admin, "GetUser", RAM, {"UserName": "viewer"}, Format="JSON"))
    assert answer.status == 200
    assert answer["content-type"].startswith("application/json")
    assert answer.json()["User"]["UserName"] == "viewer"
    answer = curl_rpc(drive, rpc_v1(admin, "GetUser", RAM, {"UserName": "viewer"}, method="POST"), post=True)
    assert (answer.status, answer["content-type"]) == (200, "text/xml;charset=utf-8")
    root = xml(answer.body)
    assert (root.tag, root.findtext("User/UserName")) == ("GetUserResponse", "viewer")
    assert root.findtext("RequestId")
    session = drive.session()
    answer = curl_rpc(
        drive, rpc_v1(session, "GetCallerIdentity", STS, Format="JSON"), host="sts.cn-beijing.aliyuncs.com"
    )
    assert answer.json()["Arn"].endswith(f"/vm-ram-{WEB}")


def test_rpc_errors_in_xml_and_json(drive: Drive) -> None:
    """facts/signing.md §4, §5: `<Error>` with RequestId, HostId, Code, Message; the string to sign in the mismatch."""
    wrong = replace(drive.users["admin"], secret="wrong")
    answer = curl_rpc(drive, rpc_v1(wrong, "ListRoles", RAM))
    root = xml(answer.body)
    assert (answer.status, root.tag) == (400, "Error")
    assert [e.tag for e in root][:4] == ["RequestId", "HostId", "Code", "Message"]
    assert (root.findtext("HostId"), root.findtext("Code")) == ("ram.aliyuncs.com", "SignatureDoesNotMatch")
    params = rpc_v1(wrong, "ListRoles", RAM, Format="JSON")
    message = curl_rpc(drive, params).json()["Message"]
    assert message.startswith(f"{MISMATCH}GET&%2F&AccessKeyId%3D{wrong.key_id}%26Action%3DListRoles%26")
    assert "Signature%3D" not in message


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"SignatureMethod": "HMAC-SHA256"}, 400, "IncompleteSignature"),
        ({"SignatureVersion": "2.0"}, 400, "IncompleteSignature"),
        ({"Timestamp": "2015-08-18T03:15:45Z"}, 400, "InvalidTimeStamp.Expired"),
        ({"Timestamp": "18 Aug 2015"}, 400, "InvalidTimeStamp.Format"),
        ({"AccessKeyId": "LTAINOSUCH"}, 404, "InvalidAccessKeyId.NotFound"),
        ({"SignatureNonce": ""}, 400, "MissingSignatureNonce"),
        ({"Version": "2099-01-01"}, 400, "InvalidVersion"),
    ],
)
def test_rpc_refusals(drive: Drive, change: dict[str, str], status: int, code: str) -> None:
    """facts/signing.md §4."""
    answer = curl_rpc(drive, rpc_v1(drive.users["admin"], "ListRoles", RAM, {"Format": "JSON", **change}))
    assert (answer.status, answer.json()["Code"]) == (status, code)


def test_rpc_tampering(drive: Drive) -> None:
    """facts/signing.md §3: every parameter is signed."""
    params = rpc_v1(drive.users["admin"], "GetUser", RAM, {"UserName": "viewer"}, Format="JSON")
    for change in (
        {"UserName": "admin"},
        {"Action": "ListPoliciesForUser"},
        {"Extra": "1"},
        {"Signature": params["Signature"].swapcase()},
        {"Signature": "ü"},
    ):
        answer = curl_rpc(drive, params | change)
        assert (answer.status, answer.json()["Code"]) == (400, "SignatureDoesNotMatch"), change
    assert curl_rpc(drive, params, post=True).json()["Code"] == "SignatureDoesNotMatch", (
        "the method is signed"
    )
    args = [arg for k, v in params.items() for arg in ("--data-urlencode", f"{k}={v}")]
    twice = curl("-G", *args, "-d", "UserName=admin", "http://ram.aliyuncs.com/", proxy=drive.url)
    assert (twice.status, twice.json()["Code"]) == (400, "InvalidParameter")
    assert curl_rpc(drive, params).status == 200


def test_rpc_signs_no_header(drive: Drive) -> None:
    """facts/signing.md §3: so x-acs-action and x-acs-version, which nobody signed, do not say what is done."""
    drive.make_role()
    params = rpc_v1(drive.users["admin"], "GetRole", RAM, {"RoleName": "EcsRamRole"}, Format="JSON")
    args = [arg for k, v in params.items() for arg in ("--data-urlencode", f"{k}={v}")]
    headers = ["-H", "x-acs-action: DeleteRole", "-H", f"x-acs-version: {RAM}"]
    answer = curl("-G", *args, *headers, "http://ram.aliyuncs.com/", proxy=drive.url)
    assert answer.json()["Role"]["RoleName"] == "EcsRamRole"
    assert drive.ram().get_role(rm.GetRoleRequest(role_name="EcsRamRole")).status_code == 200


def test_rpc_through_the_sdk(drive: Drive) -> None:
    """facts/signing.md §1: Config(signature_algorithm='v2') signs with HMAC-SHA1."""
    ram = Ram(drive.config("admin", "ram.aliyuncs.com", signature_algorithm="v2"))
    entry = drive.journal_after(lambda: ram.list_roles(rm.ListRolesRequest()))[0]
    assert (entry["status"], entry["signature"]) == (200, "HMAC-SHA1 (RPC)")
    sts = Sts(drive.config(drive.session(), "sts.cn-beijing.aliyuncs.com", signature_algorithm="v2"))
    assert sts.get_caller_identity().body.identity_type == "AssumedRoleUser"


def test_nothing_signed_at_all(drive: Drive) -> None:
    """facts/signing.md §4: Missing{ParameterName}."""
    answer = curl("http://ram.aliyuncs.com/?Action=ListRoles&Version=2015-05-01&Format=JSON", proxy=drive.url)
    assert (answer.status, answer.json()["Code"]) == (400, "MissingAccessKeyId")
    answer = curl(
        "http://ram.aliyuncs.com/?Action=ListRoles&Version=2015-05-01&Format=JSON&AccessKeyId=x",
        proxy=drive.url,
    )
    assert (answer.status, answer.json()["Code"]) == (400, "MissingSignature")


# -- OSS's refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_oss_wrong_secret(drive: Drive, version: str) -> None:
    """facts/oss.md §5: SignatureDoesNotMatch, EC 0002-00000040, with what the server signed."""
    admin = drive.users["admin"]
    error = refuses(
        lambda: drive.bucket(replace(admin, secret="wrong"), version=version).get_object(PHOTO),
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
        "0002-00000040",
    )
    assert error.details["OSSAccessKeyId"] == admin.key_id
    text = error.details["StringToSign"]
    assert error.details["StringToSignBytes"] == text.encode().hex(" ").upper()
    assert error.details["SignatureProvided"]
    if version == "v1":
        assert re.fullmatch(rf"GET\n\n\n[^\n]+ GMT\n/sandbox-photos/{PHOTO}", text)
    else:
        assert re.fullmatch(
            r"OSS4-HMAC-SHA256\n\d{8}T\d{6}Z\n\d{8}/cn-beijing/oss/aliyun_v4_request\n[0-9a-f]{64}", text
        )


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_oss_unknown_key(drive: Drive, version: str) -> None:
    """facts/oss.md §5: InvalidAccessKeyId, EC 0002-00000902."""
    error = refuses(
        lambda: drive.bucket(Caller("LTAINOSUCH", "x"), version=version).get_object(PHOTO),
        403,
        "InvalidAccessKeyId",
        "The OSS Access Key Id you provided does not exist in our records.",
        "0002-00000902",
    )
    assert error.details["OSSAccessKeyId"] == "LTAINOSUCH"


def test_oss_v4_region(drive: Drive) -> None:
    """facts/oss.md §5: Invalid signing region, EC 0002-00000226."""
    reply = send(
        drive.url, oss_v4(drive.users["admin"], "GET", "sandbox-photos", PHOTO, region="cn-hangzhou")
    )
    assert reply.status == 400
    assert b"<Code>InvalidArgument</Code>" in reply.body
    assert b"<Message>Invalid signing region in Authorization header.</Message>" in reply.body
    assert b"<EC>0002-00000226</EC>" in reply.body


@pytest.mark.parametrize(
    "value", ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "x", ""]
)
def test_oss_v4_content_sha256(drive: Drive, value: str) -> None:
    """facts/oss.md §5, §7: UNSIGNED-PAYLOAD is the only value, else EC 0002-00000214."""
    request = oss_v4(
        drive.users["admin"], "GET", "sandbox-photos", PHOTO, headers={"x-oss-content-sha256": value}
    )
    reply = send(drive.url, request)
    assert reply.status == 400
    assert b"<EC>0002-00000214</EC>" in reply.body


@pytest.mark.parametrize(
    "header",
    [
        "OSS",
        "OSS a",
        "OSS a:",
        "OSS :b",
        "Basic eA==",
        "OSS4-HMAC-SHA256",
        "OSS4-HMAC-SHA256 Credential=a/b",
        "x" * 5000,
    ],
)
def test_oss_malformed_authorization(drive: Drive, header: str) -> None:
    """facts/oss.md §5: 400 InvalidArgument "Authorization header is invalid."."""
    request = oss_v1(drive.users["admin"], "GET", "sandbox-photos", PHOTO)
    request.headers["Authorization"] = header
    reply = send(drive.url, request)
    assert reply.status == 400
    assert b"<Code>InvalidArgument</Code><Message>Authorization header is invalid.</Message>" in reply.body


def test_signature_in_header_and_address(drive: Drive) -> None:
    """Ours: one request, one signature (facts/oss.md §5 knows the case of the token only, EC 0002-00000010)."""
    url = drive.bucket(version="v1").sign_url("GET", PHOTO, 60)
    answer = curl("-H", "Authorization: OSS a:b", url, proxy=drive.url)
    assert (answer.status, b"<Code>InvalidArgument</Code>" in answer.body) == (400, True)


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_presigned_with_a_token(drive: Drive, version: str) -> None:
    """facts/oss.md §6, §7: security-token / x-oss-security-token in the address, checked like the header's."""
    who = drive.session("AliyunOSSReadOnlyAccess")
    url = drive.bucket(who, version=version).sign_url("GET", PHOTO, 60, slash_safe=True)
    assert curl(url, proxy=drive.url).status == 200
    without = re.sub(r"&?(x-oss-)?security-token=[^&]*", "", url)
    answer = curl(without, proxy=drive.url)
    assert (answer.status, b"<EC>0002-00000003</EC>" in answer.body) == (403, True)


# -- hosts and origins (ours; design §4) ------------------------------------------------------------------------------


def test_origin_is_refused_everywhere(drive: Drive) -> None:
    """Ours: web pages may not talk to the sandbox."""
    token = drive.sandbox.admin._token
    calls: list[tuple[str, str, list[str]]] = [
        ("http://100.100.100.200/latest/meta-data/", drive.proxies[WEB], []),
        ("http://ram.aliyuncs.com/?Action=ListRoles&Version=2015-05-01", drive.url, []),
        (f"http://sandbox-photos.oss-cn-beijing.aliyuncs.com/{PHOTO}", drive.url, []),
        (f"{drive.url}/_sandbox/status", "", ["-H", f"x-sandbox-token: {token}"]),
    ]
    for url, proxy, args in calls:
        for origin in ("https://example.com", "null", drive.url):
            answer = curl("-H", f"Origin: {origin}", *args, url, proxy=proxy)
            assert (answer.status, "Origin" in answer.text) == (403, True)


def test_foreign_hosts_are_refused(drive: Drive) -> None:
    """Ours: no DNS rebinding, and nothing is passed on."""
    token = drive.sandbox.admin._token
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "oss.example", "[::2]"):
        for path in ("/", "/_sandbox/status", "/sandbox-photos/x", "/latest/meta-data/"):
            answer = curl("-H", f"Host: {host}", "-H", f"x-sandbox-token: {token}", f"{drive.url}{path}")
            assert (answer.status, "does not serve" in answer.text) == (403, True), host
    for host in ("127.0.0.1", "localhost:1", "127.0.0.2"):
        answer = curl(
            "-H", f"Host: {host}", "-H", f"x-sandbox-token: {token}", f"{drive.url}/_sandbox/status"
        )
        assert answer.status == 200


def test_host_and_address_must_agree(drive: Drive) -> None:
    """RFC 9112 §3.2.2: a client's Host is the one of the absolute address; what was signed is what is asked."""
    admin = drive.users["admin"]
    raw = acs3(admin, "ListRoles", RAM).encode()
    for other in (
        b"ram.aliyuncs.com.",
        b"ecs.cn-beijing.aliyuncs.com",
        b"sandbox-photos.oss-cn-beijing.aliyuncs.com",
    ):
        changed = raw.replace(b"http://ram.aliyuncs.com/", b"http://" + other + b"/")
        assert changed != raw
        assert send(drive.url, changed).status in (400, 403)
    assert send(drive.url, raw).status == 200
    port = acs3(admin, "ListRoles", RAM, host="ram.aliyuncs.com:80")
    assert send(drive.url, port).status == 200


def test_tunnels_are_refused_clearly(drive: Drive) -> None:
    """Ours: CONNECT is 501 with the next step."""
    reply = send(drive.url, b"CONNECT ram.aliyuncs.com:443 HTTP/1.1\r\nHost: ram.aliyuncs.com:443\r\n\r\n")
    assert reply.status == 501
    assert b"http://" in reply.body


def test_admin_needs_the_token(drive: Drive) -> None:
    """Ours, design §4: the admin interface needs the run's token, and is not reached through a service's host."""
    for args in ([], ["-H", "x-sandbox-token: wrong"], ["-H", "x-sandbox-token: ü"]):
        for method in ("GET", "POST"):
            answer = curl("-X", method, *args, f"{drive.url}/_sandbox/status")
            assert answer.status == 403
    token = drive.sandbox.admin._token
    answer = curl(
        "-H", f"x-sandbox-token: {token}", "http://ram.aliyuncs.com/_sandbox/status", proxy=drive.url
    )
    assert answer.status != 200


def test_bytes_that_are_no_text_do_no_harm(drive: Drive) -> None:
    """A header or address of odd bytes gets a refusal, not a fault; and the journal still takes it."""
    admin = drive.users["admin"]
    host = "sandbox-photos.oss-cn-beijing.aliyuncs.com"
    imds = "Host: 100.100.100.200\r\n"
    marked = [
        acs3(admin, "ListRoles", RAM, extra={"user-agent": "MARK"}),
        acs3(admin, "ListRoles", RAM, {"Marker": "MARK"}),
        oss_v1(admin, "GET", "sandbox-photos", PHOTO, headers={"User-Agent": "MARK"}),
        oss_v4(admin, "GET", "sandbox-photos", PHOTO, headers={"User-Agent": "MARK"}),
        oss_v4(admin, "GET", "sandbox-photos", PHOTO, headers={"x-oss-meta-x": "MARK"}),
    ]
    plain = [
        f"GET http://{host}/MARK?prefix=MARK HTTP/1.1\r\nHost: {host}\r\n\r\n",
        f"GET http://100.100.100.200/latest/MARK HTTP/1.1\r\n{imds}\r\n",
        f"GET http://100.100.100.200/latest/ HTTP/1.1\r\n{imds}Proxy-Authorization: Basic MARK\r\n\r\n",
    ]
    odd = b"\xff\xfe\xed\xa0\x80"
    requests = [
        raw.replace(b"MARK", odd) for raw in [*(m.encode() for m in marked), *(p.encode() for p in plain)]
    ]
    for raw in requests:
        reply = send(drive.url, raw)
        assert 200 <= reply.status < 500, (raw[:80], reply)


def test_unauthenticated_requests_do_not_act(drive: Drive) -> None:
    """A refused request changes nothing."""
    who = replace(drive.users["admin"], secret="wrong")
    calls: list[Callable[[], object]] = [
        lambda: drive.make_role_as(who, "x"),
        lambda: drive.bucket(who).put_object("x", b"x"),
        lambda: drive.bucket(who).delete_object(PHOTO),
    ]
    for call in calls:
        with pytest.raises(Exception, match=r"(?i)signature"):
            call()
    assert drive.ram().list_roles(rm.ListRolesRequest()).body.roles.role == []
    assert "x" not in [o.key for o in drive.bucket().list_objects().object_list]
    assert drive.bucket().head_object(PHOTO).status == 200
