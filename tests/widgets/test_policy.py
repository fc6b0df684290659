"""The policy lab's panel: each button is one function, on a role's real policies or on what is pasted."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import pytest
from ipywidgets.widgets.widget import _instances

import ramrole_nb
from ramrole_nb.cloud.effective import policy_lab
from ramrole_nb.errors import InputError, RamroleError
from ramrole_nb.policy import Outcome, from_calls, lint, same_meaning
from ramrole_nb.widgets import PolicyPanel
from tests.support.threads import threads_settle
from tests.widgets.conftest import button, click, everything, shows_its_failure, states

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

Made = Callable[[Any], Any]
PHOTOS = "sandbox-photos"
OBJECT = f"oss://{PHOTOS}/testfolder/example.png"


@pytest.fixture
def role(cloud: Cloud) -> Any:
    made = cloud.roles.create("Reader")
    made.grant("AliyunOSSReadOnlyAccess")
    deny = {"Effect": "Deny", "Action": ["oss:DeleteObject", "oss:PutObject"], "Resource": "*"}
    made.grant({"Version": "1", "Statement": [deny]})
    return made


def cells(panel: PolicyPanel) -> dict[str, str]:
    return {b.tooltip: b.description for b in panel._cells.values()}


@pytest.mark.usefixtures("role")
def test_a_role_s_policies_are_decided_as_the_function_decides(cloud: Cloud, made: Made) -> None:
    panel = made(PolicyPanel(cloud, "Reader", bucket=PHOTOS))
    click(panel, "Decide")
    assert panel.model.error is None, panel.text()
    typed = policy_lab(cloud, "Reader", panel.matrix.actions, panel.matrix.resources)
    assert panel.matrix.rows() == typed.rows() == panel.model.result.rows()
    assert cells(panel)[f"oss:GetObject on {OBJECT}: ✓ allowed"] == "✓ allowed"
    assert cells(panel)[f"oss:PutObject on {OBJECT}: ✕ denied"] == "✕ denied"
    assert panel.model.status == "2 of 4 allowed"


@pytest.mark.usefixtures("role")
def test_a_chosen_cell_shows_the_statement_that_decides(cloud: Cloud, made: Made) -> None:
    panel = made(PolicyPanel(cloud, "Reader", bucket=PHOTOS))
    place = ("oss:PutObject", f"acs:oss:*:*:{PHOTOS}/testfolder/example.png")
    panel._cells[place].click()
    shown = panel._shown_cell.value
    assert "◀ this statement" in shown
    assert "explicitly denies" in shown
    assert "▸ ✕ denied" in panel._cells[place].description
    for twin in (panel.html(), panel.text()):
        assert "◀ this statement" in twin
    with pytest.raises(InputError, match="Did you mean 'oss:PutObject'"):
        panel.choose_cell("oss:PutObjct", OBJECT)


def test_why_not_and_the_smallest_change(cloud: Cloud, role: Any, made: Made) -> None:
    panel = made(PolicyPanel(cloud, "Reader", bucket=PHOTOS))
    click(panel, "Why not?")
    assert "No cell is chosen" in panel.text()
    panel.choose_cell("oss:PutObject", OBJECT)
    click(panel, "Why not?")
    assert "A Deny wins over every Allow" in panel.text()
    click(panel, "Smallest change")
    change = panel.model.result
    assert change.possible
    assert [edit.kind for edit in change.edits] == ["narrow-deny", "add-statement"]
    assert panel._code_shown.code in change.documents.values()
    assert panel._code_shown_box.layout.display == ""
    # what it says, done: the call is allowed, and the panel sees it by itself
    for policy in role.policies():
        if policy.type == "Custom":
            role.revoke(policy.name)
    role.grant(json.loads(panel._code_shown.code))
    panel.refresh().wait(10)
    assert (
        panel.matrix["oss:PutObject", f"acs:oss:*:*:{PHOTOS}/testfolder/example.png"].decision.outcome
        is Outcome.ALLOW
    )
    assert panel.matrix["oss:DeleteObject", f"acs:oss:*:*:{PHOTOS}"].decision.outcome is Outcome.EXPLICIT_DENY


def test_pasted_documents_are_decided_and_checked(cloud: Cloud, made: Made) -> None:
    panel = made(PolicyPanel(cloud, bucket=PHOTOS))
    assert "No document is pasted" in panel.text()
    click(panel, "Decide")
    assert isinstance(panel.model.error, InputError)
    wrong = {
        "Version": "1",
        "Statement": [{"Effect": "Allow", "Action": "oss:GetObject", "Resource": f"acs:oss:*:*:{PHOTOS}"}],
    }
    panel.pasted.value = json.dumps(wrong)
    assert "– not allowed" in panel.text()
    assert "✓ allowed, never asked" in panel.text()
    click(panel, "Check the policies")
    assert panel.model.status == f"{len(lint(wrong))} found in 1 policy"
    assert "Write acs:oss:*:*:sandbox-photos/*" in panel._outcome.value
    assert "Write acs:oss:*:*:sandbox-photos/*" in panel.text()
    right = {
        "Version": "1",
        "Statement": [{"Effect": "Allow", "Action": "oss:GetObject", "Resource": f"acs:oss:*:*:{PHOTOS}/*"}],
    }
    panel.pasted.value = json.dumps([wrong, right])
    click(panel, "Decide")
    assert panel.model.status == "1 of 4 allowed"
    panel.pasted.value = '{"Version": "1", "Statement": [}'
    assert "✕ not yet" in panel._told.value
    assert panel.matrix is None
    click(panel, "Check the policies")
    assert "not valid JSON" in panel.text()
    click(panel, "Compare with the wire")
    assert "Pasted documents have signed no call" in panel.text()


def test_from_what_was_seen_on_the_wire(cloud: Cloud, role: Any, made: Made) -> None:
    panel = made(PolicyPanel(cloud, "Reader", bucket=PHOTOS))
    click(panel, "Smallest policy for the wire")
    assert "No call of Reader" in panel.text()
    bucket = cloud.buckets[PHOTOS].using(cloud.instances["web-1"].attach(role))
    bucket.list("testfolder/")
    bucket.head("testfolder/example.png")
    click(panel, "Smallest policy for the wire")
    assert panel.model.error is None, panel.text()
    pairs = panel.model.result.calls
    assert {action for action, _ in pairs} == {"oss:ListObjects", "oss:GetObject"}
    assert same_meaning(panel._code_shown.code, from_calls(pairs).document)
    click(panel, "Compare with the wire")
    assert panel.model.status == "2 calls compared, 0 differ"
    assert "as the RAM policies say" in panel._outcome.value


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("actions", "oss:GetObjct", "Did you mean 'oss:GetObject'"),
        ("actions", "GetObject", "is no action"),
        ("actions", "", "No action is named"),
        ("resources", "", "No resource is named"),
        ("context", "SourceIp", "is no condition key"),
        ("resources", "\n".join(f"oss://b-{i}" for i in range(99)), "more than the 60 cells"),
    ],
)
@pytest.mark.usefixtures("role")
def test_bad_fields_are_told_while_they_are_typed(
    cloud: Cloud, made: Made, field: str, value: str, said: str
) -> None:
    panel = made(PolicyPanel(cloud, "Reader", bucket=PHOTOS))
    getattr(panel, field).value = value
    assert said.replace("'", "&#x27;") in panel._told.value + panel._asked_check.said.value
    if value != "oss:GetObjct":
        click(panel, "Decide")
        assert said in str(panel.model.error)


def test_condition_keys_make_a_difference(cloud: Cloud, made: Made) -> None:
    panel = made(PolicyPanel(cloud, actions=["oss:ListObjects"], resources=[f"oss://{PHOTOS}"]))
    allow = {
        "Effect": "Allow",
        "Action": "oss:ListObjects",
        "Resource": "*",
        "Condition": {"StringLike": {"oss:Prefix": "a/*"}},
    }
    panel.pasted.value = json.dumps({"Version": "1", "Statement": [allow]})
    assert "– not allowed" in panel.text()
    panel.context.value = "oss:Prefix=a/"
    assert "✓ allowed" in panel.text()


@pytest.mark.parametrize("text", ["Decide", "Compare with the wire"])
@pytest.mark.usefixtures("role")
def test_every_button_that_asks_the_service_shows_its_failure(
    world: Sandbox, cloud: Cloud, made: Made, text: str
) -> None:
    panel = made(PolicyPanel(cloud, "Reader", bucket=PHOTOS))
    world.fault("openapi-500")
    click(panel, text)
    shows_its_failure(panel)
    world.fault("openapi-500", on=False)
    click(panel, text)
    assert panel.model.error is None, panel.text()


@pytest.mark.usefixtures("role")
def test_a_role_that_is_not_there_names_the_nearest(cloud: Cloud, made: Made) -> None:
    panel = made(PolicyPanel(cloud, "Raeder"))
    assert "Did you mean 'Reader'" in panel.text()
    assert panel.matrix is None
    click(panel, "Decide")
    assert isinstance(panel.model.error, RamroleError)
    assert "Did you mean 'Reader'" in panel.text()


@pytest.mark.usefixtures("role")
def test_made_again_and_again_nothing_piles_up(cloud: Cloud) -> None:
    def live() -> int:
        gc.collect()
        return len(_instances)

    PolicyPanel(cloud, "Reader").wait().close()
    before, made_widgets = threading.active_count(), live()
    for _ in range(20):
        panel = PolicyPanel(cloud, "Reader", bucket=PHOTOS)
        panel.wait()
        panel.actions.value = "oss:GetObject"
        panel.choose_cell("oss:GetObject", OBJECT)
        panel.close()
    assert threads_settle(before)
    assert live() <= made_widgets


@pytest.mark.usefixtures("role")
def test_it_shows_no_secret_and_every_control_has_a_name(world: Sandbox, cloud: Cloud, made: Made) -> None:
    panel = made(PolicyPanel(cloud, "Reader", bucket=PHOTOS))
    click(panel, "Decide")
    shown = states(panel) + panel.html() + panel.text()
    for user in world.start_line["users"]:
        assert str.__str__(user["access_key_secret"]) not in shown
    for widget in everything(panel.box):
        if isinstance(widget, widgets.Button | widgets.Text | widgets.Textarea | widgets.Dropdown):
            assert widget.description
    assert button(panel, "Decide").button_style == "primary"
    assert ramrole_nb.widgets.PolicyPanel is PolicyPanel
