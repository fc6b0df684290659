"""The same in a shell: the Alibaba Cloud CLI, and curl for the metadata service.

Parameters are spelt as the API spells them (https://www.alibabacloud.com/help/en/cli/command-structure); signing as the
instance: https://www.alibabacloud.com/help/en/cli/ecs-ram-role; objects: https://www.alibabacloud.com/help/en/cli/use-alibaba-cloud-cli-to-manage-oss-data.
"""

# ruff: noqa: D103 - the functions are named like the actions, whose docstrings say what each does

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from urllib.parse import quote

from . import actions as do
from .fragments import CREDENTIALS_URL, LIVE, TOKEN_TTL, TOKEN_URL, Fragment
from .python import BATCH

TITLE = "Shell (aliyun, curl)"
PROSE = False

PROFILE = "instance-role"
_ON_THE_INSTANCE = frozenset({"on the instance"})
_REGION_URL = CREDENTIALS_URL.replace("ram/security-credentials/", "region-id")


def script(fragments: Sequence[Fragment]) -> str:
    needs = frozenset[str]().union(*(fragment.needs for fragment in fragments))
    head = []
    if "on the instance" in needs:
        head.append("# Runs on the instance: it uses the role of the instance, and no AccessKey.")
    if "profile" in needs:
        head.append(
            "# Where metadata is served in security hardening mode only, it takes CLI 3.3.0 or later (the page: 3.0.248)."
        )
    if "FailCount" in needs:
        head.append(
            "# A failed item does not fail the command: look at FailCount, and at what is attached in the end."
        )
    blocks = ["\n".join(head), *(fragment.text for fragment in fragments)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def cannot(sentence: str) -> Fragment:
    return Fragment(f"# {sentence}")


def _option(name: str, value: str) -> str:
    # The CLI takes what begins with a hyphen for an option, unless it is joined to one.
    return f"{name}={shlex.quote(value)}" if value.startswith("-") else f"{name} {shlex.quote(value)}"


def _command(*words: str, **options: str) -> str:
    """Return a command over several lines; `options` are API parameters, or the CLI's own in snake case."""
    shown = [
        _option(f"--{name if name[0].isupper() else name.replace('_', '-')}", value)
        for name, value in options.items()
    ]
    return " \\\n  ".join([" ".join(words), *shown])


# -- roles and policies ----------------------------------------------------------------------------------------


def create_role(action: do.CreateRole) -> Fragment:
    more = {"Description": action.description} if action.description else {}
    return Fragment(
        _command(
            "aliyun ram CreateRole",
            RoleName=action.name,
            AssumeRolePolicyDocument=action.trust_policy,
            **more,
        )
    )


def set_trust(action: do.SetTrust) -> Fragment:
    return Fragment(
        _command(
            "aliyun ram UpdateRole",
            RoleName=action.role,
            NewAssumeRolePolicyDocument=action.trust_policy,
        )
    )


def create_policy(action: do.CreatePolicy) -> Fragment:
    return Fragment(
        _command("aliyun ram CreatePolicy", PolicyName=action.name, PolicyDocument=action.document)
    )


def _grant(call: str, role: str, policy: str, policy_type: str) -> str:
    return _command(f"aliyun ram {call}", PolicyType=policy_type, PolicyName=policy, RoleName=role)


def grant_policy(action: do.GrantPolicy) -> Fragment:
    return Fragment(_grant("AttachPolicyToRole", action.role, action.policy, action.policy_type))


def grant_document(action: do.GrantDocument) -> Fragment:
    created = create_policy(do.CreatePolicy(action.policy, action.document)).text
    granted = _grant("AttachPolicyToRole", action.role, action.policy, do.CUSTOM)
    return Fragment(f"{created} &&\n{granted}")


def revoke_policy(action: do.RevokePolicy) -> Fragment:
    return Fragment(_grant("DetachPolicyFromRole", action.role, action.policy, action.policy_type))


def delete_policy(action: do.DeletePolicy) -> Fragment:
    return Fragment(_command("aliyun ram DeletePolicy", PolicyName=action.policy))


def delete_role(action: do.DeleteRole) -> Fragment:
    return Fragment(_command("aliyun ram DeleteRole", RoleName=action.role))


# -- instances -------------------------------------------------------------------------------------------------


def _instances(call: str, region_id: str, ids: tuple[str, ...], **options: str) -> str:
    """Return the command for instances (100 a call), and one that shows what they have then."""
    batches = [list(ids[start : start + BATCH]) for start in range(0, len(ids), BATCH)]
    commands = [
        _command(f"aliyun ecs {call}", RegionId=region_id, InstanceIds=json.dumps(batch), **options)
        for batch in batches
    ]
    look = [
        _command("aliyun ecs DescribeInstanceRamRole", RegionId=region_id, InstanceIds=json.dumps(batch))
        for batch in batches
    ]
    return "\n".join([*commands, *look])


def attach_role(action: do.AttachRole) -> Fragment:
    more = {"Policy": action.session_policy} if action.session_policy else {}
    text = _instances(
        "AttachInstanceRamRole", action.region_id, action.instance_ids, RamRoleName=action.role, **more
    )
    return Fragment(text, frozenset({"FailCount"}))


def detach_role(action: do.DetachRole) -> Fragment:
    text = _instances("DetachInstanceRamRole", action.region_id, action.instance_ids, RamRoleName=action.role)
    return Fragment(text, frozenset({"FailCount"}))


def replace_role(action: do.ReplaceRole) -> Fragment:
    ids = json.dumps([action.instance_id])
    gone, given = (
        _command(f"aliyun ecs {call}", RegionId=action.region_id, InstanceIds=ids, RamRoleName=role)
        for call, role in (("DetachInstanceRamRole", action.old), ("AttachInstanceRamRole", action.new))
    )
    look = _command("aliyun ecs DescribeInstanceRamRole", RegionId=action.region_id, InstanceIds=ids)
    text = (
        "# The API needs two calls (the dialog of the console needs one). Between them the instance has no role;\n"
        "# should the second fail, attach the old one again.\n"
        f"{gone} &&\n{given}\n{look}"
    )
    return Fragment(text, frozenset({"FailCount"}))


def set_hardening(action: do.SetHardening) -> Fragment:
    return Fragment(
        _command(
            "aliyun ecs ModifyInstanceMetadataOptions",
            RegionId=action.region_id,
            InstanceId=action.instance_id,
            HttpEndpoint="enabled",
            HttpTokens="required" if action.required else "optional",
        )
    )


# -- on the instance -------------------------------------------------------------------------------------------

_TOKEN = (
    f'token=$(curl -sS --fail -X PUT {TOKEN_URL} -H "X-aliyun-ecs-metadata-token-ttl-seconds: {TOKEN_TTL}")'
)
_HEADER = '-H "X-aliyun-ecs-metadata-token: $token"'


def _curl(url: str, *, hardened: bool) -> str:
    return f"curl -sS --fail {_HEADER} \\\n  {url}" if hardened else f"curl -sS --fail {url}"


def fetch_credentials(action: do.FetchCredentials) -> Fragment:
    hardened = action.mode == do.HARDENED
    lines = []
    if hardened:
        lines += [
            "# Security hardening mode: first a token for the metadata service, then the credential.",
            _TOKEN,
        ]
    else:
        lines.append(
            "# Normal mode: no token. Refused where the instance allows security hardening mode only."
        )
    url = shlex.quote(CREDENTIALS_URL + quote(action.role, safe=""))
    if not action.role:
        lines.append(f"role=$({_curl(url, hardened=hardened)})")
        url = f'{CREDENTIALS_URL}"$role"'
    lines += [
        f"credential=$({_curl(url, hardened=hardened)})",
        "# $credential also holds AccessKeySecret and SecurityToken, which are secret: only the rest is shown.",
        'printf \'%s\\n\' "$credential" | grep -oE \'"(Code|Expiration|LastUpdated)" *: *"[^"]*"\'',
    ]
    return Fragment("\n".join(lines), _ON_THE_INSTANCE)


def _configure(region: str) -> str:
    """Return the command that makes the CLI sign as the instance; `region` is a word of the shell."""
    return f"aliyun configure set --profile {PROFILE} --mode EcsRamRole --region {region}"


def who_am_i(_: do.WhoAmI) -> Fragment:
    lines = [
        _TOKEN,
        f"region=$({_curl(_REGION_URL, hardened=True)})",
        _configure('"$region"'),
        f"aliyun sts GetCallerIdentity --profile {PROFILE}",
    ]
    return Fragment("\n".join(lines), _ON_THE_INSTANCE | {"profile"})


def _oss(action: do.ListObjects | do.DownloadObject, words: list[str]) -> Fragment:
    region_id = action.region_id
    command = _command(
        *words,
        **({} if action.own_key else {"profile": PROFILE}),
        region=region_id,
        endpoint=LIVE.oss(region_id, internal=action.internal),
        sign_version="v4",  # the default, V1, is refused to new accounts
    )
    if action.own_key:
        return Fragment(command)
    text = f"{_configure(shlex.quote(region_id))}\n{command}"
    return Fragment(text, _ON_THE_INSTANCE | {"profile"})


def list_objects(action: do.ListObjects) -> Fragment:
    where = shlex.quote(f"oss://{action.bucket}/{action.prefix}")
    words = ["aliyun oss ls", where, "--directory"]
    return _oss(action, words)


def download_object(action: do.DownloadObject) -> Fragment:
    target = action.target if not action.target.startswith("-") else f"./{action.target}"
    words = ["aliyun oss cp", shlex.quote(f"oss://{action.bucket}/{action.key}"), shlex.quote(target)]
    return _oss(action, words)
