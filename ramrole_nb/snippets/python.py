"""The same in Python, with the official SDKs alone: complete scripts, to be pasted and run.

Style and choices as in notebooks/plain_sdk_example.py; sources: https://github.com/aliyun/credentials-python
(`get_credential` gives one consistent triple), https://www.alibabacloud.com/help/en/oss/developer-reference/guidelines-for-upgrading-v1-signatures-to-v4-signatures.
"""

# ruff: noqa: D103 - the functions are named like the actions, whose docstrings say what each does

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from . import actions as do
from .fragments import CREDENTIALS_URL, LIVE, Fragment, document_of, snake

TITLE = "Python (official SDKs)"
PROSE = False

# One call of the service takes so many instances.
BATCH = 100
# Beyond, a document is sent as it was written: spelling it anew might exceed a limit that it kept.
_ROOMY = 2_000
_WIDE = 88

# need -> (package to install, import lines)
_PROVIDED: dict[str, tuple[str, tuple[str, ...]]] = {
    "json": ("", ("import json",)),
    "urlopen": ("", ("from urllib.request import urlopen",)),
    "oss": ("'oss2>=2.18.4'", ("import oss2",)),
    "credential": (
        "alibabacloud-credentials",
        ("from alibabacloud_credentials.client import Client as CredentialClient",),
    ),
    "own key": (
        "alibabacloud-credentials",
        ("from alibabacloud_credentials.client import Client as CredentialClient",),
    ),
    "role": (
        "alibabacloud-credentials",
        (
            "from alibabacloud_credentials.client import Client as CredentialClient",
            "from alibabacloud_credentials.models import Config as CredentialConfig",
        ),
    ),
    "ecs": (
        "alibabacloud-ecs20140526",
        (
            "from alibabacloud_ecs20140526 import models as ecs_models",
            "from alibabacloud_ecs20140526.client import Client as EcsClient",
            "from alibabacloud_tea_openapi.models import Config",
        ),
    ),
    "ram": (
        "alibabacloud-ram20150501",
        (
            "from alibabacloud_ram20150501 import models as ram_models",
            "from alibabacloud_ram20150501.client import Client as RamClient",
            "from alibabacloud_tea_openapi.models import Config",
        ),
    ),
    "sts": (
        "alibabacloud-sts20150401",
        (
            "from alibabacloud_sts20150401.client import Client as StsClient",
            "from alibabacloud_tea_openapi.models import Config",
        ),
    ),
}

_MANAGEMENT = """\
# Signs with the SDK's default credential chain, for example what `aliyun configure` has stored.
credential = CredentialClient()"""

_RAM_CLIENT = f"""\
ram = RamClient(Config(credential=credential, endpoint="{LIVE.ram}"))"""

_OSS_PROVIDER = '''\
class SdkCredentials(oss2.CredentialsProvider):
    """What a credential client gives, for oss2: key, secret and token of one moment, asked for once a request."""

    def __init__(self, client):
        self.client = client

    def get_credentials(self):
        now = self.client.get_credential()
        return oss2.credentials.Credentials(now.access_key_id, now.access_key_secret, now.security_token)'''


# -- putting it together ---------------------------------------------------------------------------------------


def script(fragments: Sequence[Fragment]) -> str:
    needs = frozenset[str]().union(*(fragment.needs for fragment in fragments))
    provided = [_PROVIDED[need] for need in _PROVIDED if need in needs]
    packages = sorted({package for package, _ in provided if package}, key=lambda name: name.strip("'"))
    imports = {line for _, lines in provided for line in lines}
    head = (
        ["# Runs on the instance, with its role: no AccessKey is in it."]
        if "on the instance" in needs
        else []
    )
    if packages:
        head.append(f"# pip install {' '.join(packages)}")
    blocks = ["\n".join(head), _sorted_imports(imports)]
    if "credential" in needs:
        blocks.append(_MANAGEMENT + (f"\n{_RAM_CLIENT}" if "ram" in needs else ""))
    if "oss" in needs:
        blocks.append(f"\n{_OSS_PROVIDER}\n")
    bound: dict[str, str] = {}
    for fragment in fragments:
        fresh = [line for line in fragment.setup if bound.get(_name(line)) != line]
        bound |= {_name(line): line for line in fresh}
        blocks.append("\n".join([*fresh, fragment.text]))
    return "\n\n".join(block for block in blocks if block) + "\n"


def cannot(sentence: str) -> Fragment:
    return Fragment(f"# {sentence}")


def _name(assignment: str) -> str:
    return assignment.split(" = ", 1)[0]


def _sorted_imports(lines: set[str]) -> str:
    def order(line: str) -> tuple[bool, str]:
        return line.startswith("from"), line

    standard = sorted(lines & {"import json", "from urllib.request import urlopen"}, key=order)
    others = sorted(lines.difference(standard), key=order)
    return "\n\n".join("\n".join(group) for group in (standard, others) if group)


# -- values ----------------------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """Return a text as a Python string: its repr, in double quotes where that changes nothing else."""
    shown = repr(text)
    return f'"{shown[1:-1]}"' if "'" not in text and '"' not in text else shown


def literal(value: Any, indent: int = 0) -> str:
    """Return a JSON value as Python source, over several lines where it is long."""
    if not isinstance(value, dict | list):
        return quoted(value) if isinstance(value, str) else repr(value)
    if isinstance(value, dict):
        left, right = "{}"
        items = [f"{quoted(key)}: {literal(item, indent + 4)}" for key, item in value.items()]
    else:
        left, right = "[]"
        items = [literal(item, indent + 4) for item in value]
    flat = f"{left}{', '.join(items)}{right}"
    if "\n" not in flat and indent + len(flat) <= _WIDE:
        return flat
    pad = " " * (indent + 4)
    return f"{left}\n" + "".join(f"{pad}{item},\n" for item in items) + " " * indent + right


def _document(name: str, text: str) -> tuple[list[str], str, frozenset[str]]:
    """Return (lines before, expression, needs) of a policy document."""
    found = document_of(text)
    if found is None or len(json.dumps(found)) > max(len(text), _ROOMY):
        return [], quoted(text), frozenset()
    return [f"{name} = {literal(found)}"], f"json.dumps({name})", frozenset({"json"})


def _call(client: str, action: str, params: Mapping[str, str]) -> str:
    """Return a call; the values are expressions."""
    lines = "".join(f"        {name}={value},\n" for name, value in params.items())
    request = f"{client}_models.{action}Request"
    return f"{client}.{snake(action)}(\n    {request}(\n{lines}    )\n)"


def _ecs(region_id: str) -> str:
    return f"ecs = EcsClient(Config(credential=credential, endpoint={quoted(LIVE.ecs(region_id))}))"


def _role(role: str) -> str:
    name = f"        role_name={quoted(role)},\n" if role else ""
    return f"""\
role_credential = CredentialClient(
    CredentialConfig(
        type="ecs_ram_role",
{name}        disable_imds_v1=True,  # security hardening mode only: no falling back to normal mode
    )
)"""


# -- roles and policies ----------------------------------------------------------------------------------------

_RAM = frozenset({"credential", "ram"})
_ECS = frozenset({"credential", "ecs", "json"})


def create_role(action: do.CreateRole) -> Fragment:
    before, trust, needs = _document("TRUST_POLICY", action.trust_policy)
    params = {"role_name": quoted(action.name), "assume_role_policy_document": trust}
    if action.description:
        params["description"] = quoted(action.description)
    return Fragment("\n".join([*before, _call("ram", "CreateRole", params)]), _RAM | needs)


def set_trust(action: do.SetTrust) -> Fragment:
    before, trust, needs = _document("TRUST_POLICY", action.trust_policy)
    params = {"role_name": quoted(action.role), "new_assume_role_policy_document": trust}
    return Fragment("\n".join([*before, _call("ram", "UpdateRole", params)]), _RAM | needs)


def create_policy(action: do.CreatePolicy) -> Fragment:
    before, document, needs = _document("POLICY", action.document)
    params = {"policy_name": quoted(action.name), "policy_document": document}
    return Fragment("\n".join([*before, _call("ram", "CreatePolicy", params)]), _RAM | needs)


def _grant(call: str, role: str, policy: str, policy_type: str) -> str:
    params = {"policy_type": quoted(policy_type), "policy_name": quoted(policy), "role_name": quoted(role)}
    return _call("ram", call, params)


def grant_policy(action: do.GrantPolicy) -> Fragment:
    return Fragment(_grant("AttachPolicyToRole", action.role, action.policy, action.policy_type), _RAM)


def grant_document(action: do.GrantDocument) -> Fragment:
    created = create_policy(do.CreatePolicy(action.policy, action.document))
    granted = _grant("AttachPolicyToRole", action.role, action.policy, do.CUSTOM)
    return Fragment(f"{created.text}\n{granted}", created.needs)


def revoke_policy(action: do.RevokePolicy) -> Fragment:
    return Fragment(_grant("DetachPolicyFromRole", action.role, action.policy, action.policy_type), _RAM)


def delete_policy(action: do.DeletePolicy) -> Fragment:
    return Fragment(_call("ram", "DeletePolicy", {"policy_name": quoted(action.policy)}), _RAM)


def delete_role(action: do.DeleteRole) -> Fragment:
    # It is refused while the role holds a policy: those are revoked first.
    return Fragment(_call("ram", "DeleteRole", {"role_name": quoted(action.role)}), _RAM)


# -- instances -------------------------------------------------------------------------------------------------


def _instances(call: str, ids: tuple[str, ...], params: dict[str, str], failed: str) -> str:
    """Return the call for instances, in batches where they are many, with a look at the items that failed."""
    results = snake(call) + "_results"
    one = "INSTANCE_IDS[start : start + 100]" if len(ids) > BATCH else literal(list(ids), 30)
    params["instance_ids"] = f"json.dumps({one})"
    body = (
        f"answer = {_call('ecs', call, params)}\n"
        "# A failed item does not raise: the call succeeds and counts it.\n"
        "if answer.body.fail_count:\n"
        f'    raise SystemExit(f"{failed}: {{answer.body.{results}.to_map()}}")'
    )
    if len(ids) <= BATCH:
        return body
    inner = body.replace("\n", "\n    ")
    return (
        f"INSTANCE_IDS = {literal(list(ids))}\n"
        f"# One call takes {BATCH} instances at most.\n"
        f"for start in range(0, len(INSTANCE_IDS), {BATCH}):\n    {inner}"
    )


def attach_role(action: do.AttachRole) -> Fragment:
    params = {"region_id": quoted(action.region_id), "ram_role_name": quoted(action.role)}
    if action.session_policy:
        params["policy"] = quoted(action.session_policy)
    text = _instances("AttachInstanceRamRole", action.instance_ids, params, "not attached")
    return Fragment(text, _ECS, (_ecs(action.region_id),))


def detach_role(action: do.DetachRole) -> Fragment:
    params = {"region_id": quoted(action.region_id), "ram_role_name": quoted(action.role)}
    text = _instances("DetachInstanceRamRole", action.instance_ids, params, "not detached")
    return Fragment(text, _ECS, (_ecs(action.region_id),))


def replace_role(action: do.ReplaceRole) -> Fragment:
    region, instance = quoted(action.region_id), quoted(action.instance_id)
    text = f"""\
REGION, INSTANCE_IDS = {region}, json.dumps([{instance}])


def attach(role_name):
    answer = ecs.attach_instance_ram_role(
        ecs_models.AttachInstanceRamRoleRequest(
            region_id=REGION,
            ram_role_name=role_name,
            instance_ids=INSTANCE_IDS,
        )
    )
    # A failed item does not raise: the call succeeds and counts it.
    if answer.body.fail_count:
        raise RuntimeError(f"not attached: {{answer.body.attach_instance_ram_role_results.to_map()}}")


# The API needs two calls (the console's dialog needs one). Between them the instance has no role, and no credentials.
answer = ecs.detach_instance_ram_role(
    ecs_models.DetachInstanceRamRoleRequest(
        region_id=REGION,
        ram_role_name={quoted(action.old)},
        instance_ids=INSTANCE_IDS,
    )
)
if answer.body.fail_count:
    raise SystemExit(f"not detached: {{answer.body.detach_instance_ram_role_results.to_map()}}")
try:
    attach({quoted(action.new)})
except Exception:
    attach({quoted(action.old)})  # put the old one back
    raise"""
    return Fragment(text, _ECS, (_ecs(action.region_id),))


def set_hardening(action: do.SetHardening) -> Fragment:
    params = {
        "region_id": quoted(action.region_id),
        "instance_id": quoted(action.instance_id),
        "http_endpoint": '"enabled"',
        "http_tokens": '"required"' if action.required else '"optional"',
    }
    text = _call("ecs", "ModifyInstanceMetadataOptions", params)
    return Fragment(text, _ECS - {"json"}, (_ecs(action.region_id),))


# -- on the instance -------------------------------------------------------------------------------------------

_ON_THE_INSTANCE = frozenset({"on the instance", "role"})


def fetch_credentials(action: do.FetchCredentials) -> Fragment:
    if action.mode == do.NORMAL:
        return _normal_mode(action.role)
    text = """\
# One consistent set. now.access_key_secret and now.security_token are secret: use them, do not print them.
now = role_credential.get_credential()
print(now.access_key_id[:4] + "********" + now.access_key_id[-4:])"""
    return Fragment(text, _ON_THE_INSTANCE, (_role(action.role),))


def _normal_mode(role: str) -> Fragment:
    url = quoted(CREDENTIALS_URL + quote(role, safe=""))
    ask = f"url = {url}" if role else f"url = {url}\nurl += urlopen(url, timeout=5).read().decode()"
    text = f"""\
# The SDK always tries security hardening mode first, so normal mode is shown as what it is: one request without a token.
{ask}
now = json.load(urlopen(url, timeout=5))
# now["AccessKeySecret"] and now["SecurityToken"] are secret: use them, do not print them.
print(now["Code"], now["AccessKeyId"][:4] + "********" + now["AccessKeyId"][-4:], now["Expiration"])"""
    return Fragment(text, frozenset({"on the instance", "json", "urlopen"}))


def who_am_i(_: do.WhoAmI) -> Fragment:
    text = """\
sts = StsClient(Config(credential=role_credential, endpoint="sts.aliyuncs.com"))
print(sts.get_caller_identity().body.arn)"""
    return Fragment(text, _ON_THE_INSTANCE | {"sts"}, (_role(""),))


_OWN_KEY = "own_credential = CredentialClient()  # the default credential chain, such as what `aliyun configure` stored"


def _oss(action: do.ListObjects | do.DownloadObject, text: str) -> Fragment:
    """Return code that uses the bucket, signed by the caller's own key or by the role of the instance it runs on."""
    signer, needs, known = _role(""), _ON_THE_INSTANCE, "role_credential"
    if action.own_key:
        signer, needs, known = _OWN_KEY, frozenset({"own key"}), "own_credential"
    endpoint = quoted(LIVE.oss(action.region_id, internal=action.internal))
    client = f"""\
bucket = oss2.Bucket(
    oss2.ProviderAuthV4(SdkCredentials({known})),  # signature V4: V1 is refused to new accounts
    {endpoint},
    {quoted(action.bucket)},
    region={quoted(action.region_id)},  # part of a V4 signature
)"""
    return Fragment(text, needs | {"oss"}, (signer, client))


def list_objects(action: do.ListObjects) -> Fragment:
    text = f"""\
for item in oss2.ObjectIteratorV2(bucket, prefix={quoted(action.prefix)}, delimiter="/"):
    print(item.key, "" if item.is_prefix() else f"{{item.size}} bytes")"""
    return _oss(action, text)


def download_object(action: do.DownloadObject) -> Fragment:
    text = f"""\
# Checks the CRC64 of what arrives; an existing file is overwritten.
bucket.get_object_to_file({quoted(action.key)}, {quoted(action.target)})"""
    return _oss(action, text)
