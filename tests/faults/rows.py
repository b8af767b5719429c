"""The rows of docs/faults.md, in a JSON file that each run brings up to date: $FAULTS, or .tox/faults.json."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.systemd.play import REPOSITORY

FILE = Path(os.environ.get("FAULTS") or REPOSITORY / ".tox/faults.json")

Rows = dict[str, dict[str, Any]]


def load() -> Rows:
    """Return the rows by the ids of their tests."""
    rows: Rows = json.loads(FILE.read_text()) if FILE.exists() else {}
    return rows


def save(rows: Rows) -> None:
    """Write the rows."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


def forget(test: str) -> None:
    """Remove the row of a test, which an earlier run may have left."""
    save({key: row for key, row in load().items() if key != test})


class Report:
    """Writes the row of one test.

    Args:
        test: its name is the case, its docstring what happens; parameters are filled into that.
    """

    def __init__(self, test: pytest.Function) -> None:
        self.test, self.filled = test, False

    def __call__(self, *, client: str, again: float | None, left: str) -> None:
        """Write it.

        Args:
            client: what a client sees.
            again: seconds until it serves again by itself; None when it does not.
            left: what the fault leaves over.
        """
        parameters = self.test.callspec.params if hasattr(self.test, "callspec") else {}
        case = self.test.name.removeprefix("test_").replace("_", " ").replace("[", ": ").replace("]", "")
        row = {
            "half": self.test.path.stem.split("_")[1],
            "at": [self.test.path.stem, inspect.getsourcelines(self.test.function)[1]],
            "case": case,
            "what": " ".join((self.test.function.__doc__ or "").split()).format_map(parameters),
            "client": client,
            "again": again,
            "left": left,
        }
        save(load() | {self.test.nodeid: row})
        self.filled = True
