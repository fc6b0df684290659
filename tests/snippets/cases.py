"""One action of each kind, built from texts, so that tests can put in what they like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ramrole_nb import snippets as s
from ramrole_nb.policy import read_objects, trust_for_service

TRUST = trust_for_service()
READ = read_objects("sandbox-photos", "testfolder/")


@dataclass(frozen=True)
class Kind:
    """How to build an action of a kind from texts; `fields` says what each text is."""

    build: Callable[..., s.Action]
    fields: tuple[str, ...]
    documents: tuple[str, ...] = ()  # which of the fields are JSON documents

    def action(self, **texts: str) -> s.Action:
        return self.build(*(texts[name] for name in self.fields))


KINDS: dict[str, Kind] = {
    "CreateRole": Kind(s.CreateRole, ("name", "trust", "description"), ("trust",)),
    "SetTrust": Kind(s.SetTrust, ("role", "trust"), ("trust",)),
    "CreatePolicy": Kind(s.CreatePolicy, ("policy", "document"), ("document",)),
    "GrantPolicy": Kind(lambda role, policy: s.GrantPolicy(role, policy, "System"), ("role", "policy")),
    "GrantDocument": Kind(s.GrantDocument, ("role", "policy", "document"), ("document",)),
    "RevokePolicy": Kind(lambda role, policy: s.RevokePolicy(role, policy, "Custom"), ("role", "policy")),
    "DeletePolicy": Kind(s.DeletePolicy, ("policy",)),
    "DeleteRole": Kind(s.DeleteRole, ("role",)),
    "AttachRole": Kind(
        lambda role, region, one, two, policy: s.AttachRole(role, region, (one, two), policy),
        ("role", "region", "one", "two", "session"),
        ("session",),
    ),
    "DetachRole": Kind(
        lambda role, region, one: s.DetachRole(role, region, (one,)), ("role", "region", "one")
    ),
    "ReplaceRole": Kind(s.ReplaceRole, ("old", "new", "region", "one")),
    "SetHardening": Kind(lambda one, region: s.SetHardening(one, region, required=True), ("one", "region")),
    "FetchCredentials": Kind(lambda role: s.FetchCredentials(role, "i-1"), ("role",)),
    "FetchCredentials-normal": Kind(lambda role: s.FetchCredentials(role, "i-1", "normal"), ("role",)),
    "WhoAmI": Kind(lambda: s.WhoAmI("i-1"), ()),
    "ListObjects": Kind(
        lambda bucket, region, prefix: s.ListObjects(bucket, region, prefix, internal=True),
        ("bucket", "region", "prefix"),
    ),
    "DownloadObject": Kind(
        lambda bucket, key, region, to: s.DownloadObject(bucket, key, region, internal=True, to=to),
        ("bucket", "key", "region", "to"),
    ),
    "ListObjects-own-key": Kind(
        lambda bucket, region, prefix: s.ListObjects(bucket, region, prefix, internal=False, own_key=True),
        ("bucket", "region", "prefix"),
    ),
    "DownloadObject-own-key": Kind(
        lambda bucket, key, region, to: s.DownloadObject(
            bucket, key, region, internal=False, to=to, own_key=True
        ),
        ("bucket", "key", "region", "to"),
    ),
    "CleanUp": Kind(
        lambda role, region, one, policy: s.CleanUp(
            (
                s.DetachRole(role, region, (one,)),
                s.DetachRole(role, "cn-shanghai", (one, "i-9")),
                s.RevokePolicy(role, policy, "Custom"),
                s.DeletePolicy(policy),
                s.CleanUp((s.DeleteRole(role),)),
            )
        ),
        ("role", "region", "one", "policy"),
    ),
}

# Each is told from the others, and from every word of the snippets, wherever it stands.
BENIGN = {
    name: f"benign{number:02d}z"
    for number, name in enumerate(dict.fromkeys(field for kind in KINDS.values() for field in kind.fields))
}


def benign(name: str) -> s.Action:
    """An action of a kind with harmless values (its documents are no JSON)."""
    return KINDS[name].action(**BENIGN)


def usual(name: str) -> s.Action:
    """An action of a kind as it is met: documents are policies."""
    kind = KINDS[name]
    documents = {field: TRUST if field == "trust" else READ for field in kind.documents}
    texts = {"role": "EcsRamRole", "name": "EcsRamRole", "region": "cn-beijing", "one": "i-2ze0"}
    return kind.action(**{**BENIGN, **texts, **documents})
