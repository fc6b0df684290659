"""What the elements take, refuse and mask."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import traitlets

from ramrole_nb.errors import InputError
from ramrole_nb.redact import MASK, remember
from ramrole_nb.widgets.elements import CodeBlock, Countdown, DataTable, ProgressBar, StatusLine, Tabs
from ramrole_nb.widgets.elements.countdown import duration
from ramrole_nb.widgets.elements.status import WORDS

STATIC = Path(__file__).parents[3] / "ramrole_nb" / "widgets" / "elements" / "static"
MODULES = sorted(STATIC.glob("*.js"))
SHEETS = sorted(STATIC.glob("*.css"))


@pytest.fixture
def known_secret() -> str:
    secret = "kZ8" + "q7Vw" * 7
    remember(secret)
    return secret


def test_a_status_has_a_symbol_and_a_word() -> None:
    line = StatusLine()
    assert line.line == ""
    line.say("role attached", "done")
    assert line.line == "✓ Done: role attached"
    assert (line.text, line.kind) == ("role attached", "done")


def test_a_mistyped_kind_names_the_nearest_and_changes_nothing() -> None:
    line = StatusLine(text="x", kind="working")
    with pytest.raises(InputError, match="Did you mean 'failed'") as refused:
        line.kind = "faild"
    assert "'cancelled'" in refused.value.next_step
    assert line.kind == "working"
    with pytest.raises(traitlets.TraitError):
        line.text = 3  # type: ignore[assignment]


def test_both_sides_use_the_same_words() -> None:
    source = (STATIC / "status.js").read_text("utf-8")
    found = re.findall(r'^  (\w+): \["(.)", "(\w+)"\],$', source, re.M)
    assert {kind: (symbol, word) for kind, symbol, word in found} == WORDS


@pytest.mark.parametrize(
    ("traits", "line"),
    [
        ({}, ""),
        ({"active": True, "label": "upload"}, "upload"),
        (
            {"active": True, "label": "upload", "value": 3, "maximum": 12, "caption": "3 of 12 MB"},
            "upload: 25 %, 3 of 12 MB",
        ),
        ({"active": True, "value": 13, "maximum": 12}, "100 %"),
    ],
)
def test_a_bar_in_text(traits: dict[str, object], line: str) -> None:
    assert ProgressBar(**traits).line == line


@pytest.mark.parametrize("number", [-1, float("nan"), float("inf")])
def test_a_bar_takes_numbers_json_has(number: float) -> None:
    bar = ProgressBar()
    with pytest.raises(InputError, match="value cannot be"):
        bar.value = number
    assert bar.value == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min 0 s"),
        (21598, "5 h 59 min 58 s"),
        (90000, "1 d 1 h 0 min 0 s"),
        (-5, "0 s"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_countdown_in_text() -> None:
    clock = Countdown(until=1000.0, rotates=900.0)
    assert clock.line(at=880.0) == "valid for 2 min 0 s, rotates in 20 s"
    assert clock.line(at=950.0) == "valid for 50 s, rotation is due"
    assert clock.line(at=1000.0) == "expired"
    assert Countdown().line() == ""
    clock.start(5e9)
    assert clock.now > 1.7e9
    assert clock.rotates == 0
    assert clock.line().startswith("valid for ")


def test_tabs_keep_the_title_chosen() -> None:
    tabs = Tabs(titles=["Python", "curl"], texts=["a", "b"], selected=1)
    tabs.show({"curl": "b2", "Go": "c"}, notes={"Go": "new"})
    assert (tabs.titles, tabs.texts, tabs.notes, tabs.selected) == (
        ["curl", "Go"],
        ["b2", "c"],
        ["", "new"],
        0,
    )
    tabs.selected = 1
    tabs.show({"Python": "a"})
    assert tabs.selected == 0
    tabs.selected = 7
    assert tabs.selected == 0


@pytest.mark.parametrize("make", [
    lambda secret: StatusLine(text=f"got {secret}", label=secret),
    lambda secret: ProgressBar(label=secret, caption=secret),
    lambda secret: Countdown(label=secret, over=secret),
    lambda secret: CodeBlock(code=f"key = '{secret}'", title=secret),
    lambda secret: Tabs(titles=[secret], texts=[f"curl -u x:{secret} http://a"], notes=[secret]),
    lambda secret: DataTable(columns=[{"key": "a", "title": secret}], rows=[{"id": "1", "a": secret}],
                             caption=secret, empty=secret, filter=secret),
])  # fmt: skip
def test_no_trait_holds_a_secret(make: object, known_secret: str) -> None:
    element = make(known_secret)  # type: ignore[operator]
    state = json.dumps(element.get_state(), default=str)
    assert known_secret not in state
    assert MASK in state


def test_code_that_speaks_of_secrets_is_left_alone(known_secret: str) -> None:
    code = (
        "auth = StsAuth(credential.access_key_id, credential.access_key_secret, credential.security_token)\n"
        "config = Config(security_token=credential.security_token, access_key_secret=os.environ['SECRET_NAME'])\n"
        'curl -H "X-aliyun-ecs-metadata-token: $TOKEN" http://127.0.0.1/latest/meta-data/\n'
    )
    assert CodeBlock(code=code).code == code
    assert CodeBlock(code=f"{code}token='{known_secret}'").code == f"{code}token='{MASK}'"
    token = "CAIS" + "a1" * 40
    assert token not in CodeBlock(code=f"token = '{token}'").code


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_stand_alone_and_write_text_only(path: Path) -> None:
    source = path.read_text("utf-8")
    assert re.search(r"^export default \{ .*\brender\b.* \};$", source, re.M)
    for banned in (r"\bimport\b", r"https?:", r"\w+HTML\b", r"document\.write", r"\beval\b", r"setInterval"):
        assert not re.search(banned, source), banned


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.name)
def test_sheets_fetch_nothing_and_name_only_ours(path: Path) -> None:
    source = path.read_text("utf-8")
    assert "url(" not in source
    assert "@import" not in source
    names = re.findall(r"(?<![\w.])\.([a-z][\w-]*)", re.sub(r"\d*\.\d+", "", source))
    assert names
    assert [name for name in names if not name.startswith("rr-")] == []
    # Each variable of JupyterLab's has what stands in for it elsewhere.
    assert re.findall(r"var\(--(?:jp|vscode)[\w-]+\)", source) == []


def _block(path: Path, name: str) -> str:
    found = re.search(rf"<{name}>.*?\n(.*)</{name}>", path.read_text("utf-8"), re.S)
    assert found, path
    return found[1]


def test_what_is_repeated_is_the_same() -> None:
    assert len(MODULES) == 6
    assert _block(STATIC / "code.js", "copy") == _block(STATIC / "tabs.js", "copy")
