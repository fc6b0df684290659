"""The same by hand: the vendor page's steps in the console, with the user's values filled in.

Source: https://www.alibabacloud.com/help/en/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance.
"""

# ruff: noqa: D103 - the functions are named like the actions, whose docstrings say what each does

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ..policy import MalformedPolicyDocument, same_meaning, trust_for_service
from . import actions as do
from .fragments import Fragment, document_of

TITLE = "Console"
PROSE = True

RAM = "Log on to the RAM console, https://ram.console.aliyun.com."
ECS = "Log on to the ECS console, https://ecs.console.aliyun.com."
OSS = "Log on to the OSS console, https://oss.console.aliyun.com."
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def script(fragments: Sequence[Fragment]) -> str:
    return "\n\n".join(fragment.text for fragment in fragments) + "\n"


def cannot(sentence: str) -> Fragment:
    return Fragment(sentence)


def _shown(text: str) -> str:
    """Return a value in quotation marks and in one line; what cannot be seen is spelt as in JSON."""
    return "“" + _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text) + "”"


def _numbered(*sentences: str, note: str = "") -> Fragment:
    lines = [f"{number}. {sentence}" for number, sentence in enumerate(sentences, 1)]
    return Fragment("\n".join([*lines, *([f"\nNote: {note}"] if note else [])]))


def _document(text: str) -> str:
    """Return a document for pasting, indented below its step."""
    found = document_of(text)
    shown = text if found is None else json.dumps(found, indent=2, ensure_ascii=False)
    return "\n" + "\n".join(f"     {line}" for line in shown.splitlines())


def _trusts_ecs_alone(text: str) -> bool:
    try:
        return same_meaning(text, trust_for_service("ecs.aliyuncs.com"))
    except MalformedPolicyDocument:
        return False


# -- roles and policies ----------------------------------------------------------------------------------------


def create_role(action: do.CreateRole) -> Fragment:
    known = _trusts_ecs_alone(action.trust_policy)
    sentences = [
        RAM,
        "Choose Identities > Roles, and click Create Role.",
        "For Trusted Entity Type, select Alibaba Cloud Service.",
        "For Trusted Service, select Elastic Compute Service.",
        f"Name the role {_shown(action.name)}"
        + (f", with the description {_shown(action.description)}" if action.description else "")
        + ", and confirm.",
    ]
    if not known:
        sentences.append(
            "Open the role's Trust Policy tab, edit the policy, and paste:" + _document(action.trust_policy)
        )
    return _numbered(*sentences)


def set_trust(action: do.SetTrust) -> Fragment:
    return _numbered(
        RAM,
        f"Choose Identities > Roles, and click {_shown(action.role)}.",
        "Open its Trust Policy tab, edit the policy, paste this, and save:" + _document(action.trust_policy),
    )


def create_policy(action: do.CreatePolicy) -> Fragment:
    return _numbered(
        RAM,
        "Choose Permissions > Policies, and click Create Policy.",
        "Open the JSON tab, and paste:" + _document(action.document),
        f"Name the policy {_shown(action.name)}, and confirm.",
    )


def grant_policy(action: do.GrantPolicy) -> Fragment:
    kind = "system" if action.policy_type == do.SYSTEM else "custom"
    return _numbered(
        RAM,
        f"Choose Identities > Roles, find {_shown(action.role)}, and click Grant Permission.",
        f"Select the {kind} policy {_shown(action.policy)}, and confirm.",
    )


def grant_document(action: do.GrantDocument) -> Fragment:
    created = create_policy(do.CreatePolicy(action.policy, action.document)).text
    return Fragment(
        f"{created}\n"
        f"5. Choose Identities > Roles, find {_shown(action.role)}, and click Grant Permission.\n"
        f"6. Select the custom policy {_shown(action.policy)}, and confirm."
    )


def revoke_policy(action: do.RevokePolicy) -> Fragment:
    return _numbered(
        RAM,
        f"Choose Identities > Roles, and click {_shown(action.role)}.",
        f"On its Permissions tab, find {_shown(action.policy)}, click Revoke Permission, and confirm.",
    )


def delete_policy(action: do.DeletePolicy) -> Fragment:
    return _numbered(
        RAM,
        f"Choose Permissions > Policies, find {_shown(action.policy)}, click Delete, and confirm.",
    )


def delete_role(action: do.DeleteRole) -> Fragment:
    return _numbered(
        RAM,
        f"Choose Identities > Roles, find {_shown(action.role)}, click Delete Role, and confirm.",
    )


# -- instances -------------------------------------------------------------------------------------------------


def _dialog(region_id: str, ids: Sequence[str], *choices: str, note: str = "") -> Fragment:
    each = "" if len(ids) == 1 else " Do this for each: " + ", ".join(_shown(name) for name in ids) + "."
    which = _shown(ids[0]) if len(ids) == 1 else "the instance"
    return _numbered(
        f"{ECS} Choose Instances, and select the region {_shown(region_id)} in the top bar.",
        f"Find {which}, and choose ⋮ > Instance Settings > Attach/Detach RAM Role.{each}",
        *choices,
        note=note,
    )


def attach_role(action: do.AttachRole) -> Fragment:
    note = ""
    if action.session_policy:
        note = "the vendor's page names no place for a policy that narrows the role on this instance; the API has one."
    choice = f"In the dialog, select the role {_shown(action.role)}, and click OK."
    return _dialog(action.region_id, action.instance_ids, choice, note=note)


def detach_role(action: do.DetachRole) -> Fragment:
    choice = f"For Operation Type, select Detach (the role is {_shown(action.role)}), and click OK."
    return _dialog(action.region_id, action.instance_ids, choice)


def replace_role(action: do.ReplaceRole) -> Fragment:
    choice = f"For Operation Type, select Attach, select the role {_shown(action.new)}, and click OK."
    note = (
        f"the dialog replaces {_shown(action.old)} directly. The API needs two calls, detach, then attach: "
        "between them the instance has no role."
    )
    return _dialog(action.region_id, [action.instance_id], choice, note=note)


def set_hardening(_: do.SetHardening) -> Fragment:
    return cannot(
        "The vendor's page names no steps in the console for this setting of an existing instance: it is the API's "
        "ModifyInstanceMetadataOptions, which the other tabs call."
    )


# -- on the instance -------------------------------------------------------------------------------------------


def fetch_credentials(_: do.FetchCredentials) -> Fragment:
    return cannot(
        "The console shows no temporary credentials: the metadata service hands them out on the instance alone."
    )


def who_am_i(_: do.WhoAmI) -> Fragment:
    return cannot("The console acts as you, so it cannot tell who a program on the instance is.")


_AS_YOU = (
    "the console signs as you, not as the instance's role: what the role may do shows only on the instance."
)


def list_objects(action: do.ListObjects) -> Fragment:
    below = f" Open the folder {_shown(action.prefix)}." if action.prefix else ""
    return _numbered(
        OSS,
        f"Choose Buckets, and click {_shown(action.bucket)} (region {_shown(action.region_id)}).",
        f"Choose Object Management > Objects.{below}",
        note=_AS_YOU,
    )


def download_object(action: do.DownloadObject) -> Fragment:
    return _numbered(
        OSS,
        f"Choose Buckets, and click {_shown(action.bucket)} (region {_shown(action.region_id)}).",
        f"Choose Object Management > Objects, find {_shown(action.key)}, and click Download.",
        f"Save it as {_shown(action.target)}.",
        note=_AS_YOU,
    )
