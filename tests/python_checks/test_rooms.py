"""The rooms of python_checks: no import goes up, and none closes a circle. No folder of the repository grows too full to find a file in."""

import ast
import re
from collections import Counter
from graphlib import TopologicalSorter
from itertools import chain
from pathlib import Path

import pytest

from tests.python_checks.support import ROOT

TOP = "the command line"  # what lies in python_checks itself
FLOORS = (
    (TOP,),
    ("checks", "steps"),
    ("canary", "conformance", "doctor"),
    ("config", "incident"),
    ("service",),
    ("gateway", "gpu"),
    ("api", "log", "model", "report"),
    ("host",),
    ("core",),
)
FULL = 20  # Python files in a folder
PACKAGE = "python_checks"


def modules(root: Path) -> dict[str, Path]:
    """Return the modules of the package below `root` by their full names."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted((root / PACKAGE).rglob("*.py"))
    }


def imports(root: Path) -> dict[str, set[str]]:
    """Return module -> the modules of the package that it names in an import, wherever that stands in it."""
    known = modules(root)
    return {name: set(named(path, known)) - {name} for name, path in known.items()}


def named(path: Path, known: dict[str, Path]) -> list[str]:
    """Return what one file imports; a name that is no module belongs to the module it is taken from."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import hides which room it enters"
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            found += [name if name in known else str(node.module) for name in full]
    return [
        name for name in found if name in known and name != PACKAGE
    ]  # the package holds the version alone


def room(module: str) -> str:
    """Return the room of a module."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 or parts[-1] in chain(*FLOORS) else TOP


def upward(arrows: dict[str, set[str]]) -> list[str]:
    """Return the imports that leave their room and do not go down."""
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    return [
        f"{source} imports {target}"
        for source, targets in arrows.items()
        for target in sorted(targets)
        if room(source) != room(target) and floor[room(source)] >= floor[room(target)]
    ]


def crowded(root: Path) -> list[Path]:
    """Return the folders with more than FULL Python files."""
    tops = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    folders = Counter(path.parent for top in tops for path in top.rglob("*.py"))
    return [folder for folder, files in folders.items() if files > FULL]


def test_every_room_has_its_floor() -> None:
    folders = {path.parent.name for path in (ROOT / PACKAGE).glob("*/__init__.py")}
    assert folders | {TOP} == set(chain(*FLOORS))


def test_contributing_draws_the_same_order() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert " -> ".join(", ".join(f"`{name}`" for name in floor) for floor in FLOORS[1:]) in text


def test_no_import_goes_up() -> None:
    assert not upward(imports(ROOT))


def test_no_circle() -> None:
    TopologicalSorter(imports(ROOT)).prepare()


def test_no_folder_is_too_full() -> None:
    assert not crowded(ROOT)


def test_what_is_wrong_is_seen(tmp_path: Path) -> None:
    """Each rule, broken once: an import within a function counts, and so does one of a name out of a module."""
    for name, text in {
        "core/result.py": "def late():\n    from python_checks.host.disks import Disk\n",
        "host/disks.py": "import python_checks.core.result\nclass Disk: ...\n",
        "gpu/xid.py": "from python_checks.model import files\n",
        "model/files.py": "from python_checks.api import http\n",
        "api/http.py": "",
    }.items():
        path = tmp_path / PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    arrows = imports(tmp_path)
    assert upward(arrows) == [
        "python_checks.core.result imports python_checks.host.disks",
        "python_checks.model.files imports python_checks.api.http",
    ]
    with pytest.raises(ValueError, match="cycle"):
        TopologicalSorter(arrows).prepare()
    for number in range(FULL):
        (tmp_path / PACKAGE / "core" / f"more{number}.py").touch()
    assert crowded(tmp_path) == [tmp_path / PACKAGE / "core"]


def test_what_modules_of_ansible_share_stands_alone() -> None:
    """Ansible sends a module and its module_utils to a host, and no package python_checks."""
    links = [path for path in (ROOT / "ansible/plugins/module_utils").iterdir() if path.is_symlink()]
    assert links
    for link in links:
        found = re.findall(r"^ *(?:from|import) (\S+)", link.read_text(encoding="utf-8"), re.MULTILINE)
        assert found and PACKAGE not in {name.split(".")[0] for name in found}, link
