"""Hooks of pytest: write down what the tests in a run have the doctor and its checks say, and what the tests put in, by their file."""

import functools
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from python_checks.api.http import Reply
from python_checks.core.finding import Finding
from python_checks.core.result import Fault, Result, State
from python_checks.service.facts import Service
from python_checks.service.last_words import LastWords

PRINTED = re.compile(
    r"^(?:health|models|completion|tool-call|chat|model-files|port|gpu) (?:WARNING|CRITICAL|UNKNOWN): (.*) \| time=.*"
    r"(?:\nremedy: (.*))?$",
    re.MULTILINE,
)
DIRECTORY = "KOREAN_RECORD"  # variable with the path of the directory; without it nothing is written
TESTS = str(Path(__file__).parents[1])
SAID: dict[str, set[str]] = defaultdict(set)
PUT_IN: dict[str, set[str]] = defaultdict(set)


def file_of(test: str) -> str:
    """Return the file of a test; empty while modules are imported."""
    return test.partition("::")[0]


def current() -> str:
    """Return the file of the test that runs."""
    return file_of(os.environ.get("PYTEST_CURRENT_TEST", ""))


def texts(value: Any) -> list[str]:
    """Return the strings in a value."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for each in value for text in texts(each)] if isinstance(value, list | tuple) else []


def maker() -> str:
    """Return the file that makes the object; a copy is made where `replace` is called."""
    frame = sys._getframe(2)
    while "dataclasses" in frame.f_code.co_filename or frame.f_code.co_filename.startswith("<"):
        assert frame.f_back
        frame = frame.f_back
    return frame.f_code.co_filename


def record(kind: type, *fields: str, log: bool = False) -> None:
    """Note the strings in some fields of all objects of a kind: those that a test makes, and words of logs, are put in."""
    original = kind.__init__  # type: ignore[misc]  # of a class, on purpose

    @functools.wraps(original)
    def init(self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        if getattr(self, "state", None) is not State.OK and getattr(self, "check", "") != "doctor":
            place = PUT_IN if log or maker().startswith(TESTS) else SAID
            place[current()].update(text for field in fields for text in texts(getattr(self, field)))

    kind.__init__ = init  # type: ignore[misc]  # the recorder's


def record_processes() -> None:
    """Note what checks print that run as a process."""
    original = subprocess.run

    def run(command: Any, *arguments: Any, **named: Any) -> Any:
        done = original(command, *arguments, **named)
        if isinstance(command, list) and "python_checks" in command and isinstance(done.stdout, str):
            SAID[current()].update(text for found in PRINTED.findall(done.stdout) for text in found)
        return done

    subprocess.run = run  # type: ignore[assignment]  # the recorder's, of any signature


def pytest_configure() -> None:
    if DIRECTORY not in os.environ:
        return
    record_processes()
    record(Finding, "symptom", "evidence", "cause", "remedy")
    record(Fault, "reason", "remedy")
    record(Result, "reason", "remedy")
    record(LastWords, "cause", "last", "before", log=True)
    record(Service, "told", "log", "command", "start", "restart", "history", log=True)
    record(Reply, "text", "data", log=True)


def pytest_runtest_logstart(nodeid: str) -> None:
    SAID[file_of(nodeid)] |= set()  # it ran, also where it says nothing


def pytest_sessionfinish() -> None:
    if DIRECTORY in os.environ:
        directory = Path(os.environ[DIRECTORY])
        directory.mkdir(parents=True, exist_ok=True)
        kinds = {"said": SAID, "put in": PUT_IN}
        record = {kind: {file: sorted(found) for file, found in by.items()} for kind, by in kinds.items()}
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        (directory / f"{worker}.json").write_text(json.dumps(record), encoding="utf-8")


def heard(directory: Path, files: set[str]) -> dict[str, list[str]] | None:
    """Return what was said in a run while these files were tested, and what they put in; None unless all of them were."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in directory.glob("*.json")]
    if not files <= {file for record in records for file in record["said"]}:
        return None

    def all_of(kind: str) -> set[str]:
        return {text for record in records for file in (*files, "") for text in record[kind].get(file, [])}

    return {"said": sorted(all_of("said") - all_of("put in")), "put in": sorted(all_of("put in"))}
