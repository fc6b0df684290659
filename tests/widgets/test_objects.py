"""The objects panel: who signs is said, each click is one call of the library, and every end is in the panel."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb
from ramrole_nb.cloud.credentials import forget_every_role
from ramrole_nb.errors import Cancelled, InputError, NoRoleAttached, NotFound, ServiceError
from ramrole_nb.sandbox.worlds.default import add_object
from ramrole_nb.widgets import ObjectsPanel
from tests.widgets.conftest import button, click, failure_of, states

if TYPE_CHECKING:
    from ramrole_nb.cloud.instances import BoundInstance
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

Made = Callable[[Any], Any]
KEY = "testfolder/example.png"
WEB1 = "i-2zesandboxweb1"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_every_role()
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def vm(cloud: Cloud) -> BoundInstance:
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    return cloud.instances["web-1"].attach(role)


def keys(panel: ObjectsPanel) -> list[str]:
    return [row["key"] for row in panel.table.rows]


# ---- looking around


def test_with_nothing_chosen_it_says_what_there_is(cloud: Cloud, made: Made) -> None:
    panel = made(ObjectsPanel(cloud))
    assert set(panel.bucket.options) == {"sandbox-photos", "sandbox-backup"}
    for shown in (panel.text(), panel.html()):
        assert "sandbox-photos (cn-beijing)" in shown
        assert "No bucket is chosen" in shown
        assert "signed by the sandbox user admin" in shown
        assert "No instance has a role yet" in shown
    click(panel, "List")
    assert isinstance(panel.model.error, InputError)
    assert "No bucket is chosen" in panel.text()


def test_a_bucket_a_folder_and_back(cloud: Cloud, made: Made) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos"))
    assert keys(panel) == ["Testfolder/", "private/", "reports/", "testfolder/"]
    click(panel, "Open the chosen folder")
    assert "No folder is chosen" in panel.text()
    panel.table.select("folder testfolder/")
    click(panel, "Open the chosen folder")
    assert keys(panel) == [KEY, "testfolder/notes.txt"]
    assert panel.prefix.value == "testfolder/"
    assert panel.model.status == "oss://sandbox-photos/testfolder/: 2 objects"
    assert [crumb.description for crumb in panel._path.children[1:]] == ["sandbox-photos", "testfolder/"]
    listed = [call for call in cloud.wire.since() if call.action == "ListObjectsV2" and not call.check]
    assert len(listed) == 1, "one click, one call"
    click(panel, "sandbox-photos")
    assert panel.prefix.value == ""
    assert len(keys(panel)) == 4
    panel.open("reports/2026/").wait()
    assert [crumb.description for crumb in panel._path.children[1:]] == [
        "sandbox-photos",
        "reports/",
        "2026/",
    ]
    assert "reports/2026/" in panel.code["Python (official SDKs)"]


def test_the_fields_are_followed(cloud: Cloud, made: Made) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos", prefix="testfolder/"))
    assert len(keys(panel)) == 2
    panel.prefix.value = "reports/2026/"
    assert keys(panel.wait()) == ["reports/2026/sales.csv"]
    panel.bucket.value = "sandbox-backup"
    assert keys(panel.wait()) == ["logs/", "readme.txt"]
    assert panel.prefix.value == "", "the prefix belonged to the other bucket"
    assert "oss-cn-hangzhou" in panel._who.value
    panel.prefix.value = "nothing/"
    assert "There is nothing below oss://sandbox-backup/nothing/" in panel.wait().text()
    assert panel.table.empty == "There is nothing below oss://sandbox-backup/nothing/"


def test_what_is_uploaded_elsewhere_appears(cloud: Cloud, made: Made) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos", prefix="new/"))
    assert keys(panel) == []
    cloud.buckets["sandbox-photos"].upload(b"x", "new/a.txt")
    until(lambda: keys(panel) == ["new/a.txt"])
    calls = len(cloud.wire)
    time.sleep(0.5)
    assert len(cloud.wire) == calls, "its own readings do not make it read again"


def test_after_a_reset_it_shows_the_new_world(cloud: Cloud, made: Made) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos", prefix="new/"))
    cloud.buckets["sandbox-photos"].upload(b"x", "new/a.txt")
    until(lambda: keys(panel) == ["new/a.txt"])
    cloud.reset()
    until(lambda: keys(panel) == [])


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it has not come"
        time.sleep(0.02)


def fill(world: Sandbox, count: int) -> None:
    """Put objects into the state itself: uploading so many would take a minute."""

    async def run() -> None:
        store = world._running().store
        with store.transaction():
            for number in range(count):
                add_object(store, "sandbox-photos", f"many/{number:04d}.txt", b"x")

    assert world._loop
    asyncio.run_coroutine_threadsafe(run(), world._loop).result(60)


def test_a_thousand_and_more(cloud: Cloud, world: Sandbox, made: Made) -> None:
    fill(world, 1_105)
    panel = made(ObjectsPanel(cloud, "sandbox-photos"))
    started = time.perf_counter()
    panel.open("many/").wait()
    took = time.perf_counter() - started
    assert len(keys(panel)) == 1000
    assert took < 3, f"listing took {took:.2f} s"
    assert "1,000 objects, and more" in panel.text()
    assert "the first 50 are shown" in panel.html()
    assert len(panel.html()) < 60_000
    assert panel._more.layout.display == ""
    click(panel, "Show 1,000 more")
    assert len(keys(panel)) == 1_105
    assert panel._more.layout.display == "none"


# ---- who signs


@pytest.mark.usefixtures("vm")
def test_as_the_role_on_an_instance(cloud: Cloud, made: Made) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos", prefix="testfolder/"))
    assert panel.signer.value == ""
    assert "No instance has a role yet" not in panel.text()
    assert dict(panel.signer.options)[f"role EcsRamRole on web-1 ({WEB1})"] == WEB1
    panel.signer.value = WEB1
    panel.wait()
    assert panel.signer.value == WEB1
    assert "signed by the role EcsRamRole on web-1" in panel.text()
    assert "oss-cn-beijing-internal" in panel.text()
    panel.key.value = KEY
    click(panel, "Download")
    assert panel.model.error is None, panel.text()
    last = [call for call in cloud.wire.since() if call.action == "GetObject"][-1]
    assert last.caller == "role on web-1"
    assert "-internal" in panel.code["Python (official SDKs)"]


@pytest.mark.usefixtures("vm")
def test_an_instance_is_named_as_people_do(cloud: Cloud, made: Made) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos", "web-1", "testfolder/"))
    assert panel.signer.value == WEB1
    assert keys(panel) == [KEY, "testfolder/notes.txt"]


def test_no_role_is_said_with_the_next_step(cloud: Cloud, made: Made) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos", "web-2"))
    assert "web-2 has no role" in panel.text()
    assert "attach one: cloud.instances['web-2'].attach(role)" in panel.text()
    assert ".attach(role)" in panel._trouble.value
    panel.key.value = KEY
    click(panel, "Download")
    assert isinstance(panel.model.error, NoRoleAttached)
    assert "attach one" in panel._outcome.value
    cloud.roles.create("R").grant("AliyunOSSReadOnlyAccess")
    cloud.instances["web-2"].attach("R")
    until(lambda: len(keys(panel)) == 4)
    assert panel._trouble.value == ""


def test_an_unknown_instance_names_the_nearest(cloud: Cloud, made: Made) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos", "web-3"))
    assert "There is no instance &#x27;web-3&#x27;. Did you mean &#x27;web-" in panel.html()
    assert dict(panel.signer.options)["web-3 (not found)"] == "web-3"


@pytest.fixture
def new_account(world: Sandbox) -> Iterator[Sandbox]:
    world.reset("new-account")
    yield world
    world.reset("default")


def test_a_new_account_is_led_to_the_role(new_account: Sandbox, made: Made) -> None:
    world = new_account
    cloud = ramrole_nb.connect(world)
    panel = made(ObjectsPanel(cloud, "sandbox-photos"))
    for shown in (panel.text(), panel.html(), panel._trouble.value):
        assert "PublicEndpointForbidden" in shown
        assert "0048-00000401" in shown
        assert "choose the role on an instance under “Sign as”" in shown
    panel.key.value = KEY
    click(panel, "Download")
    assert isinstance(panel.model.error, ServiceError)
    assert "choose the role on an instance under “Sign as”" in panel._outcome.value
    cloud.roles.create("R").grant("AliyunOSSReadOnlyAccess")
    cloud.instances["web-1"].attach("R")
    until(lambda: WEB1 in dict(panel.signer.options).values())
    panel.signer.value = WEB1
    panel.wait()
    assert len(keys(panel)) == 4
    click(panel, "Download")
    assert panel.model.error is None, panel.text()


# ---- downloading


def test_clicking_leaves_what_typing_leaves(cloud: Cloud, made: Made, tmp_path: Path) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos", prefix="testfolder/"))
    panel.table.select(f"object {KEY}")
    assert panel.key.value == KEY
    assert "will be saved as example.png" in panel._target.value
    panel.to.value = "clicked.png"
    click(panel, "Download")
    assert panel.model.error is None, panel.text()
    typed = cloud.buckets["sandbox-photos"].download(KEY, "typed.png")
    job = cloud.buckets["sandbox-photos"].start_download(KEY, "job.png")
    assert job.wait().crc64 == typed.crc64
    assert {p.name for p in tmp_path.iterdir()} == {"clicked.png", "typed.png", "job.png"}
    assert (
        (tmp_path / "clicked.png").read_bytes() == typed.read_bytes() == (tmp_path / "job.png").read_bytes()
    )
    assert "verified: length and CRC64" in panel.model.status
    assert '<img alt="clicked.png"' in panel._outcome.value
    assert "clicked.png" in panel.code["Python (official SDKs)"]


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("testfolder/notes.txt", "A text file beside the picture."),
        ("reports/2026/sales.csv", '<th scope="col"'),
        ("Testfolder/Example.PNG.txt", "Keys are case-sensitive"),
    ],
)
def test_what_was_downloaded_is_shown(cloud: Cloud, made: Made, key: str, shown: str) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos"))
    panel.key.value = key
    click(panel, "Download")
    assert shown in panel._outcome.value
    assert "CRC64" in panel._outcome.value
    assert "CRC64" in panel.text()


def test_an_existing_file_is_left_alone(cloud: Cloud, made: Made, tmp_path: Path) -> None:
    (tmp_path / "example.png").write_text("mine")
    panel = made(ObjectsPanel(cloud, "sandbox-photos"))
    panel.key.value = KEY
    assert "not yet" in panel._target.value
    assert "Tick “Overwrite an existing file”" in panel._target.value
    click(panel, "Download")
    assert isinstance(panel.model.error, InputError)
    assert (tmp_path / "example.png").read_text() == "mine"
    panel.overwrite.value = True
    assert "which is replaced" in panel._target.value
    click(panel, "Download")
    assert failure_of(panel) is None
    assert (tmp_path / "example.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("key", "kind", "said"),
    [
        ("testfolder/Example.png", NotFound, "Did you mean 'testfolder/example.png'?"),
        ("TestFolder/example.png", NotFound, "Did you mean 'testfolder/example.png'?"),
        ("testfolder/exampel.png", NotFound, "Did you mean 'testfolder/example.png'?"),
        ("/testfolder/example.png", InputError, "try 'testfolder/example.png'"),
        ("", InputError, "An object needs a key"),
    ],
)
def test_a_wrong_key_names_the_right_one(
    cloud: Cloud, made: Made, tmp_path: Path, key: str, kind: type[Exception], said: str
) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos"))
    panel.key.value = key
    click(panel, "Download")
    assert isinstance(panel.model.error, kind)
    assert said in panel.text()
    assert "next step" in panel._outcome.value
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("bucket", "said"),
    [("sandbox-photo", "Did you mean 'sandbox-photos'?"), ("oss://sandbox-photos", "without oss://")],
)
def test_a_wrong_bucket_names_the_right_one(cloud: Cloud, made: Made, bucket: str, said: str) -> None:
    panel = made(ObjectsPanel(cloud, bucket))
    assert said in panel.text()
    click(panel, "List")
    assert said in panel.text()
    assert panel._trouble.value == "", "the card stands once, below"
    panel.key.value = KEY
    click(panel, "Download")
    assert said in panel.text()


def test_a_prefix_with_a_slash_in_front(cloud: Cloud, made: Made) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos"))
    panel.prefix.value = "/testfolder/"
    assert "try 'testfolder/'" in panel.wait().text()


# ---- failures, cancel, progress


@pytest.mark.parametrize(
    "text", ["List", "Open the chosen folder", "Show 1,000 more", "Look again", "Download"]
)
def test_every_button_shows_its_failure(cloud: Cloud, world: Sandbox, made: Made, text: str) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos"))
    panel.table.select("folder testfolder/")
    panel.key.value = KEY
    world.fault("oss-500")
    click(panel, text)
    error = panel.model.error
    assert isinstance(error, ServiceError)
    for fact in ("InternalError", error.request_id, "next step"):
        assert fact
        assert fact in panel._outcome.value
        assert fact in panel.text()
    world.fault("oss-500", on=False)
    click(panel, "List")
    assert panel.model.error is None


def test_who_may_nothing_is_told_what_to_grant(world: Sandbox, made: Made) -> None:
    panel = made(ObjectsPanel(ramrole_nb.connect(world, user="viewer"), "sandbox-photos"))
    assert "You may not list the buckets" in panel.text()
    assert "AccessDenied" in panel._trouble.value
    panel.key.value = KEY
    click(panel, "Download")
    assert "have oss:GetObject granted" in panel._outcome.value


@pytest.mark.parametrize("fault", ["corrupt-body", "empty-body", "short-body"])
def test_a_damaged_body_leaves_nothing(
    cloud: Cloud, world: Sandbox, made: Made, tmp_path: Path, fault: str
) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos"))
    panel.key.value = KEY
    world.fault(fault)
    click(panel, "Download")
    assert panel.model.error is not None
    assert "next step" in panel._outcome.value
    assert list(tmp_path.iterdir()) == []


def test_cancel_leaves_nothing_and_says_so(cloud: Cloud, world: Sandbox, made: Made, tmp_path: Path) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos"))
    cloud.buckets["sandbox-photos"].upload(b"x" * 8_000_000, "big.bin")
    panel.wait()
    world.fault("stalled-body")
    panel.key.value = "big.bin"
    job = panel.download()
    until(lambda: job.progress.done > 3_000_000)
    until(lambda: "of 8.0 MB" in panel._bar.caption)
    assert "MB/s" in panel._bar.caption
    assert panel._bar.caption.endswith("left")
    assert panel._bar.maximum == 8_000_000
    assert panel._cancel.layout.display == ""
    assert panel.download() is job, "a second click while it runs is ignored"
    assert button(panel, "Download").disabled
    button(panel, "Cancel").click()
    panel.wait()
    assert isinstance(panel.model.error, Cancelled)
    assert "nothing of it was kept" in panel._outcome.value
    assert "nothing of it was kept" in panel.model.status
    assert list(tmp_path.iterdir()) == []
    assert not panel._bar.active
    assert not button(panel, "Download").disabled


def test_browsing_goes_on_while_it_downloads(cloud: Cloud, world: Sandbox, made: Made) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos"))
    world.fault("stalled-body")
    panel.key.value = KEY
    job = panel.download()
    panel.bucket.value = "no-such-bucket"
    panel._looking.wait()
    assert "no-such-bucket" in panel._trouble.value
    panel.bucket.value = "sandbox-backup"
    panel._looking.wait()
    assert keys(panel) == ["logs/", "readme.txt"]
    job.cancel()
    panel.wait()
    assert keys(panel) == ["logs/", "readme.txt"]


# ---- the end


def sockets() -> int:
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # gone since
            found += str(descriptor.readlink()).startswith("socket")
    return found


@pytest.mark.usefixtures("vm")
def test_fifty_panels_leave_nothing_behind(cloud: Cloud) -> None:
    def one() -> None:
        panel = ObjectsPanel(cloud, "sandbox-photos", "web-1", "testfolder/").wait()
        assert keys(panel) == [KEY, "testfolder/notes.txt"]  # type: ignore[arg-type]
        panel.close()

    for _ in range(3):
        one()
    gc.collect()
    threads, open_sockets, listeners = threading.active_count(), sockets(), len(cloud.wire._listeners)
    for _ in range(50):
        one()
    gc.collect()
    until(lambda: threading.active_count() <= threads)
    until(lambda: sockets() <= open_sockets + 2)
    assert len(cloud.wire._listeners) == listeners


def test_it_shows_no_secret(world: Sandbox, cloud: Cloud, vm: BoundInstance, made: Made) -> None:
    panel = made(ObjectsPanel(cloud, "sandbox-photos", "web-1"))
    panel.key.value = KEY
    click(panel, "Download")
    assert panel.model.error is None
    shown = states(panel) + panel.html() + panel.text()
    held = vm.credentials()
    secrets = [user["access_key_secret"] for user in world.start_line["users"]]
    secrets += [held.access_key_secret, held.security_token]
    for secret in secrets:
        assert str.__str__(secret) not in shown
