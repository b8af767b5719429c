"""The lookups: ids of content, and cores for ranks."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.errors import AnsibleLookupError
from loading import load

lookup = load("lookup/content_id").LookupModule()
cpu_groups = load("lookup/cpu_groups").cpu_groups


def content_id(paths: list[Path]) -> str:
    """Return what the lookup says of paths."""
    [found] = lookup.run([str(path) for path in paths])
    return str(found)


def test_id_is_of_the_content_not_of_the_place(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub/a.py").write_text("1")
    assert content_id([tmp_path / "one"]) == content_id([tmp_path / "two"])
    (tmp_path / "two/sub/a.py").write_text("2")
    assert content_id([tmp_path / "one"]) != content_id([tmp_path / "two"])


def test_id_sees_names(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    before = content_id([tmp_path])
    (tmp_path / "a").rename(tmp_path / "b")
    assert content_id([tmp_path]) != before


def test_bytecode_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    before = content_id([tmp_path])
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/a.pyc").write_text("x")
    assert content_id([tmp_path]) == before


def test_nothing_to_hash_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AnsibleLookupError, match="missing"):
        content_id([tmp_path / "missing"])


@pytest.mark.parametrize(
    ("cores", "ranks", "value"),
    [
        ([0, 1], 2, "0|1"),
        ([0, 1, 2, 3], 2, "0,1|2,3"),
        ([2, 5, 7], 2, "2|5"),
        ([4], 2, "4|4"),
        ([0, 1, 2, 3], 1, "0,1,2,3"),
    ],
)
def test_cores_are_shared_out(cores: list[int], ranks: int, value: str) -> None:
    assert cpu_groups(cores, ranks) == value
