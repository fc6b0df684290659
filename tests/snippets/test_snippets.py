"""The languages, what they say when there is no code, and how it is shown."""

from __future__ import annotations

import ast
import dataclasses
import json
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from ramrole_nb import snippets as s
from ramrole_nb.errors import InputError
from ramrole_nb.snippets import languages
from ramrole_nb.snippets.fragments import Fragment, snake
from tests.snippets.cases import KINDS, READ, TRUST, usual

EVERY = [(name, language) for name in KINDS for language in s.LANGUAGES]


def test_every_action_has_a_case() -> None:
    kinds = {getattr(s, name) for name in s.__all__ if isinstance(getattr(s, name), type)}
    actions = {kind for kind in kinds if issubclass(kind, s.Action) and kind is not s.Action}
    assert {type(usual(name)) for name in KINDS} == actions


def test_the_languages_and_their_order() -> None:
    assert list(s.LANGUAGES.items()) == [
        ("python", "Python (official SDKs)"),
        ("shell", "Shell (aliyun, curl)"),
        ("terraform", "Terraform"),
        ("console", "Console"),
    ]
    action = usual("CreateRole")
    assert list(s.all_code(action).items()) == [
        (title, s.code(action, i)) for i, title in s.LANGUAGES.items()
    ]
    assert s.code(action) == s.code(action, "python")


@pytest.mark.parametrize("language", s.LANGUAGES)
def test_each_action_is_a_function_of_each_module(language: str) -> None:
    module = languages._MODULES[language]
    wanted = {snake(type(usual(name)).__name__) for name in KINDS} - {"clean_up"}
    assert {name for name in wanted if not callable(getattr(module, name, None))} == set()


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_there_is_always_an_answer_and_no_secret_or_of_ours_in_it(name: str, language: str) -> None:
    text = s.code(usual(name), language)
    assert text.strip()
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    for word in ("ramrole_nb", "sandbox", "SANDBOX", "127.0.0.1", "\0"):
        assert word not in text.replace("sandbox-photos", "")
    if language != "console":  # which is prose, and wraps
        assert max(len(line) for line in text.splitlines() if "Statement" not in line) <= 130


@pytest.mark.parametrize("name", KINDS)
def test_python_parses_is_laid_out_and_imports_what_it_uses(name: str) -> None:
    source = s.code(usual(name))
    ast.parse(source)
    for command in (["format", "--diff", "--line-length", "110"], ["check", "--select", "F,E9,I"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", command[0], "--isolated", "--no-cache", *command[1:], "-"],
            input=source,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_one_snapshot_of_the_credential_in_hardening_mode_and_v4() -> None:
    source = s.code(s.DownloadObject("b", "k", "cn-beijing", internal=True, to="k"))
    assert source.count("get_credential()") == 1
    for word in ("disable_imds_v1=True", "ProviderAuthV4", 'region="cn-beijing"', "oss-cn-beijing-internal"):
        assert word in source
    assert "-internal" not in s.code(s.DownloadObject("b", "k", "cn-beijing", internal=False, to="k"))


def test_a_clean_up_is_one_script_with_each_client_once_a_region() -> None:
    one, two, three = (
        s.DetachRole("R", region, (f"i-{number}",))
        for number, region in enumerate(("cn-beijing", "cn-beijing", "cn-hangzhou"))
    )
    source = s.code(s.CleanUp((one, two, three, s.CleanUp((s.DeleteRole("R"),)))))
    assert source.count("CredentialClient()") == source.count("RamClient(") == 1
    assert source.count("EcsClient(") == 2
    assert source.index("detach_instance_ram_role") < source.index("delete_role")


def test_a_language_that_lacks_an_action_says_so_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bash:
        TITLE = "Bash"
        PROSE = False

        def script(self, fragments: list[Fragment]) -> str:
            return "".join(fragment.text for fragment in fragments) + "\n"

        def cannot(self, sentence: str) -> Fragment:
            return Fragment(f"# {sentence}")

    monkeypatch.setattr(languages, "_MODULES", {"bash": Bash()})
    assert s.code(s.DeleteRole("R"), "bash") == (
        "# Bash has no way to do this (DeleteRole); the other languages have.\n"
    )


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("FetchCredentials", "terraform"),
        ("DownloadObject", "terraform"),
        ("SetHardening", "terraform"),
        ("FetchCredentials", "console"),
        ("WhoAmI", "console"),
        ("SetHardening", "console"),
    ],
)
def test_what_a_language_cannot_do_it_says(name: str, language: str) -> None:
    text = s.code(usual(name), language)
    assert any(word in text for word in (" not ", "no resource", "no temporary", "names no steps", "cannot"))
    assert "resource " not in text or "no resource" in text


def test_the_console_replaces_directly_and_says_what_the_api_needs() -> None:
    text = s.code(s.ReplaceRole("Old", "New", "cn-beijing", "i-1"), "console")
    assert "Attach/Detach RAM Role" in text
    assert "replaces “Old” directly" in text
    assert "two calls, detach, then attach" in text


def test_the_console_pastes_a_trust_policy_that_is_not_the_usual_one() -> None:
    other = TRUST.replace("ecs.", "fc.")
    assert "paste" not in s.code(s.CreateRole("R", TRUST), "console")
    assert "fc.aliyuncs.com" in s.code(s.CreateRole("R", other), "console")
    assert "{broken" in s.code(s.CreateRole("R", "{broken"), "console")


# -- bad input ---------------------------------------------------------------------------------------------------


def test_an_unknown_language_names_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'python'") as caught:
        s.code(s.DeleteRole("R"), "pyton")
    assert "terraform" in caught.value.next_step


@pytest.mark.parametrize("thing", [None, "DeleteRole", s.DeleteRole])
def test_what_is_no_action_is_refused(thing: object) -> None:
    with pytest.raises(InputError, match="is no action"):
        s.code(thing)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is no action"):
        s.show(thing)  # type: ignore[arg-type]


@pytest.mark.parametrize("language", s.LANGUAGES)
@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_what_no_program_text_can_hold_is_refused(value: str, language: str) -> None:
    for action in (s.DeleteRole(value), s.DetachRole("R", "cn-beijing", ("i-1", value))):
        with pytest.raises(InputError, match="no program text"):
            s.code(s.CleanUp((s.DeleteRole("R"), action)), language)


def test_wrong_words_of_the_cloud_name_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'System'"):
        s.GrantPolicy("R", "P", "system")
    with pytest.raises(InputError, match="Did you mean 'Custom'"):
        s.RevokePolicy("R", "P", "Custm")
    with pytest.raises(InputError, match="Did you mean 'normal'"):
        s.FetchCredentials("R", "i-1", "normale")
    with pytest.raises(InputError, match="No instance"):
        s.AttachRole("R", "cn-beijing", ())
    with pytest.raises(InputError, match="nothing to clean up"):
        s.CleanUp(())


def test_actions_are_frozen_and_compare() -> None:
    action = s.DeleteRole("R")
    assert action == s.DeleteRole("R")
    with pytest.raises(dataclasses.FrozenInstanceError):
        action.role = "Q"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "to", "target"),
    [("a/b.png", "", "b.png"), ("a/", "", "a"), ("/", "", "download"), ("a/b.png", "x/y", "x/y")],
)
def test_where_a_download_goes(key: str, to: str, target: str) -> None:
    assert s.DownloadObject("b", key, "cn-beijing", internal=True, to=to).target == target


# -- documents ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "{broken",
        "[]",
        '{"a": 1, "a": 2}',
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        "[" * 5_000,
        '{"a":' * 60 + "1" + "}" * 60,
    ],
)
def test_a_document_that_cannot_be_spelt_anew_is_sent_as_it_is(text: str) -> None:
    tree = ast.parse(s.code(s.CreatePolicy("P", text)))
    assert text in [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    s.all_code(s.CreatePolicy("P", text))


def test_a_document_near_its_limit_is_not_made_longer() -> None:
    bucket = [f"acs:oss:*:*:b/{number}" for number in range(200)]
    tight = json.dumps({"Version": "1", "Statement": [{"Resource": bucket}]}, separators=(",", ":"))
    assert len(tight) > 2_000
    assert repr(tight)[1:-1] in s.code(s.CreatePolicy("P", tight))
    assert "POLICY = {" in s.code(s.CreatePolicy("P", READ))


# -- showing -----------------------------------------------------------------------------------------------------


class Shape(HTMLParser):
    """The elements, their attributes, and the text of each `code`."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.opened: list[tuple[str, dict[str, str | None]]] = []
        self.codes: list[str] = []
        self._inside: list[str] = []
        self.feed(html)
        self.close()
        assert self._inside == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append((tag, dict(attrs)))
        self._inside.append(tag)
        if tag == "code":
            self.codes.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._inside.pop() == tag

    def handle_data(self, data: str) -> None:
        if "code" in self._inside:
            self.codes[-1] += data


def test_a_view_is_html_with_the_first_part_open_and_text() -> None:
    view = s.show(usual("GrantDocument"))
    html = view._repr_html_()
    shape = Shape(html)
    parts = [attributes for tag, attributes in shape.opened if tag == "details"]
    assert ["open" in attributes for attributes in parts] == [True, False, False, False]
    assert shape.codes == [text.rstrip() for text in view.codes.values()]
    assert {tag for tag, _ in shape.opened} == {
        "div",
        "p",
        "strong",
        "span",
        "details",
        "summary",
        "pre",
        "code",
    }
    assert "var(--jp-" in html
    text = repr(view)
    for title, source in s.all_code(usual("GrantDocument")).items():
        assert title in text
        assert source.rstrip() in text
        assert title in html


def test_a_view_has_each_language_as_an_attribute() -> None:
    action = usual("AttachRole")
    view = s.show(action)
    assert view.python == s.code(action, "python")
    assert view.shell == s.code(action, "shell")
    assert {"python", "shell", "terraform", "console"} <= set(dir(view))
    with pytest.raises(AttributeError, match="Did you mean 'python'"):
        view.pyton  # noqa: B018
    assert not hasattr(view, "_repr_mimebundle_")


def test_a_title_is_one_line_and_short() -> None:
    title = s.show(s.DeleteRole("a\nb" + "c" * 500)).title
    assert title.startswith("delete role a b")
    assert len(title) == 120


def test_snippets_load_no_sdk() -> None:
    probe = (
        "import sys; from ramrole_nb import snippets as s; s.show(s.DeleteRole('R'));"
        "print([m for m in sys.modules if m.split('.')[0] in ('oss2', 'Tea', 'darabonba', 'requests', 'ipywidgets')"
        " or m.startswith('alibabacloud')])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
