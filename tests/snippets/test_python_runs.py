"""Each Python snippet, run as it is over https, leaves the world as the matching function of ramrole_nb does."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import ramrole_nb as rr
from ramrole_nb import snippets as s
from ramrole_nb.cloud.credentials import forget_every_role
from ramrole_nb.cloud.session import Cloud
from ramrole_nb.errors import AccessDenied
from ramrole_nb.redact import mask_key_id
from ramrole_nb.sandbox import Sandbox
from ramrole_nb.sandbox.run_on import child_environment, namespace_command
from ramrole_nb.sandbox.worlds.default import _add_instance
from tests.snippets.cases import READ, TRUST
from tests.snippets.conftest import Programs

OSS, LIST = "AliyunOSSReadOnlyAccess", "AliyunECSReadOnlyAccess"
BUCKET, KEY = "sandbox-photos", "testfolder/example.png"
OTHER_TRUST = json.dumps(
    {
        "Version": "1",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Service": ["ecs.aliyuncs.com", "fc.aliyuncs.com"]},
            }
        ],
    }
)


def picture(cloud: Cloud) -> dict[str, Any]:
    """What the world holds, as far as these actions can change it, without ids and times."""
    instances = cloud.instances.all()
    calls = cloud.context.calls
    documents = {
        p.name: calls.ram("GetPolicy", policy_name=p.name, policy_type="Custom")["DefaultPolicyVersion"]
        for p in cloud.roles.policies(kind="Custom")
    }
    return {
        "roles": {
            role.name: (
                json.loads(role.trust_policy),
                role.description,
                sorted((p.type, p.name) for p in role.policies()),
            )
            for role in (cloud.roles[row.name] for row in cloud.roles)
        },
        "policies": {name: json.loads(found["PolicyDocument"]) for name, found in documents.items()},
        "attached": cloud.instances.roles(instances),
        "metadata": {vm.instance_id: (vm.http_endpoint, vm.http_tokens) for vm in instances},
    }


def fresh(world: Sandbox) -> Cloud:
    world.reset()
    (world.state / "ledger.jsonl").unlink(missing_ok=True)
    forget_every_role()
    return rr.connect(world)


@dataclass(frozen=True)
class Case:
    """The same three times: what must be there before, what the library does, and the action shown."""

    before: Callable[[Cloud], object]
    library: Callable[[Cloud], object]
    action: Callable[[Cloud], s.Action]


def nothing(_: Cloud) -> None:
    pass


def a_role(cloud: Cloud) -> None:
    cloud.roles.create("Reader")


def a_reader(cloud: Cloud) -> None:
    cloud.roles.create("Reader").grant(OSS)


def attached(cloud: Cloud) -> None:
    a_reader(cloud)
    cloud.instances["web-1"].attach("Reader")


def two_roles(cloud: Cloud) -> None:
    attached(cloud)
    cloud.roles.create("Other").grant(LIST)


def everything(cloud: Cloud) -> None:
    cloud.roles.create("Reader").grant(READ)
    cloud.instances["web-1"].attach("Reader")


def own_policy(cloud: Cloud) -> str:
    """The name that the library gives READ for this role."""
    return next(p.name for p in cloud.roles["Reader"].policies() if p.type == "Custom")


def vm_id(cloud: Cloud, name: str = "web-1") -> str:
    return cloud.instances[name].instance_id


def region(cloud: Cloud, name: str = "web-1") -> str:
    return cloud.instances[name].region_id


GRANTED = (
    "Reader-"
    + hashlib.sha256(
        json.dumps(json.loads(READ), sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()[:8]
)

CASES = {
    "CreateRole": Case(
        nothing,
        lambda cloud: cloud.roles.create("Reader", description='it\'s "mine"'),
        lambda _: s.CreateRole("Reader", TRUST, 'it\'s "mine"'),
    ),
    "SetTrust": Case(
        a_role,
        lambda cloud: cloud.roles["Reader"].set_trust(OTHER_TRUST),
        lambda _: s.SetTrust("Reader", OTHER_TRUST),
    ),
    "CreatePolicy": Case(
        nothing,
        lambda cloud: cloud.context.calls.ram("CreatePolicy", policy_name="Mine", policy_document=READ),
        lambda _: s.CreatePolicy("Mine", READ),
    ),
    "GrantPolicy": Case(
        a_role,
        lambda cloud: cloud.roles["Reader"].grant(OSS),
        lambda _: s.GrantPolicy("Reader", OSS, "System"),
    ),
    "GrantDocument": Case(
        a_role,
        lambda cloud: cloud.roles["Reader"].grant(READ),
        lambda _: s.GrantDocument("Reader", GRANTED, READ),
    ),
    "RevokePolicy": Case(
        a_reader,
        lambda cloud: cloud.roles["Reader"].revoke(OSS),
        lambda _: s.RevokePolicy("Reader", OSS, "System"),
    ),
    "DeletePolicy": Case(
        lambda cloud: cloud.context.calls.ram("CreatePolicy", policy_name="Mine", policy_document=READ),
        lambda cloud: cloud.context.calls.ram("DeletePolicy", policy_name="Mine"),
        lambda _: s.DeletePolicy("Mine"),
    ),
    "DeleteRole": Case(
        a_role, lambda cloud: cloud.roles["Reader"].delete(), lambda _: s.DeleteRole("Reader")
    ),
    "AttachRole": Case(
        a_reader,
        lambda cloud: cloud.instances.attach("Reader", [vm_id(cloud), vm_id(cloud, "hardened-1")]),
        lambda cloud: s.AttachRole("Reader", region(cloud), (vm_id(cloud), vm_id(cloud, "hardened-1"))),
    ),
    "DetachRole": Case(
        attached,
        lambda cloud: cloud.instances["web-1"].detach(),
        lambda cloud: s.DetachRole("Reader", region(cloud), (vm_id(cloud),)),
    ),
    "ReplaceRole": Case(
        two_roles,
        lambda cloud: cloud.instances["web-1"].replace_role("Other"),
        lambda cloud: s.ReplaceRole("Reader", "Other", region(cloud), vm_id(cloud)),
    ),
    "SetHardening": Case(
        nothing,
        lambda cloud: cloud.instances["web-1"].set_hardening(),
        lambda cloud: s.SetHardening(vm_id(cloud), region(cloud), required=True),
    ),
    "SetHardening-off": Case(
        nothing,
        lambda cloud: cloud.instances["hardened-1"].set_hardening(False),
        lambda cloud: s.SetHardening(vm_id(cloud, "hardened-1"), region(cloud, "hardened-1"), required=False),
    ),
    "CleanUp": Case(
        everything,
        lambda cloud: cloud.clean_up(),
        lambda cloud: s.CleanUp(
            (
                s.DetachRole("Reader", region(cloud), (vm_id(cloud),)),
                s.RevokePolicy("Reader", own_policy(cloud), "Custom"),
                s.DeletePolicy(own_policy(cloud)),
                s.DeleteRole("Reader"),
            )
        ),
    ),
}


def well(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a program printed, once it is sure that it ended well."""
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", CASES)
def test_it_leaves_the_world_as_the_library_does(name: str, world: Sandbox, programs: Programs) -> None:
    case = CASES[name]
    cloud = fresh(world)
    case.before(cloud)
    untouched = picture(cloud)
    case.library(cloud)
    wanted = picture(cloud)
    assert wanted != untouched, "the case changes nothing, so it proves nothing"

    cloud = fresh(world)
    case.before(cloud)
    source = s.code(case.action(cloud))
    mark = int(world.admin.journal()["last"])
    well(programs.python(source))
    assert picture(rr.connect(world)) == wanted
    made = [
        entry
        for entry in world.journal(mark)
        if entry.get("operation") and "AlibabaCloud" in str(entry["headers"])
    ]
    assert made[0]["url"].startswith("https://")
    assert "ramrole_nb" not in source
    assert programs.line["users"][0]["access_key_secret"] not in source


def test_a_failed_replacement_puts_the_old_role_back(world: Sandbox, programs: Programs) -> None:
    cloud = rr.connect(world)
    attached(cloud)
    cloud.roles.create("NotForEcs", trust=OTHER_TRUST.replace("ecs.aliyuncs.com", "log.aliyuncs.com"))
    vm = cloud.instances["web-1"]
    done = programs.python(s.code(s.ReplaceRole("Reader", "NotForEcs", vm.region_id, vm.instance_id)))
    assert done.returncode != 0
    assert vm.role_name == "Reader"


def test_a_session_policy_narrows_the_role_on_the_instance(world: Sandbox, programs: Programs) -> None:
    cloud = rr.connect(world)
    a_reader(cloud)
    vm = cloud.instances["web-1"]
    well(programs.python(s.code(s.AttachRole("Reader", vm.region_id, (vm.instance_id,), READ))))
    bucket = cloud.buckets[BUCKET].using(vm)
    assert bucket.head(KEY).size > 0
    with pytest.raises(AccessDenied):
        bucket.list("private/")


def test_more_instances_than_one_call_takes(world: Sandbox, programs: Programs) -> None:
    ids = add_instances(world, 120)
    cloud = rr.connect(world)
    a_role(cloud)
    mark = int(world.admin.journal()["last"])
    well(programs.python(s.code(s.AttachRole("Reader", "cn-hangzhou", tuple(ids)))))
    calls = [e for e in world.journal(mark) if e.get("operation") == "AttachInstanceRamRole"]
    assert len(calls) == 2
    held = cloud.instances.roles([vm for vm in cloud.instances.all() if vm.instance_id in ids])
    assert held == dict.fromkeys(ids, "Reader")


def add_instances(world: Sandbox, count: int) -> list[str]:
    """Put more instances into the world: no service offers a call for it."""
    store = world._running().store

    async def add() -> list[str]:
        facts = ("cn-hangzhou", "i", "linux", "ecs.c7.large", "vpc", "Running", "optional", "")
        with store.transaction():
            for number in range(count):
                _add_instance(store, store.get_meta("master"), 100 + number, f"extra-{number:03d}", *facts)
        rows = store.all("SELECT instance_id FROM instances WHERE position >= 100 ORDER BY position")
        return [str(row["instance_id"]) for row in rows]

    assert world._loop
    return asyncio.run_coroutine_threadsafe(add(), world._loop).result(30)


# -- on the instance ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["Reader", ""])
@pytest.mark.parametrize("mode", ["security hardening", "normal"])
def test_fetching_gets_what_the_library_gets(
    role: str, mode: str, world: Sandbox, programs: Programs
) -> None:
    cloud = rr.connect(world)
    attached(cloud)
    vm = cloud.instances["web-1"]
    mark = int(world.admin.journal()["last"])
    shown = well(programs.python(s.code(s.FetchCredentials(role, vm.instance_id, mode)), "web-1"))
    asked = [e for e in world.journal(mark) if e["service"] == "IMDS"]
    assert [e["mode"] for e in asked if e["operation"] == "GetRoleCredentials"] == [mode]
    # The service serves the same credential until it renews it.
    mine = vm.credentials(mode=mode)
    assert mask_key_id(mine.access_key_id) in shown
    assert mine.access_key_secret not in shown
    assert mine.security_token not in shown


def test_normal_mode_is_refused_where_the_instance_is_hardened(world: Sandbox, programs: Programs) -> None:
    cloud = rr.connect(world)
    a_reader(cloud)
    vm = cloud.instances["hardened-1"].attach("Reader")
    hardened, normal = (
        programs.python(s.code(s.FetchCredentials("Reader", vm.instance_id, mode)), "hardened-1")
        for mode in ("security hardening", "normal")
    )
    well(hardened)
    assert normal.returncode != 0
    assert "403" in normal.stderr


def test_who_am_i_tells_the_role(world: Sandbox, programs: Programs) -> None:
    cloud = rr.connect(world)
    attached(cloud)
    vm = cloud.instances["web-1"]
    shown = well(programs.python(s.code(s.WhoAmI(vm.instance_id)), "web-1"))
    assert shown.strip() == vm.identity().arn


@pytest.mark.parametrize("internal", [True, False])
def test_listing_and_downloading_with_the_role(
    internal: bool, world: Sandbox, programs: Programs, tmp_path: Path
) -> None:
    cloud = rr.connect(world)
    attached(cloud)
    vm = cloud.instances["web-1"]
    bucket = cloud.buckets[BUCKET].using(vm)
    mark = int(world.admin.journal()["last"])
    target = tmp_path / "picture's.png"
    steps = (
        s.ListObjects(BUCKET, "cn-beijing", "", internal=internal),
        s.DownloadObject(BUCKET, KEY, "cn-beijing", internal=internal, to=str(target)),
    )
    shown = well(programs.python(s.code(s.CleanUp(steps)), "web-1"))
    listing = bucket.list()
    assert {line.split()[0] for line in shown.splitlines()} == {
        *listing.folders,
        *(o.key for o in listing.objects),
    }
    mine = bucket.download(KEY, tmp_path / "mine.png")
    assert target.read_bytes() == Path(mine).read_bytes()
    fetched = next(e for e in world.journal(mark) if e.get("operation") == "GetObject")
    assert "assumed-role/Reader" in fetched["principal"]
    assert fetched["signature"].startswith("OSS V4")
    suffix = "-internal" if internal else ""
    assert fetched["url"].startswith(f"https://{BUCKET}.oss-cn-beijing{suffix}.aliyuncs.com/")


def test_listing_and_downloading_with_the_callers_own_key(
    world: Sandbox, programs: Programs, tmp_path: Path
) -> None:
    mark = int(world.admin.journal()["last"])
    target = tmp_path / "picture.png"
    steps = (
        s.ListObjects(BUCKET, "cn-beijing", "", internal=False, own_key=True),
        s.DownloadObject(BUCKET, KEY, "cn-beijing", internal=False, to=str(target), own_key=True),
    )
    source = s.code(s.CleanUp(steps))
    assert "on the instance" not in source
    well(programs.python(source))
    assert target.stat().st_size == rr.connect(world).buckets[BUCKET].head(KEY).size
    fetched = next(e for e in world.journal(mark) if e.get("operation") == "GetObject")
    assert fetched["principal"].endswith(":user/admin")


@pytest.mark.namespace
def test_with_nothing_arranged_but_the_network(world: Sandbox, tmp_path: Path) -> None:
    """Where the names lead to the sandbox, as on an instance: no proxy, and the SDKs' own certifi."""
    cloud = rr.connect(world)
    attached(cloud)
    vm = cloud.instances["web-1"]
    target = tmp_path / "picture.png"
    script = tmp_path / "script.py"
    steps = (
        s.FetchCredentials("Reader", vm.instance_id),
        s.WhoAmI(vm.instance_id),
        s.DownloadObject(BUCKET, KEY, "cn-beijing", internal=True, to=str(target)),
    )
    script.write_text(s.code(s.CleanUp(steps)), "utf-8")
    environment = child_environment("", os.environ, ca_file=world.start_line["ca_file"])
    command = namespace_command(world.sockets[vm.instance_id], [sys.executable, str(script)])
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert vm.identity().arn in well(done)
    assert target.stat().st_size == cloud.buckets[BUCKET].head(KEY).size
