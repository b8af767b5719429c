#!/usr/bin/env python3
"""The last lines of bin/test: what failed and how to run it alone, what was left out, and the sum in one line.

    python tests/summary.py OUTCOMES RESULT CODE

OUTCOMES is the directory that tests/outcome.py writes to, RESULT what tox wrote with --result-json, and CODE what tox ended with.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

WIDTH = 150  # of a reason
SCENARIO = "test_scenario.py::test_scenario"  # fails with each test inside

Lines = list[str]


def tests(environment: str, outcomes: list[dict[str, Any]]) -> dict[str, str]:
    """Return the failed tests of an environment with their reasons; a scenario's own only where none inside of it failed."""
    failed = {
        test: why
        for each in outcomes
        if each["environment"] == environment
        for test, why in each["failed"].items()
    }
    inside = {test: why for test, why in failed.items() if not test.endswith(SCENARIO)}
    return inside or failed


def words(command: Lines) -> str:
    """Return a command as it stands in tox.ini."""
    return shlex.join([Path(command[0]).name, *command[1:]])[:WIDTH]


def red(environment: str, about: dict[str, Any], failed: dict[str, str]) -> tuple[Lines, int]:
    """Say what failed in an environment and how to run it alone, and how many things that are."""
    lines = []
    for test, why in failed.items():
        lines += [
            f"{environment}: {test}: {why[:WIDTH]}",
            f"    bin/test {environment} -- {shlex.quote(test)}",
        ]
    commands = [each for each in about.get("test", []) if each["retcode"]]
    if not failed:
        said = [f"`{words(each['command'])}` ended with {each['retcode']}" for each in commands]
        lines += [f"{environment}: {each}" for each in said or ["it could not be made; its output is above"]]
        lines += [f"    bin/test {environment}"]
    return lines, len(failed) or len(commands) or 1


def main() -> int:
    """Print them."""
    directory, result, code = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    outcomes = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(directory.glob("*.json"))]
    environments = json.loads(result.read_text(encoding="utf-8"))["testenvs"] if result.exists() else {}
    lines: Lines = []
    count, left_out = 0, [reason for each in outcomes for reason in each["skipped"]]
    print()
    for name, about in environments.items():
        if not (ended := about.get("result")):
            continue  # it was not asked for
        state = "left out" if ended["skipped"] else "ok" if ended["success"] else "FAILED"
        print(f"{name}: {state}, {ended['duration']:.0f} s")
        if code and not ended["success"]:  # with 0, what failed does not count (tox.ini)
            more, number = red(name, about, tests(name, outcomes))
            lines, count = lines + more, count + number
    if code and not lines:
        lines, count = [f"tox ended with {code}; its output is above"], 1
    print(*sorted({f"left out: {reason}" for reason in left_out}), sep="\n")
    if lines:
        print("What failed, and how to run it alone:", *lines, sep="\n")
    print(f"\n{sum(each['passed'] for each in outcomes)} passed, {count} failed, {len(left_out)} skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
