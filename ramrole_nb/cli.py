"""The `ramrole` command. Exit codes: 0 done, 1 failed, 2 could not tell, 64 wrong usage; `on` returns the program's own."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from ._version import __version__
from .cli_policy import add_policy
from .errors import InputError, RamroleError, nearest
from .redact import redact

__all__ = ["main"]

# Lines of the log that are shown unless more are asked for: about what fits on a screen.
_LAST = 50
_SECRET_KEYS = ("admin_token", "sockets", "ok", "knobs", "faults")


class _Parser(argparse.ArgumentParser):
    """argparse, with exit code 64 and the nearest valid word in its errors."""

    _given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._given = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def _meant(self) -> _Parser:
        """Return the parser of the sub-command that was given: argparse tells of a mistyped option only at the top."""
        found = self
        for word in self._given:
            for action in found._actions:
                if isinstance(action, argparse._SubParsersAction) and isinstance(
                    inner := action.choices.get(word), _Parser
                ):
                    found = inner
                    break
        return found

    def error(self, message: str) -> NoReturn:
        meant = self._meant()
        words = re.findall(r"unrecognized arguments: (\S+)|invalid choice: '([^']+)'", message)
        hint = ""
        for option, choice in words:
            hint = (
                nearest(option.split("=")[0], meant._all_options())
                if option
                else nearest(choice, meant._all_choices())
            )
        print(f"ramrole: {message}{hint}", file=sys.stderr)
        print(f"  next step: {meant.prog} --help", file=sys.stderr)
        raise SystemExit(64)

    def _parsers(self) -> list[argparse.ArgumentParser]:
        found: list[argparse.ArgumentParser] = [self]
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                for parser in action.choices.values():
                    found += parser._parsers() if isinstance(parser, _Parser) else [parser]
        return found

    def _all_options(self) -> list[str]:
        return [
            name for parser in self._parsers() for action in parser._actions for name in action.option_strings
        ]

    def _all_choices(self) -> list[str]:
        return [str(choice) for action in self._actions if action.choices for choice in action.choices]


def _port(text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text) or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"a port is 1 to 65535, not {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,8}", text):
        raise argparse.ArgumentTypeError(f"a number from 1 on, not {text!r}")
    return int(text)


def _build() -> _Parser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--state", metavar="DIR", default=argparse.SUPPRESS, help="state folder (or RAMROLE_STATE)"
    )
    parser = _Parser(
        prog="ramrole",
        description="ECS instance RAM roles, on a local sandbox or live.",
        parents=[common],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ramrole {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(
        group: Any, name: str, run: Callable[[argparse.Namespace], int], help_text: str
    ) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = group.add_parser(
            name, help=help_text, description=help_text, parents=[common], allow_abbrev=False
        )
        added.set_defaults(run=run)
        return added

    lab = add(commands, "lab", _lab, "start the sandbox and open JupyterLab at the first notebook")
    lab.add_argument(
        "--no-browser", action="store_true", help="print the address instead of opening a browser"
    )
    lab.add_argument("--port", type=_port, default=0, metavar="N", help="JupyterLab's port")
    lab.add_argument(
        "--dir", default="", metavar="D", help="where the notebooks are copied (default: ramrole-notebooks)"
    )

    tour = add(commands, "tour", _tour, "walk the whole path on the sandbox, headless")
    tour.add_argument("--json", action="store_true", help="one JSON object a line")
    tour.add_argument("--keep", action="store_true", help="leave the roles it made")
    tour.add_argument(
        "--out", default="", metavar="DIR", help="where the picture goes (default: in the state folder)"
    )

    sandbox = commands.add_parser(
        "sandbox", help="start, look at, reset and stop the sandbox", allow_abbrev=False
    )
    inner = sandbox.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    start = add(
        inner, "start", _start, "start the sandbox of the state folder, or print the running one's line"
    )
    start.add_argument("--foreground", action="store_true", help="serve in this process")
    start.add_argument(
        "--port", type=_port, default=0, metavar="N", help="port on 127.0.0.1 (default: any free one)"
    )
    start.add_argument("--world", default="", metavar="NAME", help="the world to start as")
    start.add_argument(
        "--json", action="store_true", help="print the start line as JSON (it holds sandbox keys)"
    )
    start.add_argument("--idle", type=float, default=0.0, help=argparse.SUPPRESS)
    start.add_argument("--quiet", action="store_true", help=argparse.SUPPRESS)
    status = add(inner, "status", _status, "say whether it runs, and what it holds")
    status.add_argument("--json", action="store_true", help="the start line as JSON")
    add(inner, "stop", _stop, "stop it; the world stays on disk")
    reset = add(inner, "reset", _reset, "put the world back; port, CA and keys stay")
    reset.add_argument("--world", default="", metavar="NAME", help="another world in its place")
    env = add(inner, "env", _env, "print shell exports that make a child process run as on an instance")
    env.add_argument("--instance", required=True, metavar="I", help="id or name")
    env.add_argument("--user", default="", metavar="U", help="also export this user's AccessKey")
    knob = add(inner, "knob", _knob, "show the knobs, or set one: ramrole sandbox knob NAME VALUE|default")
    knob.add_argument("name", nargs="?", default="", metavar="NAME")
    knob.add_argument("value", nargs="?", default="", metavar="VALUE", help="a number, on, off, or default")
    fault = add(
        inner, "fault", _fault, "switch a fault: ramrole sandbox fault NAME on|off; list them: … fault list"
    )
    fault.add_argument("name", metavar="NAME", help="a fault, or 'list'")
    fault.add_argument(
        "switch", nargs="?", choices=["on", "off"], help="on or off (default: say which it is)"
    )
    fault.add_argument(
        "--instance",
        action="append",
        default=[],
        metavar="I",
        help="for this instance only (may be repeated)",
    )
    fault.add_argument("--json", action="store_true", help="list: as JSON")
    add(inner, "expire", _expire, "expire every temporary credential at once")
    log = add(inner, "log", _log, "print the journal")
    log.add_argument("--follow", action="store_true", help="go on as requests come")
    log.add_argument("--json", action="store_true", help="one JSON object a line")
    log.add_argument(
        "--last",
        type=_count,
        default=0,
        metavar="N",
        help=f"the last N lines (default: {_LAST}; with --follow or --json all)",
    )

    on = add(commands, "on", _on, "run a program as if on an instance: ramrole on INSTANCE -- CMD …")
    on.add_argument("instance", metavar="INSTANCE", help="id or name")
    on.add_argument("--namespace", action="store_true", help="with the literal addresses and names (Linux)")

    doctor = add(commands, "doctor", _doctor, "say what is wrong on the way from an instance to an object")
    doctor.add_argument("--instance", default="", metavar="I", help="id or name")
    doctor.add_argument(
        "--object", default="", metavar="oss://B/K", help="an object, or a folder with its slash"
    )
    doctor.add_argument(
        "--role", default="", metavar="R", help="the role the program names, or that is to be attached"
    )
    doctor.add_argument("--full", action="store_true", help="go on after the first cause")
    doctor.add_argument("--endpoint", default="", metavar="E", help="the OSS endpoint the program uses")
    doctor.add_argument(
        "--signature", default="V4", choices=["V4", "V1"], help="how the program signs (default: V4)"
    )
    doctor.add_argument("--python", default="", metavar="P", help="the interpreter the program runs in")
    form = doctor.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object")
    form.add_argument("--markdown", action="store_true", help="for an issue or a chat")

    explain = add(
        commands, "explain", _explain, "say what an error means; exit code 0: explained, 2: could not tell"
    )
    explain.add_argument(
        "file", nargs="?", default="", metavar="FILE", help="what to read (default: standard input)"
    )
    explain.add_argument("--json", action="store_true", help="as one JSON object")
    add_policy(commands, add)

    cleanup = add(commands, "cleanup", _cleanup, "undo everything in the ledger, in the right order")
    cleanup.add_argument("--dry-run", action="store_true", help="only say what would be undone")
    cleanup.add_argument("--yes", action="store_true", help="live: do not ask")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    program: list[str] | None = None
    if "--" in given:
        at = given.index("--")
        given, program = given[:at], given[at + 1 :]
    try:
        options = _build().parse_args(given)
        options.program = program
        code: int = options.run(options)
    except SystemExit as end:
        return int(end.code or 0)
    except RamroleError as error:
        print(f"ramrole: {redact(error)}", file=sys.stderr)
        return 64 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe has gone (`… | head -1`): not done, and nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _state(options: argparse.Namespace) -> Path:
    from .sandbox.process import default_state

    given = getattr(options, "state", "")
    return (Path(given).expanduser() if given else default_state()).absolute()


def _no_program(options: argparse.Namespace) -> None:
    if options.program is not None:
        raise InputError("Only 'ramrole on' takes a program after --.", next_step="leave the -- out")


def _public(start_line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in start_line.items() if name not in _SECRET_KEYS}


def _print_line(start_line: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_public(start_line), ensure_ascii=False), flush=True)
        return
    print(f"SANDBOX at {start_line['url']} (pid {start_line['pid']}), world {start_line['world']}")
    print(f"  account   {start_line['account_id']}")
    print(f"  users     {', '.join(user['name'] for user in start_line['users'])}")
    print(f"  instances {', '.join(row['name'] for row in start_line['instances'])}")
    print(f"  buckets   {', '.join(row['name'] for row in start_line['buckets'])}")
    print(f"  state     {start_line['state']}", flush=True)


# -- sandbox -------------------------------------------------------------------------------------------------


def _start(options: argparse.Namespace) -> int:
    from .sandbox import process

    _no_program(options)
    state = _state(options)
    if options.world:
        from .sandbox.worlds import check_world

        check_world(options.world)
    found = process.running(state)
    if found is not None:
        if options.foreground:
            raise RamroleError(
                f"A sandbox already runs on {state} (pid {found['pid']}).",
                next_step="use it, or stop it: ramrole sandbox stop",
            )
        if options.port and options.port != found["port"]:
            raise RamroleError(
                f"The sandbox on {state} runs on port {found['port']}, not {options.port}.",
                next_step="stop it first: ramrole sandbox stop",
            )
        found = process.ensure(state, world=options.world)
        _print_line(found, as_json=options.json)
        return 0
    if options.foreground:

        def started(start_line: dict[str, Any]) -> None:
            if not options.quiet:
                _print_line(start_line, as_json=options.json)

        process.serve(state, world=options.world, port=options.port, idle=options.idle, started=started)
        return 0
    _print_line(process.ensure(state, world=options.world, port=options.port), as_json=options.json)
    return 0


def _status(options: argparse.Namespace) -> int:
    from .sandbox.process import need_running

    _no_program(options)
    found = need_running(_state(options))
    if options.json:
        _print_line(found, as_json=True)  # the start line and no more; faults: fault list --json
        return 0
    _print_line(found, as_json=False)
    from .sandbox.knobs import KNOBS

    turned = [
        f"{name} {_knob_text(value)}"
        for name, value in found["knobs"].items()
        if value != KNOBS[name].default
    ]
    print(f"  knobs     {', '.join(turned) or 'all at their defaults'}")
    print(f"  faults    {', '.join(found['faults']) or 'none'}")
    return 0


def _stop(options: argparse.Namespace) -> int:
    from .sandbox import process

    _no_program(options)
    print("stopped" if process.stop(_state(options)) else "no sandbox runs here")
    return 0


def _reset(options: argparse.Namespace) -> int:
    from .cloud.credentials import forget_every_role
    from .ledger import Ledger
    from .sandbox import process

    _no_program(options)
    state = _state(options)
    before = process.ensure(state)
    ledger = Ledger(
        state / "ledger.jsonl", mode="sandbox", account_id=before["account_id"], world=before["world"]
    )
    line = process.admin_of(before).reset(options.world)
    for entry in ledger.open_entries():
        ledger.undone(entry)
    forget_every_role()
    print(f"world {line['world']} is as at its start")
    return 0


def _env(options: argparse.Namespace) -> int:
    from .sandbox import process
    from .sandbox.run_on import find_instance, trust_variables

    _no_program(options)
    line = process.ensure(_state(options))
    instance = find_instance(line, options.instance)
    users = {row["name"]: row for row in line["users"]}
    if options.user and options.user not in users:
        raise InputError(
            f"The sandbox has no user {options.user!r}.{nearest(options.user, users)}",
            next_step=f"its users: {', '.join(users)}",
        )
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        print(f"export {name}={shlex.quote(instance['proxy_url'])}")
    print("unset no_proxy NO_PROXY all_proxy ALL_PROXY")
    for name, value in trust_variables(line["ca_file"]).items():
        print(f"export {name}={shlex.quote(value)}")
    names = (
        "ALIBABA_CLOUD_ACCESS_KEY_ID",
        "OSS_ACCESS_KEY_ID",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        "OSS_ACCESS_KEY_SECRET",
    )
    if not options.user:
        print(f"unset {' '.join(names)} ALIBABA_CLOUD_SECURITY_TOKEN OSS_SESSION_TOKEN")
        return 0
    for name in names:
        key = "access_key_secret" if name.endswith("SECRET") else "access_key_id"
        print(f"export {name}={shlex.quote(users[options.user][key])}")
    return 0


def _knob_text(value: float | bool | None) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "default" if value is None else f"{value:g}"


def _knob(options: argparse.Namespace) -> int:
    from .sandbox import process
    from .sandbox.knobs import KNOBS

    _no_program(options)
    admin = process.admin_of(process.need_running(_state(options)))
    if options.name and options.name not in KNOBS:
        raise InputError(
            f"There is no knob {options.name!r}.{nearest(options.name, KNOBS)}",
            next_step=f"the knobs are: {', '.join(KNOBS)}",
        )
    if options.value:
        admin.knobs(**{options.name: _knob_value(options.value)})
    for name, value in admin.knobs().items():
        if options.name in ("", name):
            mark = " " if value == KNOBS[name].default else "*"
            print(f"{mark} {name:<22} {_knob_text(value):<10} {KNOBS[name].meaning}")
    return 0


def _knob_value(text: str) -> float | bool | None:
    word = text.lower()
    if word == "default":
        return None
    if word in ("on", "true", "off", "false"):
        return word in ("on", "true")
    try:
        return float(word)
    except ValueError:
        raise InputError(
            f"{text!r} is no value of a knob.", next_step="a number, on, off, or default"
        ) from None


def _fault(options: argparse.Namespace) -> int:
    from .sandbox import process

    _no_program(options)
    admin = process.admin_of(process.need_running(_state(options)))
    if options.name == "list":
        faults = admin.faults()
        if options.json:
            print(json.dumps(faults, ensure_ascii=False))
            return 0
        for fault in faults:
            print(f"{'*' if fault['on'] else ' '} {fault['name']:<26} {fault['meaning']}")
        return 0
    if options.switch:
        faults = admin.fault(options.name, options.switch == "on", instances=options.instance)
    else:
        faults = admin.faults()
    found = [fault for fault in faults if fault["name"] == options.name]
    if not found:
        raise InputError(
            f"There is no fault {options.name!r}.{nearest(options.name, [f['name'] for f in faults])}",
            next_step="see them: ramrole sandbox fault list",
        )
    where = f" for {', '.join(found[0]['instances'])}" if found[0]["instances"] else ""
    print(f"{options.name} is {'on' if found[0]['on'] else 'off'}{where}: {found[0]['meaning']}")
    print(f"  source: {found[0]['source']} ({found[0]['basis']})")
    return 0


def _expire(options: argparse.Namespace) -> int:
    from .sandbox import process

    _no_program(options)
    count = process.admin_of(process.need_running(_state(options))).expire()
    print(f"{count} temporary credentials expired; the metadata service hands out new ones")
    return 0


def _log(options: argparse.Namespace) -> int:
    from .sandbox import process

    _no_program(options)
    admin = process.admin_of(process.need_running(_state(options)))

    def show(entry: dict[str, Any]) -> None:
        print(json.dumps(entry, ensure_ascii=False) if options.json else _log_line(entry), flush=True)

    last = options.last or (0 if options.follow or options.json else _LAST)
    kept: deque[dict[str, Any]] = deque(maxlen=last or None)
    seq, count = 0, 0
    while entries := admin.journal(seq)["entries"]:
        seq, count = max(entry["seq"] for entry in entries), count + len(entries)
        kept.extend(entries)
        if not last:  # nothing is held back
            while kept:
                show(kept.popleft())
    if count > len(kept) and last and not options.last:
        print(f"{count - len(kept)} earlier lines are left out: --last N shows more", file=sys.stderr)
    for entry in kept:
        show(entry)
    while options.follow:
        for entry in admin.journal(seq, wait=25.0)["entries"]:
            seq = max(seq, entry["seq"])
            show(entry)
    return 0


def _log_line(entry: dict[str, Any]) -> str:
    who = entry.get("principal", "").rpartition(":")[2] or entry.get("instance_id") or "anonymous"
    what = f"{entry.get('service', '')}:{entry.get('operation', '') or entry.get('method', '')}"
    decisions = entry.get("decisions") or []
    because = decisions[-1]["because"] if decisions else ""
    told = entry.get("error", "")
    why = " · ".join(part for part in (told, because or entry.get("message", "")) if part)
    return f"{entry['time']}  {entry['status']}  {what:<34} {who:<40} {why}".rstrip()


# -- the rest ------------------------------------------------------------------------------------------------


def _on(options: argparse.Namespace) -> int:
    from .sandbox import process, run_on

    if not options.program:
        raise InputError(
            "Which program?", next_step="ramrole on INSTANCE -- curl http://100.100.100.200/latest/meta-data/"
        )
    line = process.ensure(_state(options))
    instance = run_on.find_instance(line, options.instance)
    if not options.namespace:
        environment = run_on.child_environment(instance["proxy_url"], os.environ, ca_file=line["ca_file"])
        return run_on.run(options.program, environment)
    socket_path = line["sockets"].get(instance["instance_id"], "")
    command = run_on.namespace_command(socket_path, options.program)
    return run_on.run(command, run_on.child_environment("", os.environ, ca_file=line["ca_file"]))


def _tour(options: argparse.Namespace) -> int:
    from .connect import connect
    from .sandbox import process
    from .tour import PURPOSE, Step, run_tour

    _no_program(options)
    state = _state(options)
    world = process.ensure(state)
    out = Path(options.out).expanduser().absolute() if options.out else state / "tour"

    def told(step: Step) -> None:
        if options.json:
            row = step.as_dict()
            if step.step == "summary":
                row |= {"file": step.evidence["file"], "sha256": step.evidence["sha256"]}
            print(redact(json.dumps(row, ensure_ascii=False)), flush=True)
            return
        words = PURPOSE[step.step] if step.ok else str(step.evidence.get("error", "")) or PURPOSE[step.step]
        if step.step == "summary":
            words = (
                f"The picture: {step.evidence['file']}" if step.evidence["file"] else "There is no picture."
            )
        print(
            redact(f"{'ok    ' if step.ok else 'FAILED'} {step.step:<12} {step.ms:>7.0f} ms  {words}"),
            flush=True,
        )

    return 0 if run_tour(connect("sandbox", state=state), world, out, keep=options.keep, told=told) else 1


def _lab(options: argparse.Namespace) -> int:
    from . import lab
    from .sandbox import process

    _no_program(options)
    state = _state(options)
    folder = Path(options.dir or lab.DEFAULT_FOLDER).expanduser().absolute()
    copied = lab.copy_notebooks(folder)
    line = process.ensure(state)
    print(
        f"SANDBOX at {line['url']}, notebooks in {folder}" + (f" ({len(copied)} new)" if copied else ""),
        flush=True,
    )
    return lab.run_lab(folder, browser=not options.no_browser, port=options.port, state=state)


def _doctor(options: argparse.Namespace) -> int:
    from .connect import connect
    from .doctor.diagnose import diagnose

    _no_program(options)
    found = diagnose(
        options.instance or None,
        options.object or None,
        cloud=connect(state=_state(options)),
        full=options.full,
        role=options.role or None,
        endpoint=options.endpoint,
        signature=options.signature,
        python=options.python,
    )
    if options.json:
        print(redact(json.dumps(found.to_dict(), ensure_ascii=False)))
    else:
        print(redact(found.to_markdown() if options.markdown else found.to_text()))
    return found.exit_code


# Of a longer text, its beginning and its end are read.
_MOST_OF_A_TEXT = 1 << 20


def _explain(options: argparse.Namespace) -> int:
    """Explain what was pasted. Whoever asks has an error already, so a known cause is "done" (0) and not "found" (1)."""
    from .doctor.decode import explain

    _no_program(options)
    try:
        if options.file in ("", "-"):
            if sys.stdin.isatty():
                print("Paste the error, then end it with Ctrl-D (Windows: Ctrl-Z, Enter).", file=sys.stderr)
            text = _ends(sys.stdin.buffer)
        else:
            with Path(options.file).expanduser().open("rb") as file:
                text = _ends(file)
    except OSError as error:
        raise RamroleError(
            f"{options.file or 'standard input'} could not be read: {error.strerror or error}.",
            next_step="ramrole explain FILE, or paste: ramrole explain",
        ) from None
    found = explain(text)
    print(json.dumps(found.to_dict(), ensure_ascii=False) if options.json else found)
    return 0 if found.known else 2


def _ends(stream: BinaryIO) -> bytes:
    head, tail = stream.read(_MOST_OF_A_TEXT), b""
    while more := stream.read(_MOST_OF_A_TEXT):
        tail = (tail + more)[-_MOST_OF_A_TEXT:]
    return head + tail


def _cleanup(options: argparse.Namespace) -> int:
    from .connect import connect

    _no_program(options)
    cloud = connect(changes="yes" if options.yes else "ask", state=_state(options))
    what = cloud.created()
    if options.dry_run:
        print("\n".join(["would undo:", *(f"  {line}" for line in what)]) if what else "nothing to clean up")
        return 0
    report = cloud.clean_up(lambda done, total, line: print(f"[{done + 1}/{total}] {line}", flush=True))
    if not what:
        print("nothing to clean up")
    for line, result in report.results:
        if result.startswith("failed"):
            print(f"  {line}: {redact(result)}", file=sys.stderr)
    return 0 if report.ok else 1
