"""What other people's clients and bug reports told about the real service, held here with their sources."""

from __future__ import annotations

import oss2
import pytest

from ramrole_nb.cloud.session import Cloud
from ramrole_nb.sandbox import Sandbox


def test_a_buckets_location_is_the_bare_text(world: Sandbox) -> None:
    """ali-oss's own tests hold `result.location == region`; with a namespace its parser makes an object of it."""
    admin = world.start_line["users"][0]
    auth = oss2.Auth(admin["access_key_id"], admin["access_key_secret"])
    bucket = oss2.Bucket(auth, world.url, "sandbox-photos", proxies={"http": world.url})
    answer = bucket._do("GET", "sandbox-photos", "", params={"location": ""})
    assert answer.read().endswith(b"<LocationConstraint>oss-cn-beijing</LocationConstraint>")
    assert bucket.get_bucket_location().location == "oss-cn-beijing"


def test_a_lost_security_token_is_told(world: Sandbox, cloud: Cloud) -> None:
    """Seen: https://github.com/lucky1213/aliyun_oss/issues/19."""
    vm = cloud.instances["web-1"]
    vm.attach(cloud.roles.create("Lost"))
    held = vm.credentials()
    auth = oss2.AuthV4(held.access_key_id, held.access_key_secret)
    bucket = oss2.Bucket(auth, world.url, "sandbox-photos", proxies={"http": world.url}, region="cn-beijing")
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        bucket.get_object("testfolder/notes.txt")
    assert (caught.value.status, caught.value.code) == (403, "InvalidAccessKeyId")
    assert caught.value.message.endswith(
        "The Security Token may be lost to specify that it is a STS Access Id."
    )
    assert caught.value.ec == "0002-00000003"
