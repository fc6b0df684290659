"""The wire panel: everybody's exchanges, filtered, and each one opened."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from ramrole_nb.cloud.session import Cloud
from ramrole_nb.cloud.wire import Wire
from ramrole_nb.errors import AccessDenied, InputError, SandboxError
from ramrole_nb.widgets import WirePanel
from tests.sandbox.drive import WEB, Drive
from tests.widgets.conftest import click, failure_of, states

if TYPE_CHECKING:
    from ramrole_nb.sandbox import Sandbox

Made = Callable[[Any], Any]
PICTURE = "testfolder/example.png"


def until(holds: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def names(panel: WirePanel) -> list[str]:
    return [str(row["call"]).split(" ", 1)[1] for row in panel.table.rows]


def refused(cloud: Cloud) -> None:
    vm = cloud.instances["web-1"].attach(cloud.roles.create("EcsRamRole"))
    with pytest.raises(AccessDenied):
        cloud.buckets["sandbox-photos"].using(vm).head(PICTURE)


def test_what_this_session_does_shows_newest_last(cloud: Cloud, made: Made) -> None:
    panel = made(WirePanel(cloud))
    assert panel.table.rows == []
    cloud.roles.create("EcsRamRole")
    until(lambda: names(panel)[-1:] == ["Ram:CreateRole"])
    assert panel.table.rows[-1]["status"] == "✓ 200"
    assert panel.table.rows[-1]["by"] == "admin"
    assert panel.table.rows[-1]["decided"] == "✓ AdministratorAccess"


def test_look_ups_are_folded_away(cloud: Cloud, made: Made) -> None:
    cloud.roles.create("EcsRamRole")
    panel = made(WirePanel(cloud))
    assert names(panel) == ["Ram:CreateRole"]
    assert "calls are folded away: look-ups" in panel._folded.value
    panel.lookups.value = True
    panel.wait()
    assert "Ram:GetRole" in names(panel)
    assert "folded away" not in panel._folded.value


def test_what_other_programs_do_shows_by_itself(cloud: Cloud, world: Sandbox, made: Made) -> None:
    """Metadata asked for on an instance by curl, and another user's SDK: no call of this session tells of them."""
    panel = made(WirePanel(cloud))
    drive = Drive(world)
    drive.imds("/latest/meta-data/instance-id")
    until(lambda: names(panel) == ["IMDS:GetMetadata"])
    drive.bucket("admin").head_object(PICTURE)
    until(lambda: names(panel)[-1] == "Oss:HeadObject")
    assert panel.table.rows[0]["by"] == f"on {WEB}"


def test_not_following(cloud: Cloud, world: Sandbox, made: Made) -> None:
    panel = made(WirePanel(cloud))
    panel.follow.value = False
    cloud.identity()
    Drive(world).imds("/latest/meta-data/instance-id")
    time.sleep(0.6)
    assert panel.table.rows == []
    click(panel, "Look again")
    assert names(panel) == ["Sts:GetCallerIdentity", "IMDS:GetMetadata"]
    panel.follow.value = True
    cloud.identity()
    until(lambda: len(panel.table.rows) == 3)


def test_filters(cloud: Cloud, made: Made) -> None:
    refused(cloud)
    panel = made(WirePanel(cloud))
    panel.failures.value = True
    panel.wait()
    assert names(panel) == ["Oss:HeadObject"]
    assert panel.table.rows[0]["status"] == "✕ 403"
    assert panel.table.rows[0]["decided"] == "✕ nothing allows it (AccessDenied)"
    panel.failures.value = False
    panel.service.value = "IMDS"
    panel.wait()
    assert names(panel) == ["IMDS:PutToken", "IMDS:ListRole", "IMDS:GetRoleCredentials"]
    panel.service.value = "Sts"
    panel.wait()
    assert names(panel) == []
    assert "no exchange yet" in panel.text()


def test_choosing_one_opens_it(cloud: Cloud, made: Made) -> None:
    refused(cloud)
    panel = made(WirePanel(cloud))
    assert "Choose an exchange" in panel._opened.value
    panel.table.select(panel.table.rows[-1]["id"])
    for part in ("Request", "Signed", "Decision", "Answer", "AccessDenied", "OSS V4"):
        assert part in panel._opened.value
    assert panel._opened.value == cloud.wire.last()._repr_html_()
    assert str(cloud.wire.last()) in panel.text()
    panel.table.selected = []
    assert "Choose an exchange" in panel._opened.value


def test_open_by_number(cloud: Cloud, made: Made) -> None:
    cloud.roles.create("EcsRamRole")
    panel = made(WirePanel(cloud))
    last = cloud.wire.exchanges()[-1]
    assert panel.open(last.seq) == last
    assert panel.table.selected == [str(last.seq)]
    folded = next(call for call in cloud.wire.exchanges() if call.check)
    assert panel.open(folded.seq).check
    assert folded.request_id in panel._opened.value
    with pytest.raises(InputError, match="no exchange 999999"):
        panel.open(999_999)


def test_clear(cloud: Cloud, made: Made) -> None:
    cloud.identity()
    panel = made(WirePanel(cloud))
    assert panel.table.rows
    click(panel, "Clear exchanges")
    assert panel.model.error is None
    assert panel.table.rows == []
    assert len(cloud.wire) == 0
    cloud.identity()
    until(lambda: names(panel) == ["Sts:GetCallerIdentity"])
    cloud.wire.clear()
    until(lambda: panel.table.rows == [])


def test_a_live_session_shows_its_own_calls(cloud: Cloud, made: Made) -> None:
    """Without a journal, as live sessions are."""
    wire = Wire()
    cloud.context.wire = wire
    cloud.context.calls.wire = wire
    live = Cloud(cloud.context, label="LIVE Alibaba Cloud, region cn-beijing", provenance="a test")
    panel = made(WirePanel(live))
    live.identity()
    until(lambda: names(panel) == ["Sts:GetCallerIdentity"])
    panel.open(1)
    assert "does not tell which policy decided" in panel._opened.value
    click(panel, "Clear exchanges")
    assert panel.table.rows == []
    with pytest.raises(SandboxError):
        _ = live.sandbox


def test_a_sandbox_that_has_gone_is_said(cloud: Cloud, world: Sandbox, made: Made) -> None:
    cloud.identity()
    panel = made(WirePanel(cloud))
    world.stop()
    try:
        click(panel, "Look again")
        assert failure_of(panel) is not None
        assert "ramrole sandbox start" in panel._outcome.value
        assert panel.table.rows, "what was read stays"
    finally:
        world.start()


def test_a_look_up_noted_after_the_journal_told_of_it_is_folded_away(
    cloud: Cloud, world: Sandbox, made: Made
) -> None:
    """A panel may read the journal while a look-up of this session is still on its way back."""
    cloud.identity()
    entry = cloud.wire.exchanges()[-1].entry
    server = world._server
    assert server is not None
    panel = made(WirePanel(cloud))
    copied = {name: value for name, value in entry.items() if name not in ("seq", "time")}
    server.journal.add({**copied, "request_id": "ON-ITS-WAY"})
    until(lambda: len(names(panel)) == 2)
    cloud.wire.record(
        "Sts", "GetCallerIdentity", {}, status=200, request_id="ON-ITS-WAY", started=0.0, check=True
    )
    until(lambda: len(names(panel)) == 1)


def test_large_journals_stay_quick(cloud: Cloud, world: Sandbox, made: Made) -> None:
    cloud.identity()
    first = cloud.wire.exchanges()[-1]
    server = world._server
    assert server is not None
    entry = {name: value for name, value in first.entry.items() if name not in ("seq", "time")}
    for number in range(2500):
        server.journal.add({**entry, "request_id": f"R{number}"})
    started = time.perf_counter()
    panel = made(WirePanel(cloud))
    assert len(panel.table.rows) == 12
    assert time.perf_counter() - started < 3
    started = time.perf_counter()
    cloud.identity()
    until(lambda: panel.table.rows[-1]["id"] == str(cloud.wire.exchanges()[-1].seq))
    assert time.perf_counter() - started < 2
    panel.shown.value = "2000"
    panel.wait()
    assert len(panel.table.rows) == 2000
    assert len(panel.html()) < 400_000


def test_many_panels_leave_nothing_behind(cloud: Cloud) -> None:
    WirePanel(cloud).wait().close()
    time.sleep(1.2)
    before = threading.active_count()
    for _ in range(50):
        panel = WirePanel(cloud)
        panel.wait()
        panel.close()
    until(lambda: threading.active_count() <= before + 1)
    assert cloud.wire._listeners == []


def test_no_secret_and_never_blank(cloud: Cloud, world: Sandbox, made: Made) -> None:
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    vm = cloud.instances["web-1"].attach(role)
    credentials = vm.credentials()
    Drive(world).bucket("admin", version="v1").sign_url("GET", PICTURE, 60)
    cloud.buckets["sandbox-photos"].using(vm).head(PICTURE)
    panel = made(WirePanel(cloud))
    panel.lookups.value = True
    panel.wait()
    shown = panel.html()
    for row in panel.table.rows:
        panel.open(int(row["id"]))
        shown += states(panel) + panel.text()
    secrets = [u["access_key_secret"] for u in world.start_line["users"]]
    for secret in [*secrets, credentials.access_key_secret, credentials.security_token]:
        assert str.__str__(secret) not in shown
    assert "<details>" in panel.html()


def test_it_reads_without_a_front_end(cloud: Cloud, made: Made) -> None:
    panel = made(WirePanel(cloud))
    bundle = panel._repr_mimebundle_()
    assert "no exchange yet" in bundle["text/html"]
    assert "no exchange yet" in bundle["text/plain"]
    cloud.identity()
    panel.refresh().wait(5)
    assert "Sts:GetCallerIdentity" in panel._repr_mimebundle_()["text/plain"]
