"""The instance metadata service, asked by curl through an instance's proxy address."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from alibabacloud_ecs20140526 import models as em
from alibabacloud_ram20150501 import models as rm

from ramrole_nb.sandbox import Sandbox
from tests.sandbox.drive import (
    BATCH,
    CLASSIC,
    ECS_TRUST,
    HARDENED,
    IMDS,
    STOPPED,
    TOKEN,
    WEB,
    WEB2,
    WINDOWS,
    Answer,
    Drive,
    curl,
    document,
)

TTL = "X-aliyun-ecs-metadata-token-ttl-seconds"
ROLE = "/latest/meta-data/ram/security-credentials"
KEYS = ["AccessKeyId", "AccessKeySecret", "Expiration", "SecurityToken", "LastUpdated", "Code"]


def page(title: str) -> str:
    """The page of https://github.com/aliyun/aliyun-cli/issues/525 (facts/imds.md §3.2) for another status."""
    return f"""<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
 "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>{title}</title>
 </head>
 <body>
  <h1>{title}</h1>
 </body>
</html>
"""


def refuses(answer: Answer, title: str) -> None:
    """The status and the page of a refusal. Only the 404 page is seen; the others' bodies are ours, alike."""
    assert (answer.status, answer.text) == (int(title.split(maxsplit=1)[0]), page(title))


NOT_FOUND = "404 - Not Found"


# -- tokens (facts/imds.md §2; https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata) ------


def put_token(drive: Drive, *args: str, instance: str = WEB) -> Answer:
    return drive.imds("/latest/api/token", "-X", "PUT", *args, instance=instance)


@pytest.mark.parametrize("ttl", ["1", "60", "21600"])
def test_token_is_the_whole_body(drive: Drive, ttl: str) -> None:
    """facts/imds.md §2: PUT with a TTL of 1 to 21600 answers 200 and the token's text."""
    answer = put_token(drive, "-H", f"{TTL}: {ttl}")
    assert answer.status == 200
    assert answer.text == answer.text.strip() != ""
    assert drive.imds("/latest/meta-data/instance-id", "-H", f"{TOKEN}: {answer.text}").text == WEB


def test_token_header_name_is_case_insensitive(drive: Drive) -> None:
    """facts/imds.md §2: header names are ordinary HTTP ones."""
    assert put_token(drive, "-H", f"{TTL.upper()}: 60").status == 200


@pytest.mark.parametrize("ttl", ["0", "21601", "-1", "abc", "1.5", "", "99999999999999999999", "0x10", "1 2"])
def test_bad_ttl_is_400(drive: Drive, ttl: str) -> None:
    """facts/imds.md §2: a TTL outside 1-21600 is `400 - Missing or Invalid Parameters`."""
    refuses(
        put_token(drive, "-H", f"{TTL}: {ttl}" if ttl else f"{TTL};"), "400 - Missing or Invalid Parameters"
    )


def test_missing_ttl_is_400(drive: Drive) -> None:
    """facts/imds.md §2: the wording 'Missing or Invalid Parameters' covers a missing header (inferred)."""
    refuses(put_token(drive), "400 - Missing or Invalid Parameters")


@pytest.mark.parametrize("with_ttl", [True, False])
def test_forwarded_put_is_403(drive: Drive, with_ttl: bool) -> None:
    """facts/imds.md §2: PUT with X-Forwarded-For is `403 - Forbidden`; the documented example has no TTL header."""
    args = ["-H", f"{TTL}: 60"] if with_ttl else []
    refuses(put_token(drive, "-H", "X-Forwarded-For: 10.0.0.1", *args), "403 - Forbidden")
    assert put_token(drive, "-H", f"{TTL}: 60").status == 200, "without the header it is answered"


def test_get_on_the_token_endpoint_is_405(drive: Drive) -> None:
    """facts/imds.md §2: seen in https://github.com/aliyun/credentials-nodejs/issues/111."""
    refuses(drive.imds("/latest/api/token", "-H", f"{TTL}: 60"), "405 - Method Not Allowed")


@pytest.mark.parametrize("instance", [WEB, HARDENED])
def test_bad_token_is_401_in_either_mode(drive: Drive, instance: str) -> None:
    """facts/imds.md §2: GET with an unknown token is `401 - Unauthorized` (either mode)."""
    good = drive.token(instance=instance)
    spoiled = ("A" if good[0] != "A" else "B") + good[1:]
    for token in ("nonsense", spoiled, good[:-3], "ü", "%00"):
        answer = drive.imds("/latest/meta-data/", "-H", f"{TOKEN}: {token}", instance=instance)
        refuses(answer, "401 - Unauthorized")
    assert drive.imds("/latest/meta-data/", "-H", f"{TOKEN}: {good}", instance=instance).status == 200


def test_expired_token_is_401(drive: Drive) -> None:
    """facts/imds.md §2: reusable until it expires, then `401 - Unauthorized`."""
    token = drive.token(2)
    header = ("-H", f"{TOKEN}: {token}")
    assert drive.imds("/latest/meta-data/", *header).status == 200
    time.sleep(2.05)
    refuses(drive.imds("/latest/meta-data/", *header), "401 - Unauthorized")


def test_token_of_another_instance_is_401(drive: Drive) -> None:
    """facts/imds.md §2: a token is valid only on the instance that obtained it."""
    refuses(
        drive.imds("/latest/meta-data/", "-H", f"{TOKEN}: {drive.token(instance=WEB2)}"), "401 - Unauthorized"
    )


def test_token_is_reusable_and_one_of_many(drive: Drive) -> None:
    """facts/imds.md §2: reusable, and the number of tokens is unlimited."""
    tokens = [drive.token() for _ in range(3)]
    assert len(set(tokens)) == 3
    for token in [*tokens, *tokens]:
        assert drive.imds("/latest/meta-data/mac", "-H", f"{TOKEN}: {token}").status == 200


def test_no_token_is_403_in_required_mode_and_fine_in_optional(drive: Drive) -> None:
    """facts/imds.md §2: no token while HttpTokens=required is `403 - Forbidden`; a bad one is 401."""
    assert drive.imds("/latest/meta-data/instance-id", instance=WEB).text == WEB
    refuses(drive.imds("/latest/meta-data/instance-id", instance=HARDENED), "403 - Forbidden")
    token = drive.token(instance=HARDENED)
    answer = drive.imds("/latest/meta-data/instance-id", "-H", f"{TOKEN}: {token}", instance=HARDENED)
    assert answer.text == HARDENED


def test_mode_follows_modify_instance_metadata_options(drive: Drive) -> None:
    """facts/imds.md §4: HttpTokens optional/required, HttpEndpoint enabled/disabled."""

    def options(**values: str) -> None:
        drive.ecs().modify_instance_metadata_options(
            em.ModifyInstanceMetadataOptionsRequest(region_id="cn-beijing", instance_id=WEB, **values)
        )

    options(http_endpoint="enabled", http_tokens="required")
    refuses(drive.imds("/latest/meta-data/"), "403 - Forbidden")
    options(http_endpoint="enabled", http_tokens="optional")
    assert drive.imds("/latest/meta-data/").status == 200
    options(http_endpoint="disabled")
    # Ours: what the cloud answers when the service is off is not found (facts/imds.md §7).
    refuses(drive.imds("/latest/meta-data/"), "403 - Forbidden")
    refuses(put_token(drive, "-H", f"{TTL}: 60"), "403 - Forbidden")
    assert drive.imds("/latest/meta-data/", instance=WEB2).status == 200, "one instance per call"


# -- the role's credential (facts/imds.md §3; https://help.aliyun.com/zh/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance)


def test_no_role_is_404(drive: Drive) -> None:
    """facts/imds.md §3.1: no role attached is 404 Not Found, for the list and for any name."""
    for path in (f"{ROLE}/", ROLE, f"{ROLE}/EcsRamRole"):
        refuses(drive.imds(path), NOT_FOUND)
    assert "ram/" not in drive.imds("/latest/meta-data/").text.split("\n")


def test_listing_is_the_name_without_a_newline(drive: Drive) -> None:
    """facts/imds.md §3.1: the Python SDK uses the body verbatim, so no newline; one line."""
    drive.make_role("Ecs.Ram-Role1")
    drive.attach(role="Ecs.Ram-Role1")
    assert drive.imds(f"{ROLE}/").body == b"Ecs.Ram-Role1"
    assert drive.imds("/latest/meta-data/ram/").text == "security-credentials/"


def test_wrong_name_is_404_with_the_known_page(drive: Drive) -> None:
    """facts/imds.md §3.2: the XHTML page of https://github.com/aliyun/aliyun-cli/issues/525, byte for byte."""
    drive.make_role()
    drive.attach()
    for name in ("ecsramrole", "EcsRamRole1", "EcsRamRole%0A", "EcsRamRole/x"):
        answer = drive.imds(f"{ROLE}/{name}")
        refuses(answer, NOT_FOUND)
    assert answer["content-type"].startswith("text/html")


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def test_credential_document(drive: Drive) -> None:
    """facts/imds.md §3.2: the six keys in their order, STS. prefix, times without fraction, exactly six hours."""
    drive.make_role()
    drive.attach()
    answer = drive.imds(f"{ROLE}/EcsRamRole")
    found = json.loads(answer.text)
    assert list(found) == KEYS
    assert found["Code"] == "Success"
    assert found["AccessKeyId"].startswith("STS.")
    assert all(isinstance(value, str) and value for value in found.values())
    assert (moment(found["Expiration"]) - moment(found["LastUpdated"])).total_seconds() == 21_600
    assert abs((moment(found["LastUpdated"]) - datetime.now(UTC)).total_seconds()) < 5


def test_both_modes_and_both_spellings_serve_the_same_credential(drive: Drive) -> None:
    """facts/imds.md §3.2: repeated GETs between rotations return the same; ossutil 1.x asks for `Ram`."""
    drive.make_role()
    drive.attach()
    first = drive.served()
    assert drive.served() == first
    assert drive.imds(f"{ROLE}/EcsRamRole").json() == first
    assert drive.imds("/latest/meta-data/Ram/security-credentials/EcsRamRole").json() == first
    assert drive.imds("/latest/meta-data/Ram/security-credentials/").text == "EcsRamRole"


def test_two_instances_have_their_own_credentials(drive: Drive) -> None:
    """facts/imds.md §3.3: the session name is vm-ram-<instance-id>, so one credential an instance."""
    drive.make_role()
    for instance in (WEB, WEB2):
        drive.attach(instance)
        who = drive.sts(drive.credential(instance)).get_caller_identity().body
        assert who.arn == f"acs:ram::{drive.account}:assumed-role/EcsRamRole/vm-ram-{instance}"
        assert who.principal_id == f"{who.role_id}:vm-ram-{instance}"
        assert (who.identity_type, who.account_id, who.user_id) == ("AssumedRoleUser", drive.account, None)
    assert drive.credential(WEB).key_id != drive.credential(WEB2).key_id


def test_lifetime_and_rotation_knobs(drive: Drive) -> None:
    """Design §4, knobs: lifetime, rotation; facts/imds.md §3.2: old and new are both valid in between."""
    drive.sandbox.set(credential_lifetime=100.0, credential_rotation=0.05)
    drive.make_role()
    drive.attach()
    first = drive.served()
    assert (moment(first["Expiration"]) - moment(first["LastUpdated"])).total_seconds() == 100
    old = drive.credential()
    time.sleep(0.06)
    new = drive.credential()
    assert len({old.key_id, new.key_id}) == len({old.token, new.token}) == len({old.secret, new.secret}) == 2
    for caller in (old, new):
        assert drive.sts(caller).get_caller_identity().status_code == 200


def test_rotation_defaults_to_30_minutes_before_expiry(world: Sandbox) -> None:
    """facts/imds.md §3.2: a new credential is available 30 minutes before the old one expires."""
    from ramrole_nb.sandbox.knobs import Knobs
    from ramrole_nb.sandbox.store import Store

    store = Store(world.state / "rotation")
    try:
        knobs = Knobs(store)
        assert knobs.credential_rotation == 21_600 - 1_800
        knobs.set(credential_lifetime=1_200)
        assert knobs.credential_rotation == 1_200 - 100
    finally:
        store.close()


def test_served_role_follows_attach_replace_and_detach(drive: Drive) -> None:
    """facts/imds.md §3.4: after Detach 404 (inferred); the old STS token keeps working until it expires (inferred)."""
    for name in ("First", "Second"):
        drive.make_role(name, "AliyunOSSReadOnlyAccess")
    drive.attach(role="First")
    first = drive.credential(role="First")
    drive.detach()
    for path in (f"{ROLE}/", f"{ROLE}/First"):
        refuses(drive.imds(path), NOT_FOUND)
    drive.attach(role="Second")
    assert drive.imds(f"{ROLE}/").text == "Second"
    refuses(drive.imds(f"{ROLE}/First"), NOT_FOUND)
    second = drive.credential(role="Second")
    assert first.key_id != second.key_id
    assert "/First/" in drive.sts(first).get_caller_identity().body.arn
    assert "/Second/" in drive.sts(second).get_caller_identity().body.arn
    drive.detach()
    drive.attach(role="First")
    assert drive.credential(role="First").key_id != first.key_id, "a new attachment, a new credential"


def test_deleted_role_is_404_and_recreated_one_is_served_anew(drive: Drive) -> None:
    """Ours: the answer for an attached role that was deleted is not found (facts/ram.md §7)."""
    drive.make_role()
    drive.attach()
    old = drive.credential()
    drive.ram().delete_role(rm.DeleteRoleRequest(role_name="EcsRamRole"))
    refuses(drive.imds(f"{ROLE}/EcsRamRole"), NOT_FOUND)
    drive.make_role()
    assert drive.credential().key_id != old.key_id


def test_role_that_no_longer_trusts_ecs_is_not_served(drive: Drive) -> None:
    """Ours: a Code other than Success, which clients must refuse (facts/imds.md §3.2: Code must be Success)."""
    drive.make_role()
    drive.attach()
    trust = ECS_TRUST.replace("ecs.aliyuncs.com", "fc.aliyuncs.com")
    drive.ram().update_role(
        rm.UpdateRoleRequest(role_name="EcsRamRole", new_assume_role_policy_document=trust)
    )
    found = drive.served()
    assert found["Code"] != "Success"
    assert "AccessKeyId" not in found


def test_session_policy_travels_with_the_attachment(drive: Drive) -> None:
    """facts/ecs.md §2: Policy limits the session; another attachment without it is not limited."""
    drive.make_role("EcsRamRole", "AliyunOSSReadOnlyAccess")
    drive.attach(WEB, policy=document(("Allow", "oss:ListObjects", "*")))
    drive.attach(WEB2)
    limited, free = drive.bucket(drive.credential(WEB)), drive.bucket(drive.credential(WEB2))
    assert limited.list_objects().status == 200
    assert free.get_object("testfolder/notes.txt").read()
    with pytest.raises(Exception, match="authorizer"):
        limited.get_object("testfolder/notes.txt")


# -- the tree (facts/imds.md §5) -------------------------------------------------------------------------------


def test_directories_list_the_next_level(drive: Drive) -> None:
    """facts/imds.md §1: a directory returns the names of the next level, one per line."""
    assert drive.imds("/latest/").text.split("\n") == ["dynamic/", "maintenance/", "meta-data/", "user-data"]
    names = drive.imds("/latest/meta-data/").text.split("\n")
    assert {"instance-id", "instance/", "region-id", "network/", "dns-conf/", "mac"} <= set(names)
    assert drive.imds("/latest/meta-data/instance/").text.split("\n")[:2] == [
        "instance-name",
        "instance-type",
    ]


def test_values_agree_with_describe_instances(drive: Drive) -> None:
    """facts/imds.md §5: each item's meaning; DescribeInstances tells the same of the same machine."""
    body = (
        drive.ecs()
        .describe_instances(
            em.DescribeInstancesRequest(region_id="cn-beijing", instance_ids=json.dumps([WEB]))
        )
        .body
    )
    vm = body.instances.instance[0]
    expected = {
        "instance-id": vm.instance_id,
        "instance/instance-name": vm.instance_name,
        "instance/instance-type": vm.instance_type,
        "hostname": vm.host_name,
        "serial-number": vm.serial_number,
        "image-id": vm.image_id,
        "region-id": "cn-beijing",
        "zone-id": vm.zone_id,
        "owner-account-id": drive.account,
        "private-ipv4": vm.vpc_attributes.private_ip_address.ip_address[0],
        "public-ipv4": vm.public_ip_address.ip_address[0],
        "network-type": "vpc",
        "vpc-id": vm.vpc_attributes.vpc_id,
        "vswitch-id": vm.vpc_attributes.v_switch_id,
        "mac": vm.network_interfaces.network_interface[0].mac_address,
    }
    assert {name: drive.imds(f"/latest/meta-data/{name}").text for name in expected} == expected


def test_identity_document(drive: Drive) -> None:
    """facts/imds.md §5: JSON with exactly these keys."""
    found = drive.imds("/latest/dynamic/instance-identity/document", instance=BATCH).json()
    assert set(found) == {
        "zone-id",
        "serial-number",
        "instance-id",
        "region-id",
        "private-ipv4",
        "owner-account-id",
        "mac",
        "image-id",
        "instance-type",
    }
    assert (found["instance-id"], found["region-id"]) == (BATCH, "cn-hangzhou")


def test_tags_only_when_switched_on(drive: Drive) -> None:
    """facts/imds.md §5: tags/instance/[key] needs InstanceMetadataTags."""
    refuses(drive.imds("/latest/meta-data/tags/instance/env"), NOT_FOUND)
    drive.ecs().modify_instance_metadata_options(
        em.ModifyInstanceMetadataOptionsRequest(
            region_id="cn-beijing", instance_id=WEB, http_endpoint="enabled", instance_metadata_tags="enabled"
        )
    )
    assert drive.imds("/latest/meta-data/tags/instance/env").text == "sandbox"


@pytest.mark.parametrize(
    "path", ["/latest/meta-data/nothing", "/latest/meta-data/instance-id/x", "/2016-01-01/meta-data/", "/x"]
)
def test_unknown_paths_are_404(drive: Drive, path: str) -> None:
    """facts/imds.md §3.2: the 404 page."""
    refuses(drive.imds(path), NOT_FOUND)


def test_writing_to_metadata_is_405(drive: Drive) -> None:
    """Ours: only the token endpoint's 405 is seen."""
    refuses(drive.imds("/latest/meta-data/", "-X", "POST"), "405 - Method Not Allowed")
    refuses(drive.imds("/latest/meta-data/instance-id", "-X", "DELETE"), "405 - Method Not Allowed")


# -- which instance is asking (ours: the proxy's own answers) ----------------------------------------------------


def test_no_or_wrong_proxy_user_is_407(drive: Drive) -> None:
    """Ours, design §3: the proxy user says which instance is asking."""
    right = drive.proxies[WEB]
    other = drive.proxies[WEB2].split("@")[0].rsplit(":", 1)[1]
    wrong = [
        drive.url,
        right.replace(WEB, WEB2),
        right.replace(WEB, "i-nosuch"),
        f"http://{WEB}:{other}@127.0.0.1:{drive.sandbox.start_line['port']}",
        f"http://{WEB}@127.0.0.1:{drive.sandbox.start_line['port']}",
    ]
    for proxy in wrong:
        answer = curl(f"{IMDS}/latest/meta-data/", proxy=proxy)
        assert answer.status == 407
        assert answer["proxy-authenticate"].startswith("Basic ")
        assert "proxy" in answer.text
    assert curl(f"{IMDS}/latest/meta-data/", proxy=right).status == 200


def test_host_header_alone_is_not_the_metadata_service_for_a_stranger(drive: Drive) -> None:
    """A client on loopback that only names the host is asked who it is."""
    answer = curl("-H", "Host: 100.100.100.200", f"{drive.url}/latest/meta-data/")
    assert answer.status == 407


def test_a_bucket_may_be_called_latest(drive: Drive) -> None:
    """Design §4: IMDS only when the authority is 100.100.100.200."""
    answer = curl(f"{drive.url}/latest/meta-data/")
    assert answer.status == 404
    assert b"<Code>NoSuchBucket</Code>" in answer.body


def test_stopped_and_classic_instances(drive: Drive) -> None:
    """facts/imds.md §1: VPC instances only. Ours: a stopped machine runs nothing, so its proxy user is refused."""
    answer = curl(f"{IMDS}/latest/meta-data/", proxy=drive.proxies[STOPPED])
    assert (answer.status, "Stopped" in answer.text) == (502, True)
    answer = curl(f"{IMDS}/latest/meta-data/", proxy=drive.proxies[CLASSIC])
    assert (answer.status, "classic" in answer.text) == (504, True)


def test_token_endpoint_can_be_made_to_fail(drive: Drive) -> None:
    """Ours, knob metadata_token_fails: clients fall back to normal mode (facts/imds.md §6)."""
    drive.sandbox.set(metadata_token_fails=True)
    refuses(put_token(drive, "-H", f"{TTL}: 60"), "500 - Internal Server Error")
    assert drive.imds("/latest/meta-data/").status == 200


def test_metadata_delay(drive: Drive) -> None:
    """Ours, knob metadata_delay."""
    drive.sandbox.set(metadata_delay=0.3)
    began = time.perf_counter()
    assert drive.imds("/latest/meta-data/", instance=WINDOWS).status == 200
    assert time.perf_counter() - began >= 0.3
