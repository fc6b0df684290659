"""Errors shown on purpose, the code of what was just done, and the documentation page's program."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ramrole_nb as rr
from ramrole_nb import page
from ramrole_nb.errors import InputError, SandboxError
from ramrole_nb.expected import ShownError
from ramrole_nb.redact import remember

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud


# ---- show_error


def test_an_error_is_shown_and_the_next_line_runs(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    reached = False
    with rr.show_error():
        cloud.roles["Nobody"]
        reached = True
    assert not reached
    shown = capsys.readouterr().out
    assert shown.startswith("✕ NotFound: There is no role 'Nobody'.")
    assert "next step" in shown


def test_nothing_failed_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with rr.show_error():
        pass
    assert "Nothing failed" in capsys.readouterr().out


def test_a_mistake_in_the_code_is_raised() -> None:
    with pytest.raises(NameError), rr.show_error():
        raise NameError("x")


def test_the_card_is_escaped_and_has_no_secret() -> None:
    secret = "SANDBOXsecretOfThisTest"
    remember(secret)
    shown = ShownError(InputError(f"<b>{secret}</b>", next_step="<i>go</i>"))
    for text in (shown._repr_html_(), repr(shown)):
        assert secret not in text
    assert "<b>" not in shown._repr_html_()
    assert "&lt;i&gt;go&lt;/i&gt;" in shown._repr_html_()


# ---- code


def test_the_code_of_what_was_just_done(cloud: Cloud) -> None:
    with pytest.raises(InputError, match="Nothing was done yet"):
        rr.code(cloud)
    cloud.roles.create("EcsRamRole")
    assert "CreateRole" in repr(rr.code(cloud))
    cloud.instances["web-1"].attach("EcsRamRole")
    assert "AttachInstanceRamRole" in repr(rr.code(cloud))


# ---- the page's program


def test_the_two_columns_hold_both_programs() -> None:
    rows = page.compare().rows
    left = "\n".join(row[0] for row in rows)
    right = "\n".join(row[2] for row in rows)
    assert "oss2.ProviderAuth(credentials_provider)" in left
    assert "oss2.ProviderAuthV4(credentials_provider)" in right
    assert "disable_imds_v1=True" in right
    for text in (left, right):
        compile(text, "program", "exec")  # nothing but comments and docstrings is left out
    different = [row for row in rows if not row[1]]
    assert 4 <= len(different) < len(rows)
    assert page.compare()._repr_html_().count("≠") == len(different)


def test_each_difference_has_its_date_its_error_and_its_source() -> None:
    rows = list(page.differences())
    assert len(rows) >= 10
    for row in rows:
        assert row.since
        assert row.avoids
        assert re.fullmatch(r"https://[\w.-]+/\S+", row.source)
    html = page.differences()._repr_html_()
    assert html.count("<a href=") == len(rows)
    for word in ("2025-03-01", "2025-09-01", "2025-03-20", "0002-00000080", "0048-00000401"):
        assert word in html
        assert word in repr(page.differences())


@pytest.mark.slow
def test_a_refusal_is_told_in_the_services_words(cloud: Cloud) -> None:
    cloud.roles.create("EcsRamRole")
    cloud.instances["web-1"].attach("EcsRamRole")  # without any permission
    ended = page.run(cloud, "today")
    assert not ended.ok
    assert ended.answer == "HTTP 403 AccessDenied, EC 0003-00000001"
    assert "web-1" in repr(ended)
    assert "✕ Refused" in ended._repr_html_()


def test_without_a_role_the_programs_own_words_are_told() -> None:
    answer, message = page._refusal("Traceback …\nCredentialException: no role\n")
    assert answer == "CredentialException: no role"
    assert message == ""
    assert page._refusal("")[0] == "it ended without a word"


def test_a_mistyped_program_is_named(cloud: Cloud) -> None:
    with pytest.raises(InputError, match="Did you mean 'today'"):
        page.run(cloud, "tody")


def test_live_the_instance_runs_it(tmp_path: Path) -> None:
    live = rr.connect("live", state=tmp_path)
    with pytest.raises(SandboxError) as caught:
        page.run(live)
    assert "page_program_today.py" in caught.value.next_step
