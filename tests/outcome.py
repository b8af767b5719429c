"""Which marked tests run, and what a run of pytest ended with: kept for the last lines of bin/test (tests/summary.py)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

# bin/test --all sets the first, --long both. What is named by its id, by -k or by -m runs in any case.
MARKS = {"slow": "SLOW", "long": "LONG"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes longer than this run may."""
    if config.option.markexpr or config.option.keyword or any("::" in each for each in config.args):
        return
    later = {mark for mark, variable in MARKS.items() if not os.environ.get(variable)}
    left_out = [item for item in items if later & {mark.name for mark in item.iter_markers()}]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def reason(report: object) -> str:
    """Return the line that says why a test failed or was skipped."""
    about = getattr(report, "longrepr", "")
    if isinstance(about, tuple):  # of a skip: file, line, reason
        return str(about[2]).removeprefix("Skipped: ")
    crash = getattr(about, "reprcrash", None)
    lines = str(crash.message if crash else about).strip().splitlines()
    return lines[0] if crash and lines else lines[-1] if lines else ""


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Write it where bin/test wants it."""
    directory = os.environ.get("TEST_OUTCOMES")
    # What a worker of xdist ran is in the report of the process that started it.
    if not directory or "PYTEST_XDIST_WORKER" in os.environ:
        return
    stats = terminalreporter.stats
    outcome = {
        "environment": os.environ.get("TOX_ENV_NAME", ""),
        "passed": len(stats.get("passed", [])),
        "failed": {each.nodeid: reason(each) for kind in ("failed", "error") for each in stats.get(kind, [])},
        "skipped": [reason(each) for each in stats.get("skipped", [])],
    }
    (Path(directory) / f"{os.getpid()}.json").write_text(json.dumps(outcome), encoding="utf-8")
