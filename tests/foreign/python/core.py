"""The jobs of aliyun-python-sdk-core: its own role signer asks without a token; GetCallerIdentity over https (RPC V1).

It has no OSS: what is refused is a call of ECS.
"""

import json
import sys
import urllib.error
from importlib.metadata import version

from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import EcsRamRoleCredential, StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest

region = sys.argv[1]
scheme = "https"


def tell(job: str, **facts: object) -> None:
    sys.stdout.write(json.dumps({"job": job, **facts}) + "\n")


def request(domain: str, api_version: str, action: str) -> CommonRequest:
    made = CommonRequest(domain=domain, version=api_version, action_name=action)
    made.set_protocol_type(scheme)
    made.set_method("POST")
    return made


names = ("aliyun-python-sdk-core", "alibabacloud-credentials")
tell("versions", **{name: version(name) for name in names})
identity = request(f"sts.{region}.aliyuncs.com", "2015-04-01", "GetCallerIdentity")

found = Client(Config(type="ecs_ram_role", disable_imds_v1=True)).get_credential()
try:
    role = EcsRamRoleCredential(sys.argv[6])
    AcsClient(region_id=region, credential=role).do_action_with_exception(identity)
    own = 200
except urllib.error.HTTPError as error:
    own = error.code
tell("credentials", prefix=found.access_key_id[:4], without_token=own)

token = StsTokenCredential(found.access_key_id, found.access_key_secret, found.security_token)
client = AcsClient(region_id=region, credential=token)
tell("identity", arn=json.loads(client.do_action_with_exception(identity))["Arn"])
try:
    client.do_action_with_exception(request("ecs.aliyuncs.com", "2014-05-26", "DescribeRegions"))
except ServerException as error:
    tell("refused", status=error.get_http_status(), code=error.get_error_code())
