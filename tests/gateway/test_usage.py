"""The books: to the token what the engine counted."""

from __future__ import annotations

import csv
import datetime
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.gateway.door import KEY, Door, digest, until
from tests.gateway.test_keys import OTHER, checks, deploy
from tests.python_checks.gateway.test_books import LINE


def ask(door: Door, number: int) -> None:
    """Send one of fifty requests: plain, streamed, cut, refused, and at another route."""
    head, kind = {"X-Request-Id": f"books-{number}"}, number % 5
    key = OTHER if number % 2 else KEY
    if kind == 0:
        door.chat(key, words=number, head=head)
    elif kind == 1:
        door.chat(key, stream=True, words=number, head=head)
    elif kind == 2:
        with pytest.raises(requests.RequestException):
            door.chat(key, stream=True, words=9, gap=0.01, cut=3, head=head)
    elif kind == 3:
        door.chat(key, status=400, head=head)
    else:
        door.chat(key, head=head, path="/v1/embeddings", words=3)


def test_fifty_requests_to_the_token(door: Door, tmp_path: Path) -> None:
    deploy(door, {"name": "other", "sha256": digest(OTHER), "parallel": 0, "requests_a_minute": 0})
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: ask(door, number), range(50)))
    assert (
        door.chat(OTHER, status=200, head={"X-Request-Id": "books-out"}, path="/metrics").status_code == 404
    )  # nobody's request
    until(
        lambda: sum(line["id"].startswith("books-") for line in door.books()) == 50,
        5,
        "every request is in the books",
    )
    counted = door.engine.used()
    for line in door.books():
        if line["id"].startswith("books-"):
            used = counted.get(line["id"], {})
            number = int(line["id"].removeprefix("books-"))
            assert line["key"] == ("other" if number % 2 else "team")
            assert line["prompt"] == used.get("prompt_tokens", 0), line
            assert line["completion"] == used.get("completion_tokens", 0)
            assert line["whole"] is (number % 5 != 2) and line["status"] == (400 if number % 5 == 3 else 200)
    shown(door, tmp_path, counted)


def shown(door: Door, tmp_path: Path, counted: dict[str, dict[str, int]]) -> None:
    """What is shown is the sum of what the engine counted, by key; also when it is added up twice."""
    base, table, prom = tmp_path / "usage.sqlite", tmp_path / "usage.csv", tmp_path / "usage.prom"
    for _ in range(2):
        done = checks(
            "usage",
            "--books",
            base,
            "--collect",
            door.state / "usage",
            "--metrics",
            prom,
            "--csv",
            table,
            "--format",
            "json",
        )
        assert done.returncode == 0, done.stdout + done.stderr
    lines = door.books()
    wanted: Counter[str] = Counter()
    for line in lines:
        wanted[line["key"]] += counted.get(line["id"], {}).get("total_tokens", 0)
    with table.open() as file:
        found: Counter[str] = Counter()
        for each in csv.DictReader(file):
            found[each["key"]] += int(each["prompt"]) + int(each["completion"])
    assert +found == +wanted and wanted["other"] > 0
    [result] = json.loads(done.stdout)["results"]
    assert sum(each["requests"] for each in result["evidence"]["rows"]) == len(lines)
    text = prom.read_text()
    assert 'vllm_gateway_key_tokens_total{key="other"' in text and "vllm_gateway_key_errors_total" in text


def test_no_word_of_a_request_is_in_the_books(door: Door) -> None:
    door.chat(
        messages=[{"role": "user", "content": "the secret of the prompt"}], head={"X-Request-Id": "secret-1"}
    )
    until(lambda: any(line["id"] == "secret-1" for line in door.books()), 5, "it is in the books")
    text = "".join(file.read_text() for file in (door.state / "usage").iterdir())
    assert "secret of" not in text and KEY not in text and 'word "usage"' not in text


def test_files_of_days_long_gone_are_removed(door: Door) -> None:
    def file(age: int) -> Path:
        return door.state / "usage" / f"{datetime.date.today() - datetime.timedelta(days=age)}.jsonl"

    for age in (30, 33, 60):
        file(age).write_text(f"{LINE}\n")
    door.stop()
    door.start()
    until(door.up, 10, "the engine is up")
    assert door.chat().status_code == 200
    until(lambda: not file(33).exists(), 5, "old days are removed")
    assert [age for age in (30, 33, 60) if file(age).exists()] == [30]
    file(30).unlink()  # other tests add the books up


def test_the_count_of_a_day_outlives_a_restart(door: Door) -> None:
    deploy(door, {"name": "lasting", "sha256": digest(OTHER), "tokens_a_day": 100})
    assert door.chat(OTHER, words=50).status_code == 200
    door.booked("lasting", 1)
    assert door.chat(OTHER).status_code == 429
    door.stop()
    door.start()
    until(door.up, 10, "the engine is up")
    time.sleep(0.2)
    assert door.chat(OTHER).status_code == 429
