"""A world as at the start with neither ledger nor progress, and hands that do not go through our functions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import oss2
import pytest
from alibabacloud_ecs20140526 import models as ecs_models
from alibabacloud_ecs20140526.client import Client as EcsClient
from alibabacloud_ram20150501 import models as ram_models
from alibabacloud_ram20150501.client import Client as RamClient
from alibabacloud_tea_openapi.models import Config

import ramrole_nb as rr
from ramrole_nb.cloud.credentials import forget_every_role
from ramrole_nb.cloud.session import Cloud
from ramrole_nb.sandbox import Sandbox
from ramrole_nb.sandbox.run_on import child_environment

TRUST = '{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{}}}]}}'
TRUST_ECS = TRUST.format('{"Service":["ecs.aliyuncs.com"]}')

_SCRIPTS = Path(__file__).parents[2] / "notebooks"


class Hands:
    """The administrator with the official SDKs alone, and programs on instances: nothing of `ramrole_nb.cloud`."""

    def __init__(self, sandbox: Sandbox, cloud: Cloud, folder: Path) -> None:
        self.sandbox, self.cloud, self.folder = sandbox, cloud, folder
        line = sandbox.admin.status()
        self.url, self.ca_file = line["url"], line["ca_file"]
        self.instances = {row["name"]: row for row in line["instances"]}
        admin = line["users"][0]
        self._key = (str(admin["access_key_id"]), str(admin["access_key_secret"]))

    def _config(self, endpoint: str) -> Config:
        key, secret = self._key
        return Config(
            access_key_id=key,
            access_key_secret=secret,
            endpoint=endpoint,
            protocol="http",
            http_proxy=self.url,
            https_proxy=self.url,
        )

    # -- RAM -------------------------------------------------------------------------------------------------

    @property
    def ram(self) -> RamClient:
        return RamClient(self._config("ram.aliyuncs.com"))

    def create_role(self, name: str, trust: str = TRUST_ECS) -> None:
        self.ram.create_role(ram_models.CreateRoleRequest(role_name=name, assume_role_policy_document=trust))

    def trust(self, name: str, principal: str) -> None:
        text = TRUST.format(principal)
        self.ram.update_role(
            ram_models.UpdateRoleRequest(role_name=name, new_assume_role_policy_document=text)
        )

    def grant(self, role: str, policy: str, *statements: dict[str, Any]) -> None:
        """Grant a system policy, or a custom one made of these statements."""
        if statements:
            text = json.dumps({"Version": "1", "Statement": list(statements)})
            self.ram.create_policy(ram_models.CreatePolicyRequest(policy_name=policy, policy_document=text))
        self.ram.attach_policy_to_role(
            ram_models.AttachPolicyToRoleRequest(
                policy_type="Custom" if statements else "System", policy_name=policy, role_name=role
            )
        )

    def revoke(self, role: str, *, all_of_them: bool = True) -> None:
        assert all_of_them
        found = self.ram.list_policies_for_role(ram_models.ListPoliciesForRoleRequest(role_name=role))
        for policy in found.body.policies.policy:
            self.ram.detach_policy_from_role(
                ram_models.DetachPolicyFromRoleRequest(
                    policy_type=policy.policy_type, policy_name=policy.policy_name, role_name=role
                )
            )

    def delete_role(self, name: str) -> None:
        self.revoke(name)
        self.ram.delete_role(ram_models.DeleteRoleRequest(role_name=name))

    # -- ECS -------------------------------------------------------------------------------------------------

    def _ecs(self, instance: str) -> tuple[EcsClient, str, str]:
        row = self.instances[instance]
        region = row["region_id"]
        return EcsClient(self._config(f"ecs.{region}.aliyuncs.com")), region, row["instance_id"]

    def attach(self, role: str, *instances: str, policy: str | None = None) -> None:
        for instance in instances:
            client, region, instance_id = self._ecs(instance)
            answer = client.attach_instance_ram_role(
                ecs_models.AttachInstanceRamRoleRequest(
                    region_id=region,
                    ram_role_name=role,
                    instance_ids=json.dumps([instance_id]),
                    policy=policy,
                )
            )
            assert not answer.body.fail_count

    def detach(self, *instances: str) -> None:
        for instance in instances:
            client, region, instance_id = self._ecs(instance)
            client.detach_instance_ram_role(
                ecs_models.DetachInstanceRamRoleRequest(
                    region_id=region, instance_ids=json.dumps([instance_id])
                )
            )

    def metadata_options(self, instance: str, endpoint: str, tokens: str) -> None:
        client, region, instance_id = self._ecs(instance)
        client.modify_instance_metadata_options(
            ecs_models.ModifyInstanceMetadataOptionsRequest(
                region_id=region, instance_id=instance_id, http_endpoint=endpoint, http_tokens=tokens
            )
        )

    # -- OSS, and programs on instances --------------------------------------------------------------------------

    def bucket(self, name: str, region: str = "cn-beijing") -> oss2.Bucket:
        return oss2.Bucket(
            oss2.AuthV4(*self._key),
            f"http://oss-{region}.aliyuncs.com",
            name,
            region=region,
            proxies={"http": self.url},
        )

    def on(self, instance: str, *command: str) -> str:
        """Run a program as if on an instance and return what it printed."""
        environment = child_environment(
            str(self.instances[instance]["proxy_url"]), os.environ, ca_file=self.ca_file
        )
        done = subprocess.run(
            command, env=environment, cwd=self.folder, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def curl_credential(self, instance: str, role: str) -> None:
        """Fetch the credential as the vendor's page does, with curl, in security hardening mode."""
        base = "http://100.100.100.200/latest"
        ttl = "X-aliyun-ecs-metadata-token-ttl-seconds: 300"
        token = self.on(instance, "curl", "-s", "-X", "PUT", f"{base}/api/token", "-H", ttl)
        path = f"{base}/meta-data/ram/security-credentials/{role}"
        self.on(
            instance, "curl", "-sf", "-o", os.devnull, "-H", f"X-aliyun-ecs-metadata-token: {token}", path
        )

    def sdk_download(self, instance: str, role: str, bucket: str, key: str) -> None:
        """Download with the plain SDK example, in its own process."""
        script = str(_SCRIPTS / "plain_sdk_example.py")
        options = ["--role", role, "--bucket", bucket, "--key", key, "--to", "by-sdk", "--http"]
        region = self.instances[instance]["region_id"]
        self.on(instance, sys.executable, script, "download", *options, "--region", region)


@pytest.fixture
def cloud(world: Sandbox, tmp_path: Path) -> Iterator[Cloud]:
    """A session in a world where nobody has done anything yet, in a folder of its own."""
    forget_every_role()
    for name in ("ledger.jsonl", "progress.json"):
        (Path(world.state) / name).unlink(missing_ok=True)
    os.chdir(tmp_path)
    yield rr.connect(world)
    forget_every_role()


@pytest.fixture
def hands(world: Sandbox, cloud: Cloud, tmp_path: Path) -> Hands:
    """The hands that do not go through our functions."""
    return Hands(world, cloud, tmp_path)
