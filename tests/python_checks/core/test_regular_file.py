"""Files that somebody else may have made: read where they are files, and never waited for."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from python_checks.canary import memory, screen
from python_checks.core import regular_file
from python_checks.core.result import CheckError, Fault, Result, State
from python_checks.log.tail import LogTail
from python_checks.model import files, json_files, safetensors
from python_checks.report import history, verdict
from python_checks.service import last_words, marks

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture(params=["fifo", "link to a fifo", "directory", "device", "circle"])
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What stands where a file should."""
    path = tmp_path / "odd"
    match request.param:
        case "fifo":
            os.mkfifo(path)
        case "link to a fifo":
            os.mkfifo(tmp_path / "fifo")
            path.symlink_to(tmp_path / "fifo")
        case "directory":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case "circle":
            path.symlink_to(path)
    return path


def test_what_is_no_file_is_refused_at_once(odd: Path) -> None:
    with pytest.raises(OSError) as caught:
        regular_file.content(odd)
    assert caught.value.errno in (errno.EINVAL, errno.ELOOP), "by what it is, not by what it holds"


def test_a_part_of_a_model_may_be_anything(odd: Path) -> None:
    for read in (json_files.load, json_files.ends):
        faults: list[Fault] = []
        assert read(odd, faults) is None and "is no regular file" in faults[0].reason
    with pytest.raises(OSError):
        safetensors.tensors(odd)


def test_links_only_where_they_may_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"words")
    (tmp_path / "link").symlink_to("file")
    assert regular_file.content(tmp_path / "link") == b"words"
    with pytest.raises(OSError):
        regular_file.content(tmp_path / "link", follow=False)
    with pytest.raises(OSError, match="too large"):
        regular_file.content(tmp_path / "file", limit=4)


def test_what_watches_vllm_may_keep_anything(odd: Path) -> None:
    directory = odd.parent
    assert verdict.recall(odd) is None
    with pytest.raises(OSError):
        history.recent(odd)
    assert marks.maintenance(odd).startswith("in maintenance;") and marks.deploy(odd)[0]
    with pytest.raises(CheckError) as caught:
        memory.load(odd)
    assert caught.value.fault.state is State.UNKNOWN
    odd.rename(directory / screen.HISTORY)
    assert screen.lines(directory, 0)[1].state is State.UNKNOWN


def test_a_verdict_is_no_way_to_a_file_of_root(tmp_path: Path) -> None:
    """Who keeps it may make it a link to one; the screen would quote it."""
    verdict.remember(tmp_path / "real", [Result("canary", State.OK, "words")], {})
    (tmp_path / "link").symlink_to("real")
    assert verdict.recall(tmp_path / "real") and verdict.recall(tmp_path / "link") is None
    history.record(tmp_path / "runs", [Result("a", State.OK, "words")], {}, 1.0)
    (tmp_path / "other").symlink_to("runs")
    assert len(history.recent(tmp_path / "runs")) == 1
    with pytest.raises(OSError):
        history.recent(tmp_path / "other")


def test_a_log_that_is_none(odd: Path) -> None:
    assert LogTail(odd, None, None).poll() == []
    assert last_words._end(odd) == []


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_model_with_a_fifo_in_it(tmp_path: Path, name: str, whole: bool) -> None:
    os.mkfifo(tmp_path / name)
    result = files.look(tmp_path, whole)
    assert result.state is State.CRITICAL and f"{name} is a socket, a pipe or a device" in result.reason


def test_an_index_leads_nowhere_else(tmp_path: Path) -> None:
    for outside in ("../secret", "/etc/shadow", "a/../../secret"):
        (tmp_path / "model.safetensors.index.json").write_text(f'{{"weight_map": {{"t": "{outside}"}}}}')
        faults: list[Fault] = []
        assert files._index(tmp_path, "model.safetensors.index.json", faults) == {}
        assert [fault.reason for fault in faults] == ["model.safetensors.index.json holds no weight_map"]


def test_a_circle_of_links_is_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to("config.json")
    faults: list[Fault] = []
    assert json_files.load(tmp_path / "config.json", faults) is None and faults
    with pytest.raises(OSError):
        safetensors.tensors(tmp_path / "config.json")
