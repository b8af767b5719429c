"""`usage` as it is typed: the sums of a month, and what it says without books."""

from pathlib import Path

from tests.python_checks.gateway.test_books import LINE
from tests.python_checks.support import Probe


def test_a_month_in_words_and_totals_for_prometheus(probe: Probe, tmp_path: Path) -> None:
    (tmp_path / "2026-11-28.jsonl").write_text(f"{LINE}\n{LINE}\n")
    given = ("usage", "--books", str(tmp_path / "books"), "--collect", str(tmp_path))
    done = probe(*given, "--month", "2026-11", "--metrics", str(tmp_path / "usage.prom"))
    assert done.returncode == 0 and "2026-11: 1 keys, 2 requests, 20 tokens" in done.stdout, done.stderr
    [line] = [each for each in (tmp_path / "usage.prom").read_text().splitlines() if 'kind="prompt"' in each]
    assert line.endswith(" 14.0")


def test_without_books_it_says_so(probe: Probe, tmp_path: Path) -> None:
    done = probe("usage", "--books", str(tmp_path / "none"))
    assert done.returncode == 3 and "remedy" in done.stdout
