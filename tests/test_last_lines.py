"""The last lines of bin/test, from a real run of pytest and what tox writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TESTS = """
import pytest

@pytest.mark.parametrize("word", ["a b", "c"])
def test_word(word):
    assert word == "c", "it differs"

@pytest.mark.slow
def test_slow(): pass

@pytest.mark.long
def test_long(): pass

def test_left_out():
    pytest.skip("NOT TESTED: no root")
"""


def ran(folder: Path, *arguments: str, **environment: str) -> dict[str, object]:
    """Run pytest on those tests and return what is kept of it."""
    outcomes = folder / "outcomes"
    outcomes.mkdir(exist_ok=True)
    (folder / "test_it.py").write_text(TESTS)
    (folder / "conftest.py").write_text(
        "from tests.outcome import pytest_collection_modifyitems, pytest_terminal_summary\n"
        "def pytest_configure(config):\n"
        "    for mark in ('slow', 'long'): config.addinivalue_line('markers', mark)\n"
    )
    outer = {
        name: value
        for name, value in os.environ.items()
        if name not in ("SLOW", "LONG", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER")
    }
    own = {"PYTHONPATH": str(ROOT), "TEST_OUTCOMES": str(outcomes), "TOX_ENV_NAME": "unit"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *(arguments or ["test_it.py"])]
    subprocess.run(
        command, cwd=folder, env=outer | own | environment, capture_output=True, timeout=60, check=False
    )
    [kept] = outcomes.iterdir()
    found: dict[str, object] = json.loads(kept.read_text())
    return found


@pytest.mark.parametrize(
    ("arguments", "environment", "passed"),
    [
        ([], {}, 1),
        ([], {"SLOW": "1"}, 2),
        ([], {"SLOW": "1", "LONG": "1"}, 3),
        (["test_it.py::test_long"], {}, 1),
        (["test_it.py", "-k", "slow or long"], {}, 2),
        (["test_it.py", "-m", "slow"], {}, 1),
        (["test_it.py", "--numprocesses", "2"], {}, 1),
    ],
)
def test_marks(tmp_path: Path, arguments: list[str], environment: dict[str, str], passed: int) -> None:
    assert ran(tmp_path, *arguments, **environment)["passed"] == passed


def test_what_failed_and_how_to_run_it_alone(tmp_path: Path) -> None:
    ran(tmp_path)
    environments = {
        "lint": {
            "test": [
                {"command": ["/x/mypy"], "retcode": 0},
                {"command": ["/x/ruff", "check", "."], "retcode": 1},
            ],
            "result": {"success": False, "skipped": False, "duration": 3.2},
        },
        "unit": {"test": [], "result": {"success": False, "skipped": False, "duration": 61.0}},
        "cuda": {"result": {"success": True, "skipped": True, "duration": 0.1}},
        "demo": {},
    }
    (tmp_path / "result.json").write_text(json.dumps({"testenvs": environments}))
    command = [
        sys.executable,
        ROOT / "tests/summary.py",
        tmp_path / "outcomes",
        tmp_path / "result.json",
        "1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == [
        "",
        "lint: FAILED, 3 s",
        "unit: FAILED, 61 s",
        "cuda: left out, 0 s",
        "left out: NOT TESTED: no root",
        "What failed, and how to run it alone:",
        "lint: `ruff check .` ended with 1",
        "    bin/test lint",
        "unit: test_it.py::test_word[a b]: AssertionError: it differs",
        "    bin/test unit -- 'test_it.py::test_word[a b]'",
        "",
        "1 passed, 2 failed, 1 skipped",
    ]
