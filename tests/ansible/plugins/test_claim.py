"""The directory of a deploy: claimed by a mark, refused where it is somebody else's, and emptied of what the roles made only."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from loading import load
from playbooks import REPOSITORY, run_playbook

claim_directory = load("modules/claim_directory")
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root may give a file away")


def claim(directory: Path, state: str, **options: Any) -> tuple[bool, dict[str, Any]]:
    """Run the module; return whether it succeeded, and what it told."""
    given = {"path": str(directory), "state": state, "roots": False, "keep": [], "logs": False}
    try:
        return True, claim_directory.act(given | options, False)
    except ValueError as error:
        return False, {"msg": str(error)}


def files(directory: Path) -> set[str]:
    """Return the files and links below a directory."""
    return {
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


def deployed(directory: Path) -> None:
    """Fill a directory as the roles do, from before there was a mark."""
    for name in (
        "bin/checks",
        "bin/uv",
        "venvs/uv-1/bin/python",
        "checks/0123456789ab/python_checks/x.py",
        "releases/vllm/a-1/x",
    ):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text("-m python_checks")
    for name in (
        "backend/0123456789ab/x.py",
        "logs/vllm.log",
        "logs/vllm.log.1",
        "tmp/x",
        "watch/canary.json",
    ):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text("x")
    (directory / "vllm").mkdir()


def test_a_new_directory_is_claimed_once(tmp_path: Path) -> None:
    directory = tmp_path / "new/vllm"
    assert claim(directory, "claimed")[1]["changed"]
    assert files(directory) == {".vllm-deploy"}
    assert claim(directory, "claimed") == (True, {"changed": False})


@pytest.mark.parametrize("name", ["work.txt", ".hidden", "bin/tool", "models/model.bin"])
def test_what_is_somebody_elses_is_refused_and_left(tmp_path: Path, name: str) -> None:
    (tmp_path / "own" / name).parent.mkdir(parents=True)
    (tmp_path / "own" / name).write_text("mine")
    before = files(tmp_path)
    for state in ("claimed", "ours", "removed"):
        done, told = claim(tmp_path / "own", state)
        assert not done and "no mark of a deploy" in told["msg"] and "Nothing was touched" in told["msg"]
    assert files(tmp_path) == before


def test_one_from_before_there_was_a_mark_is_adopted(tmp_path: Path) -> None:
    deployed(tmp_path)
    assert claim(tmp_path, "claimed")[1]["changed"]
    assert ".vllm-deploy" in files(tmp_path)


def test_what_the_roles_did_not_make_survives(tmp_path: Path) -> None:
    directory, elsewhere = tmp_path / "d", tmp_path / "elsewhere"
    deployed(directory)
    elsewhere.mkdir()
    (elsewhere / "data").write_text("mine")
    kept = {
        "models/gpt/model.bin",
        "backend/checkout/app.py",
        "work.txt",
        "vllm/gpt/x",
        "cache/gpt/config.json",
    }
    for name in kept:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text("mine")
    (directory / "bin/link").symlink_to(elsewhere)
    (directory / "supervisor").symlink_to(elsewhere)
    (directory / "cache/other").write_text("x")
    assert claim(directory, "ours") == (True, {"changed": False})
    done, told = claim(directory, "removed", keep=[str(directory / "cache/gpt"), ""])
    assert done and told["changed"]
    assert files(directory) == kept | {".vllm-deploy", "logs/vllm.log", "logs/vllm.log.1"}
    assert files(elsewhere) == {"data"}
    (directory / "logs/mine").write_text("mine")
    claim(directory, "removed", logs=True, keep=[str(directory / "cache/gpt")])
    assert files(directory) == kept | {".vllm-deploy", "logs/mine"}
    assert claim(directory, "claimed")[0], "a later deploy may use it again"


@pytest.mark.parametrize("name", ["backend", "logs"])
def test_what_a_folder_that_is_a_link_leads_to_survives(tmp_path: Path, name: str) -> None:
    directory, elsewhere = tmp_path / "d", tmp_path / "elsewhere"
    claim(directory, "claimed")
    for own in ("0123456789ab.complete", "vllm.log"):
        elsewhere.mkdir(exist_ok=True)
        (elsewhere / own).write_text("mine")
    (directory / name).symlink_to(elsewhere)
    assert claim(directory, "removed", logs=True)[0]
    assert files(elsewhere) == {"0123456789ab.complete", "vllm.log"}


def test_nothing_is_left_where_nothing_else_was(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    claim(directory, "claimed")
    deployed(directory)
    for name in yaml.safe_load((REPOSITORY / "roles/host/vars/main.yml").read_text())["__host_directories"]:
        (directory / name).mkdir(exist_ok=True)
    claim(directory, "removed", logs=True)
    assert not directory.exists()
    assert claim(directory, "removed")[1]["changed"] is False


def test_uninstall_leaves_a_directory_that_was_never_deployed_to(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/work.txt").write_text("mine")
    run = run_playbook("ansible/uninstall.yml", tmp_path / "demo", "-v")
    assert run.returncode == 2 and "work.txt" in run.stdout, run.stdout
    assert "Take the deploy lock" not in run.stdout, "before anything else"
    assert files(tmp_path / "demo") == {"work.txt"}
    run = run_playbook("ansible/check.yml", tmp_path / "demo")
    assert run.returncode == 2 and files(tmp_path / "demo") == {"work.txt"}, run.stdout


@pytest.fixture
def safe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that was started as our plays do."""
    started = SimpleNamespace(flags=SimpleNamespace(safe_path=True), executable=sys.executable)
    # Not sys.flags itself: pytest needs them to tell a failure.
    monkeypatch.setattr(claim_directory, "sys", started)


@ROOT
@pytest.mark.usefixtures("safe")
def test_what_others_may_change_is_no_place_for_root(tmp_path: Path) -> None:
    directory = tmp_path / "d/vllm"
    claim(directory, "claimed")
    deployed(directory)
    assert claim(directory, "claimed", roots=True)[0]
    for place in (
        directory,
        directory.parent,
        directory / "bin",
        directory / "bin/checks",
        directory / "logs",
    ):
        os.chown(place, 4711, 0)
        done, told = claim(directory, "claimed", roots=True)
        assert not done and f"{place} belongs to user 4711: sudo chown root: {place}" in told["msg"]
        os.chown(place, 0, 0)
        os.chown(place, 0, 4711)
        place.chmod(0o775)
        done, told = claim(directory, "ours", roots=True)
        assert not done and f"{place} may be written by group 4711" in told["msg"]
        os.chown(place, 0, 0)
        place.chmod(0o757)
        assert not claim(directory, "claimed", roots=True)[0]
        place.chmod(0o755)
    directory.parent.chmod(0o1777)  # what is root's there stays root's
    assert claim(directory, "claimed", roots=True)[0]
    directory.chmod(0o1777)
    assert not claim(directory, "claimed", roots=True)[0]


@ROOT
def test_root_without_a_safe_path_is_refused(tmp_path: Path) -> None:
    assert not getattr(sys.flags, "safe_path", False)
    done, told = claim(tmp_path / "d", "claimed", roots=True)
    assert not done and "PYTHONSAFEPATH is not set" in told["msg"]
