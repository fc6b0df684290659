r"""The same in Terraform, with the provider aliyun/alicloud.

Arguments as documented at https://registry.terraform.io/providers/aliyun/alicloud/latest/docs: `alicloud_ram_role` spells
them `role_name` and `assume_role_policy_document` since 1.252.0; `alicloud_ecs_ram_role_attachment` (since 1.250.0)
replaces the deprecated `alicloud_ram_role_attachment`, and its update does nothing (read in the provider's source).
"""

# ruff: noqa: D103 - the functions are named like the actions, whose docstrings say what each does

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from . import actions as do
from .fragments import LIVE, Fragment, document_of

TITLE = "Terraform"
PROSE = False

_HEAD = """\
terraform {
  required_version = ">= 1.5" # import blocks
  required_providers {
    alicloud = {
      source  = "aliyun/alicloud"
      version = ">= 1.252.0"
    }
  }
}"""

_REMOVE = """\
# Terraform removes what it manages and what is no longer in the configuration. So: `terraform apply` these blocks, which
# takes what exists under management (nothing changes), then delete them and apply again."""

# Stands in labels for what tells the blocks of one script apart; no value holds it.
_NUMBER = "\0"

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


# -- putting it together ---------------------------------------------------------------------------------------


def script(fragments: Sequence[Fragment]) -> str:
    needs = frozenset[str]().union(*(fragment.needs for fragment in fragments))
    if needs == {"nothing"}:
        return "\n\n".join(fragment.text for fragment in fragments) + "\n"
    regions = list(dict.fromkeys(fragment.region_id for fragment in fragments if fragment.region_id))
    aliases = {region: f"region_{number}" for number, region in enumerate(regions) if number}
    blocks = [_HEAD]
    setup = list(dict.fromkeys(line for fragment in fragments for line in fragment.setup))
    for region in regions or [""]:
        blocks += _provider(region, aliases.get(region, ""), setup)
    if "remove" in needs:
        blocks.append(_REMOVE)
    for number, fragment in enumerate(fragments, 1):
        text = fragment.text.replace(_NUMBER, f"_{number}" if len(fragments) > 1 else "")
        if alias := aliases.get(fragment.region_id):
            # Our own lines alone begin so: a value never holds a line break.
            text = re.sub(
                r"^((?:import|(?:resource|data) .*) \{)$",
                rf"\1\n  provider = alicloud.{alias}\n",
                text,
                flags=re.M,
            )
        blocks.append(text)
    return "\n\n".join(blocks) + "\n"


def _provider(region_id: str, alias: str, setup: Sequence[str]) -> list[str]:
    rows = {"alias": quoted(alias)} if alias else {}
    rows |= {"region": quoted(region_id)} if region_id else {}
    rows |= {"ecs_role_name": "var.role_name"} if "ecs_role_name" in setup else {}
    inside = _aligned(rows)
    if f"internal {region_id}" in setup:
        host = LIVE.oss(region_id, internal=True).removeprefix("https://")
        inside += f"\n\n  endpoints {{\n    oss = {quoted(host)}\n  }}" if inside else ""
    blocks = [f'provider "alicloud" {{\n{inside}\n}}'] if inside else []
    if "ecs_role_name" in setup and not alias:
        about = "the role of the instance that Terraform runs on"
        blocks.insert(0, f'variable "role_name" {{\n  type        = string\n  description = "{about}"\n}}')
    return blocks


def cannot(sentence: str) -> Fragment:
    return Fragment(f"# {sentence}", frozenset({"nothing"}))


# -- values ----------------------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """Return a text as an HCL string that is a literal: `${` and `%{` begin templates, so they are doubled."""
    out = "".join(_ESCAPES.get(char, char) for char in text)
    out = _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", out)
    return '"' + out.replace("${", "$${").replace("%{", "%%{") + '"'


def literal(value: Any, indent: int = 0) -> str:
    """Return a JSON value as an HCL expression."""
    if isinstance(value, str):
        return quoted(value)
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        if not value:
            return "{}"
        return "{\n" + _aligned({_key(k): v for k, v in value.items()}, indent + 2) + f"\n{pad[2:]}}}"
    if isinstance(value, list):
        if not any(isinstance(item, dict | list) for item in value):
            return "[" + ", ".join(literal(item) for item in value) + "]"
        return "[\n" + "".join(f"{pad}{literal(item, indent + 2)},\n" for item in value) + f"{pad[2:]}]"
    return json.dumps(value)  # numbers, true, false and null are spelt alike


def _key(key: str) -> str:
    return (
        key
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key) and key not in ("for", "null", "true", "false")
        else quoted(key)
    )


def _aligned(rows: Mapping[str, Any], indent: int = 2) -> str:
    """Return `name = value` lines as `terraform fmt` lays them out. Strings are expressions on the block's own level.

    Neighbours with one-line values share a column; a value over several lines ends their group.
    """
    pad = " " * indent
    shown = [
        (name, value if indent == 2 and isinstance(value, str) else literal(value, indent))
        for name, value in rows.items()
    ]
    lines: list[str] = []
    group: list[tuple[str, str]] = []
    for name, value in [*shown, ("", "")]:
        if name and "\n" not in value:
            group.append((name, value))
            continue
        width = max((len(row[0]) for row in group), default=0)
        lines += [f"{pad}{row[0].ljust(width)} = {row[1]}" for row in group]
        group = []
        if name:
            lines.append(f"{pad}{name} = {value}")
    return "\n".join(lines)


def _document(text: str) -> str:
    found = document_of(text)
    return quoted(text) if found is None else f"jsonencode({literal(found, 2)})"


def _resource(kind: str, label: str, rows: Mapping[str, str], *, before: str = "") -> str:
    head = f"{before}\n" if before else ""
    return f'{head}resource "{kind}" "{label}{_NUMBER}" {{\n{_aligned(rows)}\n}}'


def _import(kind: str, label: str, identity: str) -> str:
    return f"import {{\n  to = {kind}.{label}{_NUMBER}\n  id = {quoted(identity)}\n}}"


# -- roles and policies ----------------------------------------------------------------------------------------

_ROLE, _POLICY = "alicloud_ram_role", "alicloud_ram_policy"
_GRANT, _ATTACHMENT = "alicloud_ram_role_policy_attachment", "alicloud_ecs_ram_role_attachment"
_REMOVED = frozenset({"remove"})


def create_role(action: do.CreateRole) -> Fragment:
    rows = {"role_name": quoted(action.name)}
    if action.description:
        rows["description"] = quoted(action.description)
    rows["assume_role_policy_document"] = _document(action.trust_policy)
    return Fragment(_resource(_ROLE, "role", rows))


def set_trust(action: do.SetTrust) -> Fragment:
    rows = {
        "role_name": quoted(action.role),
        "assume_role_policy_document": _document(action.trust_policy),
    }
    note = "# Keep the other arguments of the role as they are: what is left out here is put back to its default."
    return Fragment(f"{_import(_ROLE, 'role', action.role)}\n\n{_resource(_ROLE, 'role', rows, before=note)}")


def create_policy(action: do.CreatePolicy) -> Fragment:
    rows = {"policy_name": quoted(action.name), "policy_document": _document(action.document)}
    return Fragment(_resource(_POLICY, "policy", rows))


def _grant(role: str, policy: str, policy_type: str) -> str:
    rows = {"policy_name": policy, "policy_type": policy_type, "role_name": role}
    return _resource(_GRANT, "grant", rows)


def grant_policy(action: do.GrantPolicy) -> Fragment:
    return Fragment(_grant(quoted(action.role), quoted(action.policy), quoted(action.policy_type)))


def grant_document(action: do.GrantDocument) -> Fragment:
    created = create_policy(do.CreatePolicy(action.policy, action.document)).text
    policy = f"{_POLICY}.policy{_NUMBER}"
    granted = _grant(quoted(action.role), f"{policy}.policy_name", f"{policy}.type")
    return Fragment(f"{created}\n\n{granted}")


def revoke_policy(action: do.RevokePolicy) -> Fragment:
    identity = f"role:{action.policy}:{action.policy_type}:{action.role}"
    granted = _grant(quoted(action.role), quoted(action.policy), quoted(action.policy_type))
    return Fragment(f"{_import(_GRANT, 'grant', identity)}\n\n{granted}", _REMOVED)


def delete_policy(action: do.DeletePolicy) -> Fragment:
    return _removed(_POLICY, "policy", "policy_name", action.policy)


def delete_role(action: do.DeleteRole) -> Fragment:
    return _removed(_ROLE, "role", "role_name", action.role)


def _removed(kind: str, label: str, argument: str, name: str) -> Fragment:
    # What else the resource says is not known here, so it must not be compared.
    kept = "\n\n  lifecycle {\n    ignore_changes = all\n  }\n}"
    text = _resource(kind, label, {argument: quoted(name)}).removesuffix("\n}") + kept
    return Fragment(f"{_import(kind, label, name)}\n\n{text}", _REMOVED)


# -- instances -------------------------------------------------------------------------------------------------

_TRAPS = """\
# Not the deprecated alicloud_ram_role_attachment. An instance has one role: do not also set role_name in alicloud_instance.
# Another ram_role_name means detach, then attach: between the two the instance has no role."""
_POLICY_TRAP = """\
# A later change of `policy` is silently ignored, and it is not read back: `terraform apply -replace=...` sets it anew."""


def attach_role(action: do.AttachRole) -> Fragment:
    rows = _attachment(action.role, action.instance_ids)
    before = _TRAPS
    if action.session_policy:
        rows["policy"] = _document(action.session_policy)
        before += f"\n{_POLICY_TRAP}"
    return Fragment(_resource(_ATTACHMENT, "attachment", rows, before=before), region_id=action.region_id)


def _attachment(role: str, ids: Sequence[str]) -> dict[str, str]:
    if len(ids) == 1:
        return {"ram_role_name": quoted(role), "instance_id": quoted(ids[0])}
    return {
        "for_each": f"toset({literal(list(ids))})",
        "ram_role_name": quoted(role),
        "instance_id": "each.value",
    }


def detach_role(action: do.DetachRole) -> Fragment:
    blocks = []
    for number, instance_id in enumerate(action.instance_ids):
        label = "attachment" if len(action.instance_ids) == 1 else f"attachment_{number}_of"
        blocks += [
            _import(_ATTACHMENT, label, f"{instance_id}:{action.role}"),
            _resource(_ATTACHMENT, label, _attachment(action.role, [instance_id])),
        ]
    return Fragment("\n\n".join(blocks), _REMOVED, region_id=action.region_id)


def replace_role(action: do.ReplaceRole) -> Fragment:
    taken = _import(_ATTACHMENT, "attachment", f"{action.instance_id}:{action.old}")
    rows = _attachment(action.new, [action.instance_id])
    note = f"{_TRAPS}\n# No create_before_destroy here: attaching is refused while the instance still has a role."
    text = _resource(_ATTACHMENT, "attachment", rows, before=note)
    return Fragment(f"{taken}\n\n{text}", region_id=action.region_id)


def set_hardening(action: do.SetHardening) -> Fragment:
    tokens = "required" if action.required else "optional"
    return cannot(
        "Terraform has no resource for this setting alone: it is two arguments of alicloud_instance, the block that\n"
        "# describes the whole instance (provider 1.192.0 or later):\n"
        '#   http_endpoint = "enabled"\n'
        f'#   http_tokens   = "{tokens}"'
    )


# -- on the instance -------------------------------------------------------------------------------------------


def fetch_credentials(_: do.FetchCredentials) -> Fragment:
    return cannot(
        "Terraform does not hand out the credential of an instance; its provider can use it: `ecs_role_name` in the\n"
        "# provider block signs with the role, where Terraform runs on the instance."
    )


def who_am_i(_: do.WhoAmI) -> Fragment:
    text = f"""\
# Runs on the instance.
data "alicloud_caller_identity" "me{_NUMBER}" {{}}

output "me{_NUMBER}" {{
  value = data.alicloud_caller_identity.me{_NUMBER}.arn
}}"""
    return Fragment(text, setup=("ecs_role_name",))


def list_objects(action: do.ListObjects) -> Fragment:
    rows = {"bucket_name": quoted(action.bucket)}
    if action.prefix:
        rows["key_prefix"] = quoted(action.prefix)
    text = f"""\
# Runs on the instance. Unlike the others, this also lists what is inside the folders.
data "alicloud_oss_bucket_objects" "found{_NUMBER}" {{
{_aligned(rows)}
}}

output "found{_NUMBER}" {{
  value = data.alicloud_oss_bucket_objects.found{_NUMBER}.objects[*].key
}}"""
    setup = ("ecs_role_name", *([f"internal {action.region_id}"] if action.internal else []))
    return Fragment(text, setup=setup, region_id=action.region_id)


def download_object(_: do.DownloadObject) -> Fragment:
    return cannot("Terraform does not download objects: it describes what exists, and has no files to bring.")
