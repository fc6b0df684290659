"""The three methods of the vendor's page to get the role's temporary credential, each really run, with its requests.

The Credentials tool (the official SDK, unmodified), the metadata service itself, and the Alibaba Cloud CLI's
`EcsRamRole` profile; and beside them this package's own provider, which asks only when it must. The tool and the CLI
run as programs of their own, as on the instance: the SDK reads its environment once, when it is imported, and starts
a thread per client that never ends, so in a notebook's kernel each run would add one, and an `export` of another day
would decide.
Source: https://www.alibabacloud.com/help/en/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import (
    CredentialsExpired,
    InputError,
    MetadataError,
    MetadataUnreachable,
    RamroleError,
    WrongRoleName,
    nearest,
)
from ..jobs import JobContext
from ..models import StsCredentials
from ..redact import redact
from .metadata import HARDENED, MODES, NORMAL, MetadataClient, found_here
from .method_run import MaskedCredential, MethodRequest, MethodRun, MethodRuns, same_credential
from .programs import Ended, run_program
from .seen import NOBODY_SEES, OURS, RequestsSeen, request_of_call, request_of_step

if TYPE_CHECKING:
    from .instance import BoundInstance

__all__ = [
    "CLI",
    "CLI_MINIMUM",
    "METADATA",
    "PROVIDER",
    "TOOL",
    "by_hand",
    "check_from_here",
    "compare_modes",
    "fetch_all",
    "fetch_with_cli",
    "fetch_with_metadata",
    "fetch_with_provider",
    "fetch_with_tool",
    "why_not_from_here",
]

TOOL = "Credentials tool"
METADATA = "Metadata service"
CLI = "Alibaba Cloud CLI"
PROVIDER = "This package"

#: The page says 3.0.248, the CLI's own page 3.3.0 or later (https://www.alibabacloud.com/help/en/cli/ecs-ram-role).
CLI_MINIMUM = (3, 3, 0)
_CLI_WITH_TOKEN = (3, 0, 248)

_LONGEST = 30.0  # seconds that a program may take
_PROFILE = "EcsProfile"

# As the page's Python sample, with get_credential() in the place of its three getters.
_TOOL_CODE = """\
# pip install "alibabacloud_credentials>=1.0.0"     (0.3.6 is the first that asks for a token)
from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config

config = Config(type="ecs_ram_role", role_name={role}, disable_imds_v1={hardened})
credential = Client(config).get_credential()        # one call, one consistent credential
print(credential.access_key_id[:4], "...")          # never print the rest
"""

# The same, run from here: what leads to the instance is read from the standard input, and only a mask leaves the program.
_TOOL_PROGRAM = """\
import json, os, sys
told = json.loads(sys.stdin.readline())
try:
    from alibabacloud_credentials.client import Client
    from alibabacloud_credentials.models import Config
    config = Config(
        type="ecs_ram_role", role_name=told["role_name"], disable_imds_v1=told["hardened"], proxy=told["proxy"]
    )
    credential = Client(config).get_credential()
    answer = {"key": credential.access_key_id[:4] + "********" + credential.access_key_id[-4:]}
except BaseException as error:
    answer = {"error": type(error).__name__ + ": " + str(error)}
print(json.dumps(answer), flush=True)
os._exit(0)  # its scheduler's thread would go on
"""


# ---- the methods


def fetch_with_tool(
    vm: BoundInstance, role_name: str = "", *, mode: str = HARDENED, ctx: JobContext | None = None
) -> MethodRun:
    """Method 1: the official Credentials tool (`type="ecs_ram_role"`), `get_credential()` once.

    It runs in a process of its own. `role_name` empty: it asks which role there is. `mode` "security hardening"
    forbids it to fall back to normal mode, "normal" lets it. Raises what the metadata service's refusal means
    (NoRoleAttached, WrongRoleName, HardenedOnly, TokenRefused, MetadataUnreachable), the tool's own words as the
    reason, and Cancelled.
    """
    return _raised(_tool(vm, role_name, mode, ctx))


def fetch_with_metadata(vm: BoundInstance, role_name: str = "", *, mode: str = HARDENED) -> MethodRun:
    """Method 2: the metadata service itself: a token by PUT (not in normal mode), the role's name, its credential.

    Raises NoRoleAttached, WrongRoleName, HardenedOnly, TokenRefused, MetadataUnreachable.
    """
    return _raised(_metadata(vm, role_name, mode))


def fetch_with_cli(vm: BoundInstance, role_name: str = "", *, ctx: JobContext | None = None) -> MethodRun:
    """Method 3: the Alibaba Cloud CLI's profile of the kind `EcsRamRole`, with a folder of its own for the profile.

    The CLI does not show the credential; it is asked who it is (sts:GetCallerIdentity). Where it is not installed,
    the run says so and holds the commands. The CLI asks for a token first, whatever the instance is set to. Raises as
    `fetch_with_tool`.
    """
    return _raised(_cli(vm, role_name, ctx))


def fetch_with_provider(vm: BoundInstance, *, mode: str = HARDENED, refresh: bool = False) -> MethodRun:
    """Beside them: this package's provider, `vm.credentials(mode=…, refresh=…)`.

    A held credential is used without a request.     Raises as `vm.credentials`.
    """
    check_from_here(vm, mode)
    provider = vm.provider(mode)
    wire = vm.context.wire
    mark, started = wire.mark, time.perf_counter()
    held = provider.held
    found = vm.credentials(mode=mode, refresh=refresh)
    seconds = time.perf_counter() - started
    requests = tuple(request_of_call(call) for call in wire.since(mark) if call.service == "IMDS")
    again = "the held credential is used again: no request was made"
    if held is None:
        again = "none was held, so it was fetched"
    elif held is not found:
        again = (
            "a new answer was fetched; until the next rotation it is the same credential"
            if held.access_key_id == found.access_key_id
            else "a new credential was fetched"
        )
    code = f"credential = vm.credentials(mode={mode!r}, refresh={refresh})"
    return MethodRun(PROVIDER, requests, MaskedCredential.of(found), seconds, again, code)


def fetch_all(
    vm: BoundInstance, role_name: str = "", *, mode: str = HARDENED, ctx: JobContext | None = None
) -> MethodRuns:
    """Run the three methods one after the other and return them side by side. What fails is in its run's `error`.

    Raises InputError for a bad mode, MetadataUnreachable where the instance's metadata cannot be asked from here,
    Cancelled.
    """
    check_from_here(vm, mode)
    runs: list[MethodRun] = []
    steps: tuple[tuple[str, Callable[[], MethodRun]], ...] = (
        (TOOL, lambda: _tool(vm, role_name, mode, ctx)),
        (METADATA, lambda: _metadata(vm, role_name, mode)),
        (CLI, lambda: _cli(vm, role_name, ctx)),
    )
    for number, (name, run) in enumerate(steps):
        if ctx is not None:
            ctx.check()
            ctx.progress(number, len(steps), name)
        runs.append(run())
    if ctx is not None:
        ctx.progress(len(steps), len(steps), "done")
    notes = [same_credential(runs)]
    if vm.context.sandbox is None:
        notes.append(NOBODY_SEES)
    return MethodRuns(tuple(runs), " ".join(note for note in notes if note))


def compare_modes(vm: BoundInstance, role_name: str = "") -> MethodRuns:
    """Ask the metadata service in both modes and return both answers; a refusal is in its run's `error`.

    Raises MetadataUnreachable where the instance's metadata cannot be asked from here.
    """
    check_from_here(vm, HARDENED)
    runs = tuple(
        replace(_metadata(vm, role_name, mode), method=f"{mode.capitalize()} mode") for mode in MODES
    )
    refused = [run for run in runs if run.error is not None]
    note = "Both modes answer. Normal mode needs no token, so whatever can send a GET from the instance gets the credential."
    if len(refused) == 1 and runs[1].error is not None:
        note = "Only security hardening mode answers: a request without a token is refused."
    elif refused:
        note = "What a mode refused says why, and what to do."
    return MethodRuns(runs, note, opened=True)


# ---- from here?


def why_not_from_here(vm: BoundInstance) -> str:
    """Return why the instance's metadata cannot be asked from here; empty: it can. Off an instance this takes a second."""
    try:
        proxy = vm.context.endpoints.metadata_proxy(vm.instance_id)
    except InputError as error:
        return f"{error.what.rstrip('.')}: {error.reason}."
    if proxy or vm.instance_id in found_here:
        return ""
    client = MetadataClient(timeout=1.0)
    try:
        try:
            token = client.token()
        except MetadataUnreachable:
            raise
        except MetadataError:
            token = ""
        here = client.get("meta-data/instance-id", token).strip()
    except MetadataUnreachable:
        return "This computer is no ECS instance: the metadata service answers only on the instance itself."
    except MetadataError as error:
        return f"The metadata service here refused to say which instance this is: {error.what}"
    if here != vm.instance_id:
        return f"This is the instance {here}; the metadata of {vm.instance_id} is only to be had there."
    found_here.add(here)
    return ""


def by_hand(role_name: str = "", *, region_id: str = "", mode: str = HARDENED) -> dict[str, str]:
    """Return what to run on the instance, by method. `role_name` empty: the instance's role is found by itself."""
    return {
        TOOL: _tool_code(role_name, mode),
        METADATA: _curl_lines(role_name, mode),
        CLI: "\n".join(_cli_lines(role_name, region_id)),
    }


def _tool_code(role_name: str, mode: str) -> str:
    return _TOOL_CODE.format(role=json.dumps(role_name) if role_name else None, hardened=mode == HARDENED)


def _curl_lines(role_name: str, mode: str) -> str:
    base = "http://100.100.100.200/latest"
    header = ' -H "X-aliyun-ecs-metadata-token: $TOKEN"' if mode == HARDENED else ""
    lines = []
    if mode == HARDENED:
        lines.append(
            f'TOKEN=$(curl -s -X PUT -H "X-aliyun-ecs-metadata-token-ttl-seconds: 21600" "{base}/api/token")'
        )
    role = role_name or "$ROLE"
    if not role_name:
        lines.append(f'ROLE=$(curl -s{header} "{base}/meta-data/ram/security-credentials/")')
    lines.append(f'curl -s{header} "{base}/meta-data/ram/security-credentials/{role}"')
    return "\n".join(lines)


def _cli_configure(role_name: str, region_id: str) -> list[str]:
    named = ["--ram-role-name", role_name] if role_name else []
    where = ["--region", region_id] if region_id else []
    return ["configure", "set", "--profile", _PROFILE, "--mode", "EcsRamRole", *named, *where]


def _cli_lines(role_name: str, region_id: str) -> list[str]:
    return [
        f"aliyun version                                  # {_dotted(CLI_MINIMUM)} or later",
        shlex.join(["aliyun", *_cli_configure(role_name, region_id)]),
        f"aliyun sts GetCallerIdentity --profile {_PROFILE}",
    ]


# ---- each of them


def check_from_here(vm: BoundInstance, mode: str = HARDENED) -> None:
    """Raise MetadataUnreachable where the instance's metadata cannot be asked from here, InputError for a bad mode."""
    if mode not in MODES:
        raise InputError(
            f"There is no mode {mode!r}.{nearest(str(mode), MODES)}",
            next_step=f"the modes: {', '.join(MODES)}",
        )
    if reason := why_not_from_here(vm):
        raise MetadataUnreachable(
            f"The metadata service of {vm.name or vm.instance_id} cannot be asked from here.",
            reason=reason,
            next_step="run this on the instance itself; the code for each method: by_hand(role)",
        )


def _raised(run: MethodRun) -> MethodRun:
    if run.error is not None:
        raise run.error
    return run


def _tool(vm: BoundInstance, role_name: str, mode: str, ctx: JobContext | None) -> MethodRun:
    check_from_here(vm, mode)
    context = vm.context
    told = {
        "role_name": role_name or None,
        "hardened": mode == HARDENED,
        "proxy": context.endpoints.metadata_proxy(vm.instance_id) or None,
    }
    seen = RequestsSeen(context, vm.instance_id)
    started = time.perf_counter()
    ended = run_program(
        [sys.executable, "-W", "ignore", "-c", _TOOL_PROGRAM],
        {**context.environment(""), **_python_path()},
        stdin=json.dumps(told) + "\n",
        timeout=_LONGEST,
        ctx=ctx,
    )
    seconds = time.perf_counter() - started
    requests = tuple(request for request in seen.take() if request.maker != OURS)
    answer = _json_line(ended.out)
    run = MethodRun(TOOL, requests, None, seconds, code=_tool_code(role_name, mode))
    if not answer.get("key"):
        words = redact(answer.get("error") or ended.err.strip()[-300:] or f"exit code {ended.code}")
        return replace(
            run, error=_what_it_means(vm, role_name, mode, f"the Credentials tool says only: {words}")
        )
    note = "The SDK, unmodified, in a process of its own. It does not tell when the credential ends, and renews it itself."
    found = MaskedCredential(
        answer["key"], role_name=role_name or _role_asked_of(requests), instance_id=vm.instance_id, mode=mode
    )
    if mode == NORMAL:
        note += " It asks for a token first; without one it may fall back to normal mode."
    return replace(run, credential=found, note=_with_unseen(vm, note))


def _metadata(vm: BoundInstance, role_name: str, mode: str) -> MethodRun:
    check_from_here(vm, mode)
    client = vm.metadata
    started = time.perf_counter()
    found: StsCredentials | None = None
    failure: RamroleError | None = None
    try:
        found = client.credentials(role_name, mode=mode)
    except MetadataError as error:
        failure = _did_you_mean(error, role_name, client)
    seconds = time.perf_counter() - started
    requests = tuple(request_of_step(step) for step in client.steps)
    masked = MaskedCredential.of(found) if found is not None else None
    note = f"{mode.capitalize()} mode, in plain HTTP."
    return MethodRun(METADATA, requests, masked, seconds, note, _curl_lines(role_name, mode), error=failure)


def _cli(vm: BoundInstance, role_name: str, ctx: JobContext | None) -> MethodRun:
    check_from_here(vm, HARDENED)
    code = "\n".join(_cli_lines(role_name, vm.region_id))
    environment = vm.context.environment(vm.instance_id)
    program = shutil.which("aliyun", path=environment.get("PATH"))
    if program is None:
        note = "Not run: the CLI (aliyun) is not installed here. The commands for the instance are with it."
        return MethodRun(CLI, note=note, code=code, ran=False)
    seen = RequestsSeen(vm.context, vm.instance_id)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ramrole-cli-", ignore_cleanup_errors=True) as home:
        # A home of its own: the profiles of this computer's user are neither read nor changed.
        private = {**environment, "HOME": home, "USERPROFILE": home, "HOMEPATH": home}

        def run(*arguments: str) -> Ended:
            return run_program([program, *arguments], private, timeout=_LONGEST, ctx=ctx)

        old = _too_old(run("version").out)
        ended = run(*_cli_configure(role_name, vm.region_id))
        if ended.code == 0:
            ended = run("sts", "GetCallerIdentity", "--profile", _PROFILE)
    seconds = time.perf_counter() - started
    requests = tuple(request for request in seen.take() if request.maker != OURS)
    made = MethodRun(CLI, requests, None, seconds, old, code)
    arn = str(_json_of(ended.out).get("Arn", "")) if ended.code == 0 else ""
    if not arn:
        words = _first_words(ended) or f"exit code {ended.code}"
        return replace(made, error=_what_it_means(vm, role_name, HARDENED, f"the CLI says: {words}"))
    note = " ".join(
        part for part in (old, "The CLI does not show the credential; it was asked who it is.") if part
    )
    return replace(
        made,
        credential=MaskedCredential(role_name=role_name, instance_id=vm.instance_id, mode=HARDENED),
        identity=arn,
        note=_with_unseen(vm, note),
    )


# ---- words


def _what_it_means(vm: BoundInstance, role_name: str, mode: str, words: str) -> RamroleError:
    """Return the error behind a program's own words: the metadata service is asked the same, and says why."""
    client = MetadataClient(
        vm.context.endpoints.metadata_proxy(vm.instance_id),
        instance_id=vm.instance_id,
        called=vm.name,
        timeout=3.0,
    )
    try:
        found = client.credentials(role_name, mode=mode)
    except MetadataError as error:
        error = _did_you_mean(error, role_name, client)
        error.reason = "; ".join(part for part in (error.reason, words) if part)
        return error
    if found.seconds_left() <= 0:
        return CredentialsExpired(
            "The metadata service gives a credential that has already expired.",
            reason=words,
            next_step="check this machine's clock; if it is right, the service has to renew it",
        )
    return RamroleError(
        "The program got no credential, though the metadata service gives one now.",
        reason=words,
        next_step="run it again; if it fails again, compare the requests of both",
    )


def _did_you_mean(error: MetadataError, role_name: str, client: MetadataClient) -> MetadataError:
    if isinstance(error, WrongRoleName) and client.steps:
        listed = client.steps[-1].answer.strip()
        error.what += nearest(role_name, [listed] if listed != role_name else [])
    return error


def _role_asked_of(requests: tuple[MethodRequest, ...]) -> str:
    """Return the role that requests asked a credential of; empty: none."""
    for request in reversed(requests):
        if found := re.fullmatch(r"/latest/meta-data/ram/security-credentials/([^/]+)", request.target):
            return found[1]
    return ""


def _with_unseen(vm: BoundInstance, note: str) -> str:
    return note if vm.context.sandbox is not None else f"{note} {NOBODY_SEES}"


def _too_old(said: str) -> str:
    found = re.search(r"\b(\d+)\.(\d+)\.(\d+)\b", said)
    if found is None:
        return "The CLI does not tell its version."
    version = (int(found[1]), int(found[2]), int(found[3]))
    if version < _CLI_WITH_TOKEN:
        return (
            f"This CLI is {_dotted(version)}: too old. Below {_dotted(_CLI_WITH_TOKEN)} it asks for no token, so it fails "
            f"where only security hardening mode is served. Install {_dotted(CLI_MINIMUM)} or later."
        )
    if version < CLI_MINIMUM:
        return (
            f"This CLI is {_dotted(version)}. The page asks for {_dotted(_CLI_WITH_TOKEN)}, the CLI's own page for "
            f"{_dotted(CLI_MINIMUM)} or later: update it."
        )
    return f"CLI {_dotted(version)}."


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _first_words(ended: Ended) -> str:
    text = ended.err.strip() or ended.out.strip()
    return redact(" ".join(text.split())[:300])


def _json_line(text: str) -> dict[str, Any]:
    lines = text.strip().splitlines()
    return _json_of(lines[-1]) if lines else {}


def _json_of(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _python_path() -> dict[str, str]:
    """Return the variable with which another Python finds the packages that this one finds."""
    return {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
