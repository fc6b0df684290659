"""The four jobs with ossfs (fsspec; it signs with oss2, V1, and has no call of STS)."""

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config
from ossfs import OSSFileSystem  # type: ignore[import-not-found]  # in a venv of its own

region, bucket, key, refused, out = sys.argv[1:6]


def tell(job: str, **facts: object) -> None:
    sys.stdout.write(json.dumps({"job": job, **facts}) + "\n")


tell("versions", **{name: version(name) for name in ("ossfs", "oss2")})
found = Client(Config(type="ecs_ram_role", disable_imds_v1=True)).get_credential()
tell("credentials", prefix=found.access_key_id[:4])
system = OSSFileSystem(
    endpoint=f"https://oss-{region}.aliyuncs.com",
    key=found.access_key_id,
    secret=found.access_key_secret,
    token=found.security_token,
)
system.get_file(f"{bucket}/{key}", out)
tell("download", sha256=hashlib.sha256(Path(out).read_bytes()).hexdigest())
try:
    system.cat_file(f"{bucket}/{refused}")
except PermissionError as error:  # ossfs makes one of each 403
    cause = error.__cause__ or error.__context__
    tell(
        "refused",
        status=getattr(cause, "status", 0),
        code=getattr(cause, "code", ""),
        python=type(error).__name__,
    )
