"""A live session without a network: it connects without a call, asks before each change, and falls back to nothing."""

from __future__ import annotations

import builtins
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import ramrole_nb as rr
from ramrole_nb.cloud.context import Change
from ramrole_nb.errors import ChangeNotConfirmed, InputError, RamroleError, SandboxError
from tests.support.guard import guard
from tests.support.hostile import PROXY_VARIABLES

PLAN = [Change("create role EcsRamRole"), Change("attach role EcsRamRole to i-1")]


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMROLE_STATE", str(tmp_path / "state"))


@pytest.fixture
def sockets() -> Any:
    """Every socket this process makes while the test runs."""
    made: list[str] = []
    on = [True]

    def hook(event: str, _: tuple[Any, ...]) -> None:
        if on[0] and event in {"socket.__new__", "socket.connect", "socket.getaddrinfo"}:
            made.append(event)

    sys.addaudithook(hook)
    yield made
    on[0] = False


def test_connecting_opens_no_socket(sockets: list[str], tmp_path: Path) -> None:
    cloud = rr.connect("live", region="cn-hangzhou")
    assert cloud.mode == "live"
    assert cloud.region_id == "cn-hangzhou"
    assert "LIVE" in repr(cloud)
    assert "default credential chain" in repr(cloud)
    assert repr(rr.connect("live", profile="EcsProfile")).endswith("signed by the CLI profile 'EcsProfile'")
    assert sockets == []
    # No sandbox was started for it.
    assert not (tmp_path / "state" / "runtime.json").exists()
    assert not (tmp_path / "state" / "state.db").exists()


def test_the_environment_may_ask_for_live(sockets: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMROLE_MODE", "live")
    assert rr.connect().mode == "live"
    monkeypatch.setenv("RAMROLE_MODE", "lvie")
    with pytest.raises(InputError, match="Did you mean 'live'") as caught:
        rr.connect()
    assert "RAMROLE_MODE" in caught.value.reason
    assert sockets == []


def test_credentials_in_the_environment_do_not_make_it_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hostile environment holds AccessKeys; they are no word for live."""
    from ramrole_nb.sandbox import process

    monkeypatch.delenv("RAMROLE_MODE", raising=False)
    try:
        cloud = rr.connect()
        assert cloud.mode == "sandbox"
        assert cloud.identity().arn.endswith(":user/admin")
    finally:
        process.stop(process.default_state())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"mode": "live", "user": "admin"}, "user= names a user of the sandbox"),
        ({"mode": "sandbox", "profile": "p"}, "profile= is for live sessions"),
        ({"mode": "live", "changes": "always"}, "is not known"),
        ({"mode": "Live"}, "Did you mean 'live'"),
        ({"mode": ""}, "no mode"),
    ],
)
def test_bad_arguments_open_nothing(sockets: list[str], arguments: dict[str, str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        rr.connect(**arguments)
    assert sockets == []


def confirm(changes: str) -> None:
    cloud = rr.connect("live", changes=changes)
    cloud.context.confirm([change.what for change in PLAN])


def test_where_nobody_can_be_asked_the_refusal_carries_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/null") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(ChangeNotConfirmed) as caught:
            confirm("ask")
    error = caught.value
    assert error.plan == tuple(change.what for change in PLAN)
    assert error.reason == "nobody can be asked here"
    assert 'changes="yes"' in error.next_step
    assert "plan: create role EcsRamRole; attach role EcsRamRole to i-1" in str(error)


def test_changes_no_and_yes() -> None:
    with pytest.raises(ChangeNotConfirmed, match="Not done") as caught:
        confirm("no")
    assert 'changes="no"' in caught.value.reason
    confirm("yes")


class _Terminal:
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "goes_on"), [("yes", True), (" Y ", True), ("no", False), ("", False), ("yess", False)]
)
def test_at_a_terminal_it_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, goes_on: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", _Terminal())
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    monkeypatch.setattr(builtins, "input", lambda _: answer)
    if goes_on:
        confirm("ask")
    else:
        with pytest.raises(ChangeNotConfirmed) as caught:
            confirm("ask")
        assert caught.value.reason == "the answer was no"
    shown = capsys.readouterr().out
    assert "LIVE account" in shown
    assert "  - create role EcsRamRole" in shown
    assert "default credential chain" in shown  # who signs


def test_at_a_terminal_that_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_: str) -> str:
        raise EOFError

    monkeypatch.setattr(sys, "stdin", _Terminal())
    monkeypatch.setattr(builtins, "input", closed)
    with pytest.raises(ChangeNotConfirmed, match="Not done") as caught:
        confirm("ask")
    assert caught.value.reason == "nobody can be asked here"


def test_a_notebook_run_headless_has_nobody_to_ask() -> None:
    """Ipykernel raises its own StdinNotImplementedError where the front end takes no input (nbclient, papermill)."""
    program = """
        import builtins, os, sys
        import ramrole_nb as rr

        class StdinNotImplementedError(NotImplementedError): ...
        def no_front_end(prompt): raise StdinNotImplementedError("raw_input was called")

        sys.modules["ipykernel"] = sys
        builtins.input = no_front_end
        cloud = rr.connect("live")
        try:
            cloud.context.confirm(["create role EcsRamRole"])
        except rr.errors.ChangeNotConfirmed as error:
            print(error.reason)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "nobody can be asked here"


def test_a_live_session_has_no_sandbox_to_fall_back_to(sockets: list[str]) -> None:
    cloud = rr.connect("live")
    with pytest.raises(SandboxError, match="no sandbox to control"):
        _ = cloud.sandbox
    with pytest.raises(SandboxError, match="not reset"):
        cloud.reset()
    assert sockets == []


def test_no_network_is_an_error_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may not turn to the sandbox, nor to a key of the environment that was not asked for by the chain."""
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    cloud = rr.connect("live", changes="yes")
    try:
        with pytest.raises(RamroleError) as caught:
            cloud.roles.create("EcsRamRole")
        assert "is the sandbox running" not in str(caught.value)
        assert caught.value.next_step
        # It did want to leave for the real service, and the guard did not let it: that is what live is.
        assert {what for what in guard.refused if "aliyuncs.com" not in what} == set()
        assert guard.refused
    finally:
        guard.refused.clear()


def test_a_profile_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sockets: list[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    cloud = rr.connect("live", profile="no-such-profile", changes="yes")
    with pytest.raises(
        RamroleError, match="No credential for the live account from the CLI profile 'no-such-profile'"
    ):
        cloud.identity()
    assert sockets == []


def test_the_plan_is_shown_before_and_the_permission_checked_first() -> None:
    """The order in `before`: pre-flight (reads only), then the question."""
    cloud = rr.connect("live", changes="no")
    with pytest.raises(ChangeNotConfirmed) as caught:
        cloud.context.before(*PLAN)  # no needs given: nothing to check, so no call
    assert caught.value.plan == tuple(change.what for change in PLAN)
