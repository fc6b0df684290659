"""What a check does where the truth is out of reach; hints; preparing; versions; how things are shown."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import ramrole_nb as rr
from ramrole_nb import policy
from ramrole_nb.cloud.calls import Calls
from ramrole_nb.cloud.context import Context
from ramrole_nb.cloud.credentials import StaticCredentials
from ramrole_nb.cloud.session import Cloud
from ramrole_nb.cloud.wire import Wire
from ramrole_nb.endpoints import Endpoints
from ramrole_nb.errors import ChangeNotConfirmed, InputError
from ramrole_nb.ledger import Ledger
from ramrole_nb.lessons import Exercise, lesson
from ramrole_nb.lessons.looking import Look
from ramrole_nb.lessons.progress import Progress
from ramrole_nb.sandbox import Sandbox
from tests.lessons.conftest import Hands

# ---- where the truth is out of reach


@pytest.fixture
def elsewhere(world: Sandbox, tmp_path: Path) -> Callable[..., Cloud]:
    """Return sessions like live ones: the services answer, no metadata service does, and there is no sandbox to ask."""
    os.chdir(tmp_path)

    def connect(*, proxy: str = "", agrees: bool = True) -> Cloud:
        line = world.admin.status()
        endpoints = Endpoints(mode="live", scheme="http", proxy=proxy or line["url"], ca_file=line["ca_file"])
        admin = line["users"][0]
        provider = StaticCredentials(admin["access_key_id"], admin["access_key_secret"])
        wire = Wire()

        def confirm(plan: Sequence[str]) -> None:
            if not agrees:
                raise ChangeNotConfirmed("Not done.", plan=plan)

        context = Context(
            endpoints=endpoints,
            region_id="cn-beijing",
            calls=Calls(endpoints, "cn-beijing", provider, wire, "admin"),
            wire=wire,
            ledger=Ledger(tmp_path / "ledger.jsonl", mode="live", account_id=line["account_id"]),
            confirm=confirm,
        )
        return Cloud(context, label="LIVE", provenance="admin")

    return connect


ONLY_THERE = ["03.q2", "03.q3", "04.q1", "04.q3"]


@pytest.mark.parametrize("name", [*ONLY_THERE, "05.q1", "05.q3"])
def test_off_the_instance_a_check_cannot_tell(elsewhere: Callable[..., Cloud], name: str) -> None:
    cloud = elsewhere()
    found = lesson(cloud, name[:2])
    found.prepare()
    verdict = found.exercises[name].check()
    assert verdict.outcome == "cannot tell"
    assert not verdict
    assert 'cloud = rr.connect("live")' in verdict.on_instance
    for shown in (repr(verdict), verdict._repr_html_()):
        assert "Run this on the instance" in shown
        assert "rr.connect" in shown
    compile(verdict.on_instance, name, "exec")


@pytest.mark.parametrize("name", ONLY_THERE)
def test_off_the_instance_a_solution_is_a_card_to_run_there(
    elsewhere: Callable[..., Cloud], name: str
) -> None:
    cloud = elsewhere()
    found = lesson(cloud, name[:2])
    found.prepare()
    before = cloud.context.ledger.entries()
    done = found.exercises[name].solution(apply=True)
    assert not done.applied
    assert done.verdict is not None
    if name != "03.q3":  # live, nobody ends a credential: that takes waiting
        assert done.code.split("\n\n")[-1] in done.verdict.on_instance
    assert "Not done" in repr(done)
    assert cloud.context.ledger.entries() == before


def test_what_needs_no_instance_is_checked_off_it_too(elsewhere: Callable[..., Cloud]) -> None:
    cloud = elsewhere()
    for number, names in {"01": ("q1", "q2", "q3"), "02": ("q1", "q2", "q3"), "05": ("q2",)}.items():
        found = lesson(cloud, number)
        found.prepare()
        for name in names:
            exercise = getattr(found, name)
            assert exercise.check().outcome == "not attempted"
            assert exercise.solution(apply=True).verdict
    seven = lesson(cloud, "07")
    seven.prepare()
    assert seven.q3.check().outcome == "not attempted"
    cloud.clean_up()
    assert seven.q3.check()


def test_live_changes_pass_the_gate(elsewhere: Callable[..., Cloud]) -> None:
    found = lesson(elsewhere(agrees=False), "01")
    with pytest.raises(ChangeNotConfirmed):
        found.prepare()
    with pytest.raises(ChangeNotConfirmed):
        found.q1.solution(apply=True)
    assert found.q1.check().outcome == "not attempted"


def test_where_nothing_answers_it_cannot_be_told(elsewhere: Callable[..., Cloud]) -> None:
    found = lesson(elsewhere(proxy="http://127.0.0.1:1"), "01").q1.check()
    assert found.outcome == "cannot tell"
    assert "Ram GetRole was not sent anywhere" in found.message
    assert found.next_step


@pytest.mark.usefixtures("cloud")
def test_a_refusal_makes_it_cannot_tell(world: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "example-copy.png").write_bytes(b"x")
    found = lesson(rr.connect(world, user="operator"), "04").q2.check()
    assert found.outcome == "cannot tell"
    assert "oss:" in found.message


def test_another_account_has_no_such_instance(elsewhere: Callable[..., Cloud]) -> None:
    class Nowhere(Exercise):
        title = "x"

        def look(self, see: Look) -> None:
            see.vm("no-such")

        def solve(self, cloud: Cloud) -> None: ...

    cloud = elsewhere()
    found = Nowhere(cloud, "01", "q9", Progress(lambda: Path("there"), lambda: ("", "", ""))).check()
    assert found.outcome == "cannot tell"
    assert "none of that name" in found.message


def test_a_fault_of_the_check_itself_is_not_hidden(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("ours")

    found = lesson(cloud, "01")
    monkeypatch.setattr(type(found.q1), "look", broken)
    with pytest.raises(KeyError):
        found.q1.check()


def test_a_condition_that_is_not_modelled_cannot_be_told(cloud: Cloud, hands: Hands) -> None:
    hands.create_role("photo-reader")
    statement = {"Effect": "Allow", "Action": "oss:*", "Resource": "*"}
    hands.grant("photo-reader", "odd", {**statement, "Condition": {"StringEquals": {"acs:Unheard": "x"}}})
    found = lesson(cloud, "01").q2.check()
    assert found.outcome == "cannot tell"
    assert "not known here" in found.message


# ---- a check looks at the world and not at what this process holds


def test_a_role_changed_by_another_program_counts_at_once(cloud: Cloud, hands: Hands) -> None:
    found = lesson(cloud, "05")
    found.prepare()
    cloud.instances["windows-1"].credentials()  # held by this process for hours
    hands.create_role("folder-reader")
    hands.grant(
        "folder-reader", "f", {"Effect": "Allow", "Action": "oss:Get*", "Resource": f"acs:oss:*:*:{_FOLDER}"}
    )
    hands.detach("windows-1")
    hands.attach("folder-reader", "windows-1")
    assert found.q1.check()


_FOLDER = "sandbox-photos/testfolder/*"


def test_a_check_is_not_taken_for_a_fetch(cloud: Cloud) -> None:
    five, three = lesson(cloud, "05"), lesson(cloud, "03")
    five.prepare()
    three.prepare()
    five.q1.check()
    five.q1.check()
    assert three.q2.check().outcome == three.q3.check().outcome == "not attempted"


# ---- hints


def test_hints_come_one_at_a_time_and_after_the_last_the_solution_is_named(
    cloud: Cloud, world: Sandbox
) -> None:
    exercise = lesson(cloud, "01").q2
    first = exercise.hint()
    assert (first.number, first.left) == (1, len(exercise.hints) - 1)
    assert f"{first.left} more" in repr(first)
    second = lesson(rr.connect(world), "01").q2.hint()  # another session goes on
    assert second.number == 2
    for _ in range(10):
        last = exercise.hint()
    assert (last.number, last.left) == (last.total, 0)
    assert last.text == exercise.hints[-1]
    assert "Show solution" in repr(last)
    assert "solution()" in repr(last)
    assert exercise.hint(1).text == first.text
    assert exercise.hint().number == last.total  # looking back loses nothing
    with pytest.raises(InputError, match=r"none is number 9"):
        exercise.hint(9)


def test_no_hint_and_no_check_changes_anything(cloud: Cloud) -> None:
    before = cloud.sandbox.journal(1 << 40)["last"]
    for number in ("01", "02", "03", "04", "05", "07"):
        found = lesson(cloud, number)
        repr(found)
        found._repr_html_()
        for exercise in found.exercises.values():
            exercise.hint()
            exercise.solution()
            repr(exercise)
    assert cloud.sandbox.journal(before)["entries"] == []


# ---- preparing


def test_prepare_leaves_what_the_learner_did(cloud: Cloud) -> None:
    found = lesson(cloud, "05")
    first = found.prepare()
    assert first.changed
    assert "EcsRamRole on web-1" in first.done
    cloud.instances["web-2"].replace_role("EcsRamRole")
    cloud.roles["photo-reader"].delete(revoke=True)
    again = lesson(cloud, "05").prepare()
    assert again.done == ()
    assert "set up before" in repr(again)
    assert again.kept == ("web-2 has the role EcsRamRole",)
    assert again.missing == (
        "a role photo-reader: you removed it since; lesson.prepare(again=True) sets it up anew",
    )
    assert not any("photo-reader" in text for text in again.left)
    for shown in (repr(again), _plain(again._repr_html_())):
        assert re.search(r"missing\s+a role photo-reader: you removed it since", shown)
        assert re.search(r"left as it is\s+web-2 has the role EcsRamRole", shown)
    assert cloud.instances["web-2"].role_name == "EcsRamRole"
    assert "photo-reader" not in cloud.roles


def test_what_is_missing_is_set_up_again_when_asked(cloud: Cloud) -> None:
    found = lesson(cloud, "05")
    found.prepare()
    cloud.roles["photo-reader"].delete(revoke=True)
    cloud.instances["windows-1"].detach()
    cloud.instances["web-2"].replace_role("EcsRamRole")
    cloud.roles["batch-worker"].grant("AliyunECSReadOnlyAccess")
    told = found.prepare(again=True)
    assert "a role photo-reader, again: it was gone" in told.done
    assert "windows-reader on windows-1, again: it was gone" in told.done
    assert told.missing == ()
    assert [p.type for p in cloud.roles["photo-reader"].policies()] == ["Custom"]
    # Nothing of the learner's was overwritten.
    assert cloud.instances["web-2"].role_name == "EcsRamRole"
    assert "AliyunECSReadOnlyAccess" in [p.name for p in cloud.roles["batch-worker"].policies()]
    assert not found.prepare(again=True).changed


def test_what_the_guided_part_needs_comes_again_by_itself(cloud: Cloud) -> None:
    lesson(cloud, "04").prepare()
    cloud.roles["EcsRamRole"].delete(revoke=True)
    told = lesson(cloud, "04").prepare()
    assert told.done == ("the role EcsRamRole with AliyunOSSReadOnlyAccess, again: it was gone",)
    assert not told.skipped
    vm = cloud.instances["web-1"]
    assert cloud.buckets["sandbox-photos"].using(vm).head("testfolder/example.png").size > 0
    vm.detach()
    assert lesson(cloud, "04").prepare().done == ("EcsRamRole on web-1, again: it was gone",)
    assert vm.role_name == "EcsRamRole"


def test_prepare_touches_no_role_that_is_there(cloud: Cloud) -> None:
    mine = cloud.roles.create("EcsRamRole")
    mine.grant("AliyunECSReadOnlyAccess")
    cloud.roles.create("other")
    cloud.instances["web-1"].attach("other")
    told = lesson(cloud, "03").prepare()
    assert [p.name for p in mine.policies()] == ["AliyunECSReadOnlyAccess"]
    assert cloud.instances["web-1"].role_name == "other"
    assert told.kept == ("web-1 has the role other",)


def test_prepare_completes_a_guided_role_without_permissions(cloud: Cloud) -> None:
    cloud.roles.create("EcsRamRole")
    lesson(cloud, "03").prepare()
    assert [p.name for p in cloud.roles["EcsRamRole"].policies()] == ["AliyunOSSReadOnlyAccess"]


@pytest.mark.parametrize("number", ["01", "02", "03", "04", "05", "07"])
def test_everything_prepared_is_in_the_ledger(cloud: Cloud, number: str) -> None:
    keys = [found.key for found in cloud.buckets["sandbox-photos"].list(delimiter="")]
    found = lesson(cloud, number)
    assert found.prepare().changed
    assert not found.prepare().changed
    assert cloud.clean_up().ok
    assert list(cloud.roles) == []
    assert set(cloud.instances.roles(cloud.instances.all()).values()) == {""}
    assert cloud.roles.policies(kind="Custom", search="-reader") == []
    assert [found.key for found in cloud.buckets["sandbox-photos"].list(delimiter="")] == keys
    assert found.prepare().changed  # and it can be begun anew


def test_after_a_clean_up_a_setting_is_an_exercise_again(cloud: Cloud) -> None:
    found = lesson(cloud, "03")
    found.prepare()
    assert found.q1.solution(apply=True).verdict
    assert cloud.clean_up().ok
    assert found.prepare().changed
    assert found.q1.check().outcome == "not attempted"


def test_a_world_put_back_is_prepared_anew(cloud: Cloud, world: Sandbox) -> None:
    found = lesson(cloud, "02")
    first = found.prepare()
    cloud.reset()
    assert found.prepare().done == first.done
    world.reset()  # as `ramrole sandbox reset` does, of which this session hears nothing
    assert found.prepare().done == first.done


def test_a_refused_preparation_may_be_made_later(cloud: Cloud, world: Sandbox) -> None:
    found = lesson(rr.connect(world, user="viewer"), "01")
    with pytest.raises(rr.errors.PreflightRefused):
        found.prepare()
    assert lesson(cloud, "01").prepare().changed


# ---- lessons, versions, showing


@pytest.mark.parametrize(("given", "number"), [("01", "01"), (1, "01"), ("7", "07"), ("00", "00")])
def test_a_lesson_by_its_number(cloud: Cloud, given: str | int, number: str) -> None:
    found = lesson(cloud, given)
    assert (found.number, found.title != "") == (number, True)
    assert list(found.exercises) == [f"{number}.q{n}" for n in range(1, len(found.exercises) + 1)]


def test_an_unknown_lesson_names_the_nearest(cloud: Cloud) -> None:
    with pytest.raises(InputError, match=r"no lesson 'O1'.*Did you mean '01'"):
        lesson(cloud, "O1")
    with pytest.raises(InputError, match="07 Clean up"):
        lesson(cloud, 8)
    with pytest.raises(AttributeError, match=r"Lesson 01 has no 'q4'.*Did you mean 'q"):
        lesson(cloud, "01").q4  # noqa: B018


def test_lessons_without_exercises(cloud: Cloud) -> None:
    assert not lesson(cloud, "00").prepare().changed
    assert "none in this one" in repr(lesson(cloud, "00"))
    assert "the cases of the gym" in repr(lesson(cloud, "06"))
    assert "no exercises" in repr(lesson(cloud, "06").progress())


def test_a_notebook_of_another_version_is_said(cloud: Cloud, tmp_path: Path) -> None:
    assert lesson(cloud, "00", made_for=rr.__version__).version_note == ""
    assert lesson(cloud, "00").version_note == ""
    found = lesson(cloud, "00", made_for="0.0.0")
    assert "made for ramrole_nb 0.0.0" in found.version_note
    assert rr.__version__ in found.version_note
    assert found.version_note in repr(found)
    first = found.matching_copy()
    assert first == tmp_path / f"00_start_here.{rr.__version__}.ipynb"
    assert found.matching_copy(tmp_path) == first  # nobody has worked in it
    first.write_text("mine")
    second = found.matching_copy(tmp_path)
    assert second.name == f"00_start_here.{rr.__version__}-2.ipynb"
    assert first.read_text() == "mine"
    assert second.read_bytes() != b"mine"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        found.matching_copy(tmp_path / "file")


def _plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_everything_shows_as_text_and_as_html(cloud: Cloud) -> None:
    found = lesson(cloud, "01")
    shown: list[Any] = [
        found.prepare(),
        found,
        found.q1,
        found.q1.check(),
        found.q1.hint(),
        found.q1.solution(),
    ]
    cloud.roles.create("photo-reader", trust=policy.trust_for_service("fc.aliyuncs.com"))
    shown += [found.q1.check(), found.q1.solution(apply=False), found.progress()]
    for value in shown:
        html = value._repr_html_()
        assert not re.search(r"<(script|style)\b|\bon\w+=", html)
        for word in re.findall(r"\w{4,}", repr(value)):
            assert word in html
    verdict = shown[-3]
    assert "✕ not yet" in _plain(verdict._repr_html_())
    assert "missing" in repr(verdict)


def test_what_comes_from_the_cloud_is_escaped(cloud: Cloud, hands: Hands) -> None:
    found = lesson(cloud, "01")
    found.prepare()
    hands.trust("broken-trust", '{"Federated":["acs:ram::1234567890123456:saml-provider/<b>x"]}')
    html = found.q3.check()._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;x" in html


def test_no_secret_in_what_is_shown(cloud: Cloud) -> None:
    for number in ("03", "04", "05"):
        found = lesson(cloud, number)
        found.prepare()
        for exercise in found.exercises.values():
            done = exercise.solution(apply=True)
            for secret in (
                cloud.instances["windows-1"].credentials(),
                cloud.instances["web-2"].credentials(),
            ):
                for text in (repr(done), done._repr_html_()):
                    assert str.__str__(secret.security_token) not in text
                    assert str.__str__(secret.access_key_secret) not in text


# ---- on the instance itself, live by every appearance


_ON_WINDOWS_1 = """
import json, os, sys
os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"], os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] = json.loads(input())
import ramrole_nb as rr
from ramrole_nb.lessons import lesson
cloud = rr.connect("live", changes="yes", state=sys.argv[1])
five = lesson(cloud, "05")
five.prepare()
told = [five.q1.check().outcome, five.q1.solution(apply=True).verdict.outcome, five.q3.check().outcome]
told.append(lesson(cloud, "03").q2.solution(apply=True).applied)
told.append(lesson(cloud, "04").q1.solution(apply=True).applied)
told.append(cloud.clean_up().ok)
print(json.dumps(told))
"""


@pytest.mark.namespace
@pytest.mark.usefixtures("cloud")
def test_on_the_instance_a_live_session_can_tell(world: Sandbox, tmp_path: Path) -> None:
    admin = world.admin.status()["users"][0]
    key = [str.__str__(admin[part]) for part in ("access_key_id", "access_key_secret")]
    where = ["-m", "ramrole_nb", "--state", str(world.state), "on", "windows-1", "--namespace", "--"]
    command = [sys.executable, *where, sys.executable, "-c", _ON_WINDOWS_1, str(tmp_path / "live")]
    done = subprocess.run(
        command, input=json.dumps(key) + "\n", capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == ["not attempted", "correct", "cannot tell", True, False, True]


# ---- a world put back, and what an author reads


@pytest.mark.parametrize("number", ["01", "02", "03", "05", "07"])
def test_in_a_world_put_back_nothing_is_solved(cloud: Cloud, number: str) -> None:
    found = lesson(cloud, number)
    found.prepare()
    for exercise in found.exercises.values():
        assert exercise.solution(apply=True).verdict
    cloud.reset()
    for _ in ("not prepared", "prepared"):
        assert {exercise.check().outcome for exercise in found.exercises.values()} == {"not attempted"}
        found.prepare()


def test_the_example_for_authors_works(cloud: Cloud) -> None:
    """As it stands at the head of exercise.py, in about twenty lines."""
    from ramrole_nb.lessons import exercise as module

    lines = [line[4:] for line in str(module.__doc__).splitlines() if line.startswith("    ") or not line]
    source = "\n".join(lines).strip()
    assert len(source.splitlines()) <= 22
    path = Path("example.py")
    path.write_text(
        f"from __future__ import annotations\nfrom ramrole_nb.lessons import Exercise\n\n{source}\n"
    )
    spec = importlib.util.spec_from_file_location("example", path)
    assert spec
    assert spec.loader
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    found: Exercise = example.PhotoReader(cloud, "01", "q9", Progress(Path.cwd, lambda: ("", "", "")))
    assert found.check().outcome == "not attempted"
    role = cloud.roles.create("photo-reader", trust=policy.trust_for_service("fc.aliyuncs.com"))
    assert found.check().outcome == "not yet"
    role.delete()
    done = found.solution(apply=True)
    assert done.code == 'cloud.roles.create("photo-reader")'
    assert done
    assert "Hint 1 of 2: 01.q9" in repr(found.hint())
