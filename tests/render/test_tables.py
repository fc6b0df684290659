"""Tables that stay readable where it is narrow."""

from __future__ import annotations

from ramrole_nb.render import html_table


def cell(text: str) -> str:
    return html_table(("head",), [[text]]).partition("<tbody>")[2]


def test_a_code_is_never_broken_an_arn_may_be() -> None:
    assert "overflow-wrap:break-word" in cell("InvalidInstance.RamRoleAttached")
    assert "overflow-wrap:break-word" in cell("missing: ram:DetachPolicyFromRole, ram:DeleteRole")
    assert "overflow-wrap:anywhere" in cell(
        "acs:oss:*:1234567890123456:sandbox-photos/testfolder/example.png"
    )
    assert "white-space:nowrap" in cell("Ram:CreateRole")


def test_a_sentence_keeps_room_to_be_read_in() -> None:
    assert "min-width" in cell(
        "Statement[0] of AdministratorAccess allows ram:GetRole on acs:ram:*:1:role/EcsRamRole."
    )
    assert "min-width" not in cell("EntityNotExist.Role: no such role")
