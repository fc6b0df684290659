"""What a case changes in the sandbox's world, and how that is put back.

It works as the sandbox's administrator and apart from the learner's session: nothing of it is on their wire or in their
ledger. Roles and policies have names that begin with `gym-`; what else it touches is noted before, in the undo record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..cloud.calls import Calls
from ..cloud.credentials import StaticCredentials, forget_every_role
from ..cloud.looks import oss_at
from ..cloud.session import Cloud
from ..cloud.wire import Wire
from ..errors import NotFound
from ..policy import trust_for_service
from .program import BUCKET, READER

__all__ = ["OTHER", "World", "as_user", "with_own_wire"]

PREFIX = "gym-"
OTHER = "gym-other"
WIDE = "AliyunOSSReadOnlyAccess"


def as_user(cloud: Cloud, name: str = "") -> Cloud:
    """Return the session as another user of the sandbox sees it (empty: the administrator), with a wire of its own."""
    rows = cloud.sandbox.status()["users"]
    row = next((row for row in rows if row["name"] == name), rows[0])
    context = cloud.context
    key = StaticCredentials(row["access_key_id"], row["access_key_secret"])
    wire = Wire()
    calls = Calls(context.endpoints, context.region_id, key, wire, row["name"])
    return Cloud(
        replace(context, calls=calls, wire=wire, _preflight=None), label=cloud.label, provenance=row["name"]
    )


def with_own_wire(cloud: Cloud) -> Cloud:
    """Return the same session with a wire of its own: what other cases did on the session's tells nothing of this one."""
    old, wire = cloud.context.calls, Wire()
    calls = Calls(old.endpoints, old.region_id, old.provider, wire, old.caller)
    context = replace(cloud.context, calls=calls, wire=wire, _preflight=None)
    return Cloud(context, label=cloud.label, provenance=cloud.provenance, sandbox=cloud.sandbox)


class World:
    """The hands that break a world and put it back. `undo` is what has to be known for that; JSON can hold it."""

    def __init__(self, cloud: Cloud, undo: dict[str, Any] | None = None) -> None:
        self.cloud = cloud
        self._own = as_user(cloud)
        self.calls = self._own.context.calls
        self.undo: dict[str, Any] = undo if undo is not None else {}

    # -- setting up -----------------------------------------------------------------------------------------------

    def choose(self, wanted: str = "") -> str:
        """Return the instance a case plays on: one that has no role, if there is one."""
        vms = {vm.name: vm for vm in self._own.instances.all()}
        held = self._own.instances.roles(list(vms.values()))
        names = [wanted] if wanted else ["hardened-1", "web-2", "web-1"]
        free = [name for name in names if name in vms and not held.get(vms[name].instance_id)]
        return (free or names)[0]

    def borrow(self, name: str) -> None:
        """Note how an instance is, and free it."""
        vm = self._own.instances[name]
        held = vm.role_name
        noted = [e for e in self.cloud.context.ledger.open_entries() if e.kind == "attachment"]
        self.undo |= {
            "instance": vm.instance_id, "region": vm.region_id, "role": held,
            "http_endpoint": vm.http_endpoint, "http_tokens": vm.http_tokens,
            "noted": any(vm.instance_id in (e.name, *map(str, e.details.values())) for e in noted),
        }  # fmt: skip

    def prepare(self) -> None:
        """Make a world in order: the role gym-reader, which reads OSS, on the instance alone."""
        self.role(READER)
        self.detach()
        self.attach(READER)

    def role(self, name: str) -> None:
        """Make a role that ECS may assume and that reads OSS."""
        trust = trust_for_service("ecs.aliyuncs.com")
        self.calls.ram("CreateRole", role_name=name, assume_role_policy_document=trust)
        self.calls.ram("AttachPolicyToRole", policy_type="System", policy_name=WIDE, role_name=name)

    # -- breaking -------------------------------------------------------------------------------------------------

    def fault(self, name: str, *instances: str) -> None:
        """Switch a fault of the sandbox on."""
        self.cloud.sandbox.fault(name, instances=list(instances))

    def detach(self) -> None:
        """Take the role off the instance."""
        if self._role_on():
            ids = json.dumps([self.undo["instance"]])
            self.calls.ecs("DetachInstanceRamRole", self.undo["region"], instance_ids=ids)

    def attach(self, role: str, session_policy: Mapping[str, Any] | None = None) -> None:
        """Give the instance a role."""
        more = {"policy": json.dumps(session_policy)} if session_policy else {}
        ids = json.dumps([self.undo["instance"]])
        self.calls.ecs(
            "AttachInstanceRamRole", self.undo["region"], instance_ids=ids, ram_role_name=role, **more
        )

    def trust(self, document: str) -> None:
        """Give gym-reader another trust policy."""
        self.calls.ram("UpdateRole", role_name=READER, new_assume_role_policy_document=document)

    def revoke(self, role: str = READER) -> None:
        """Take every policy from a role."""
        for row in self.calls.ram("ListPoliciesForRole", role_name=role)["Policies"]["Policy"]:
            self.calls.ram(
                "DetachPolicyFromRole",
                policy_type=row["PolicyType"],
                policy_name=row["PolicyName"],
                role_name=role,
            )

    def grant(self, name: str, *statements: Mapping[str, Any]) -> None:
        """Grant gym-reader a custom policy."""
        document = json.dumps({"Version": "1", "Statement": list(statements)})
        self.calls.ram("CreatePolicy", policy_name=name, policy_document=document)
        self.calls.ram("AttachPolicyToRole", policy_type="Custom", policy_name=name, role_name=READER)

    def only(self, name: str, *statements: Mapping[str, Any]) -> None:
        """Let gym-reader hold one custom policy and nothing else."""
        self.revoke()
        self.grant(name, *statements)

    def delete_role(self) -> None:
        """Delete gym-reader, which stays attached."""
        self.revoke()
        self.calls.ram("DeleteRole", role_name=READER)

    def options(self, **values: str) -> None:
        """Set metadata options of the instance."""
        vm = self._own.instances[self.undo["instance"]]
        now = {"http_endpoint": vm.http_endpoint, "http_tokens": vm.http_tokens, **values}
        self.calls.ecs(
            "ModifyInstanceMetadataOptions", self.undo["region"], instance_id=vm.instance_id, **now
        )

    def bucket_policy(self, document: Mapping[str, Any]) -> None:
        """Give the bucket another policy, after noting its own."""
        text = json.dumps(document)
        self._bucket().put_bucket_policy(text)

    def note_bucket_policy(self) -> None:
        """Note the bucket's policy, to be put back."""
        self.undo["bucket_policy"] = self._bucket_policy()

    # -- putting back ---------------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Put back what the case changed, and nothing else. May be run again."""
        for name in self.undo.get("faults", ()):
            self.cloud.sandbox.fault(name, False)
        if "instance" in self.undo:
            self._restore_instance()
        if "bucket_policy" in self.undo and self._bucket_policy() != self.undo["bucket_policy"]:
            if self.undo["bucket_policy"]:
                self._bucket().put_bucket_policy(self.undo["bucket_policy"])
            else:
                self._bucket().delete_bucket_policy()
        self._delete_policies()
        for name in [role.name for role in self._own.roles if role.name.startswith(PREFIX)]:
            self.revoke(name)
            self.calls.ram("DeleteRole", role_name=name)
        ledger = self.cloud.context.ledger
        ledger.settle(undone=[e for e in ledger.open_entries() if _ours([e.name, *e.details.values()])])
        forget_every_role()

    def _restore_instance(self) -> None:
        vms = self._own.instances.all()
        for instance_id, role in self._own.instances.roles(vms).items():
            if role.startswith(PREFIX):
                region = next(vm.region_id for vm in vms if vm.instance_id == instance_id)
                self.calls.ecs("DetachInstanceRamRole", region, instance_ids=json.dumps([instance_id]))
        vm = next((vm for vm in vms if vm.instance_id == self.undo["instance"]), None)
        if vm is None:
            return  # of a world that was replaced
        was = {name: self.undo[name] for name in ("http_endpoint", "http_tokens")}
        if (vm.http_endpoint, vm.http_tokens) != tuple(was.values()):
            self.options(**was)
        role = self.undo["role"]
        if (
            role and not self._role_on() and role in self._own.roles
        ):  # else the learner deleted it, or a reset
            ledger = self.cloud.context.ledger
            if self.undo["noted"] and not any(
                vm.instance_id in (e.name, *map(str, e.details.values())) and e.kind == "attachment"
                for e in ledger.open_entries()
            ):
                as_user(self.cloud).instances[vm.instance_id].attach(role)
            else:
                self.attach(role)

    def _role_on(self) -> str:
        return self._own.instances[self.undo["instance"]].role_name

    def _delete_policies(self) -> None:
        for policy in self._own.roles.policies(kind="Custom"):
            if not policy.name.startswith(PREFIX):
                continue
            held = self.calls.ram("ListEntitiesForPolicy", policy_type="Custom", policy_name=policy.name)
            named = {"policy_type": "Custom", "policy_name": policy.name}
            for row in held.get("Roles", {}).get("Role", []):
                self.calls.ram("DetachPolicyFromRole", role_name=row["RoleName"], **named)
            for row in held.get("Users", {}).get("User", []):
                self.calls.ram("DetachPolicyFromUser", user_name=row["UserName"], **named)
            versions = self.calls.ram("ListPolicyVersions", **named)["PolicyVersions"]["PolicyVersion"]
            for row in versions:
                if not row["IsDefaultVersion"]:
                    self.calls.ram(
                        "DeletePolicyVersion", policy_name=policy.name, version_id=row["VersionId"]
                    )
            self.calls.ram("DeletePolicy", policy_name=policy.name)

    def _bucket(self) -> Any:
        context = self._own.context
        return oss_at(
            context.endpoints, context.endpoints.oss("cn-beijing"), BUCKET, self.calls.provider,
            region_id="cn-beijing",
        )  # fmt: skip

    def _bucket_policy(self) -> str:
        bucket = self._bucket()
        try:
            text = self.calls.oss("GetBucketPolicy", {}, lambda: bucket.get_bucket_policy().policy)
        except NotFound:
            return ""
        return text.decode() if isinstance(text, bytes) else str(text)


def _ours(values: list[Any]) -> bool:
    return any(isinstance(value, str) and value.startswith(PREFIX) for value in values)
