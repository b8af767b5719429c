"""A scenario of molecule, from nothing to nothing.

python tests/scenario.py NAME TEST…    what the environment NAME of tox.ini runs; tests of a deployed host are run inside of the scenario
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

# Tests inside of a scenario: molecule/*/verify.yml runs all of one, or those in $ONLY.
INSIDE = (
    *("tests/nano_model/test_served.py", "tests/backend/test_served.py", "tests/demo/served"),
    *("tests/systemd/served", "tests/faults", "tests/systemd/removed"),
)
WARNING = r"DEPRECATION WARNING|\[WARNING\]"
TELLING = re.compile(rf"{WARNING}|fatal:|^FAILED |(FAILED|ERROR) tests/")  # Ansible's failures, and pytest's


def run(name: str, environment: Mapping[str, str], expected: str = r"(?!)") -> None:
    """Run ``molecule test`` and assert that nothing failed, and that nothing warned but with a line that the pattern ``expected`` is in.

    Its output is shown when it comes, with the seconds since the start. The lines that tell of a failure are said again in the end, where
    they are found.
    """
    lines, started = [], time.monotonic()
    with subprocess.Popen(
        [Path(sys.executable).with_name("molecule"), "test", "--scenario-name", name],
        cwd=Path(__file__).resolve().parents[1],
        # Unbuffered is molecule's own output, so that progress is seen when it is made. With CI, pytest's summary says why, whole.
        env={
            **os.environ,
            **environment,
            "ANSIBLE_NOCOLOR": "1",
            "CI": "1",
            "COLUMNS": "200",  # names of tests are long
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
        },
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as molecule:
        assert molecule.stdout
        for line in molecule.stdout:
            print(f"{time.monotonic() - started:5.0f}  {line}", end="", flush=True)
            lines.append(line)
    lines = [line for line in lines if not re.search(expected, line)]
    telling = "".join(dict.fromkeys(line[:500] for line in lines if TELLING.search(line)))
    assert molecule.returncode == 0, f"exit code {molecule.returncode}\n{telling}"
    assert not [line for line in lines if re.search(WARNING, line)], telling


def main(name: str, *names: str) -> None:
    """Become pytest, with those of ``names`` that are for it, and the scenario around the others."""
    inside = [each for each in names if each.startswith(INSIDE)]
    if inside:
        os.environ["ONLY"] = json.dumps(inside)
    outside = [each for each in names if each not in inside]
    scenario = [f"tests/{name}/test_scenario.py"] if inside else []
    os.execv(sys.executable, [sys.executable, "-m", "pytest", "--capture", "no", *outside, *scenario])


if __name__ == "__main__":
    main(*sys.argv[1:])
