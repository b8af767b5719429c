"""A log line of an exception tells its kind and place, and nothing of what it says."""

import json
import logging
import sys

from src.api.logs import JsonFormatter


def test_exception_is_one_line_without_its_text() -> None:
    try:
        raise ValueError("my private\nwords")
    except ValueError:
        record = logging.LogRecord("backend", logging.ERROR, __file__, 1, "failure", None, sys.exc_info())
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert "private" not in text
    assert json.loads(text)["exception"] == "ValueError"
    assert "test_exception_is_one_line_without_its_text" in json.loads(text)["at"][0]
