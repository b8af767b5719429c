"""The newest vLLM on the package index still has each name that we take from it; of its wheel only the modules that matter are fetched."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from locks import overlaps
from python_checks.config import refusals, vllm_stages
from tests.cuda.environment import REPOSITORY, UV

pytestmark = pytest.mark.long
STAGES = Path(vllm_stages.__file__)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of the newest release for this platform."""
    found = tmp_path_factory.mktemp("newest") / "pylock.toml"
    command = [
        UV,
        "pip",
        "compile",
        "--quiet",
        "--no-deps",
        "--no-build",
        "--format",
        "pylock.toml",
        "-o",
        found,
        "-",
    ]
    command += ["--python-version", "3.12", "--python-platform", overlaps.PLATFORM]
    environment = os.environ | {"UV_FIND_LINKS": ""}
    subprocess.run(command, input="vllm", env=environment, text=True, timeout=300, check=True)
    (package,) = tomllib.loads(found.read_text())["packages"]
    print(f"vLLM {package['version']}", file=sys.stderr)
    return zipfile.ZipFile(overlaps.Remote(overlaps.session(), package["wheels"][0]["url"]))


def source(wheel: zipfile.ZipFile, module: str) -> ast.Module | None:
    """Return the syntax tree of a module, None when there is no such one."""
    path = module.replace(".", "/")
    place = next((name for name in (f"{path}.py", f"{path}/__init__.py") if name in wheel.namelist()), None)
    return ast.parse(wheel.read(place)) if place else None


def defined(tree: ast.AST) -> dict[str, ast.AST]:
    """Return the names that a module or a class has, also those that it has from elsewhere or only names the type of."""
    found: dict[str, ast.AST] = {}
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(name.asname or name.name).partition(".")[0]: node for name in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id: node for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.If | ast.Try):
            found |= defined(node)
    return found


def first(wheel: zipfile.ZipFile, name: str) -> tuple[str, ast.AST]:
    """Return where the name is found, as vllm_stages looks for it."""
    for place in vllm_stages.PLACES[name]:
        tree = source(wheel, place)
        if tree and name in defined(tree):
            return place, defined(tree)[name]
    raise AssertionError(f"{name} is in none of {vllm_stages.PLACES[name]}")


@pytest.mark.parametrize("name", vllm_stages.PLACES)
def test_a_name_is_where_we_look_first(wheel: zipfile.ZipFile, name: str) -> None:
    place, _ = first(wheel, name)
    assert place == vllm_stages.PLACES[name][0]


def used() -> set[tuple[str, str]]:
    """Return which attributes of the names of PLACES vllm_stages uses: vllm.NAME.ATTRIBUTE."""
    return {
        (node.value.attr, node.attr)
        for node in ast.walk(ast.parse(STAGES.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and isinstance(node.value.value, ast.Name)
        and node.value.value.id == "vllm"
    }


# The parts of vLLM's configuration that are told; and what a manager of parsers does, which is called by a name that is put together.
MORE = {
    ("vllm.tool_parsers.abstract_tool_parser", "ToolParserManager", "import_tool_parser"),
    ("vllm.reasoning.abs_reasoning_parsers", "ReasoningParserManager", "import_reasoning_parser"),
    ("vllm.platforms.interface", "Platform", "is_cpu"),
    ("vllm.platforms.interface", "Platform", "device_type"),
    ("vllm.engine.arg_utils", "EngineArgs", "from_cli_args"),
    ("vllm.engine.arg_utils", "EngineArgs", "create_engine_config"),
    ("vllm.usage.usage_lib", "UsageContext", "OPENAI_API_SERVER"),
    ("vllm.config.vllm", "VllmConfig", "parallel_config"),
    ("vllm.config.vllm", "VllmConfig", "model_config"),
    ("vllm.config.parallel", "ParallelConfig", "world_size"),
    ("vllm.config.model", "ModelConfig", "max_model_len"),
    ("vllm.config.model", "ModelConfig", "dtype"),
    ("vllm.utils.ompmultiprocessing", "OMPProcessManager", "__init__"),
}


@pytest.mark.parametrize(("module", "name", "attribute"), sorted(MORE))
def test_a_class_has_what_we_ask_of_it(
    wheel: zipfile.ZipFile, module: str, name: str, attribute: str
) -> None:
    tree = source(wheel, module)
    assert tree and name in defined(tree)
    assert attribute in defined(defined(tree)[name])


def test_each_attribute_that_we_use_is_looked_up() -> None:
    assert {attribute for _, attribute in used()} <= {attribute for *_, attribute in MORE}
    assert len(used()) >= 4


def test_the_package_says_its_version(wheel: zipfile.ZipFile) -> None:
    tree = source(wheel, "vllm")
    assert tree and "__version__" in defined(tree)


def test_each_module_that_we_name_is_there(wheel: zipfile.ZipFile) -> None:
    """As a string in python_checks, or behind -m in the role; of a name of PLACES the first place that has it is enough."""
    words = {
        node.value
        for path in (REPOSITORY / "python_checks").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and re.fullmatch(r"vllm(\.[a-z_]+)+", str(node.value))
    }
    words |= set(re.findall(r"'-m', '([\w.]+)'", (REPOSITORY / "roles/vllm/vars/main.yml").read_text()))
    assert {"vllm.entrypoints.openai.api_server", "vllm.utils.ompmultiprocessing"} <= words
    older = {place for places in vllm_stages.PLACES.values() for place in places[1:]}
    missing = {word for word in words if not source(wheel, word)}
    assert missing <= older - {"vllm.entrypoints.openai.api_server"}


def test_each_flag_that_we_give_is_known(wheel: zipfile.ZipFile) -> None:
    text = "".join(
        wheel.read(name).decode()
        for name in wheel.namelist()
        if re.fullmatch(
            r"vllm/(config/\w+|engine/arg_utils|entrypoints/(common|launchers|openai)/cli_args)\.py", name
        )
    )
    unknown = {
        flag
        for flag in refusals.VARIABLES
        if f'"{flag}"' not in text and not re.search(rf"(?m)^    {flag[2:].replace('-', '_')}:", text)
    }
    assert unknown == set()


def test_each_environment_variable_that_we_name_is_read(wheel: zipfile.ZipFile) -> None:
    tree = source(wheel, "vllm.envs")
    assert tree
    words = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    files = [*(REPOSITORY / "python_checks").rglob("*.py"), *(REPOSITORY / "roles/vllm").rglob("*.yml")]
    named = {name for path in files for name in re.findall(r"\bVLLM_[A-Z_]+\b", path.read_text())}
    assert named - words == set()
    assert len(named) >= 5
