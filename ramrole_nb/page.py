"""The program of the documentation page: as printed and as it runs today, side by side, and run as on an instance.

Both programs are files beside the notebooks, so that they can be read, changed and copied to an instance. Source:
https://help.aliyun.com/zh/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance
"""

from __future__ import annotations

import ast
import difflib
import io
import os
import re
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError, SandboxError, nearest
from .redact import redact
from .render import html_card, html_table, text_card, text_table
from .render.style import LINE, TEXT

if TYPE_CHECKING:
    from .cloud.session import Cloud

__all__ = [
    "DIFFERENCES",
    "PROGRAMS",
    "Comparison",
    "Difference",
    "Differences",
    "ProgramRun",
    "ProgramRuns",
    "compare",
    "differences",
    "run",
    "run_all",
]

_PRINTED, _TODAY = "page_program_as_printed.py", "page_program_today.py"
_PUBLIC = "https://oss-{region}.aliyuncs.com"
_INTERNAL = "https://oss-{region}-internal.aliyuncs.com"

#: The programs `run` knows: the page's own, the one of today with the page's public endpoint, and the one of today.
PROGRAMS = ("as printed", "signature V4 alone", "today")

_SECONDS = 60


@dataclass(frozen=True)
class Difference:
    """One difference between the page and today.

    `since` a date or a version; `avoids` the error, or the trouble, one meets otherwise; `source` a link.
    """

    topic: str
    page: str
    today: str
    since: str
    avoids: str
    source: str
    in_program: bool = False


#: What the page says and what holds today, the program's own differences first.
DIFFERENCES = (
    Difference(
        "signature",
        "oss2.ProviderAuth: signature V1",
        "oss2.ProviderAuthV4, with region=",
        "2025-03-01 for new accounts, 2025-09-01 for new buckets",
        "403, EC 0002-00000080; without region= ClientError",
        "https://alibabacloud.com/en/notice/notice_on_the_discontinuation_of_the_oss_v1_signature_algorithm_40f",
        True,
    ),
    Difference(
        "endpoint",
        "the public one",
        "the internal one (-internal), from instances of the same region",
        "2025-03-20 for new users, regions in mainland China",
        "400 PublicEndpointForbidden, EC 0048-00000401",
        "https://www.alibabacloud.com/help/en/oss/user-guide/0048-00000401",
        True,
    ),
    Difference(
        "scheme",
        "none, and oss2 takes that for http://",
        "https://",
        "always",
        "the security token crosses the network in clear text",
        "https://alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints",
        True,
    ),
    Difference(
        "the three values",
        "three calls: get_access_key_id(), get_access_key_secret(), get_security_token()",
        "one call: get_credential()",
        "alibabacloud_credentials 0.3.3; the three are deprecated",
        "parts of two credentials around a renewal: 403 AccessKeyIdAndSecurityTokenNotMatch",
        "https://github.com/aliyun/credentials-go/pull/49",
        True,
    ),
    Difference(
        "metadata mode",
        "falls back to requests without a token",
        "disable_imds_v1=True: security hardening mode only",
        "the option is on the page, the program leaves it out",
        "403 where HttpTokens=required; a failed token request goes unnoticed",
        "https://www.alibabacloud.com/help/en/ecs/user-guide/access-instance-metadata-using-hardened-only-mode",
        True,
    ),
    Difference(
        "sample permission policy",
        "create, grant, attach, detach",
        "also ram:DetachPolicyFromRole, ram:DeleteRole and ram:DeletePolicy",
        "always",
        "whoever has it cannot clean up: 403 NoPermission (notebook 07)",
        "https://help.aliyun.com/zh/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance",
    ),
    Difference(
        "changing the role",
        "choose Attach, and another role",
        "in the console only; by API detach first, then attach",
        "always",
        "the call fails on an instance that has a role; between the two steps it has none",
        "https://alibabacloud.com/help/doc-detail/54244.htm",
    ),
    Difference(
        "Alibaba Cloud CLI",
        "3.0.248 or later",
        "3.3.0 or later, on an instance only",
        "CLI page of June 2026",
        "the profile EcsRamRole does not work elsewhere",
        "https://www.alibabacloud.com/help/en/cli/ecs-ram-role",
    ),
    Difference(
        "the role's name",
        "optional: found automatically",
        "listed at …/meta-data/ram/security-credentials/ (the slash at the end counts)",
        "always; the page does not say where",
        "404 for a mistyped name, with no word about which one is right",
        "https://github.com/AlibabaCloudDocs/ecs/pull/45",
    ),
    Difference(
        "attaching",
        "one role, one instance",
        "up to 100 instances a call, and a session policy that narrows the role there",
        "API version 2014-05-26",
        "nothing fails: the page leaves it out",
        "https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-attachinstanceramrole",
    ),
    Difference(
        "network",
        "(silent)",
        "the instance must be in a VPC",
        "in the edition of November 9, 2025; gone in December",
        "attaching to a classic-network instance fails",
        "https://www.alibabacloud.com/help/id/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance",
    ),
    Difference(
        "hop limit",
        "(silent)",
        "HttpPutResponseHopLimit is in the API, and documented as not available for use",
        "API version 2014-05-26",
        "advice from other clouds to raise it does nothing here",
        "https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-modifyinstancemetadataoptions",
    ),
)

_DIFFERENCE_HEAD = ("what", "the page", "today", "since", "what you meet otherwise")


@dataclass(frozen=True, repr=False)
class Differences:
    """The differences as a table."""

    rows: tuple[Difference, ...] = DIFFERENCES

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        told = [f"{d.topic}\n  page:   {d.page}\n  today:  {d.today}\n  since:  {d.since}" for d in self.rows]
        more = [f"  else:   {d.avoids}\n  source: {d.source}" for d in self.rows]
        return "\n".join(f"{one}\n{two}" for one, two in zip(told, more, strict=True))

    def _repr_html_(self) -> str:
        return _table(
            _DIFFERENCE_HEAD,
            (
                [
                    *(_breakable(part) for part in (d.topic, d.page, d.today)),
                    f"{_breakable(d.since)} ({_source(d)})",
                    _breakable(d.avoids),
                ]
                for d in self.rows
            ),
        )


def _source(difference: Difference) -> str:
    link, about = escape(difference.source), escape(difference.topic)
    return f'<a href="{link}" target="_blank" rel="noopener" aria-label="source on {about}">source</a>'


def _breakable(text: str) -> str:
    """Return text as HTML in which long names may break between their words, and nothing else does."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[_/])(?=\w)", "<wbr>", escape(text))


def differences() -> Differences:
    """Return every difference between the page and today, with its date, its source and the error it avoids."""
    return Differences()


# -- side by side ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Comparison:
    """Two programs in two columns; `rows` holds (left lines, same or not, right lines)."""

    rows: tuple[tuple[str, bool, str], ...]

    def __repr__(self) -> str:
        parts = []
        for left, same, right in self.rows:
            if same:
                parts.append(_indented(left, "  "))
            else:
                parts += [_indented(left, "- "), _indented(right, "+ ")]
        body = "\n".join(part for part in parts if part)
        return f"- as printed (comments left out)\n+ as it runs today\n{body}"

    def _repr_html_(self) -> str:
        code = "white-space:pre-wrap;word-break:break-all;margin:0;background:none;padding:0;"
        code += "font-family:var(--jp-code-font-family,monospace);font-size:12px;line-height:1.4"
        return _table(
            ("as printed", "", "as it runs today"),
            (
                [
                    f'<pre style="{code}">{escape(left)}</pre>',
                    "" if same else '<span title="different">≠</span>',
                    f'<pre style="{code}">{escape(right)}</pre>',
                ]
                for left, same, right in self.rows
            ),
        )


def compare() -> Comparison:
    """Return the page's program beside the one that runs today, comments left out (`differences` gives the reasons)."""
    left, right = _code(_PRINTED), _code(_TODAY)
    plain = [[line.replace('"', "'").rstrip(",") for line in lines] for lines in (left, right)]
    rows = []
    for kind, a, b, c, d in difflib.SequenceMatcher(a=plain[0], b=plain[1], autojunk=False).get_opcodes():
        rows.append(("\n".join(left[a:b]), kind == "equal", "\n".join(right[c:d])))
    return Comparison(tuple(rows))


def _text(name: str) -> str:
    from .lessons.shipped import shipped_notebooks

    return (shipped_notebooks() / name).read_text("utf-8")


def _code(name: str) -> list[str]:
    """Return a program's lines without comments, docstrings and empty lines."""
    text = _text(name)
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            at = token.start[0] - 1
            lines[at] = lines[at][: token.start[1]].rstrip()
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            said = node.body[0]
            for at in range(said.lineno - 1, said.end_lineno or said.lineno):
                lines[at] = ""
    return [line for line in lines if line.strip()]


def _indented(text: str, sign: str) -> str:
    return "\n".join(f"{sign}{line}".rstrip() for line in text.splitlines())


def _table(head: Iterable[str], rows: Iterable[list[str]]) -> str:
    """Return a table of cells that are HTML already."""
    cell = (
        f"text-align:left;vertical-align:top;padding:4px 10px 4px 0;border-bottom:{LINE};white-space:normal"
    )
    heads = "".join(f'<th scope="col" style="{cell}">{escape(name)}</th>' for name in head)
    body = "".join(
        "<tr>" + "".join(f'<td style="{cell}">{part}</td>' for part in row) + "</tr>" for row in rows
    )
    return (
        f'<div style="overflow-x:auto;{TEXT}"><table style="border-collapse:collapse;{TEXT}">'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


# -- really run ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class ProgramRun:
    """How a program ended.

    `where` names the world and the instance; `said` is what it printed; `size` the bytes of the picture it saved;
    `answer` and `message` are the service's, where it was refused.
    """

    program: str
    where: str
    ok: bool
    said: str = ""
    size: int = 0
    answer: str = ""
    message: str = ""
    left_behind: str = ""

    def _facts(self) -> list[tuple[str, str]]:
        saved = f"{self.size:,} bytes" if self.ok else self.left_behind
        facts = [("ran", f"as on {self.where}"), ("printed", self.said), ("saved", saved)]
        return [*facts, ("answer", self.answer), ("message", self.message)]

    def _title(self) -> str:
        return f"{'✓ Downloaded' if self.ok else '✕ Refused'}: the program, {self.program}"

    def __repr__(self) -> str:
        return text_card(self._title(), self._facts())

    def _repr_html_(self) -> str:
        return html_card(self._title(), self._facts())


_RUN_HEAD = ("program", "ended", "answer", "message")


class ProgramRuns(tuple[ProgramRun, ...]):
    """Several runs as a table."""

    __slots__ = ()

    def _rows(self) -> list[list[str]]:
        return [
            [
                one.program,
                "✓ downloaded" if one.ok else "✕ refused",
                one.answer or "200",
                one.message or one.said,
            ]
            for one in self
        ]

    def __repr__(self) -> str:
        return text_table(_RUN_HEAD, self._rows()) or "nothing was run"

    def _repr_html_(self) -> str:
        title = f"Run as on {self[0].where}" if self else "Run"
        return html_table(_RUN_HEAD, self._rows(), title=title, empty="nothing was run")


def run_all(cloud: Cloud, *, instance: str = "web-1", role: str = "EcsRamRole") -> ProgramRuns:
    """Run each of `PROGRAMS`, and return how they ended."""
    return ProgramRuns(run(cloud, name, instance=instance, role=role) for name in PROGRAMS)


def run(
    cloud: Cloud,
    program: str = "today",
    *,
    instance: str = "web-1",
    role: str = "EcsRamRole",
    bucket: str = "sandbox-photos",
    key: str = "testfolder/example.png",
) -> ProgramRun:
    """Run one of `PROGRAMS` in a process of its own, as on an instance of the sandbox, and return how it ended.

    The file is the one beside the notebooks; only the placeholders at its end get values. Nothing stays on disk.
    Raises InputError, and SandboxError in a live session: there, copy the file to the instance and run it.
    """
    if program not in PROGRAMS:
        raise InputError(
            f"There is no program {program!r}.{nearest(str(program), PROGRAMS)}",
            next_step=f"the programs: {', '.join(PROGRAMS)}",
        )
    try:
        line = cloud.sandbox.status()
    except SandboxError as error:
        error.next_step = f"copy {_TODAY} to the instance and run it there: python {_TODAY}"
        raise
    from .sandbox.run_on import child_environment, find_instance

    vm = find_instance(line, instance)
    printed = program == "as printed"
    with tempfile.TemporaryDirectory(prefix="ramrole-page-") as folder:
        picture = Path(folder) / "image.png"
        values = {"role_name": role, "bucket_name": bucket, "object_key": key, "local_file": str(picture)}
        region = str(vm["region_id"])
        if printed:
            values["endpoint"] = f"oss-{region}.aliyuncs.com"
        else:
            values["region"] = region
            values["endpoint"] = (_INTERNAL if program == "today" else _PUBLIC).format(region=region)
        script = Path(folder) / (_PRINTED if printed else _TODAY)
        script.write_text(_filled_in(_text(script.name), values), "utf-8")
        done = _finished(script, child_environment(vm["proxy_url"], os.environ, ca_file=line["ca_file"]))
        size = picture.stat().st_size if picture.exists() else -1
    answer, message = ("", "") if done.returncode == 0 else _refusal(done.stderr)
    return ProgramRun(
        program=program,
        where=f"{vm['name']}, world {line['world']}",
        ok=done.returncode == 0,
        said=redact(done.stdout.strip()),
        size=max(size, 0),
        answer=answer,
        message=message,
        left_behind="an empty file: the program made it before it was refused" if size == 0 else "",
    )


def _finished(script: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - this interpreter, and a file of ours
            [sys.executable, str(script)],
            env=environment,
            cwd=script.parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise SandboxError(
            f"{script.name} did not end within {_SECONDS} seconds.",
            next_step="try again: is this computer busy?",
        ) from None


def _filled_in(text: str, values: dict[str, str]) -> str:
    """Put values in the place of the placeholders: the assignments below `if __name__ == "__main__":`."""
    head, mark, tail = text.partition('if __name__ == "__main__":')
    for name, value in values.items():
        found = list(re.finditer(rf"^    {name} = (.*)$", tail, re.M))
        if len(found) == 1:
            tail = tail[: found[0].start(1)] + repr(value) + tail[found[0].end(1) :]
        else:
            raise SandboxError(
                f"The page's program has no place for {name}.", next_step="install the package again"
            )
    return head + mark + tail


def _refusal(stderr: str) -> tuple[str, str]:
    """Return the answer and the message in a program's last words, an exception of oss2 or any other."""
    last = stderr.strip().splitlines()[-1] if stderr.strip() else "it ended without a word"
    _, _, told = last.partition(": ")
    try:
        found = ast.literal_eval(told)
        details = found["details"]
        ec = f", EC {details['EC']}" if details.get("EC") else ""
        return f"HTTP {found['status']} {details['Code']}{ec}", redact(str(details.get("Message", "")))
    except (ValueError, SyntaxError, KeyError, TypeError):
        return redact(last), ""
