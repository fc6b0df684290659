"""The credential of an instance's role: one provider, one refresh at a time, one consistent triple. The issue's figures.

Run with `-s` to see the figures.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import statistics
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb as rr
from ramrole_nb.cloud.credentials import InstanceCredentials, StaticCredentials
from ramrole_nb.cloud.metadata import NORMAL
from ramrole_nb.errors import CredentialsExpired, MetadataUnreachable, NoRoleAttached, RamroleError
from ramrole_nb.models import StsCredentials
from tests.support.threads import threads_settle

if TYPE_CHECKING:
    from ramrole_nb.cloud.instances import BoundInstance
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox
    from tests.cloud.conftest import Hands, Journal

say = sys.stdout.write


@pytest.fixture
def vm(cloud: Cloud) -> BoundInstance:
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    return cloud.instances["web-1"].attach(role)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    wait_for(lambda: not refreshing(), 8)


def refreshing() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ramrole-refresh")]


def wait_for(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run `work` in so many threads, started together; what one raises is raised here."""
    failures: list[BaseException] = []
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            barrier.wait()
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(n,), name=f"caller-{n}") for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def made(key: int | str, *, left: float = 3600.0, lifetime: float = 3600.0) -> StsCredentials:
    now = datetime.now(UTC)
    ends = now + timedelta(seconds=left)
    return StsCredentials(
        f"STS.{key}",
        f"secret-{key}",
        f"token-of-{key}",
        ends,
        ends - timedelta(seconds=lifetime),
        "EcsRamRole",
    )


# ---- the figures


@pytest.mark.usefixtures("vm")
def test_a_hundred_runs_of_the_same_cell_add_no_thread(journal: Journal) -> None:
    def cell() -> None:
        again = rr.connect(journal.sandbox)
        instance = again.instances["web-1"]
        instance.credentials()
        again.buckets["sandbox-photos"].using(instance).head("testfolder/example.png")

    cell()
    before = threading.active_count()
    journal.mark()
    for _ in range(100):
        cell()
    assert threads_settle(before)
    assert journal.metadata == []


def test_a_thousand_signed_requests_ask_the_metadata_service_once(
    cloud: Cloud, vm: BoundInstance, journal: Journal
) -> None:
    bucket = cloud.buckets["sandbox-photos"].using(vm)
    client = bucket.client()
    journal.mark()
    vm.credentials(refresh=True)
    one_refresh = len(journal.metadata)
    for _ in range(1000):
        client.head_object("testfolder/example.png")
    asked = len(journal.metadata) - one_refresh
    say(f"\n1,000 signed HEADs: {asked} metadata requests (one refresh makes {one_refresh})\n")
    assert asked <= one_refresh


def _mixed(triples: list[tuple[str, str, str]], issued: dict[str, tuple[str, str]]) -> int:
    return sum(issued[key_id] != (secret, token) for key_id, secret, token in triples)


def test_no_mixed_triple_while_credentials_rotate_every_50_ms(
    vm: BoundInstance, world: Sandbox, hands: Hands
) -> None:
    """While a ninth thread has new credentials fetched all the time.

    8 threads take 10,000 snapshots as the SDKs do: three getters of what get_credentials() gave.
    """
    world.set(credential_lifetime=600, credential_rotation=0.05)
    provider = vm.provider()
    triples: list[list[tuple[str, str, str]]] = [[] for _ in range(8)]
    stop = threading.Event()

    def fetch() -> None:
        while not stop.is_set():
            provider.refresh()

    def take(number: int) -> None:
        for n in range(1250):
            held = provider.get_credentials()
            key_id = held.get_access_key_id()
            time.sleep(0.001 if n % 2 else 0)  # the moment in which the other client's triple tears
            triples[number].append((key_id, held.get_access_key_secret(), held.get_security_token() or ""))

    fetching = threading.Thread(target=fetch)
    fetching.start()
    try:
        in_threads(8, take)
    finally:
        stop.set()
        fetching.join()
    flat = [t for some in triples for t in some]
    generations = len({t[0] for t in flat})
    mixed = _mixed(flat, hands.issued())
    say(f"\nours: {mixed} mixed of {len(flat):,} snapshots, over {generations} credentials\n")
    assert len(flat) == 10_000
    assert generations >= 5
    assert mixed == 0


def test_no_mixed_triple_with_credentials_that_live_two_seconds(
    vm: BoundInstance, world: Sandbox, hands: Hands
) -> None:
    """Nobody asks for a refresh here: the provider does it by itself, before each one ends."""
    world.set(credential_lifetime=2.0, credential_rotation=0.05)
    provider = vm.provider()
    triples: list[list[tuple[str, str, str]]] = [[] for _ in range(8)]
    until = time.monotonic() + 5.0

    def take(number: int) -> None:
        while time.monotonic() < until:
            held = provider.get_credentials()
            triples[number].append(
                (held.get_access_key_id(), held.get_access_key_secret(), held.get_security_token() or "")
            )
            time.sleep(0.003)

    in_threads(8, take)
    flat = [t for some in triples for t in some]
    generations = len({t[0] for t in flat})
    mixed = _mixed(flat, hands.issued())
    say(f"\nours, by itself: {mixed} mixed of {len(flat):,} snapshots, over {generations} credentials\n")
    assert len(flat) > 5_000
    assert generations >= 4
    assert mixed == 0


# The wrapper of the page's Python program, word for word but for its role and a proxy that leads to the instance.
_PAGE = """
    import hashlib, json, sys, threading
    from alibabacloud_credentials.client import Client
    from alibabacloud_credentials.models import Config
    from oss2 import CredentialsProvider
    from oss2.credentials import Credentials

    class CredentialProviderWarpper(CredentialsProvider):
        def __init__(self, client):
            self.client = client

        def get_credentials(self):
            access_key_id = self.client.get_access_key_id()
            access_key_secret = self.client.get_access_key_secret()
            security_token = self.client.get_security_token()
            return Credentials(access_key_id, access_key_secret, security_token)

    config = Config(type="ecs_ram_role", role_name="EcsRamRole", proxy=sys.stdin.readline().strip())
    provider = CredentialProviderWarpper(Client(config))
    each, threads, rows = int(sys.argv[1]), int(sys.argv[2]), []

    def short(text):
        return hashlib.sha256(text.encode()).hexdigest()

    def take():
        for _ in range(each):
            c = provider.get_credentials()
            rows.append((c.access_key_id, short(c.access_key_secret), short(c.security_token)))

    running = [threading.Thread(target=take) for _ in range(threads)]
    [t.start() for t in running]
    [t.join() for t in running]
    print(json.dumps(rows), flush=True)
    import os
    os._exit(0)  # its scheduler threads
"""


@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("vm")
def test_the_pages_wrapper_does_mix_them(world: Sandbox, hands: Hands) -> None:
    """With less than 15 minutes left the SDK fetches at every getter (baselines.md), so 400 snapshots are 2,400 requests."""
    world.set(credential_lifetime=600, credential_rotation=0.05)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(_PAGE), "50", "8"],
        input=world.proxy_url("web-1") + "\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    rows = json.loads(done.stdout.splitlines()[-1])
    issued = {
        key: tuple(hashlib.sha256(value.encode()).hexdigest() for value in pair)
        for key, pair in hands.issued().items()
    }
    mixed = sum(issued[key] != (secret, token) for key, secret, token in rows)
    say(f"\nthe page's wrapper: {mixed} mixed of {len(rows)} snapshots\n")
    assert len(rows) == 400
    assert mixed > 0


@pytest.mark.slow
def test_a_metadata_service_that_takes_six_seconds(
    vm: BoundInstance, world: Sandbox, hands: Hands, journal: Journal
) -> None:
    """16 threads at 1,000 calls/s in all, around a refresh: token, role name, credential are 18 s of answers."""
    vm.metadata.credentials()  # has one issued
    hands.age(vm.instance_id, left=45, lifetime=600)
    provider = vm.provider()
    old = provider.current()
    assert 40 < old.seconds_left() < 46  # within the last twelfth of its life: a new one is due
    hands.rotate(vm.instance_id)
    world.set(metadata_delay=6.0)
    journal.mark()
    refreshes, before = provider.refreshes, threading.active_count()
    latencies: list[list[float]] = [[] for _ in range(16)]
    most_threads = 0
    until = time.monotonic() + 20.0

    def call(number: int) -> None:
        tick = time.monotonic() + number / 1000
        while (now := time.monotonic()) < until:
            provider.get_credentials()
            latencies[number].append(time.monotonic() - now)
            tick += 0.016
            time.sleep(max(0.0, tick - time.monotonic()))

    def watch() -> None:
        nonlocal most_threads
        while time.monotonic() < until:
            most_threads = max(most_threads, threading.active_count())
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    in_threads(16, call)
    watcher.join()
    flat = sorted(itertools.chain(*latencies))
    grown = most_threads - before - 17  # the callers and the watcher
    say(
        f"\nmetadata in 6 s: {len(flat):,} calls, {provider.refreshes - refreshes} refresh, {grown} more thread at most; "
        f"latency median {statistics.median(flat) * 1e6:.0f} us, longest {flat[-1] * 1e3:.1f} ms\n"
    )
    assert len(flat) > 12_000
    assert provider.refreshes == refreshes + 1
    assert journal.metadata == ["PutToken", "ListRole", "GetRoleCredentials"]
    assert grown <= 1
    assert provider.current().access_key_id != old.access_key_id
    assert flat[-1] < 0.5  # waiting would be 6 s at least; the rest is this machine's scheduling
    assert flat[int(len(flat) * 0.999)] < 0.1


# ---- around a refresh, with a fetch in our hands


class Source:
    """A metadata service in a function: what it gives next, how long it takes, how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.takes = 0.0
        self.fails: RamroleError | None = None
        self.next: Callable[[], StsCredentials] = lambda: made(self.asked)
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()

    def __call__(self) -> StsCredentials:
        with self._lock:
            self.asked += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            time.sleep(self.takes)
            if self.fails is not None:
                raise self.fails
            return self.next()
        finally:
            with self._lock:
                self.at_once -= 1


def test_the_first_fetch_is_shared(vm: BoundInstance, world: Sandbox, journal: Journal) -> None:
    world.set(metadata_delay=0.1)
    journal.mark()
    got: list[Any] = []
    in_threads(16, lambda _: got.append(vm.provider().current()))
    assert len({id(c) for c in got}) == 1
    assert len(got) == 16
    assert journal.metadata == ["PutToken", "ListRole", "GetRoleCredentials"]


def test_a_first_fetch_that_fails_is_shared_too() -> None:
    source = Source()
    source.takes, source.fails = 0.2, MetadataUnreachable("no answer")
    provider = InstanceCredentials(source)
    failures: list[BaseException] = []

    def call(_: int) -> None:
        try:
            provider.current()
        except MetadataUnreachable as error:
            failures.append(error)

    in_threads(16, call)
    assert len(failures) == 16
    assert source.asked == 1
    source.fails = None
    assert provider.current().access_key_id == "STS.2"
    assert provider.last_error is None


def test_refresh_by_many_at_once_is_one_fetch() -> None:
    source = Source()
    provider = InstanceCredentials(source)
    old = provider.current()
    source.takes = 0.2
    got: list[StsCredentials] = []
    in_threads(16, lambda _: got.append(provider.refresh()))
    assert source.asked == 2
    assert {c.access_key_id for c in got} == {"STS.2"}
    assert provider.current() != old


def test_refresh_in_a_loop_from_many_threads_never_fails() -> None:
    """One's refresh may not take from another what it has just fetched."""
    source = Source()
    source.takes = 0.0005
    provider = InstanceCredentials(source)

    def call(number: int) -> None:
        for _ in range(300):
            (provider.refresh if number % 2 else provider.current)()

    in_threads(8, call)
    assert source.most_at_once == 1


def test_while_one_is_refreshed_the_others_get_the_held_one() -> None:
    source = Source()
    source.next = lambda: made(
        source.asked, left=50, lifetime=3600
    )  # due at once: the last twelfth has begun
    provider = InstanceCredentials(source)
    old = provider.current()
    source.takes = 1.5
    started = time.monotonic()

    def call(_: int) -> None:
        for _ in range(20):
            provider.current()

    in_threads(16, call)
    assert time.monotonic() - started < 1.2
    assert provider.held == old
    assert refreshing() == ["ramrole-refresh-"]
    wait_for(lambda: source.asked == 2 and not refreshing(), 5)
    assert provider.current().access_key_id == "STS.2"


def test_a_refresh_that_fails_keeps_the_held_one_and_backs_off() -> None:
    source = Source()
    source.next = lambda: made(source.asked, left=50, lifetime=3600)
    provider = InstanceCredentials(source)
    old = provider.current()
    source.fails = MetadataUnreachable("no answer")
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        assert provider.current() is old
        time.sleep(0.001)
    # At 0 s, then after a pause of 1 s, then of 2 s: two tries, not two thousand.
    assert source.asked - 1 == 2
    assert isinstance(provider.last_error, MetadataUnreachable)
    with pytest.raises(MetadataUnreachable):
        provider.refresh()
    assert provider.current() is old  # asked for by hand, and failed: the held one is still good
    source.fails = None
    assert provider.refresh() is not old
    assert provider.last_error is None


def test_expired_and_failing_raises() -> None:
    source = Source()
    source.next = lambda: made(source.asked, left=0.3, lifetime=0.3)
    provider = InstanceCredentials(source)
    provider.current()
    source.fails = NoRoleAttached("no role any more")
    time.sleep(0.35)
    with pytest.raises(NoRoleAttached) as caught:
        provider.current()
    assert caught.value.what == "no role any more"
    source.fails, source.next = None, lambda: made(source.asked)
    assert provider.current().seconds_left() > 3000


def test_fetched_and_already_expired() -> None:
    source = Source()
    source.next = lambda: made("old", left=-10)
    with pytest.raises(CredentialsExpired) as caught:
        InstanceCredentials(source).current()
    assert "clock" in caught.value.reason
    assert source.asked == 1


def test_not_rotated_yet_is_looked_at_again_soon_not_always() -> None:
    source = Source()
    source.next = lambda: made("same", left=50, lifetime=3600)
    provider = InstanceCredentials(source)
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        provider.current()
        time.sleep(0.001)
    wait_for(lambda: not refreshing(), 2)
    assert source.asked == 2  # the first, and one refresh; the next look is in five seconds


def test_a_fetch_begun_before_the_role_changed_is_not_kept() -> None:
    source = Source()
    provider = InstanceCredentials(source)
    source.takes = 0.3
    got: list[StsCredentials] = []
    waiting = threading.Thread(target=lambda: got.append(provider.current()))
    waiting.start()
    wait_for(lambda: source.at_once == 1, 2)
    provider.forget()  # replace_role, while the old role's credential is on its way
    waiting.join()
    assert [c.access_key_id for c in got] == ["STS.2"]
    assert provider.held == got[0]


def test_a_role_change_forgets_what_is_held(cloud: Cloud, vm: BoundInstance, journal: Journal) -> None:
    provider = vm.provider()
    provider.current()
    vm.replace_role(cloud.roles.create("Other"))
    assert provider.held is None
    assert provider.current().role_name == "Other"
    assert vm.provider() is provider
    vm.detach()
    assert provider.held is None
    with pytest.raises(NoRoleAttached):
        provider.current()
    vm.attach("Other")
    journal.mark()
    provider.current()
    cloud.reset()
    assert provider.held is None


def test_one_provider_per_instance_and_mode(cloud: Cloud, vm: BoundInstance, world: Sandbox) -> None:
    assert (
        vm.provider()
        is cloud.instances["web-1"].provider()
        is rr.connect(world).instances["web-1"].provider()
    )
    assert vm.provider(NORMAL) is not vm.provider()
    assert cloud.instances["web-2"].provider() is not vm.provider()


def test_in_normal_mode(vm: BoundInstance, journal: Journal) -> None:
    journal.mark()
    assert vm.credentials(mode=NORMAL).mode == NORMAL
    assert journal.metadata == ["ListRole", "GetRoleCredentials"]


def test_the_sdks_interfaces(vm: BoundInstance) -> None:
    provider = vm.provider()
    held = provider.current()
    for got in (provider.get_credentials(), asyncio.run(provider.get_credentials_async())):
        assert got.get_access_key_id() == held.access_key_id
        assert got.get_access_key_secret() == held.access_key_secret
        assert got.get_security_token() == held.security_token
        assert got.get_provider_name() == provider.get_provider_name() == "ecs_ram_role"
        assert held.access_key_secret not in repr(got)
    key = StaticCredentials("LTAIexampleexample", "theSecretOfIt")
    assert asyncio.run(key.get_credentials_async()).get_security_token() is None
    assert key.get_credentials().get_provider_name() == "static_ak"
    assert "theSecretOfIt" not in repr(key) + repr(key.get_credentials())
