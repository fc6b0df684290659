"""Whatever the values are, they stay values: no quote, `$(…)`, line break, `${` or `</pre>` becomes code."""

from __future__ import annotations

import ast
import json
import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ramrole_nb import snippets as s
from tests.snippets.cases import BENIGN, KINDS, benign
from tests.snippets.hcl import read
from tests.snippets.test_shell import commands
from tests.snippets.test_snippets import Shape

NASTY = [
    "'",
    '"',
    "'''",
    '"""',
    "\\",
    "\\'",
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned #",
    "\ntouch pwned\n",
    "\r\n",
    "${path.root}",
    "%{ if true }",
    "{x}",
    "{{x}}",
    "%s %(x)s",
    "</code></pre><script>alert(1)</script>",
    "&lt;&amp;",
    "-rf",
    "--help",
    "file:///etc/passwd",
    "!!",
    "~",
    "*",
    "# not a comment",
    "\u2028\u2029\u0085",
    "\u202eevil",
    "é漢😀",
    "\x1b[31m",
    "A" * 300,
]
# No text is equal to, or part of, a word of the snippets themselves.
pieces = st.one_of(st.sampled_from(NASTY), st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
values = st.lists(pieces, min_size=1, max_size=6).map(lambda found: "v" + "".join(found) + "v")
names = st.sampled_from(sorted(KINDS))


def filled(name: str, data: st.DataObject) -> tuple[dict[str, str], s.Action]:
    texts = {field: data.draw(values, label=field) for field in KINDS[name].fields}
    return texts, KINDS[name].action(**texts)


def expected(words: list[str], texts: dict[str, str]) -> list[str]:
    """Return what the benign words become with other values: in ids as JSON, in addresses as an address."""
    out = []
    for word in words:
        changed = word
        for field, value in texts.items():
            mark = BENIGN[field]
            if word.startswith("["):
                changed = changed.replace(mark, json.dumps(value)[1:-1])
            elif "security-credentials/" in word:
                changed = changed.replace(mark, quote(value, safe=""))
            else:
                changed = changed.replace(mark, value)
        out.append(changed)
    return out


class Blank(ast.NodeTransformer):
    """Takes the strings out of a program, and keeps them."""

    def __init__(self) -> None:
        self.strings: list[str] = []

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if not isinstance(node.value, str):
            return node
        self.strings.append(node.value)
        return ast.Constant("")


def skeleton(source: str) -> tuple[str, list[str]]:
    blank = Blank()
    return ast.dump(blank.visit(ast.parse(source))), blank.strings


@given(names, st.data())
@settings(max_examples=300)
def test_python(name: str, data: st.DataObject) -> None:
    texts, action = filled(name, data)
    shape, strings = skeleton(s.code(action))
    plain_shape, plain_strings = skeleton(s.code(benign(name)))
    assert shape == plain_shape
    assert len(strings) == len(plain_strings)
    addresses = [word for word in plain_strings if "://" in word or word.endswith(".aliyuncs.com")]
    for plain, found in zip(plain_strings, strings, strict=True):
        if plain not in addresses or "security-credentials/" in plain:
            assert found == expected([plain], texts)[0]


@given(names, st.data())
@settings(max_examples=150)
def test_shell(name: str, data: st.DataObject) -> None:
    texts, action = filled(name, data)
    with tempfile.TemporaryDirectory() as folder:
        found = commands(s.code(action, "shell"), Path(folder))
        assert sorted(path.name for path in Path(folder).iterdir()) == ["script.sh"], "something ran"
        plain = commands(s.code(benign(name), "shell"), Path(folder))
    assert [len(command) for command in found] == [len(command) for command in plain]
    assert found == [expected(command, texts) for command in plain]


@given(names, st.data())
@settings(max_examples=300)
def test_terraform(name: str, data: st.DataObject) -> None:
    texts, action = filled(name, data)
    found, plain = read(s.code(action, "terraform")), read(s.code(benign(name), "terraform"))
    assert found.skeleton == plain.skeleton
    assert found.strings == expected(plain.strings, texts)


@given(names, st.data())
@settings(max_examples=300)
def test_console(name: str, data: st.DataObject) -> None:
    """It is read by people: a value cannot pretend to be another step, nor turn the line around."""
    texts, _ = filled(name, data)
    texts |= {field: BENIGN[field] for field in KINDS[name].documents}  # those are shown as they are
    text = s.code(KINDS[name].action(**texts), "console")
    assert len(text.splitlines()) == len(s.code(benign(name), "console").splitlines())
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b]", text)


@given(names, st.data())
@settings(max_examples=150)
@example("DeleteRole", None)
def test_html(name: str, data: st.DataObject | None) -> None:
    action = filled(name, data)[1] if data else s.DeleteRole("</code></pre><img src=x onerror=alert(1)>")
    shape, plain = Shape(s.show(action)._repr_html_()), Shape(s.show(benign(name))._repr_html_())
    assert shape.opened == plain.opened
    assert shape.codes == [text.rstrip() for text in s.show(action).codes.values()]
    assert "\r" not in s.show(action)._repr_html_(), "a browser makes a line break of it"


LEAVES = st.one_of(values, st.integers(-(10**6), 10**6), st.booleans(), st.none(), st.floats(-1e6, 1e6))
DOCUMENTS = st.dictionaries(
    values,
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(values, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=3,
)


@given(DOCUMENTS)
@settings(max_examples=60)
def test_documents_come_back_with_the_same_meaning(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    action = s.CreatePolicy("P", text)
    found: dict[str, Any] = {}
    tree = ast.parse(s.code(action))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "POLICY":
            found = ast.literal_eval(node.value)
            break
    else:
        strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        assert text in strings
        found = document
    assert found == document
    with tempfile.TemporaryDirectory() as folder:
        sent = commands(s.code(action, "shell"), Path(folder))[0][-1]
    assert sent == text
    read(s.code(action, "terraform"))


@pytest.mark.parametrize("value", NASTY)
@pytest.mark.parametrize("name", KINDS)
def test_each_nasty_value_in_every_place(name: str, value: str) -> None:
    """The plain list too, so that each is certainly tried."""
    action = KINDS[name].action(**dict.fromkeys(KINDS[name].fields, f"v{value}v"))
    assert skeleton(s.code(action))[0] == skeleton(s.code(benign(name)))[0]
    assert read(s.code(action, "terraform")).skeleton == read(s.code(benign(name), "terraform")).skeleton
