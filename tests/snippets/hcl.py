"""Reading enough of HCL to judge our own: strings, blocks and their arguments. It knows no templates: there must be none."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\n]*) | (?P<string>"(?:[^"\\\n]|\\.)*") | (?P<space>[ \n]+)
    | (?P<word>[A-Za-z_][A-Za-z0-9_.\-]*) | (?P<number>-?[0-9][0-9.eE+\-]*) | (?P<mark>\[\*\]\.?[a-z]*|[{}\[\]()=,:])
    """,
    re.X,
)
_OPENED = {"}": "{", "]": "[", ")": "("}


@dataclass
class Read:
    """What was read: the strings' values, all the rest as it stands, and (block heading, argument names)."""

    strings: list[str] = field(default_factory=list)
    skeleton: str = ""
    blocks: list[tuple[str, set[str]]] = field(default_factory=list)


def decode(raw: str) -> str:
    """Return the value of a quoted string; fail where it is a template."""
    inside = raw[1:-1]
    assert not re.search(r"(?<!\$)\$\{|(?<!%)%\{", inside), f"a template: {raw}"
    value = str(json.loads(f'"{inside}"'))
    return value.replace("$${", "${").replace("%%{", "%{")


def read(text: str) -> Read:
    """Read a whole file; fail where something is out of place."""
    found, position = Read(), 0
    open_marks: list[str] = []
    blocks: list[tuple[str, set[str]]] = []
    line: list[str] = []
    while position < len(text):
        token = _TOKEN.match(text, position)
        assert token, f"not HCL: {text[position : position + 40]!r}"
        position = token.end()
        kind, what = str(token.lastgroup), token[0]
        if kind == "string":
            found.strings.append(decode(what))
            line.append('"…"')
            found.skeleton += '"…"'
            continue
        if kind == "comment":
            found.skeleton += what
            continue
        found.skeleton += what
        if kind == "space":
            if "\n" in what:
                line = []
            continue
        if what in ("{", "[", "("):
            if what == "{" and "=" not in line and not (open_marks and open_marks[-1] in "(["):
                quoted = re.findall(r'"[^"]*"', text[text.rfind("\n", 0, position) + 1 : position])
                blocks.append((" ".join([line[0], *(name.strip('"') for name in quoted)]), set()))
                found.blocks.append(blocks[-1])
                what = "{block"
            open_marks.append(what)
        elif what in _OPENED:
            assert open_marks, f"{what} closes nothing"
            opened = open_marks.pop()
            assert opened[0] == _OPENED[what], f"{opened} is closed by {what}"
            if opened == "{block":
                blocks.pop()
        elif what == "=" and open_marks and open_marks[-1] == "{block":
            blocks[-1][1].add(line[-1])
        line.append(what)
    assert open_marks == [], f"left open: {open_marks}"
    return found
