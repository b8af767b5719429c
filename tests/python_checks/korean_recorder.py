"""A plugin of pytest: writes down what the tests in a run have the doctor and its checks say, and what the tests put in."""

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from python_checks.finding import Finding
from python_checks.http import Reply
from python_checks.last_words import LastWords
from python_checks.result import Fault, Result, State
from python_checks.services import Service

PRINTED = re.compile(
    r"^(?:health|models|completion|tool-call|chat|model-files|port|gpu) (?:WARNING|CRITICAL|UNKNOWN): (.*) \| time=.*"
    r"(?:\nremedy: (.*))?$",
    re.MULTILINE,
)
FILE = "KOREAN_RECORD"  # variable with the path of the file
TESTS = str(Path(__file__).parents[1])
SAID: set[str] = set()
PUT_IN: set[str] = set()


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
            place.update(text for field in fields for text in texts(getattr(self, field)))

    kind.__init__ = init  # type: ignore[misc]  # the recorder's


def record_processes() -> None:
    """Note what checks print that run as a process."""
    original = subprocess.run

    def run(command: Any, *arguments: Any, **named: Any) -> Any:
        done = original(command, *arguments, **named)
        if "python_checks" in command:
            SAID.update(text for found in PRINTED.findall(done.stdout) for text in found)
        return done

    subprocess.run = run  # type: ignore[assignment]  # the recorder's, of any signature


def pytest_configure() -> None:
    record_processes()
    record(Finding, "symptom", "evidence", "cause", "remedy")
    record(Fault, "reason", "remedy")
    record(Result, "reason", "remedy")
    record(LastWords, "cause", "last", "before", log=True)
    record(Service, "told", "log", "command", "start", "restart", "history", log=True)
    record(Reply, "text", "data", log=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    found = {"said": sorted(SAID - PUT_IN), "put in": sorted(PUT_IN)}
    Path(os.environ[FILE]).write_text(json.dumps(found), encoding="utf-8")
