"""The worlds: what a new account is refused, step by step, by unmodified programs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ramrole_nb
from ramrole_nb.errors import InputError
from ramrole_nb.sandbox import Sandbox
from ramrole_nb.sandbox.run_on import child_environment
from ramrole_nb.sandbox.worlds import WORLDS
from tests.load import talk
from tests.load.talk import Answer, Connection
from tests.support.files import ROOT

PUBLIC, INTERNAL = "oss-cn-beijing.aliyuncs.com", "oss-cn-beijing-internal.aliyuncs.com"
BUCKET, KEY = "sandbox-photos", "testfolder/example.png"
ROLE = "PageRole"


@pytest.fixture(scope="module")
def new_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(state=tmp_path_factory.mktemp("new"), world="new-account") as running:
        yield running


@pytest.fixture(params=list(WORLDS))
def either(request: pytest.FixtureRequest, sandbox: Sandbox, new_account: Sandbox) -> Sandbox:
    chosen = {"default": sandbox, "new-account": new_account}[request.param]
    chosen.reset()
    assert chosen.start_line["world"] == request.param
    return chosen


def ask(
    sandbox: Sandbox,
    method: str = "GET",
    bucket: str = BUCKET,
    key: str = KEY,
    *,
    host: str = PUBLIC,
    version: str = "v4",
    region: str = "cn-beijing",
    query: tuple[tuple[str, str], ...] = (),
    vm: str = "web-1",
    body: bytes = b"",
) -> Answer:
    line = sandbox.start_line
    request = talk.oss(
        talk.ops(line), method, bucket, key, host=host, version=version, region=region, query=query, body=body,
        proxy=sandbox.proxy_url(vm),
    )  # fmt: skip
    with Connection(line["port"]) as connection:
        return connection.send(request)


def test_the_same_things_are_in_both(sandbox: Sandbox, new_account: Sandbox) -> None:
    sandbox.reset()

    def contents(line: dict[str, object]) -> object:
        return [
            [{**row, "proxy_url": "", "access_key_id": "", "access_key_secret": ""} for row in line[name]]  # type: ignore[attr-defined]
            for name in ("users", "instances", "buckets")
        ]

    assert contents(sandbox.start_line) == contents(new_account.start_line)


def test_signature_v1_is_a_matter_of_the_account(either: Sandbox) -> None:
    new = either.start_line["world"] == "new-account"
    for host in (PUBLIC, INTERNAL):
        answer = ask(either, version="v1", host=host)
        assert (answer.status, answer.ec) == ((403, "0002-00000080") if new else (200, ""))
    line = either.start_line
    with Connection(line["port"]) as connection:
        presigned = connection.send(talk.oss_url(talk.ops(line), BUCKET, KEY, version="v1"))
        assert presigned.status == (403 if new else 200)
        assert connection.send(talk.oss_url(talk.ops(line), BUCKET, KEY)).status == 200


@pytest.mark.parametrize(
    ("method", "key", "query"),
    [
        ("GET", KEY, ()),
        ("HEAD", KEY, ()),
        ("HEAD", KEY, (("objectMeta", ""),)),
        ("PUT", "new.txt", ()),
        ("DELETE", "new.txt", ()),
        ("GET", "", ()),
        ("GET", "", (("list-type", "2"),)),
    ],
)
def test_data_operations_need_the_internal_endpoint(
    either: Sandbox, method: str, key: str, query: tuple[tuple[str, str], ...]
) -> None:
    new = either.start_line["world"] == "new-account"
    public = ask(either, method, key=key, query=query)
    if new:
        assert (public.status, public.ec) == (400, "0048-00000401")
        if method != "HEAD":
            assert public.code == "PublicEndpointForbidden"
            assert b"Not allowed using the OSS public endpoint" in public.body
    else:
        assert public.status in (200, 204)
    assert ask(either, method, key=key, query=query, host=INTERNAL).status in (200, 204)


@pytest.mark.parametrize("sub", ["bucketInfo", "acl", "location"])
def test_managing_buckets_works_on_the_public_endpoint(either: Sandbox, sub: str) -> None:
    assert ask(either, key="", query=((sub, ""),)).status in (200, 501)  # 501: not in the sandbox yet
    assert ask(either, bucket="", key="").status == 200


def test_regions_beyond_the_mainland_are_open(either: Sandbox) -> None:
    for region in ("ap-southeast-5", "cn-hongkong"):
        host = f"oss-{region}.aliyuncs.com"
        answer = ask(either, host=host, region=region)
        assert (answer.status, answer.code) == (
            403,
            "AccessDenied",
        )  # another region's bucket, no more than that
        assert b"specified endpoint" in answer.body


def test_a_reset_changes_the_world(tmp_path: Path) -> None:
    with Sandbox(state=tmp_path) as running:
        assert ask(running).status == 200
        assert running.reset("new-account")["world"] == "new-account"
        assert ask(running).status == 400
        running.reset()
        assert ask(running).status == 400
        with pytest.raises(InputError, match="new-account"):
            running.reset("new-acount")
        assert running.reset("default")["world"] == "default"
        assert ask(running).status == 200
    with Sandbox(state=tmp_path, world="default") as again:
        assert ask(again, version="v1").status == 200


def test_the_account_stays_new_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        with Sandbox(state=tmp_path, world="new-account") as running:
            assert ask(running).status == 400


# -- the page's program, as printed and as it runs today ---------------------------------------------------------


def run_page(sandbox: Sandbox, name: str, folder: Path, **values: str) -> subprocess.CompletedProcess[str]:
    """Run one of the two programs on web-1, its placeholders replaced, in an ordinary environment of an instance."""
    text = (ROOT / "notebooks" / name).read_text("utf-8")
    quote = "'" if "as_printed" in name else '"'
    given = {"role_name": ROLE, "bucket_name": BUCKET, "local_file": str(folder / "image.png"), **values}
    for variable, value in given.items():
        lines = text.splitlines(keepends=True)
        (at,) = [i for i, line in enumerate(lines) if line.startswith(f"    {variable} = {quote}")]
        lines[at] = f"    {variable} = {value!r}\n"
        text = "".join(lines)
    script = folder / name
    script.write_text(text, "utf-8")
    environment = {
        k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith("OSS_")
    }
    return subprocess.run(
        [sys.executable, str(script)],
        env=child_environment(sandbox.proxy_url("web-1"), environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.slow
def test_the_page_and_today(either: Sandbox, tmp_path: Path) -> None:
    new = either.start_line["world"] == "new-account"
    cloud = ramrole_nb.connect(either)
    role = cloud.roles.create(ROLE)
    role.grant("AliyunOSSReadOnlyAccess")
    cloud.instances["web-1"].attach(role)
    picture = tmp_path / "image.png"

    printed = run_page(either, "page_program_as_printed.py", tmp_path)
    if new:  # step 1: signature V1
        assert printed.returncode != 0
        assert "0002-00000080" in printed.stderr
        assert picture.read_bytes() == b""  # what the page's way leaves behind
    else:
        assert printed.stdout == "Image downloaded successfully\n", printed.stderr
        assert picture.stat().st_size > 1000

    halfway = run_page(either, "page_program_today.py", tmp_path, endpoint=f"http://{PUBLIC}")
    if new:  # step 2: V4, on the public endpoint
        assert halfway.returncode != 0
        assert "PublicEndpointForbidden" in halfway.stderr
        assert "0048-00000401" in halfway.stderr
    else:
        assert halfway.returncode == 0, halfway.stderr

    today = run_page(either, "page_program_today.py", tmp_path, endpoint=f"http://{INTERNAL}")
    assert today.stdout == "Image downloaded successfully\n", today.stderr  # step 3
    assert picture.stat().st_size > 1000


def test_the_printed_program_is_the_pages() -> None:
    text = (ROOT / "notebooks" / "page_program_as_printed.py").read_text("utf-8")
    assert "auth = oss2.ProviderAuth(credentials_provider)" in text
    assert "CredentialProviderWarpper" in text  # the page's spelling
    assert "endpoint = 'oss-cn-beijing.aliyuncs.com'" in text


def test_our_client_works_in_a_new_account(new_account: Sandbox, tmp_path: Path) -> None:
    new_account.reset()
    cloud = ramrole_nb.connect(new_account)
    assert "sandbox-photos" in [info.name for info in cloud.buckets.all()]
    role = cloud.roles.create("Reader")
    role.grant("AliyunOSSReadOnlyAccess")
    vm = cloud.instances["web-1"]
    vm.attach(role)
    bucket = cloud.buckets["sandbox-photos"].using(vm)
    assert KEY in [row.key for row in bucket.list("testfolder/")]
    assert bucket.download(KEY, tmp_path / "a.png").size > 1000
    # What the administrator does from a desk goes over the public endpoint, and is refused as it would be live.
    with pytest.raises(ramrole_nb.errors.ServiceError) as caught:
        cloud.buckets["sandbox-photos"].list("testfolder/")
    assert caught.value.code == "PublicEndpointForbidden"
