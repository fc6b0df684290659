"""The four jobs with alibabacloud-oss-v2 (and alibabacloud-credentials, as its guide says; it has no call of STS)."""

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import alibabacloud_oss_v2 as oss  # type: ignore[import-not-found]  # in a venv of its own
from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config

region, bucket, key, refused, out = sys.argv[1:6]


def tell(job: str, **facts: object) -> None:
    sys.stdout.write(json.dumps({"job": job, **facts}) + "\n")


names = ("alibabacloud-oss-v2", "alibabacloud-credentials")
tell("versions", **{name: version(name) for name in names})
client = Client(Config(type="ecs_ram_role", disable_imds_v1=True))
found = client.get_credential()
tell("credentials", prefix=found.access_key_id[:4])


def provide() -> oss.credentials.Credentials:
    now = client.get_credential()
    return oss.credentials.Credentials(now.access_key_id, now.access_key_secret, now.security_token)


config = oss.config.load_default()
config.credentials_provider = oss.credentials.CredentialsProviderFunc(func=provide)
config.region = region
service = oss.Client(config)
service.get_object_to_file(oss.GetObjectRequest(bucket=bucket, key=key), out)
tell("download", sha256=hashlib.sha256(Path(out).read_bytes()).hexdigest())
try:
    service.get_object(oss.GetObjectRequest(bucket=bucket, key=refused))
except oss.exceptions.OperationError as error:
    cause = error.unwrap()
    tell("refused", status=cause.status_code, code=cause.code, ec=cause.ec)
