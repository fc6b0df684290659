"""What a world holds, so that two ways through it can be compared: read by an administrator, with no names of times."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud

__all__ = ["snapshot"]


def snapshot(cloud: Cloud) -> dict[str, Any]:
    """Return roles with trust and policies, custom policies, instances with role and mode, objects, and the ledger."""
    ram = cloud.context.calls.ram
    roles = {}
    for listed in cloud.roles:
        role = cloud.roles[listed.name]
        roles[role.name] = {
            "trust": json.loads(role.trust_policy),
            "policies": sorted((policy.type, policy.name) for policy in role.policies()),
        }
    customs = {}
    for policy in cloud.roles.policies(kind="Custom"):
        found = ram("GetPolicy", policy_name=policy.name, policy_type="Custom")
        customs[policy.name] = json.loads(found["DefaultPolicyVersion"]["PolicyDocument"])
    vms = cloud.instances.all()
    held = cloud.instances.roles(vms)
    return {
        "roles": roles,
        "policies": customs,
        "instances": {
            vm.name: (held.get(vm.instance_id, ""), vm.http_tokens, vm.http_endpoint) for vm in vms
        },
        "objects": {
            bucket.name: sorted((o.key, o.size) for o in bucket.list(delimiter=""))
            for bucket in cloud.buckets
        },
        "created": sorted(cloud.created()),
    }
