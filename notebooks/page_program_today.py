"""The page's program as it runs today: `page_program_as_printed.py`, with each difference, its date and its source.

    pip install 'oss2>=2.18.4' 'alibabacloud_credentials>=1.0.12'

Put your values for the six at its end, and run it on the instance.
"""

import oss2
from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config
from oss2 import CredentialsProvider
from oss2.credentials import Credentials


class CredentialProviderWrapper(CredentialsProvider):
    """The instance role's credential for oss2."""

    def __init__(self, client):
        self.client = client

    def get_credentials(self):
        # 1. One snapshot. The page calls get_access_key_id(), get_access_key_secret() and get_security_token(): all three
        #    are deprecated, each looks for itself, and around a renewal they return parts of two credentials, which OSS
        #    refuses (AccessKeyIdAndSecurityTokenNotMatch). get_credential() is there since 0.3.3.
        #    https://github.com/aliyun/credentials-python (client.py, @deprecated); the same bug, fixed in Go in 2023:
        #    https://github.com/aliyun/credentials-go/pull/49
        now = self.client.get_credential()
        return Credentials(now.access_key_id, now.access_key_secret, now.security_token)


def download_image_using_instance_role(bucket_name, endpoint, region, object_key, local_file, role_name):
    """Download an object with the role of the instance this runs on."""
    config = Config(
        type="ecs_ram_role",
        role_name=role_name,
        # 2. Security hardening mode only. Without this, any failure of the token request makes the SDK ask again without
        #    a token (normal mode), which hides that something is wrong, and fails where HttpTokens=required.
        #    https://www.alibabacloud.com/help/en/ecs/user-guide/access-instance-metadata-using-hardened-only-mode
        disable_imds_v1=True,
    )
    cred = Client(config)
    credentials_provider = CredentialProviderWrapper(cred)
    # 3. Signature V4. ProviderAuth signs with V1, which OSS refuses to accounts made from March 1, 2025 on, and to new
    #    buckets from September 1, 2025 on (403, EC 0002-00000080).
    #    https://alibabacloud.com/en/notice/notice_on_the_discontinuation_of_the_oss_v1_signature_algorithm_40f
    #    https://help.aliyun.com/en/oss/user-guide/0002-00000080
    auth = oss2.ProviderAuthV4(credentials_provider)
    # 4. The region is part of a V4 signature; without it oss2 raises ClientError before it sends anything.
    #    https://www.alibabacloud.com/help/en/oss/developer-reference/guidelines-for-upgrading-v1-signatures-to-v4-signatures
    bucket = oss2.Bucket(auth, endpoint, bucket_name, region=region)
    bucket.get_object_to_file(object_key, local_file)
    print("Image downloaded successfully")


if __name__ == "__main__":
    role_name = "role_name"  # your instance RAM role
    bucket_name = "bucket_name"  # your bucket
    region = "cn-beijing"  # the bucket's region
    # 5. The internal endpoint, over HTTPS. Who began to use OSS from March 20, 2025 on gets PublicEndpointForbidden (400,
    #    EC 0048-00000401) for data on public endpoints of regions in mainland China; the internal one works from
    #    instances of the region, and its traffic is free. And without a scheme oss2 speaks plain HTTP: the security token
    #    would cross the Internet unencrypted.
    #    https://www.alibabacloud.com/help/en/oss/user-guide/0048-00000401
    #    https://alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints
    endpoint = "https://oss-cn-beijing-internal.aliyuncs.com"
    object_key = "testfolder/example.png"  # the object's full path, without the bucket's name
    local_file = "/localpath/to/image.png"  # where the file goes, its name included
    download_image_using_instance_role(bucket_name, endpoint, region, object_key, local_file, role_name)
