"""Buckets and objects over the sandbox's OSS: looked at, downloaded, uploaded, deleted; endpoint and signer are chosen.

What goes wrong on the way (cut connections, wrong checksums) is in test_transfer.py.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ramrole_nb.errors import (
    AccessDenied,
    BadSignature,
    Cancelled,
    Conflict,
    InputError,
    MetadataUnreachable,
    NoRoleAttached,
    NotFound,
)

if TYPE_CHECKING:
    from ramrole_nb.cloud.instances import BoundInstance
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox
    from tests.cloud.conftest import Hands, Journal

KEY = "testfolder/example.png"
INTERNAL = "oss-cn-beijing-internal.aliyuncs.com"


@pytest.fixture
def vm(cloud: Cloud) -> BoundInstance:
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    return cloud.instances["web-1"].attach(role)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def stated(world: Sandbox, bucket: str, key: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        o for b in world.start_line["buckets"] if b["name"] == bucket for o in b["objects"] if o["key"] == key
    )
    return found


# ---- looking


def test_the_buckets_of_the_account(cloud: Cloud) -> None:
    assert {(b.name, b.region_id) for b in cloud.buckets} == {
        ("sandbox-photos", "cn-beijing"),
        ("sandbox-backup", "cn-hangzhou"),
    }
    assert "sandbox-photos" in repr(cloud.buckets)
    assert "cn-hangzhou" in cloud.buckets._repr_html_()


def test_info(cloud: Cloud) -> None:
    info = cloud.buckets["sandbox-backup"].info()
    assert (info.region_id, info.location, info.acl) == ("cn-hangzhou", "oss-cn-hangzhou", "private")
    assert info.intranet_endpoint == "oss-cn-hangzhou-internal.aliyuncs.com"


def test_listing(cloud: Cloud) -> None:
    bucket = cloud.buckets["sandbox-photos"]
    top = bucket.list()
    assert set(top.folders) == {"Testfolder/", "private/", "reports/", "testfolder/"}
    assert len(top) == 0
    assert [o.key for o in bucket.list("testfolder/")] == [KEY, "testfolder/notes.txt"]
    flat = bucket.list(delimiter="")
    assert len(flat) == 5
    assert flat.folders == ()
    assert len(bucket.list(delimiter="", limit=2)) == 2
    assert "nothing below oss://sandbox-photos/none/" in repr(bucket.list("none/"))
    assert "testfolder/notes.txt" in bucket.list("testfolder/")._repr_html_()
    with pytest.raises(InputError, match="does not begin with a slash") as caught:
        bucket.list("/testfolder/")
    assert "'testfolder/'" in caught.value.next_step


def test_a_listing_over_several_pages(cloud: Cloud, hands: Hands) -> None:
    from ramrole_nb.sandbox.worlds.default import add_object

    def add(store: Any) -> None:
        with store.transaction():
            for number in range(1100):
                add_object(store, "sandbox-backup", f"many/{number:04d}", b"x")

    hands.on_store(add)
    bucket = cloud.buckets["sandbox-backup"]
    assert [o.key for o in bucket.list("many/", limit=5000)] == [f"many/{n:04d}" for n in range(1100)]
    assert len(bucket.list("many/", limit=1050)) == 1050
    assert len(bucket.list("many/")) == 1000


def test_head(cloud: Cloud, world: Sandbox) -> None:
    known = stated(world, "sandbox-photos", KEY)
    head = cloud.buckets["sandbox-photos"].head(KEY)
    assert (head.size, head.crc64, head.content_type) == (known["size"], known["crc64"], "image/png")


# ---- who signs, and where


def test_using_an_instance_signs_with_its_role_over_the_internal_endpoint(
    cloud: Cloud, vm: BoundInstance, journal: Journal
) -> None:
    bucket = cloud.buckets["sandbox-photos"].using(vm)
    assert bucket.endpoint == f"http://{INTERNAL}"
    assert "using the role on web-1" in repr(bucket)
    journal.mark()
    bucket.head(KEY)
    entry = journal.entries[-1]
    assert f"sandbox-photos.{INTERNAL}" in entry["url"]
    assert entry["principal"].endswith(f"assumed-role/EcsRamRole/vm-ram-{vm.instance_id}")
    assert entry["instance_id"] == vm.instance_id
    assert "V4" in entry["signature"]
    held = bucket.held_credentials()
    assert held is not None
    assert held.access_key_id == entry["access_key_id"]
    assert bucket.using(None).held_credentials() is None


def test_from_another_region_the_public_endpoint_is_taken(
    cloud: Cloud,
    vm: BoundInstance,
) -> None:
    bucket = cloud.buckets["sandbox-backup"].using(vm)
    assert bucket.endpoint == "http://oss-cn-hangzhou.aliyuncs.com"
    assert bucket.head("readme.txt").size > 0


def test_a_bucket_in_a_region_nobody_named_is_found(
    as_user: Callable[..., Cloud], hands: Hands, journal: Journal
) -> None:
    """Who may not list the buckets does not know the region: the service's own answer tells it, once."""
    hands.let("viewer", ("Allow", "oss:GetObject", "acs:oss:*:*:sandbox-backup/*"))
    bucket = as_user("viewer").buckets["sandbox-backup"]
    assert bucket.region_id == "cn-beijing"  # the session's: a guess
    journal.mark()
    assert bucket.head("readme.txt").size > 0
    assert bucket.region_id == "cn-hangzhou"
    assert len(journal.entries) == 2
    bucket.head("readme.txt")
    assert len(journal.entries) == 3
    got = as_user("viewer").buckets["sandbox-backup"].download("readme.txt")
    assert got.read_text() == "This bucket is in cn-hangzhou.\n"


def test_what_the_role_may_not_do(cloud: Cloud, vm: BoundInstance) -> None:
    bucket = cloud.buckets["sandbox-photos"].using(vm)
    with pytest.raises(AccessDenied) as caught:
        bucket.upload(b"x", "new.txt")
    error = caught.value
    assert error.status == 403
    assert error.ec
    assert "oss:PutObject" in str(error)
    assert cloud.created() == [
        f"detach role EcsRamRole from {vm.instance_id}",
        "revoke AliyunOSSReadOnlyAccess from role EcsRamRole",
        "delete role EcsRamRole",
    ]


def test_an_explicit_deny(cloud: Cloud, vm: BoundInstance) -> None:
    cloud.roles["EcsRamRole"].grant(
        {
            "Version": "1",
            "Statement": [
                {"Effect": "Deny", "Action": "oss:*", "Resource": "acs:oss:*:*:sandbox-photos/private/*"}
            ],
        }
    )
    bucket = cloud.buckets["sandbox-photos"].using(vm)
    assert bucket.head(KEY).size > 0
    with pytest.raises(AccessDenied, match="explicitly denies"):
        bucket.download("private/salaries.csv")


def test_an_instance_without_a_role(cloud: Cloud, tmp_path: Path) -> None:
    bucket = cloud.buckets["sandbox-photos"].using(cloud.instances["web-2"])
    for call in (lambda: bucket.head(KEY), lambda: bucket.download(KEY), bucket.list):
        with pytest.raises(NoRoleAttached):
            call()
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_instance(cloud: Cloud) -> None:
    role = cloud.roles.create("EcsRamRole")
    stopped = cloud.instances["stopped-1"].attach(role)
    with pytest.raises(MetadataUnreachable, match="does not answer"):
        cloud.buckets["sandbox-photos"].using(stopped).head(KEY)


def test_an_expired_credential_is_renewed_once(
    cloud: Cloud, vm: BoundInstance, hands: Hands, journal: Journal
) -> None:
    """The clocks disagree: ours thinks it is valid, OSS says it has expired."""
    bucket = cloud.buckets["sandbox-photos"].using(vm)
    old = vm.credentials()
    hands.age(vm.instance_id, left=-5, lifetime=300)
    hands.rotate(vm.instance_id)
    journal.mark()
    assert bucket.head(KEY).size > 0
    assert vm.credentials().access_key_id != old.access_key_id
    assert journal.metadata == ["PutToken", "ListRole", "GetRoleCredentials"]


def test_a_credential_of_a_world_that_was_put_back_meanwhile(
    cloud: Cloud, vm: BoundInstance, world: Sandbox
) -> None:
    """`ramrole sandbox reset` in a terminal, while this kernel still holds a credential of before."""
    cloud.buckets["sandbox-photos"].using(vm).head(KEY)
    world.admin.reset()
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    cloud.context.calls.ecs(
        "AttachInstanceRamRole", ram_role_name="EcsRamRole", instance_ids=f'["{vm.instance_id}"]'
    )
    assert vm.identity().type == "AssumedRoleUser"
    assert cloud.buckets["sandbox-photos"].using(vm).head(KEY).size > 0


def test_a_role_switched_elsewhere_is_seen_after_refresh(cloud: Cloud, vm: BoundInstance) -> None:
    """Another program switched the role: what is held stays valid (as on the real instance) until it is fetched anew."""
    cloud.roles.create("Other")
    vm.credentials()
    ids = f'["{vm.instance_id}"]'
    cloud.context.calls.ecs("DetachInstanceRamRole", instance_ids=ids)
    cloud.context.calls.ecs("AttachInstanceRamRole", ram_role_name="Other", instance_ids=ids)
    assert vm.credentials().role_name == "EcsRamRole"
    assert vm.credentials(refresh=True).role_name == "Other"


def test_keys_that_are_wrong(cloud: Cloud) -> None:
    cloud.context.calls.provider.access_key_secret = "SANDBOXnotTheSecretOfThisKey"
    with pytest.raises(BadSignature) as caught:
        cloud.buckets["sandbox-photos"].head(KEY)
    assert caught.value.code == "SignatureDoesNotMatch"
    assert "notTheSecret" not in str(caught.value)


# ---- names


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "Sandbox-Photos",
        "-photos",
        "oss://sandbox-photos",
        "sandbox-photos/testfolder",
        None,
        3,
        "a" * 64,
    ],
)
def test_a_bad_bucket_name_makes_no_request(cloud: Cloud, journal: Journal, name: Any) -> None:
    with pytest.raises(InputError, match="no bucket name"):
        cloud.buckets[name]
    assert journal.entries == []


def test_a_typo_in_a_bucket_name(cloud: Cloud) -> None:
    with pytest.raises(NotFound, match="Did you mean 'sandbox-photos'") as caught:
        cloud.buckets["sandbox-photo"]
    assert caught.value.code == "NoSuchBucket"


@pytest.mark.parametrize("key", ["", "/testfolder/example.png", "\\x", "x" * 1024, "ü" * 512, None, 5])
def test_a_bad_key_makes_no_request(cloud: Cloud, journal: Journal, key: Any) -> None:
    bucket = cloud.buckets["sandbox-photos"]
    journal.mark()
    for call in (bucket.head, bucket.download, bucket.delete):
        with pytest.raises(InputError):
            call(key)
    if key:
        with pytest.raises(InputError):
            bucket.upload(b"x", key)
    assert journal.entries == []


def test_a_typo_in_a_key(cloud: Cloud, tmp_path: Path) -> None:
    bucket = cloud.buckets["sandbox-photos"]
    for call in (bucket.head, bucket.download):
        with pytest.raises(NotFound) as caught:
            call("testfolder/Example.png")
        assert caught.value.code in {"NoSuchKey", "404"}
        assert "case-sensitive" in caught.value.reason
        assert "bucket.list" in caught.value.next_step
    assert list(tmp_path.iterdir()) == []


# ---- down, up, gone


def test_download(cloud: Cloud, vm: BoundInstance, world: Sandbox, tmp_path: Path) -> None:
    known = stated(world, "sandbox-photos", KEY)
    told: list[tuple[int, int | None]] = []
    got = cloud.buckets["sandbox-photos"].using(vm).download(KEY, progress=lambda d, t: told.append((d, t)))
    assert got == tmp_path / "example.png" or got.absolute() == tmp_path / "example.png"
    assert hashlib.sha256(got.read_bytes()).hexdigest() == known["sha256"]
    assert (got.size, got.crc64) == (known["size"], known["crc64"])
    assert "CRC64" in got.verified
    assert told[-1] == (known["size"], known["size"])
    bundle = got._repr_mimebundle_()
    assert "<img" in bundle["text/html"]
    assert "example.png" in bundle["text/plain"]
    assert [p.name for p in tmp_path.iterdir()] == ["example.png"]


def test_an_existing_file_is_left_alone(cloud: Cloud, tmp_path: Path) -> None:
    mine = tmp_path / "example.png"
    mine.write_text("mine")
    bucket = cloud.buckets["sandbox-photos"]
    with pytest.raises(InputError, match="exists") as caught:
        bucket.download(KEY, mine)
    assert "overwrite=True" in caught.value.next_step
    assert mine.read_text() == "mine"
    with pytest.raises(NotFound):
        bucket.download("testfolder/none.png", mine, overwrite=True)
    assert mine.read_text() == "mine"
    assert bucket.download(KEY, mine, overwrite=True).size > 1000
    assert bucket.download(KEY, tmp_path / "sub", overwrite=False).exists()


def test_a_download_in_the_background(cloud: Cloud, tmp_path: Path) -> None:
    job = cloud.buckets["sandbox-photos"].start_download(KEY, tmp_path / "a.png")
    assert job.wait().size > 1000
    assert (tmp_path / "a.png").exists()


def test_a_cancelled_download(cloud: Cloud, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        cloud.buckets["sandbox-photos"].download(KEY, cancel=stop)
    assert list(tmp_path.iterdir()) == []


def test_upload_and_delete(cloud: Cloud, tmp_path: Path) -> None:
    bucket = cloud.buckets["sandbox-photos"]
    (tmp_path / "ünï code.txt").write_text("from a file")
    bucket.upload(tmp_path / "ünï code.txt")
    bucket.upload(b"bytes", "up/data.json", content_type="application/json")
    assert bucket.head("up/data.json").content_type == "application/json"
    assert bucket.download("ünï code.txt", tmp_path / "back.txt").read_text() == "from a file"
    with pytest.raises(Conflict) as caught:
        bucket.upload(b"other", "up/data.json")
    assert caught.value.code == "FileAlreadyExists"
    bucket.upload(b"other", "up/data.json", overwrite=True)
    assert bucket.download("up/data.json", tmp_path / "d.json").read_bytes() == b"other"
    assert set(cloud.created()) == {
        "delete oss://sandbox-photos/up/data.json",
        "delete oss://sandbox-photos/ünï code.txt",
    }
    bucket.delete("up/data.json")
    bucket.delete("up/data.json")  # gone is gone
    with pytest.raises(NotFound):
        bucket.head("up/data.json")
    assert cloud.created() == ["delete oss://sandbox-photos/ünï code.txt"]
    with pytest.raises(InputError, match="Bytes have no name"):
        bucket.upload(b"x")
    with pytest.raises(InputError):
        bucket.upload(tmp_path / "none.txt")
