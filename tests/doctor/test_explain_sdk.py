"""`explain` on what the official SDKs really raise: each recipe makes its error against the sandbox.

`corpus/sdk.json` keeps the text of each as a traceback prints it; RECORD_SDK_TEXTS=1 writes it anew.
"""

from __future__ import annotations

import json
import os
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import oss2
import pytest
from alibabacloud_credentials.http import HttpOptions
from alibabacloud_credentials.provider import EcsRamRoleCredentialsProvider
from alibabacloud_ecs20140526 import models as em
from alibabacloud_ram20150501 import models as rm
from alibabacloud_sts20150401 import models as sm

import ramrole_nb as rr
from ramrole_nb.redact import redact
from ramrole_nb.sandbox import Sandbox
from tests.sandbox.drive import CLASSIC, HARDENED, READ_OSS, WEB, Caller, Drive, document

_RECORD = Path(__file__).parent / "corpus" / "sdk.json"
_NOT_ECS = json.dumps(
    {
        "Version": "1",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": ["fc.aliyuncs.com"]}}
        ],
    }
)
_DENY = document(("Deny", "oss:GetObject", "*"), ("Allow", "oss:*", "*"))
_KEY = "testfolder/example.png"

Recipe = Callable[[Drive], object]
RECIPES: dict[str, tuple[str, Recipe]] = {}


def recipe(cause: str) -> Callable[[Recipe], Recipe]:
    def keep(run: Recipe) -> Recipe:
        RECIPES[run.__name__] = (cause, run)
        return run

    return keep


# -- RAM, ECS, STS ---------------------------------------------------------------------------------------------


@recipe("permission-missing")
def create_role_as_viewer(drive: Drive) -> None:
    drive.make_role_as("viewer", "x")


@recipe("role-exists")
def create_role_twice(drive: Drive) -> None:
    drive.make_role()
    drive.make_role()


@recipe("role-not-found")
def get_a_role_that_is_not_there(drive: Drive) -> object:
    return drive.ram().get_role(rm.GetRoleRequest(role_name="Nobody"))


@recipe("policy-malformed")
def create_a_malformed_policy(drive: Drive) -> object:
    return drive.ram().create_policy(
        rm.CreatePolicyRequest(
            policy_name="p", policy_document='{"Version":"1","Statement":[{"Effect":"Allow"}]}'
        )
    )


@recipe("role-still-has-policies")
def delete_a_role_that_holds_a_policy(drive: Drive) -> object:
    drive.make_role("Held", "AliyunOSSReadOnlyAccess")
    return drive.ram().delete_role(rm.DeleteRoleRequest(role_name="Held"))


@recipe("name-invalid")
def create_a_role_with_a_space_in_its_name(drive: Drive) -> None:
    drive.make_role_as("admin", "two words")


@recipe("pass-role-missing")
def attach_without_pass_role(drive: Drive) -> object:
    drive.make_role()
    drive.sandbox.fault("passrole-removed")
    return drive.attach(who="operator")


@recipe("trust-without-ecs")
def attach_a_role_that_ecs_may_not_assume(drive: Drive) -> object:
    drive.make_role(trust=_NOT_ECS)
    return drive.attach()


@recipe("role-not-found")
def attach_a_role_that_is_not_there(drive: Drive) -> object:
    return drive.attach(role="Nobody")


@recipe("classic-network")
def attach_to_an_instance_in_a_classic_network(drive: Drive) -> object:
    drive.make_role()
    return drive.attach(CLASSIC)


@recipe("instance-not-found")
def attach_to_an_instance_that_is_not_there(drive: Drive) -> object:
    drive.make_role()
    return drive.attach("i-2zenowhere0000000000")


@recipe("permission-missing")
def attach_as_viewer(drive: Drive) -> object:
    drive.make_role()
    return drive.attach(who="viewer")


@recipe("metadata-option-refused")
def a_metadata_option_that_is_none(drive: Drive) -> object:
    return drive.ecs().modify_instance_metadata_options(
        em.ModifyInstanceMetadataOptionsRequest(
            region_id="cn-beijing", instance_id=WEB, http_endpoint="enabled", http_tokens="always"
        )
    )


@recipe("access-key-unknown")
def an_unknown_key(drive: Drive) -> object:
    return drive.sts(Caller("LTAI5tSANDBOXunknownKey0", "x" * 30)).get_caller_identity()


@recipe("signature-mismatch")
def a_wrong_secret(drive: Drive) -> object:
    return drive.sts(Caller(drive.users["viewer"].key_id, "x" * 30)).get_caller_identity()


@recipe("access-key-disabled")
def a_disabled_key(drive: Drive) -> object:
    drive.sandbox.fault("access-key-disabled")
    return drive.sts("viewer").get_caller_identity()


@recipe("assume-role-refused")
def assume_a_role_that_trusts_ecs_alone(drive: Drive) -> object:
    drive.make_role()
    arn = f"acs:ram::{drive.account}:role/EcsRamRole"
    return drive.sts("viewer").assume_role(sm.AssumeRoleRequest(role_arn=arn, role_session_name="me"))


@recipe("throttled")
def too_many_calls(drive: Drive) -> object:
    drive.sandbox.fault("throttling")
    return drive.sts().get_caller_identity()


@recipe("service-failed")
def a_server_error(drive: Drive) -> object:
    drive.sandbox.fault("openapi-500")
    return drive.sts().get_caller_identity()


@recipe("ram-inactive")
def ram_not_activated(drive: Drive) -> object:
    drive.sandbox.fault("ram-inactive")
    return drive.ram().list_roles(rm.ListRolesRequest())


@recipe("clock-skew")
def a_clock_that_is_off(drive: Drive) -> object:
    drive.sandbox.fault("clock-skew")
    return drive.sts().get_caller_identity()


@recipe("security-token-missing")
def a_temporary_key_without_its_token(drive: Drive) -> object:
    held = drive.session(READ_OSS)
    return drive.sts(Caller(held.key_id, held.secret)).get_caller_identity()


@recipe("credential-expired")
def an_expired_credential(drive: Drive) -> object:
    held = drive.session(READ_OSS)
    drive.sandbox.expire()
    return drive.sts(held).get_caller_identity()


# -- OSS -------------------------------------------------------------------------------------------------------


@recipe("object-not-found")
def an_object_that_is_not_there(drive: Drive) -> object:
    return drive.bucket().get_object("no/such.png")


@recipe("bucket-not-found")
def a_bucket_that_is_not_there(drive: Drive) -> object:
    return drive.bucket(name="sandbox-nowhere").get_object(_KEY)


@recipe("permission-missing")
def an_object_as_viewer(drive: Drive) -> object:
    return drive.bucket("viewer").get_object(_KEY)


@recipe("permission-missing")
def the_head_of_an_object_as_viewer(drive: Drive) -> object:
    return drive.bucket("viewer").head_object(_KEY)


@recipe("explicit-deny")
def an_object_that_a_policy_denies(drive: Drive) -> object:
    return drive.bucket(drive.session(_DENY)).get_object(_KEY)


@recipe("session-policy")
def an_object_outside_the_session_policy(drive: Drive) -> object:
    narrow = document(("Allow", "oss:GetObject", "acs:oss:*:*:sandbox-photos/other/*"))
    return drive.bucket(drive.session(READ_OSS, session_policy=narrow)).get_object(_KEY)


@recipe("endpoint-wrong-region")
def the_wrong_region(drive: Drive) -> object:
    return drive.bucket(region="cn-hangzhou").get_object(_KEY)


@recipe("credential-expired")
def oss_with_an_expired_credential(drive: Drive) -> object:
    held = drive.session(READ_OSS)
    drive.sandbox.expire()
    return drive.bucket(held).get_object(_KEY)


@recipe("security-token-invalid")
def oss_with_a_token_it_does_not_know(drive: Drive) -> object:
    held = drive.session(READ_OSS)
    drive.sandbox.fault("token-invalid")
    return drive.bucket(held).get_object(_KEY)


@recipe("clock-skew")
def oss_with_a_clock_that_is_off(drive: Drive) -> object:
    drive.sandbox.fault("clock-skew")
    return drive.bucket(version="v1").get_object(_KEY)


@recipe("signature-mismatch")
def oss_with_a_wrong_secret(drive: Drive) -> object:
    return drive.bucket(Caller(drive.users["admin"].key_id, "x" * 30)).get_object(_KEY)


@recipe("signature-v1-refused")
def oss_with_signature_v1(drive: Drive) -> object:
    drive.sandbox.fault("signature-v1-refused")
    return drive.bucket(version="v1").get_object(_KEY)


@recipe("public-endpoint-forbidden")
def oss_on_a_public_endpoint(drive: Drive) -> object:
    drive.sandbox.fault("public-endpoint-forbidden")
    return drive.bucket().get_object(_KEY)


@recipe("signing-region-missing")
def signature_v4_without_a_region(drive: Drive) -> object:
    auth = oss2.AuthV4(drive.users["admin"].key_id, drive.users["admin"].secret)
    bucket = oss2.Bucket(
        auth, "http://oss-cn-beijing.aliyuncs.com", "sandbox-photos", proxies={"http": drive.url}
    )
    return bucket.get_object(_KEY)


@recipe("object-exists")
def overwriting_what_must_not_be(drive: Drive) -> object:
    return drive.bucket().put_object(_KEY, b"x", headers={"x-oss-forbid-overwrite": "true"})


# -- the metadata service --------------------------------------------------------------------------------------


def _fetch(drive: Drive, instance: str = WEB, role: str | None = None, **more: Any) -> object:
    options = HttpOptions(proxy=drive.proxies[instance], connect_timeout=5_000, read_timeout=5_000)
    provider = EcsRamRoleCredentialsProvider(
        role_name=role, http_options=options, async_update_enabled=False, **more
    )
    return provider.get_credentials()


@recipe("role-not-served")
def another_role_is_attached(drive: Drive) -> object:
    drive.make_role()
    drive.attach()
    return _fetch(drive, role="EcsRamRol")


@recipe("metadata-token-forwarded")
def no_token_for_a_forwarded_request(drive: Drive) -> object:
    drive.sandbox.fault("imds-token-forbidden")
    return _fetch(drive, role="EcsRamRole", disable_imds_v1=True)


@recipe("metadata-token-method")
def no_token_for_a_get(drive: Drive) -> object:
    drive.sandbox.fault("token-endpoint-405")
    return _fetch(drive, role="EcsRamRole", disable_imds_v1=True)


@recipe("metadata-failed")
def metadata_500(drive: Drive) -> object:
    drive.make_role()
    drive.attach()
    drive.sandbox.fault("imds-500-on-credentials")
    return _fetch(drive, role="EcsRamRole")


@recipe("metadata-throttled")
def metadata_429(drive: Drive) -> object:
    drive.make_role()
    drive.attach()
    drive.sandbox.fault("imds-throttled")
    return _fetch(drive, role="EcsRamRole")


@recipe("hardened-only")
def no_token_on_a_hardened_instance(drive: Drive) -> object:
    drive.sandbox.fault("imds-token-fails")
    return _fetch(drive, HARDENED, role="EcsRamRole")


def _fetch_with_oss2(drive: Drive, instance: str) -> object:
    """oss2's own provider takes no proxy: it reads the environment (the fixture `_environment` puts it back)."""
    for name in ("no_proxy", "NO_PROXY"):
        os.environ.pop(name, None)
    os.environ["http_proxy"] = os.environ["HTTP_PROXY"] = drive.proxies[instance]
    url = "http://100.100.100.200/latest/meta-data/ram/security-credentials/EcsRamRole"
    return oss2.credentials.EcsRamRoleCredentialsProvider(url, max_retries=1).get_credentials()


@recipe("client-without-token")
def oss2_on_a_hardened_instance(drive: Drive) -> object:
    return _fetch_with_oss2(drive, HARDENED)


@recipe("role-not-served")
def oss2_without_a_role(drive: Drive) -> object:
    return _fetch_with_oss2(drive, WEB)


# --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def drive(world: Sandbox) -> Drive:
    """Clients of the sandbox, its world as at the start."""
    return Drive(world)


def raised(run: Recipe, drive: Drive) -> Exception:
    try:
        run(drive)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is what this is about
        return error
    return pytest.fail("the SDK raised nothing")


_RECORDED: list[dict[str, str]] = []


@pytest.mark.parametrize("name", RECIPES)
def test_what_the_sdk_raises(drive: Drive, name: str) -> None:
    cause, run = RECIPES[name]
    error = raised(run, drive)
    printed = "".join(traceback.format_exception(error))
    found = {
        "the exception": rr.explain(error).cause,
        "its text": rr.explain(f"{type(error).__module__}.{type(error).__name__}: {error}").cause,
        "its repr and text": rr.explain(f"{error!r}\n{error}").cause,
        "the traceback": rr.explain(printed).cause,
    }
    assert found == dict.fromkeys(found, cause)
    caller = drive.users["admin"]
    assert caller.secret not in str(rr.explain(error))
    if os.environ.get("RECORD_SDK_TEXTS") == "1":
        _record(name, cause, f"{type(error).__module__}.{type(error).__name__}: {error}", drive)


def _record(name: str, cause: str, text: str, drive: Drive) -> None:
    text = re.sub(r"(127\.0\.0\.1):\d+", r"\1:PORT", redact(text)).replace(drive.account, "1000000000000000")
    text = re.sub(r"('EncodedDiagnosticMessage': 'AQIBIAAA)[^']+", r"\1…", text)
    text = re.sub(r"('(?:Signature\w*|StringToSign\w*|OSSAccessKeyId)': ')[^']+", r"\1****", text)
    _RECORDED.append(
        {"kind": "sdk-generated", "how": f"test_explain_sdk.{name}", "cause": cause, "text": text}
    )
    _RECORD.write_text(json.dumps(_RECORDED, ensure_ascii=False, indent=1) + "\n", "utf-8")


def test_every_recipe_is_recorded() -> None:
    rows = json.loads(_RECORD.read_text("utf-8"))
    assert {row["how"].partition(".")[2]: row["cause"] for row in rows} == {
        name: cause for name, (cause, _) in RECIPES.items()
    }
