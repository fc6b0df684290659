"""The arrows of the design go down only.

Each part of the package may import the parts named here, and no other; heavy packages are imported where they are
used, never at a module's top, so that `import ramrole_nb` stays light.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ramrole_nb"

_VALUES = {"models", "errors", "redact", "render", "_version"}
_CLOUD = _VALUES | {"endpoints", "policy", "jobs", "ledger", "locks"}
_DOCTOR = _CLOUD | {"cloud", "snippets"}
_LESSONS = _DOCTOR | {"doctor"}
_GYM = _LESSONS | {"lessons"}
_WIDGETS = _GYM | {"training"}
_EVERYTHING = _WIDGETS | {
    "connect",
    "sandbox",
    "widgets",
    "cli",
    "lab",
    "tour",
    "page",
    "expected",
    "done",
    "__init__",
}

# Part -> the parts it may import (itself always). A new part belongs into this table.
MAY_IMPORT: dict[str, set[str]] = {
    "_version": set(),
    "redact": set(),
    "render": {"redact", "policy"},  # pure, and below the values: it takes plain rows and texts
    "errors": {"redact", "render"},
    "models": {"redact", "errors", "render"},
    "endpoints": {"errors"},
    "policy": set(),  # pure: the standard library and itself
    "jobs": _VALUES,
    "locks": {"errors"},
    "ledger": _VALUES | {"locks"},
    "snippets": _VALUES | {"policy", "endpoints"},
    "sandbox": (_VALUES - {"render"}) | {"policy", "locks"},  # never what talks to it
    "cloud": _CLOUD,  # never the sandbox
    "doctor": _DOCTOR | {"connect"},  # diagnose() opens the default session where none is given
    "lessons": _LESSONS | {"training"},  # the exercises of 06
    "training": _GYM,
    "widgets": _WIDGETS,
    "expected": {"errors", "redact", "render"},
    "publishing": set(),
    "done": {"cloud", "snippets"},
    # The only ones that may know both the cloud and the sandbox.
    "page": _VALUES | {"cloud", "sandbox", "lessons"},
    "connect": _WIDGETS - {"lessons", "training"} | {"sandbox"},
    "cli": _EVERYTHING | {"cli_policy"},
    "cli_policy": _VALUES | {"policy"},
    "lab": _EVERYTHING,
    "tour": _EVERYTHING,
    "__init__": _EVERYTHING,  # lazily, by name: see offences()
    "__main__": {"cli"},
}

# Imported together with the package: names that are modules too. test_imports.py holds that they are light.
IN_THE_PACKAGE_ITSELF = {"__init__", "_version", "connect", "errors", "redact"}

SDKS = {"Tea", "darabonba", "oss2", "aliyunsdkcore", "aliyunsdkkms"}
# Package -> the parts that may import it at all.
ONLY_IN = {
    "ipywidgets": {"widgets"},
    "anywidget": {"widgets"},
    "traitlets": {"widgets"},
    "aiohttp": {"sandbox"},
    "cryptography": {"sandbox"},
    "sdk": {"cloud", "connect"},
}
# Package -> the parts that may import it at a module's top.
AT_TOP_IN = {"ipywidgets": {"widgets"}, "anywidget": {"widgets"}, "traitlets": {"widgets"}}
AT_TOP_IN |= {"aiohttp": {"sandbox"}, "cryptography": {"sandbox"}, "sdk": set()}

# A pure part computes: no files, no network, no processes, no threads, no clock to wait for.
PURE = {"policy", "render", "errors", "models", "endpoints", "snippets"}
IO = {
    "asyncio",
    "http",
    "multiprocessing",
    "os",
    "requests",
    "select",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
}
IO |= {"ssl", "subprocess", "tempfile", "threading", "urllib.request", "urllib3"}


@dataclass(frozen=True)
class Import:
    name: str  # dotted, absolute
    line: int
    at_top: bool  # runs when the module is imported


def imports(source: str, module: str, *, is_package: bool = False) -> Iterator[Import]:
    """Yield every import of a module; those for type checkers alone count, but not as `at_top`."""
    package = module.split(".") if is_package else module.split(".")[:-1]

    def visit(node: ast.AST, at_top: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_top)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            # `from .. import x` and `from ramrole_nb import x` import the part x; elsewhere the stem says enough.
            for alias in node.names:
                yield Import(f"{stem}.{alias.name}" if stem == "ramrole_nb" else stem, node.lineno, at_top)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for typing_only in node.body:
                yield from visit(typing_only, at_top=False)
            for other in node.orelse:
                yield from visit(other, at_top)
        else:
            inner = at_top and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, inner)

    yield from visit(ast.parse(source), at_top=True)


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def offences(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Return what a module imports against the rules, one sentence each."""
    part = part_of(module)
    if part not in MAY_IMPORT:
        return [f"{part} is a new part: give it a line in MAY_IMPORT"]
    found = []
    for imported in imports(source, module, is_package=is_package):
        root = imported.name.split(".")[0]
        kind = "sdk" if root in SDKS or root.startswith("alibabacloud_") else root
        problem = ""
        if root == "ramrole_nb":
            target = part_of(imported.name)
            if target in MAY_IMPORT and target != part and target not in MAY_IMPORT[part]:
                problem = f"{part} may not import {target}"
            elif part == "__init__" and imported.at_top and target not in IN_THE_PACKAGE_ITSELF:
                problem = f"{target} is imported with the package; make the name a lazy one"
        elif part == "policy" and root not in sys.stdlib_module_names:
            problem = f"policy imports only the standard library, not {root}"
        elif part in PURE and (root in IO or imported.name in IO):
            problem = f"{part} is pure and may not import {imported.name}"
        elif kind in ONLY_IN and part not in ONLY_IN[kind]:
            problem = f"{part} may not import {root}"
        elif kind in AT_TOP_IN and imported.at_top and part not in AT_TOP_IN[kind]:
            problem = f"{root} is imported at the module's top; import it where it is used"
        if problem:
            found.append(f"{module}:{imported.line}: {problem}")
    return found


MODULES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_there_is_something_to_check() -> None:
    assert PACKAGE / "errors.py" in MODULES


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_the_arrows_hold(path: Path) -> None:
    assert offences(path.read_text("utf-8"), module_name(path), is_package=path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ramrole_nb.policy.evaluate", "from ..errors import InputError"),
        ("ramrole_nb.policy.evaluate", "import yaml"),
        ("ramrole_nb.policy.evaluate", "def f():\n    import socket"),
        ("ramrole_nb.sandbox.store", "from ..cloud import roles"),
        ("ramrole_nb.sandbox.store", "from ..endpoints import Endpoints"),
        ("ramrole_nb.sandbox.services.oss", "from ...connect import connect"),
        ("ramrole_nb.sandbox.store", "def f():\n    from ramrole_nb import doctor"),
        ("ramrole_nb.sandbox.store", "def f():\n    import oss2"),
        ("ramrole_nb.cloud.roles", "from .. import sandbox"),
        ("ramrole_nb.cloud.roles", "def f():\n    from ..sandbox.store import Store"),
        ("ramrole_nb.cloud.roles", "if TYPE_CHECKING:\n    from ..sandbox import Sandbox"),
        ("ramrole_nb.cloud.roles", "import alibabacloud_ram20150501.client"),
        (
            "ramrole_nb.cloud.roles",
            "try:\n    from Tea.exceptions import TeaException\nexcept ImportError: pass",
        ),
        ("ramrole_nb.cloud.roles", "class C:\n    import oss2"),
        ("ramrole_nb.cloud.roles", "def f():\n    import aiohttp"),
        ("ramrole_nb.cloud.roles", "def f():\n    import ipywidgets"),
        ("ramrole_nb.doctor.evidence", "from ..widgets import Panel"),
        ("ramrole_nb.render.tables", "import urllib.request"),
        ("ramrole_nb.render.tables", "from subprocess import run"),
        ("ramrole_nb.connect", "import cryptography.x509"),
        ("ramrole_nb", "from .cloud import Cloud"),
        ("ramrole_nb.novelty", "import json"),
    ],
)
def test_the_check_can_fail(module: str, source: str) -> None:
    assert len(offences(source, module, is_package=module == "ramrole_nb")) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ramrole_nb.policy.evaluate", "import json\nfrom . import matching\nfrom .model import Decision"),
        (
            "ramrole_nb.cloud.roles",
            "def f():\n    from oss2 import Bucket\nif TYPE_CHECKING:\n    import oss2",
        ),
        ("ramrole_nb.cloud.roles", "from ..errors import NotFound\nfrom . import identity\nimport threading"),
        ("ramrole_nb.sandbox.server", "import aiohttp\nfrom ..policy import evaluate\nfrom .. import redact"),
        ("ramrole_nb.widgets.panel", "import ipywidgets\nfrom ..doctor import diagnose"),
        ("ramrole_nb.connect", "from .sandbox import Sandbox\nfrom .cloud import roles"),
        ("ramrole_nb", "from ._version import __version__\ndef __getattr__(name):\n    import importlib"),
        ("ramrole_nb", "if TYPE_CHECKING:\n    from .connect import connect as connect"),
        ("ramrole_nb.sandbox.server", "from .. import __version__"),
    ],
)
def test_the_check_can_pass(module: str, source: str) -> None:
    assert offences(source, module, is_package=module == "ramrole_nb") == []
