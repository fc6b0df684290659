"""The same as `00_start_here`, with the official SDKs alone: create a role, attach it, download with it, clean up.

    pip install alibabacloud-credentials alibabacloud-ecs20140526 alibabacloud-ram20150501 oss2

    python plain_sdk_example.py set-up   --role EcsRamRole --instance i-... --region cn-beijing   # as an administrator
    python plain_sdk_example.py download --role EcsRamRole --bucket B --key K --region cn-beijing # on the instance
    python plain_sdk_example.py clean-up --role EcsRamRole --instance i-... --region cn-beijing   # as an administrator

`set-up` and `clean-up` sign with the SDK's default credential chain (for example `aliyun configure`); `download` signs with
the instance's role and only works on the instance. `--http` is for a local sandbox, which is reached over plain HTTP.
"""

import argparse
import json
import sys

import oss2
from alibabacloud_credentials.client import Client as CredentialClient
from alibabacloud_credentials.models import Config as CredentialConfig
from alibabacloud_ecs20140526 import models as ecs_models
from alibabacloud_ecs20140526.client import Client as EcsClient
from alibabacloud_ram20150501 import models as ram_models
from alibabacloud_ram20150501.client import Client as RamClient
from alibabacloud_tea_openapi.models import Config

TRUST_ECS = {
    "Version": "1",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": ["ecs.aliyuncs.com"]}}
    ],
}
POLICY = "AliyunOSSReadOnlyAccess"


def clients(region: str, protocol: str) -> tuple[RamClient, EcsClient]:
    """Return clients of RAM and ECS that sign with the default credential chain."""
    credential = CredentialClient()
    ram = RamClient(Config(credential=credential, endpoint="ram.aliyuncs.com", protocol=protocol))
    ecs = EcsClient(Config(credential=credential, endpoint=f"ecs.{region}.aliyuncs.com", protocol=protocol))
    return ram, ecs


def set_up(role: str, instance: str, region: str, protocol: str) -> None:
    """Create the role, let it read OSS, and attach it to the instance."""
    ram, ecs = clients(region, protocol)
    ram.create_role(
        ram_models.CreateRoleRequest(role_name=role, assume_role_policy_document=json.dumps(TRUST_ECS))
    )
    ram.attach_policy_to_role(
        ram_models.AttachPolicyToRoleRequest(policy_type="System", policy_name=POLICY, role_name=role)
    )
    answer = ecs.attach_instance_ram_role(
        ecs_models.AttachInstanceRamRoleRequest(
            region_id=region, ram_role_name=role, instance_ids=json.dumps([instance])
        )
    )
    # A failed item does not raise: the call succeeds and counts it.
    if answer.body.fail_count:
        sys.exit(f"not attached: {answer.body.attach_instance_ram_role_results.to_map()}")


class RoleCredentials(oss2.CredentialsProvider):
    """The instance role's credential for oss2, one consistent snapshot a request.

    `get_credential()` returns key, secret and token of one moment. The three separate getters of the documentation's
    sample are deprecated and can mix two credentials around a refresh.
    """

    def __init__(self, role: str) -> None:
        # Security hardening mode only: no falling back to requests without a token.
        self._client = CredentialClient(
            CredentialConfig(type="ecs_ram_role", role_name=role, disable_imds_v1=True)
        )

    def get_credentials(self) -> oss2.credentials.Credentials:
        now = self._client.get_credential()
        return oss2.credentials.Credentials(now.access_key_id, now.access_key_secret, now.security_token)


def download(role: str, bucket: str, key: str, to: str, region: str, protocol: str) -> None:
    """Download an object with the instance's role: signature V4 (V1 is refused to new accounts), internal endpoint."""
    endpoint = f"{protocol}://oss-{region}-internal.aliyuncs.com"
    auth = oss2.ProviderAuthV4(RoleCredentials(role))
    oss2.Bucket(auth, endpoint, bucket, region=region).get_object_to_file(key, to)


def clean_up(role: str, instance: str, region: str, protocol: str) -> None:
    """Undo `set_up`, in the order the services accept."""
    ram, ecs = clients(region, protocol)
    ecs.detach_instance_ram_role(
        ecs_models.DetachInstanceRamRoleRequest(
            region_id=region, ram_role_name=role, instance_ids=json.dumps([instance])
        )
    )
    ram.detach_policy_from_role(
        ram_models.DetachPolicyFromRoleRequest(policy_type="System", policy_name=POLICY, role_name=role)
    )
    ram.delete_role(ram_models.DeleteRoleRequest(role_name=role))


def main() -> None:
    """Run one of the three steps."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["set-up", "download", "clean-up"])
    parser.add_argument("--role", default="EcsRamRole")
    parser.add_argument("--region", default="cn-beijing")
    parser.add_argument("--instance", default="", help="instance id (set-up, clean-up)")
    parser.add_argument("--bucket", default="", help="bucket name (download)")
    parser.add_argument("--key", default="testfolder/example.png", help="object key (download)")
    parser.add_argument("--to", default="example.png", help="local file (download)")
    parser.add_argument("--http", action="store_true", help="plain HTTP, for a local sandbox")
    options = parser.parse_args()
    protocol = "http" if options.http else "https"
    if options.step == "download":
        download(options.role, options.bucket, options.key, options.to, options.region, protocol)
        print(f"downloaded {options.to}")
    else:
        step = set_up if options.step == "set-up" else clean_up
        step(options.role, options.instance, options.region, protocol)
        print(f"{options.step}: done")


if __name__ == "__main__":
    main()
