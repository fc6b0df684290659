"""The four jobs with the six packages this project stands on, and nothing of the project: by https, as they come."""

import hashlib
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

import oss2
from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config
from alibabacloud_sts20150401.client import Client as Sts
from alibabacloud_tea_openapi.models import Config as OpenApiConfig

region, bucket_name, key, refused, out = sys.argv[1:6]


def tell(job: str, **facts: object) -> None:
    sys.stdout.write(json.dumps({"job": job, **facts}) + "\n")


names = ("alibabacloud-credentials", "alibabacloud-sts20150401", "oss2")
tell("versions", **{name: version(name) for name in names})
client = Client(Config(type="ecs_ram_role", disable_imds_v1=True))
tell("credentials", prefix=client.get_credential().access_key_id[:4])
# Through a proxy darabonba-core verifies against certifi's authorities alone; directly it reads SSL_CERT_FILE too.
ca = os.environ["SSL_CERT_FILE"] if "https_proxy" in os.environ else None
sts = Sts(OpenApiConfig(credential=client, endpoint=f"sts.{region}.aliyuncs.com", ca=ca))
tell("identity", arn=sts.get_caller_identity().body.arn)


class Provider(oss2.credentials.CredentialsProvider):  # type: ignore[misc]  # oss2 has no types
    """One consistent triple for each request."""

    def get_credentials(self) -> oss2.credentials.Credentials:
        now = client.get_credential()
        return oss2.credentials.Credentials(now.access_key_id, now.access_key_secret, now.security_token)


auth = oss2.ProviderAuthV4(Provider())
bucket = oss2.Bucket(auth, f"https://oss-{region}.aliyuncs.com", bucket_name, region=region)
bucket.get_object_to_file(key, out)
tell("download", sha256=hashlib.sha256(Path(out).read_bytes()).hexdigest())
try:
    bucket.get_object(refused)
except oss2.exceptions.AccessDenied as error:
    tell("refused", status=error.status, code=error.code, ec=error.ec)
