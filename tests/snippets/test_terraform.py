"""The Terraform snippets: their structure always, and what Terraform itself makes of them where it is installed."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest

from ramrole_nb import snippets as s
from ramrole_nb.snippets import terraform
from tests.snippets.cases import KINDS, READ, TRUST, benign, usual
from tests.snippets.hcl import decode, read

# Blocks and the arguments that https://registry.terraform.io/providers/aliyun/alicloud/latest/docs lists and does not call
# deprecated, as of provider 1.260.
ARGUMENTS = {
    "resource alicloud_ram_role": {
        "role_name",
        "assume_role_policy_document",
        "description",
        "max_session_duration",
        "tags",
        "force",
    },
    "resource alicloud_ram_policy": {
        "policy_name",
        "policy_document",
        "description",
        "rotate_strategy",
        "tags",
        "force",
    },
    "resource alicloud_ram_role_policy_attachment": {"role_name", "policy_name", "policy_type"},
    "resource alicloud_ecs_ram_role_attachment": {"ram_role_name", "instance_id", "policy"},
    "data alicloud_caller_identity": set(),
    "data alicloud_oss_bucket_objects": {"bucket_name", "key_prefix", "key_regex", "output_file"},
    "provider alicloud": {"region", "ecs_role_name"},
    "endpoints": {"oss"},
    # Of Terraform itself.
    "terraform": {"required_version"},
    "required_providers": {"alicloud"},
    "import": {"to", "id"},
    "lifecycle": {"ignore_changes"},
    "variable": {"type", "description"},
    "output": {"value"},
}
META = {"for_each", "provider", "alias"}
REQUIRED = {
    "resource alicloud_ram_role": {"role_name"},
    "resource alicloud_ram_policy": {"policy_name"},
    "resource alicloud_ram_role_policy_attachment": {"role_name", "policy_name", "policy_type"},
    "resource alicloud_ecs_ram_role_attachment": {"ram_role_name", "instance_id"},
    "data alicloud_oss_bucket_objects": {"bucket_name"},
}


def kind_of(heading: str) -> str:
    words = heading.split()
    return " ".join(words[:2]) if words[0] in ("resource", "data", "provider") else words[0]


@pytest.mark.parametrize("make", [usual, benign], ids=["usual", "benign"])
@pytest.mark.parametrize("name", KINDS)
def test_blocks_and_arguments_are_known(name: str, make: object) -> None:
    assert callable(make)
    text = s.code(make(name), "terraform")
    for heading, arguments in read(text).blocks:
        kind = kind_of(heading)
        assert arguments - META <= ARGUMENTS[kind], (kind, arguments)
        assert REQUIRED.get(kind, set()) <= arguments, (kind, arguments)
    labels = re.findall(r'^(?:resource|data) "(\w+)" "(\w+)"', text, re.M)
    assert len(labels) == len(set(labels)), "two blocks of one name"
    for address in re.findall(r"to = (\S+)", text):
        assert tuple(address.split(".")) in labels, "what is imported has a block"


def test_the_structural_check_can_fail() -> None:
    good = s.code(usual("CreateRole"), "terraform")
    for bad in (good.replace("}", "", 1), good.replace('"EcsRamRole"', '"${x}"'), good + "]", good + '"open'):
        with pytest.raises(AssertionError):
            read(bad)


def test_the_traps_are_commented() -> None:
    text = s.code(s.AttachRole("R", "cn-beijing", ("i-1",), READ), "terraform")
    assert "Not the deprecated alicloud_ram_role_attachment" in text
    assert 'resource "alicloud_ram_role_attachment"' not in text
    assert "silently ignored" in text
    assert "silently ignored" not in s.code(s.AttachRole("R", "cn-beijing", ("i-1",)), "terraform")
    replaced = s.code(s.ReplaceRole("Old", "New", "cn-beijing", "i-1"), "terraform")
    assert 'id = "i-1:Old"' in replaced
    assert 'ram_role_name = "New"' in replaced
    assert "the instance has no role" in replaced


def test_several_regions_are_several_providers() -> None:
    text = s.code(usual("CleanUp"), "terraform")
    assert re.search(r'provider "alicloud" \{\n  region = "cn-beijing"\n\}', text)
    assert re.search(r'provider "alicloud" \{\n  alias  = "region_1"\n  region = "cn-shanghai"\n\}', text)
    assert len(re.findall(r"provider = alicloud\.region_1", text)) == 4


# -- Terraform itself --------------------------------------------------------------------------------------------


@pytest.fixture
def tool() -> str:
    path = shutil.which("terraform")
    if not path:
        pytest.skip("no terraform on this machine")
    return path


def run(tool: str, *words: str, typed: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Terraform; it has nobody to ask for news, and nothing to install."""
    return subprocess.run(
        [tool, *words],
        input=typed,
        cwd=folder,
        env={**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "HOME": str(folder)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.mark.foreign
def test_terraform_would_lay_them_out_the_same(tool: str, tmp_path: Path) -> None:
    for name in KINDS:
        for make in (usual, benign):
            text = s.code(make(name), "terraform")
            done = run(tool, "fmt", "-", typed=text, folder=tmp_path)
            assert done.returncode == 0, done.stderr
            assert done.stdout == text
    assert run(tool, "fmt", "-", typed="x = {", folder=tmp_path).returncode != 0


NASTY = [
    "${path.root}",
    "$${a}",
    "$$${a}",
    "%{ if true }x%{ endif }",
    "%%{a",
    'a"b\\c\n\r\td',
    '"}\nresource "x" "y" {',
    "</pre><script>",
    "$(touch x) `y` ; & |",
    "é漢😀 \u202e\u2028\u0085\x7f\x01",
    "<<EOF\nEOF",
    "$",
    "%",
    "${",
    "}",
    "",
]


@pytest.mark.foreign
def test_terraform_reads_every_value_back(tool: str, tmp_path: Path) -> None:
    rng = random.Random(4)
    alphabet = "ab${}%\"\\\n\r\t'`#/<>=[]()é漢😀\u2028\x01"
    values = NASTY + ["".join(rng.choices(alphabet, k=rng.randrange(1, 12))) for _ in range(400)]
    shown = ",\n".join(terraform.quoted(value) for value in values)
    document = {
        "Version": "1",
        "Statement": [{value: [value, 1, 1.5, True, None, {}, []]} for value in NASTY],
    }
    (tmp_path / "main.tf").write_text(
        f"locals {{\n  values = [\n{shown}\n  ]\n  document = {terraform.literal(document, 2)}\n}}\n", "utf-8"
    )
    typed = "base64encode(jsonencode([local.values, local.document]))\n"
    done = run(tool, "console", typed=typed, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = json.loads(base64.b64decode(done.stdout.strip().strip('"')))
    # Terraform's strings are in Unicode's form C.
    assert first == [unicodedata.normalize("NFC", value) for value in values]
    assert second == document


def test_our_own_reading_agrees_on_the_nasty_ones() -> None:
    assert [decode(terraform.quoted(value)) for value in NASTY] == NASTY


def test_documents_are_expressions_and_what_is_none_is_text() -> None:
    assert "jsonencode({" in s.code(s.SetTrust("R", TRUST), "terraform")
    assert '"{broken ${x"' in s.code(s.SetTrust("R", "{broken ${x"), "terraform").replace("$${", "${")
