"""Rows of gateway_keys: the line that HAProxy reads of a sound one, and what is refused."""

import time
from typing import Any

import pytest

from python_checks.core.result import CheckError
from python_checks.gateway import keys

# printf sk-one | sha256sum
ONE = "456f1612bd25c6c8455039437bf441f43aa3b7d1c0b0047c712d5036dfebef0d"
ROW = {"name": "team", "sha256": "0" * 64}
DEFAULTS = keys.Defaults(("vllm", "backend"), 16, 600)


def test_a_key_is_known_by_its_hash() -> None:
    assert keys.digest("sk-one") == ONE
    assert keys.make() != keys.make() and len(keys.make()) > 40


def test_the_line_of_a_row() -> None:
    assert keys.lines([ROW], DEFAULTS) == [f"{'0' * 64} team:0:|vllm|backend|:16:600:0"]
    full = {"services": ["vllm"], "parallel": 0, "requests_a_minute": 5, "tokens_a_day": 9}
    assert keys.lines([ROW | full], DEFAULTS) == [f"{'0' * 64} team:0:|vllm|:0:5:9"]


def test_a_key_is_valid_until_the_end_of_its_last_day() -> None:
    [line] = keys.lines([ROW | {"expires": "2099-12-31"}], DEFAULTS)
    assert line.split(":")[1] == str(round(time.mktime((2100, 1, 1, 0, 0, 0, 0, 0, -1))))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "a b"}, "is not a name"),
        ({"name": "a:b"}, "is not a name"),
        ({"name": ""}, "is not a name"),
        ({"sha256": "0" * 63}, "hexadecimal"),
        ({"sha256": "G" * 64}, "hexadecimal"),
        ({"sha256": f"{'1' * 64}\n{'2' * 64} root:0:|vllm|:0:0:0"}, "hexadecimal"),
        ({"expires": "tomorrow"}, "not a day"),
        ({"services": ["metrics"]}, "may use metrics, but the gateway serves vllm, backend"),
        ({"parallel": -1}, "parallel of team is -1"),
        ({"sha256": "f" * 64}, "the hash ffffffff… stands in two rows"),
    ],
)
def test_a_bad_row_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckError, match=words):
        keys.lines([ROW | {"name": "first", "sha256": "f" * 64}, ROW | changes], DEFAULTS)
