"""The table of causes: complete, in order, and safe to fill in."""

from __future__ import annotations

import ast
import contextlib
import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ramrole_nb as rr
from ramrole_nb.cloud.session import Cloud
from ramrole_nb.doctor.causes import CAUSES, LAYERS, Cause, cause
from ramrole_nb.doctor.codes import CODES, EC, OURS, PREFIXES, SAID_BY_SERVICES, SAID_BY_TOOLS

_FACTS = ("role", "instance", "bucket", "key", "endpoint", "region", "policy")


def test_the_order_is_from_the_outside_in() -> None:
    layers = [LAYERS.index(entry.layer) for entry in CAUSES.values()]
    assert layers == sorted(layers)
    assert set(layers) == set(range(len(LAYERS)))


@pytest.mark.parametrize("entry", CAUSES.values(), ids=lambda entry: entry.id)
def test_each_says_what_it_is_and_where_to_read_on(entry: Cause) -> None:
    assert entry.meaning.endswith(".")
    assert entry.meaning[0].isupper()
    assert 20 < len(entry.meaning) < 200
    assert entry.link.startswith("https://") or entry.id == "sandbox-not-running"
    assert entry.fix_call or entry.fix_command or entry.fix_console or entry.words, "what to do"
    assert entry.id == entry.id.lower()


@pytest.mark.parametrize("entry", CAUSES.values(), ids=lambda entry: entry.id)
def test_each_next_step_can_be_run_as_it_stands(entry: Cause) -> None:
    for facts in ({}, dict.fromkeys(_FACTS, "x")):
        if call := entry.call(facts):
            ast.parse(call)
        if command := entry.command(facts):
            assert shlex.split(command)
            assert not re.search(r"\{\w+\}", command)


@given(st.text(min_size=1))
def test_a_fact_never_becomes_code(value: str) -> None:
    facts = dict.fromkeys(_FACTS, value)
    call = ast.parse(CAUSES["permission-missing"].call(facts), mode="eval")
    assert [node.value for node in ast.walk(call) if isinstance(node, ast.Constant)] == [value, value]
    command = CAUSES["permission-missing"].command(facts)
    assert shlex.split(command)[-1] == value
    assert shlex.split(CAUSES["no-role-attached"].command(facts))[-3] == value


def test_every_table_names_a_cause() -> None:
    named = {*CODES.values(), *EC.values(), *OURS.values(), *(cause_id for _, cause_id in PREFIXES)}
    named |= {cause_id for _, cause_id, _ in (*SAID_BY_SERVICES, *SAID_BY_TOOLS)}
    assert named <= set(CAUSES)


def test_a_mistyped_id_is_named() -> None:
    with pytest.raises(rr.errors.InputError, match="Did you mean 'role-name-wrong'"):
        cause("role-name-wrog")
    assert cause("role-name-wrong").layer == "role"


def paths(call: str) -> list[ast.expr]:
    """Return the outermost attributes and items of a call: what must exist for it to be run."""
    found: list[ast.expr] = []

    class Look(ast.NodeVisitor):
        def visit_Attribute(self, node: ast.Attribute) -> None:
            if any(isinstance(inner, ast.Call) for inner in ast.walk(node.value)):
                self.generic_visit(node)
            else:
                found.append(node)

    Look().visit(ast.parse(call, mode="eval" if "cloud =" not in call else "exec"))
    return found


def test_each_call_names_what_there_is(cloud: Cloud) -> None:
    cloud.roles.create("EcsRamRole")
    known = {"cloud": cloud, "vm": cloud.instances["web-1"], "rr": rr}
    facts = {"role": "EcsRamRole", "instance": "web-1", "bucket": "sandbox-photos", "key": "k", "policy": "p"}
    looked = 0
    for entry in CAUSES.values():
        for path in paths(entry.call(facts)) if entry.fix_call else []:
            text = ast.unparse(path)
            if text == "rr.diagnose" and not hasattr(rr, "diagnose"):
                continue
            with contextlib.suppress(rr.errors.InputError):  # it is there, and says why not here (cloud.here)
                eval(text, known)  # noqa: S307 - our own table's
            looked += 1
    assert looked > 50
