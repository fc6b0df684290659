"""The composition root: from a mode and the environment to a `Cloud`. Start here and follow one call down.

This is the only client module that knows the sandbox exists; everything below gets an `Endpoints` value.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .endpoints import Endpoints
from .errors import ChangeNotConfirmed, InputError, nearest

if TYPE_CHECKING:
    from .cloud.session import Cloud
    from .sandbox import Sandbox

__all__ = ["MODES", "connect"]

MODES = ("sandbox", "live")
_CHANGES = ("ask", "yes", "no")
_DEFAULT_REGION = "cn-beijing"


def connect(
    mode: str | Sandbox | None = None,
    *,
    user: str | None = None,
    region: str | None = None,
    profile: str | None = None,
    changes: str = "ask",
    state: str | os.PathLike[str] | None = None,
) -> Cloud:
    """Return a session with the sandbox (started if none runs) or, when asked by word, with Alibaba Cloud.

    `mode`: "sandbox", "live", a running `Sandbox`, or None: RAMROLE_MODE, else the sandbox. `user`: which of the
    sandbox's users signs (default: the administrator). `region`: default cn-beijing. `profile`: a profile of the Alibaba
    Cloud CLI, live only (default: the SDK's credential chain). `changes`, live only: "ask" shows each change and waits
    for a yes; "yes" makes it; "no" refuses all. Connecting itself makes no call to a service.
    `state`: the state folder (default: RAMROLE_STATE, else the platform's place for such).
    Raises InputError, StateError, SandboxStartFailed.
    """
    if changes not in _CHANGES:
        raise InputError(
            f"changes={changes!r} is not known.{nearest(changes, _CHANGES)}", next_step='"ask", "yes" or "no"'
        )
    chosen: Any = mode if mode is not None else os.environ.get("RAMROLE_MODE") or "sandbox"
    if isinstance(chosen, str):
        if chosen not in MODES:
            raise InputError(
                f"There is no mode {chosen!r}.{nearest(chosen, MODES)}",
                reason="" if mode is not None else "it comes from the environment variable RAMROLE_MODE",
                next_step='"sandbox" (the default) or "live"',
            )
        if chosen == "live":
            if user is not None:
                raise InputError(
                    "user= names a user of the sandbox.", next_step="live, name a profile: profile="
                )
            return _live(region or _DEFAULT_REGION, profile, changes, state)
    if profile is not None:
        raise InputError("profile= is for live sessions.", next_step='rr.connect("live", profile=...)')
    return _sandbox(chosen, user, region or _DEFAULT_REGION, state)


def _sandbox(chosen: Any, user: str | None, region: str, folder: str | os.PathLike[str] | None) -> Cloud:
    from .cloud.calls import Calls
    from .cloud.context import Context
    from .cloud.credentials import StaticCredentials
    from .cloud.session import Cloud
    from .cloud.wire import Wire
    from .ledger import Ledger
    from .sandbox import process
    from .sandbox.run_on import child_environment

    if isinstance(chosen, str):
        state = Path(folder).expanduser() if folder else process.default_state()
        runtime = process.ensure(state)
        admin = process.admin_of(runtime)
    else:
        admin, state = chosen.admin, Path(chosen.state)
        runtime = admin.status()
    users = {row["name"]: row for row in runtime["users"]}
    name = user if user is not None else runtime["users"][0]["name"]
    if name not in users:
        raise InputError(
            f"The sandbox has no user {name!r}.{nearest(name, users)}",
            next_step=f"its users: {', '.join(users)}",
        )
    endpoints = Endpoints(
        mode="sandbox",
        scheme="http",
        proxy=runtime["url"],
        instance_proxies={row["instance_id"]: row["proxy_url"] for row in runtime["instances"]},
        ca_file=runtime["ca_file"],
    )
    provider = StaticCredentials(users[name]["access_key_id"], users[name]["access_key_secret"])
    wire = Wire(admin.journal_of, admin.journal)
    ledger = Ledger(
        state / "ledger.jsonl", mode="sandbox", account_id=runtime["account_id"], world=runtime["world"]
    )
    context = Context(
        endpoints=endpoints,
        region_id=region,
        calls=Calls(endpoints, region, provider, wire, name),
        wire=wire,
        ledger=ledger,
        confirm=_agree,
        environment=lambda instance_id: child_environment(
            endpoints.metadata_proxy(instance_id) if instance_id else "",
            os.environ,
            ca_file=endpoints.ca_file,
        ),
        journal=admin.journal_of,
        sandbox=admin,
    )

    def reset(world: str) -> dict[str, Any]:
        found = admin.reset(world)
        ledger.world = found["world"]
        return {**found, "label": _sandbox_label(found, region)}

    return Cloud(
        context,
        label=_sandbox_label(runtime, region),
        provenance=f"the sandbox user {name} (AccessKey)",
        reset=reset,
        sandbox=admin,
    )


def _sandbox_label(line: Mapping[str, Any], region: str) -> str:
    return f"SANDBOX account {line['account_id']}, world {line['world']}, region {region}"


def _live(region: str, profile: str | None, changes: str, folder: str | os.PathLike[str] | None) -> Cloud:
    from .cloud.calls import Calls
    from .cloud.context import Context
    from .cloud.live import LiveCredentials
    from .cloud.session import Cloud
    from .cloud.wire import Wire
    from .ledger import Ledger
    from .sandbox.process import default_state
    from .sandbox.run_on import child_environment

    endpoints = Endpoints(mode="live", scheme="https", metadata_direct=True)
    provider = LiveCredentials(profile)
    wire = Wire()
    state = Path(folder).expanduser() if folder else default_state()
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    ledger = Ledger(state / "ledger.jsonl", mode="live")
    calls = Calls(endpoints, region, provider, wire, provider.label)
    context = Context(
        endpoints=endpoints,
        region_id=region,
        calls=calls,
        wire=wire,
        ledger=ledger,
        confirm=_asker(changes, provider.label),
        environment=lambda _: child_environment("", os.environ),
        tags={"created-by": "ramrole_nb"},
    )
    # The ledger's account is known once the first call has told it.
    context.ledger = _OnFirstUse(ledger, lambda: context.preflight.account_id)  # type: ignore[assignment]
    return Cloud(context, label=f"LIVE Alibaba Cloud, region {region}", provenance=provider.label)


class _OnFirstUse:
    """A ledger that learns the account when it is first used, so that connecting makes no call."""

    def __init__(self, ledger: Any, account_id: Callable[[], str]) -> None:
        self._ledger = ledger
        self._account_id = account_id

    def __getattr__(self, name: str) -> Any:
        if not self._ledger.account_id:
            self._ledger.account_id = self._account_id()
        return getattr(self._ledger, name)


def _agree(plan: Sequence[str]) -> None:
    """The sandbox's answer to every change."""


def _asker(changes: str, who: str) -> Callable[[Sequence[str]], None]:
    """Return what live sessions do before a change: show the plan, and ask."""

    def confirm(plan: Sequence[str]) -> None:
        if changes == "yes":
            return
        reason = 'this session was opened with changes="no"'
        if changes == "ask":
            text = "\n".join(
                [f"This changes a LIVE account (signed by {who}):", *(f"  - {line}" for line in plan)]
            )
            answer = _ask(text)
            if answer is True:
                return
            reason = "the answer was no" if answer is False else "nobody can be asked here"
        raise ChangeNotConfirmed(
            f"Not done: {'; '.join(plan)}.",
            plan=plan,
            reason=reason,
            next_step='answer yes when asked, or open the session with rr.connect("live", changes="yes")',
        )

    return confirm


def _ask(text: str) -> bool | None:
    """Ask in the panel that was clicked, else at the terminal or in the notebook; None where there is no one to ask."""
    from .cloud.context import asking

    if (ask := asking.get()) is not None:
        return ask(text)
    in_notebook = "ipykernel" in sys.modules
    if not in_notebook and not (sys.stdin is not None and sys.stdin.isatty()):
        return None
    print(text)  # noqa: T201 - the question itself
    try:
        return input("Go ahead? (yes/no) ").strip().lower() in ("y", "yes")
    except (EOFError, RuntimeError, NotImplementedError):
        return None
    except Exception as error:  # ipykernel's StdinNotImplementedError, without importing ipykernel
        if type(error).__name__ == "StdinNotImplementedError":
            return None
        raise
