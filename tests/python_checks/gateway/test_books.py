"""The books: days are added up from lines, replaced as a whole, and become one sum when they are old."""

import datetime
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from python_checks.gateway import books

LINE = (
    '{"time":1,"id":"x","key":"team","service":"vllm","path":"/","model":"m","status":200,"whole":true,"ms":5,"bytes":1,'
    '"prompt":7,"completion":3,"reasoning":1}'
)
TEAM = books.Who("team", "vllm", "m")
TODAY = datetime.date(2026, 11, 29)


def day(age: int) -> str:
    return str(TODAY - datetime.timedelta(days=age))


def test_a_line_that_is_not_whole_is_left_out() -> None:
    lines = [LINE, '{"key":"te', "[]", "", LINE]
    assert books.add_up(lines) == {TEAM: books.Sum(2, prompt=14, completion=6, reasoning=2, milliseconds=10)}


def test_refusals_and_cut_replies() -> None:
    cut = LINE.replace("true", "false")
    refused = cut.replace("200", "429")
    [used] = books.add_up([LINE, refused, cut]).values()
    assert (used.requests, used.errors, used.cut) == (3, 1, 1)


def test_old_days_become_one_sum_and_totals_never_fall(tmp_path: Path) -> None:
    base, folder = tmp_path / "usage.sqlite", tmp_path / "days"
    folder.mkdir()
    for age in (0, 399, 400):
        (folder / f"{day(age)}.jsonl").write_text(f"{LINE}\n{LINE}\n")
    books.record(base, books.days(folder), TODAY)
    with closing(sqlite3.connect(base)) as store:
        # A day that was within the limit when it was added, and is not any more.
        store.execute("UPDATE used SET day = ? WHERE day = ?", (day(401), day(399)))
        store.commit()
    (folder / f"{day(400)}.jsonl").unlink()
    for _ in range(2):
        books.record(base, books.days(folder), TODAY)
    with closing(sqlite3.connect(base)) as store:
        found = sorted(store.execute("SELECT day, prompt FROM used"))
    assert found == [(day(399), 14), (day(0), 14), ("older", 14)]
    assert books.read(base, "%")[TEAM].prompt == 42 and books.read(base, "2026-11-%")[TEAM].prompt == 14


def test_without_books(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.Error):
        books.read(tmp_path / "none", "%")
    assert not (tmp_path / "none").exists()
