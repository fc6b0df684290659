"""No secret in what is shown, logged, raised or kept: each secret the sandbox issued is looked for in all of it.

A planted secret is looked for the same way and must be found, or the search would prove nothing. What a whole run leaves
on disk is searched by tests/run.
"""

from __future__ import annotations

import contextlib
import copy
import html
import io
import json
import logging
import pickle
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ramrole_nb as rr
from ramrole_nb.cloud.credentials import forget_every_role
from ramrole_nb.errors import RamroleError
from ramrole_nb.models import StsCredentials
from ramrole_nb.redact import MASK, Secret, forget_all, is_known_secret, mask_key_id, redact, remember
from ramrole_nb.sandbox import Sandbox
from tests.support import leaks

if TYPE_CHECKING:
    from pathlib import Path

    from ramrole_nb.cloud.session import Cloud

KEY = "testfolder/example.png"


def secrets_of(sandbox: Sandbox) -> set[str]:
    """Every secret of the world: keys, proxy tokens, the admin's token, each temporary credential issued."""
    import asyncio

    server = sandbox._running()

    async def read() -> set[str]:
        rows = server.store.all("SELECT secret, token FROM sts_sessions")
        return {row["secret"] for row in rows} | {row["token"] for row in rows}

    assert sandbox._loop
    found = asyncio.run_coroutine_threadsafe(read(), sandbox._loop).result(10)
    line = sandbox.start_line
    found |= {str(user["access_key_secret"]) for user in line["users"]}
    found |= {str(row["proxy_url"]).partition("@")[0].rpartition(":")[2] for row in line["instances"]}
    return found | {str(server.admin_token)}


class Search:
    """Texts to be searched together, with a plant in their midst."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self._sandbox = sandbox
        self._folder = folder
        self.texts: dict[str, str] = {}

    def add(self, name: str, *texts: object) -> None:
        self.texts[name] = self.texts.get(name, "") + "\n".join(str(text) for text in texts)

    def finish(self) -> None:
        """Search, in every form a secret travels in."""
        plant = "SANDBOXplantedSecretOfThisTest"
        self._folder.mkdir(exist_ok=True)
        for name, text in self.texts.items():
            (self._folder / name).write_text(text, encoding="utf-8", errors="replace")
        (self._folder / "planted").write_text(json.dumps({"outputs": [f"token={quote(plant)}"]}))
        found = leaks.search([self._folder], {*secrets_of(self._sandbox), plant})
        names = {leak.path.rpartition("/")[2] for leak in found}
        assert "planted" in names
        assert names == {"planted"}, [repr(leak) for leak in found]


@pytest.fixture
def search(world: Sandbox, tmp_path: Path) -> Search:
    return Search(world, tmp_path / "search")


@pytest.fixture(autouse=True)
def _fresh(world: Sandbox) -> Iterator[None]:
    forget_every_role()
    (world.state / "ledger.jsonl").unlink(missing_ok=True)
    yield
    forget_every_role()


@pytest.fixture
def used(cloud: Cloud) -> Cloud:
    """A session after the whole path."""
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    vm = cloud.instances["web-1"].attach(role)
    vm.credentials()
    vm.metadata.credentials(mode="normal")
    vm.identity()
    cloud.buckets["sandbox-photos"].using(vm).head(KEY)
    return cloud


def shown(value: object) -> Iterator[str]:
    """Every form in which a cell, a log or a debugger shows a value."""
    yield repr(value)
    yield str(value)
    yield f"{value}"
    for name in ("_repr_html_", "_repr_mimebundle_", "_repr_markdown_"):
        method = getattr(value, name, None)
        if callable(method):
            yield str(method())
    with contextlib.suppress(TypeError, ValueError):
        yield repr(vars(value))


def everything(cloud: Cloud) -> dict[str, object]:
    vm = cloud.instances["web-1"]
    bucket = cloud.buckets["sandbox-photos"].using(vm)
    metadata = vm.metadata
    metadata.credentials()
    token = metadata.token()
    document = metadata.get("meta-data/ram/security-credentials/EcsRamRole", token)
    return {
        "cloud": cloud,
        "context": cloud.context,
        "endpoints": cloud.context.endpoints,
        "calls": cloud.context.calls,
        "provider of the session": cloud.context.calls.provider,
        "ledger": cloud.context.ledger,
        "roles": cloud.roles,
        "role": cloud.roles["EcsRamRole"],
        "policies": cloud.roles["EcsRamRole"].policies(),
        "instances": cloud.instances,
        "instance": vm,
        "attachment": vm.attachment,
        "provider": vm.provider(),
        "credential": vm.credentials(),
        "credential for the SDKs": vm.provider().get_credentials(),
        "metadata": metadata,
        "steps": metadata.steps,
        "identity": vm.identity(),
        "buckets": cloud.buckets,
        "bucket": bucket,
        "listing": bucket.list("testfolder/"),
        "object": bucket.head(KEY),
        "wire": cloud.wire,
        "calls made": cloud.wire.since(explain=True),
        "sandbox": cloud.sandbox,
        "start line": cloud.sandbox.status(),
        "clean-up": cloud.clean_up(),
        "documents": [token, document, {"a": (token, document)}],
    }


def test_no_public_object_shows_a_secret(used: Cloud, search: Search) -> None:
    for name, value in everything(used).items():
        if name in {
            "credential",
            "documents",
            "provider",
            "credential for the SDKs",
            "provider of the session",
        }:
            # These hold it for programs to read; what is shown of them is masked. (vars() is reading.)
            search.add(name, repr(value))
            search.add(name, str(value) if name != "documents" else repr(value))
        elif name in {"context", "calls", "sandbox"}:
            search.add(name, repr(value))
        else:
            search.add(name, *shown(value))
    assert len(search.texts) > 20
    search.finish()


def test_a_credential_is_masked_and_still_there(used: Cloud) -> None:
    held = used.instances["web-2"].attach("EcsRamRole").credentials()
    for text in (repr(held), str(held), f"{held}", held._repr_html_(), repr([held]), repr({"x": held})):
        assert held.access_key_secret not in text
        assert held.security_token not in text
        assert MASK in text
        assert held.access_key_id not in text
        assert held.access_key_id[-4:] in text


def test_credentials_are_not_pickled_nor_copied_into_files(used: Cloud) -> None:
    held = used.instances["web-1"].credentials()
    for write in (pickle.dumps, copy.deepcopy, lambda value: json.dumps(value.__reduce__())):
        with pytest.raises(TypeError, match="fetch them again"):
            write(held)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="fetch them again"):
            pickle.dumps({"held": held}, protocol)


# ---- errors


def _wrong_secret(cloud: Cloud) -> None:
    cloud.context.calls.provider.access_key_secret = "SANDBOXwrongwrong"


FAILURES: dict[str, Callable[[Cloud], object]] = {
    "ram": lambda c: c.context.calls.ram("GetRole", role_name="none"),
    "ecs": lambda c: c.instances["classic-1"].attach("EcsRamRole"),
    "denied": lambda c: c.buckets["sandbox-photos"].using(c.instances["web-1"]).upload(b"x", "a"),
    "head": lambda c: c.buckets["sandbox-photos"].using(c.instances["web-1"]).head("none"),
    "get": lambda c: c.buckets["sandbox-photos"].using(c.instances["web-1"]).download("none"),
    "no role": lambda c: c.instances["web-2"].identity(),
    "no role, oss": lambda c: c.buckets["sandbox-photos"].using(c.instances["web-2"]).head(KEY),
    "bad token": lambda c: c.instances["web-1"].metadata.get(
        "meta-data/", c.instances["web-2"].metadata.token()
    ),
    "wrong role": lambda c: c.instances["web-1"].metadata.credentials("Other"),
    "hardened": lambda c: c.instances["hardened-1"].credentials(mode="normal"),
    "stopped": lambda c: c.instances["stopped-1"].credentials(),
    "no such item": lambda c: c.instances["web-1"].metadata.get(
        "meta-data/x", c.instances["web-1"].metadata.token()
    ),
    "knob": lambda c: c.sandbox.knobs(nothing=1),
    "world": lambda c: c.reset("nothing"),
    "user": lambda _: rr.connect(_Running.sandbox, user="nobody"),
    "here": lambda c: c.here,
}


class _Running:
    sandbox: Sandbox


def tracebacks(error: BaseException) -> Iterator[str]:
    """The error and every one behind it, as each tool prints it; also with the local variables of all our frames."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield repr(one)
        yield str(one)
        yield repr(one.args)
        yield repr(dict(vars(one)))
        yield "".join(traceback.TracebackException.from_exception(one).format())
        # As pytest --showlocals, IPython's %xmode Verbose and cgitb show them. The test's own frames hold what they like.
        captured = traceback.TracebackException.from_exception(one, capture_locals=True)
        frames = [f for f in captured.stack if f.locals and "/tests/" not in f.filename]
        yield "\n".join(
            f"{f.filename}:{f.name} {name}={value}"
            for f in frames
            for name, value in (f.locals or {}).items()
        )
        todo += [one.__cause__, one.__context__]


@pytest.mark.parametrize("name", FAILURES)
def test_no_error_holds_a_secret(used: Cloud, world: Sandbox, search: Search, name: str) -> None:
    _Running.sandbox = world
    with pytest.raises(RamroleError) as caught:
        FAILURES[name](used)
    for number, text in enumerate(tracebacks(caught.value)):
        search.add(f"{name} {number}", text)
    search.finish()


def test_signed_with_a_wrong_secret(used: Cloud, search: Search) -> None:
    """The services tell the string they signed; the SDKs print it."""
    _wrong_secret(used)
    for call in (used.identity, lambda: used.buckets["sandbox-photos"].head(KEY), lambda: list(used.roles)):
        with pytest.raises(RamroleError) as caught:
            call()
        for number, text in enumerate(tracebacks(caught.value)):
            search.add(f"wrong {number}", text)
            assert "SANDBOXwrongwrong" not in text
    search.finish()


def test_a_sandbox_that_is_gone(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "state") as running:
        cloud = rr.connect(running)
        vm = cloud.instances["web-1"].attach(cloud.roles.create("EcsRamRole"))
        held = vm.credentials()
        known = secrets_of(running)
    texts: list[str] = []
    for call in (
        cloud.identity,
        lambda: cloud.buckets["sandbox-photos"].using(vm).head(KEY),
        vm.metadata.credentials,
    ):
        with pytest.raises(RamroleError) as caught:
            call()
        texts += tracebacks(caught.value)
    for secret in {*known, held.security_token}:
        assert not any(secret in text for text in texts)


def test_an_error_in_a_thread_is_printed_without_secrets(used: Cloud, search: Search) -> None:
    printed: list[str] = []
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        printed.append("".join(traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback)))

    threading.excepthook = hook
    try:
        thread = threading.Thread(
            target=lambda: used.buckets["sandbox-photos"].using(used.instances["web-1"]).head("none")
        )
        thread.start()
        thread.join()
    finally:
        threading.excepthook = before
    assert "NotFound" in printed[0]
    search.add("thread", *printed)
    search.finish()


# ---- logs


def test_nothing_that_is_logged_at_debug_holds_a_secret(cloud: Cloud, search: Search) -> None:
    """Everybody's loggers, ours and the SDKs', at DEBUG, during the whole path and its refusals."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    names = [None, *logging.root.manager.loggerDict]
    levels = {name: logging.getLogger(name).level for name in names}
    root.addHandler(handler)
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    try:
        role = cloud.roles.create("EcsRamRole")
        role.grant("AliyunOSSReadOnlyAccess")
        vm = cloud.instances["web-1"].attach(role)
        bucket = cloud.buckets["sandbox-photos"].using(vm)
        bucket.head(KEY)
        with contextlib.suppress(RamroleError):
            bucket.head("none")
        with contextlib.suppress(RamroleError):
            bucket.upload(b"x", "a")
        with contextlib.suppress(RamroleError):
            cloud.roles["none"]
        vm.identity()
        cloud.clean_up()
    finally:
        root.removeHandler(handler)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    assert stream.getvalue(), "nothing was logged: this proves nothing"
    search.add("log", stream.getvalue())
    search.finish()


@pytest.mark.usefixtures("used")
def test_no_handler_of_an_sdk_is_left() -> None:
    """The credentials SDK adds a stream handler per import, which prints into notebooks (pains 25)."""
    for name in ("credentials", "oss2", "alibabacloud_credentials"):
        assert logging.getLogger(name).handlers == []


@pytest.mark.usefixtures("used")
def test_a_traceback_that_an_sdk_logs_is_masked_too(caplog: pytest.LogCaptureFixture) -> None:
    remember("SANDBOXloggedSecret")
    with caplog.at_level(logging.DEBUG, "oss2.api"):
        try:
            raise ValueError("it holds SANDBOXloggedSecret")
        except ValueError:
            logging.getLogger("oss2.api").exception("failed with %s", "SANDBOXloggedSecret")
    text = logging.Formatter().format(caplog.records[0])
    assert "SANDBOXloggedSecret" not in text
    assert text.count(MASK) >= 2  # the message, and the error (and the source line above it)
    assert "ValueError" in text


# ---- what is kept on disk


def test_ledger_and_journal_hold_no_secret(used: Cloud, world: Sandbox, search: Search) -> None:
    used.context.ledger.intend(
        "role", "x", secret="SANDBOXnotToBeKept", token=used.instances["web-1"].credentials().security_token
    )
    search.add("ledger", (world.state / "ledger.jsonl").read_text())
    search.add("journal", (world.state / "journal.jsonl").read_text())
    assert "SANDBOXnotToBeKept" not in search.texts["ledger"]
    assert "GetRoleCredentials" in search.texts["journal"]
    search.finish()


# ---- masking


@pytest.mark.parametrize(
    "text",
    [
        '{"AccessKeySecret": "abcdefghijkl", "x": 1}',
        "{'SecurityToken': 'abcdefghijkl'}",
        "AccessKeySecret=abcdefghijkl&x=1",
        "<AccessKeySecret>abcdefghijkl</AccessKeySecret>",
        "<SecurityToken>abcdefghijkl</SecurityToken>",
        "x-oss-security-token: abcdefghijkl",
        "{'x-acs-security-token': 'abcdefghijkl'}",
        "GET /?security-token=abcdefghijkl&x=1",
        "X-aliyun-ecs-metadata-token: abcdefghijkl",
        "Authorization: OSS LTAIxxxx:abcdefghijklmnopqrst=",
        "OSS4-HMAC-SHA256 Credential=x, Signature=abcdefghijklmnop",
        "Proxy-Authorization: Basic YWJjZGVmZ2hpamts",
        "http://i-123:abcdefghijkl@127.0.0.1:8080/",
        "token CAISabcdefghijkl" + "A" * 60,
        "access_key_secret='abcdefghijkl'",
    ],
)
def test_what_looks_like_a_secret_is_masked_without_being_known(text: str) -> None:
    out = redact(text)
    assert MASK in out
    assert "abcdefgh" not in out
    assert "YWJjZGVm" not in out


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no secret here",
        "EntityNotExist.Role: The role does not exist.",
        "acs:ram::1234567890123456:role/EcsRamRole",
        "PUT http://100.100.100.200/latest/api/token",
        "X-aliyun-ecs-metadata-token-ttl-seconds: 21600",
        "the SecurityToken has expired",
        "https://www.alibabacloud.com/help/en/ram/policy-structure-and-syntax",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


def test_key_ids_keep_enough_to_be_recognised() -> None:
    assert redact("key LTAI" + "5tABCDEFGHIJKLMNOPQR signs") == f"key LTAI{MASK}OPQR signs"
    assert mask_key_id("STS.NTabcdefghijklmnop") == f"STS.{MASK}mnop"
    assert mask_key_id("short") == MASK
    assert mask_key_id("") == mask_key_id(None) == ""


def test_short_values_would_mask_words() -> None:
    remember("role", "", None, "sandbox")
    assert redact("the role of the sandbox") == "the role of the sandbox"


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret("theValueOfIt")
    assert repr(secret) == repr([secret])[1:-1] == repr(MASK)
    assert f"{secret}" == "theValueOfIt"
    assert secret == "theValueOfIt"
    assert json.dumps({"a": secret}) == '{"a": "theValueOfIt"}'
    assert f"{secret!r}" == repr(MASK)


def test_values_that_contain_one_another() -> None:
    remember("outerinnerouter", "innerinner", "inner-long")
    remember("innerinnerinner")
    assert redact("x outerinnerouter y innerinnerinner z") == f"x {MASK} y {MASK} z"


def test_thousands_of_values_cost_no_more_than_one() -> None:
    """A sandbox whose credentials rotate fast issues thousands; each new one used to have all the others compiled anew."""
    import time

    started = time.perf_counter()
    for number in range(4200):
        remember(f"SANDBOXsecret{number:06d}" * 12)
        redact("a line of a log that holds no secret at all, as most of them")
    assert time.perf_counter() - started < 5
    assert not is_known_secret("SANDBOXsecret000000" * 12)  # the oldest are given up
    assert redact("SANDBOXsecret004199" * 12) == MASK
    assert "SANDBOXsecret000000" in redact("SANDBOXsecret000000" * 12)


_values = st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=8, max_size=60).filter(
    lambda value: value.strip() == value
)


@settings(deadline=None, database=None)
@given(_values, st.text(max_size=40), st.text(max_size=40))
def test_a_remembered_value_never_survives(value: str, before: str, after: str) -> None:
    forget_all()
    try:
        remember(value)
        forms = {
            value,
            quote(value),
            quote(value, safe=""),
            quote_plus(value),
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
            json.dumps(value)[1:-1].replace("/", "\\/"),
            value.replace("/", "\\/"),
        }
        for form in forms:
            out = redact(f"{before}{form}{after}")
            assert form not in out
            assert redact(f"{form}{form}") == MASK + MASK
        assert value not in redact(repr([value, {value: value}])) or repr(value)[1:-1] != value
    finally:
        forget_all()


@settings(deadline=None, database=None)
@given(st.text(max_size=200))
def test_redact_is_stable(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


def test_html_of_values_from_outside_is_escaped() -> None:
    from ramrole_nb.render import html_card, html_table

    evil = '<script>alert("x")</script>'
    for made in (html_card(evil, [(evil, evil)], note=evil), html_table([evil], [[evil]], title=evil)):
        assert "<script" not in made
        assert html.escape(evil) in made
    assert "<script" not in html_table(["a"], [], empty=evil, title=evil)


def test_a_credential_says_how_long_it_lasts() -> None:
    ends = datetime(2030, 1, 1, tzinfo=UTC)
    held = StsCredentials("STS.abcdefghijklmnop", "secretsecret", "tokentokentoken", ends, role_name="R")
    assert held.seconds_left(ends) == 0
    assert held.seconds_left(datetime(2029, 12, 31, 23, 59, tzinfo=UTC)) == 60
    assert is_known_secret("secretsecret")
    assert redact("it says secretsecret and tokentokentoken") == f"it says {MASK} and {MASK}"
