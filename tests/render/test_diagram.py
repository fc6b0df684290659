"""Diagrams: escaped, readable without CSS, lit in words, and the same as text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from ramrole_nb.render.diagram import Box, Diagram, Lane, Stop, html_diagram, text_diagram

EVIL = '<script>alert("x")</script>&'

DIAGRAM = Diagram(
    title=f"Who holds what {EVIL}",
    top=Box("admin", "caller", ("account 1",)),
    arrow="roles",
    lanes=(
        Lane(
            Box("R1", "role", (), (Box("holds", lines=("ReadOnly",), step="grant"),), "role"),
            (
                Stop("attached to", (Box("web-1", "instance", ("i-1",)),), step="attach"),
                Stop("reaches", (), "no bucket yet", "credentials"),
            ),
        ),
        Lane(Box(EVIL, "role")),
    ),
    more=(Lane(Box("R3", "role")),),
    more_title="and 1 more role",
    notes=("a note",),
    folded=(("2 instances with no role", ("web-2", EVIL)),),
)


class Outline(HTMLParser):
    """The text as it reads without any CSS, each block on its own line; checks that tags are balanced."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self.open.append(tag)
        if tag in {"div", "li", "ul", "p", "summary"}:
            self.text += "\n"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in {"div", "li", "ul", "p", "summary"}:
            self.text += "\n"

    def handle_data(self, data: str) -> None:
        self.text += data


def outline(html: str) -> list[str]:
    parser = Outline()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return [line.strip() for line in parser.text.splitlines() if line.strip()]


def test_it_reads_as_an_outline_without_css() -> None:
    assert outline(html_diagram(DIAGRAM)) == [
        "caller admin",
        "account 1",
        "↓ roles",
        "role R1",
        "holds",
        "ReadOnly",
        "→ attached to",
        "instance web-1",
        "i-1",
        "→ reaches",
        "no bucket yet",
        f"role {EVIL}",
        "and 1 more role",
        "role R3",
        "2 instances with no role",
        "web-2",
        EVIL,
        "a note",
    ]


def test_nothing_from_outside_is_markup_and_there_is_no_script_or_style_sheet() -> None:
    html = html_diagram(DIAGRAM, lit="grant", said=EVIL)
    assert "<script" not in html
    assert "<style" not in html
    assert 'aria-label="Who holds what &lt;script&gt;' in html
    assert not re.search(r"#[0-9a-f]{3,6}(?![0-9a-f])", re.sub(r"var\([^)]*\)", "", html.replace("&#", "")))


def test_what_is_lit_says_so_in_words_and_only_it() -> None:
    for step, before in (
        ("role", "holds"),
        ("grant", "ReadOnly"),
        ("attach", "→ attached to"),
        ("credentials", "→ reaches"),
    ):
        html = html_diagram(DIAGRAM, lit=step, said="now: step 2")
        assert html.count("◀ now: step 2") == html.count('aria-current="step"') == 1
        lines = outline(html)
        assert before in lines[: lines.index("◀ now: step 2")]
        assert text_diagram(DIAGRAM, lit=step, said="now: step 2").count("◀ now: step 2") == 1
    for plain in (html_diagram(DIAGRAM), html_diagram(DIAGRAM, lit="unheard of", said="x")):
        assert "◀" not in plain


def test_the_text_is_a_tree() -> None:
    assert text_diagram(DIAGRAM, lit="grant", said="now").splitlines() == [
        f"Who holds what {EVIL}",
        "caller admin: account 1",
        "  ↓ roles",
        "├─ role R1",
        "│  ├─ holds: ReadOnly   ◀ now",
        "│  ├─ → attached to",
        "│  │  └─ instance web-1: i-1",
        "│  └─ → reaches",
        "│     └─ no bucket yet",
        f"└─ role {EVIL}",
        "and 1 more role",
        "└─ role R3",
        f"2 instances with no role: web-2, {EVIL}",
        "a note",
    ]
