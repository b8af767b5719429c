"""What the source can say: the shapes of its strings, with a hole for each value."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.python_checks.support import ROOT

HOLE = "\0"
LIBRARY = "python_checks/service/s[yu][sp]*.py"  # the words of the managers
TABLES = "python_checks/*/known*.toml"
HOLES = re.compile(r"\{\w*\}")
# Said by the status alone, to who typed the command, or to nobody.
ELSEWHERE = (
    *("status", "verdict", "screen", "history", "options", "metrics", "tail", "language", "refusals"),
    *("users", "facts"),
)
PATTERN = re.compile(r"\w\|(?!xid)\w|\\\\")  # alternatives of an expression, or a backslash


def tables() -> dict[str, list[str]]:
    """Return what the tables of causes can say, by their file."""
    return {
        path.name: list(said(tomllib.loads(path.read_text(encoding="utf-8"))))
        for path in sorted(ROOT.glob(TABLES))
    }


def said(value: object) -> Iterator[str]:
    """Yield the causes and remedies in a table."""
    if isinstance(value, dict):
        yield from (
            flat(HOLES.sub(HOLE, text))
            for name in ("cause", "remedy")
            if isinstance(text := value.get(name), str) and text
        )
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in within:
        yield from said(each)


def modules() -> list[Path]:
    """Return the modules that the doctor loads, its checks among them, and those that tell how a service is."""
    code = "import sys, python_checks.checks.doctor; print(*(m.__file__ for n, m in sys.modules.items() if 'python_checks' in n))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    found = [path for path in map(Path, done.stdout.split()) if path.stem not in ELSEWHERE]
    assert {"tool_call", "model_files", "gpu", "port", "chat", "of_service"} <= {path.stem for path in found}
    return found


def shapes(path: Path) -> list[str]:
    """Return the strings of a module, each f-string with its constants filled in; no docstrings, help or patterns."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for target, value in pairs(node.targets[0], node.value):
                if isinstance(target, ast.Name) and (words := shape(value, constants)):
                    constants[target.id] = words
    left_out = {id(inner) for node in ast.walk(tree) for inner in unsaid(node)}
    kinds = (ast.Constant, ast.JoinedStr)
    nodes = [node for node in ast.walk(tree) if isinstance(node, kinds) and id(node) not in left_out]
    found = (shape(node, constants) for node in nodes)
    return [text for text in found if text and not PATTERN.search(text)]


def pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


def unsaid(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the strings in a node that nobody is told: docstrings, help, what is looked for, parts of an f-string."""
    if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and isinstance(node.body[0], ast.Expr):
        yield node.body[0].value
    if isinstance(node, ast.JoinedStr):
        yield from node.values
    if isinstance(node, ast.Tuple):  # a row of a table: what is looked for, what to say
        yield from (row.elts[0] for row in node.elts if isinstance(row, ast.Tuple))
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In):
        yield node.left
    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in ("add", "add_argument", "compile", "search", "startswith", "replace"):
            yield from (inner for inner in ast.walk(node) if inner is not node)


def shape(node: ast.expr, constants: dict[str, str]) -> str:
    """Return a string with its values as holes; what stands in `{}` for str.format is one, too."""
    if isinstance(node, ast.JoinedStr):
        return flat("".join(part(each, constants) for each in node.values))
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    return flat(HOLES.sub(HOLE, text))


def part(node: ast.expr, constants: dict[str, str]) -> str:
    if isinstance(node, ast.FormattedValue):
        name = node.value.id if isinstance(node.value, ast.Name) else ""
        return constants.get(name, HOLE)
    return str(node.value) if isinstance(node, ast.Constant) else HOLE


def flat(text: str) -> str:
    """Take values that stand side by side for one: each may be empty."""
    return re.sub(f"{HOLE}+", HOLE, text)
