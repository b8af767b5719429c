"""Releases on a host: named by content, activated at once, kept while they may be needed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from loading import load

release = load("modules/release")


class Host:
    """The releases of one service, as the tasks of roles/service use them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.install = folder, folder / "x.service"
        self.releases = release.Releases(folder / "releases", "x.service", 0o644)

    def act(self, state: str, name: str, **given: Any) -> dict[str, Any]:
        options = {"state": state, "install": str(self.install), "verify": [], "running": None, "keep": 3}
        options |= {"belongings": [], "row": None}
        found: dict[str, Any] = release.act(self.releases, options | given, name, given.pop("dry", False))
        return found

    def deploy(self, name: str, content: str = "") -> None:
        self.act("present", name, content=content or f"{name} @RELEASE@")
        self.act("active", name)
        self.act("good", name)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_activation_installs_the_file_with_its_own_name(host: Host) -> None:
    host.deploy("a-1")
    assert host.install.read_text() == "a-1 a-1"
    assert host.act("active", "a-1") == {"changed": False}
    assert os.readlink(host.folder / "releases/current") == "a-1"


def test_a_link_in_place_of_an_unfinished_file_is_not_followed(host: Host, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    host.deploy("a-1")
    for unfinished in (host.folder / ".x.service.new", host.releases.root / ".trial.new"):
        unfinished.symlink_to(tmp_path / "secret")
    host.deploy("b-1")
    assert (tmp_path / "secret").read_text() == "secret"
    assert host.install.read_text() == "b-1 b-1" and not host.install.is_symlink()


def test_a_lost_restart_is_seen(host: Host, tmp_path: Path) -> None:
    host.deploy("a-1")
    running = tmp_path / "running"
    running.write_text("a-0\n")
    assert host.act("active", "a-1", running=str(running))["changed"]
    running.write_text("a-1\n")
    assert not host.act("active", "a-1", running=str(running))["changed"]
    assert host.act("active", "a-1", running=str(tmp_path / "nothing-runs"))["changed"]


def test_a_changed_unit_is_put_right(host: Host) -> None:
    host.deploy("a-1")
    host.install.write_text("by hand")
    assert host.act("active", "a-1")["changed"]
    assert host.install.read_text() == "a-1 a-1"


def test_the_registry_follows_what_is_activated(host: Host, tmp_path: Path) -> None:
    row = tmp_path / "services/x.json"
    row.parent.mkdir()
    row.symlink_to("elsewhere")
    host.deploy("a-1")
    assert host.act("active", "a-1", row=str(row), dry=True)["changed"] and os.readlink(row) == "elsewhere"
    assert host.act("active", "a-1", row=str(row))["changed"]
    assert not host.act("active", "a-1", row=str(row))["changed"]
    (host.releases.root / "a-1/service.json").write_text("a")
    assert row.read_text() == "a" and [path.name for path in row.parent.iterdir()] == ["x.json"]


def test_releases_of_an_earlier_version_lack_a_row(host: Host) -> None:
    host.deploy("a-1")
    host.deploy("b-1")
    assert host.releases.rowless() == []
    (host.releases.root / "b-1/probe.args").touch()  # also seen by way of current, which is no release
    assert host.releases.rowless() == ["b-1"]


def test_what_the_manager_warns_of_is_not_kept(host: Host) -> None:
    grumble = ["sh", "-c", 'echo "x.service:3: Unknown key" >&2', "sh"]
    with pytest.raises(ValueError, match="Unknown key"):
        host.act("present", "a-1", content="x", verify=grumble)
    assert not [*host.releases.root.iterdir()]
    other = ["sh", "-c", "echo other.service:3: Unknown key >&2", "sh"]
    assert host.act("present", "a-1", content="x", verify=other)["changed"]


def test_three_proven_ones_stay_with_what_they_name(host: Host, tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"venvs/vllm-{number}").mkdir(parents=True)
        for beside in "lock", "complete":
            (tmp_path / f"venvs/vllm-{number}.{beside}").touch()
        host.deploy(f"a-{number}", f"ExecStart={tmp_path}/venvs/vllm-{number}/bin/python")
        os.utime(host.releases.root / f"a-{number}/.good", (number, number))
    (tmp_path / "venvs/vllm-cpu.json").touch()
    host.act("present", "a-unproven", content="x")
    done = host.act("good", "a-5", belongings=[f"{tmp_path}/venvs/vllm-*"])
    assert done["changed"]
    assert {path.name for path in host.releases.root.iterdir()} == {"a-3", "a-4", "a-5", "current"}
    kept = [path.name for path in (tmp_path / "venvs").iterdir()]
    assert sorted(kept) == sorted(
        [
            "vllm-cpu.json",
            *(f"vllm-{number}{suffix}" for number in (3, 4, 5) for suffix in ("", ".lock", ".complete")),
        ]
    )


def test_only_what_was_never_proven_is_removed(host: Host) -> None:
    host.deploy("a-1")
    assert host.act("absent", "a-1") == {"changed": False}
    host.act("present", "a-2", content="x")
    host.act("active", "a-2")
    host.act("absent", "a-2")
    assert not host.install.exists() and not (host.releases.root / "a-2").exists()
    assert host.releases.good() == ["a-1"]


def test_check_mode_changes_nothing(host: Host) -> None:
    host.deploy("a-1")
    before = sorted(host.folder.rglob("*"))
    for state in "present", "active", "good":
        assert host.act(state, "a-2", content="x", dry=True)["changed"]
    assert sorted(host.folder.rglob("*")) == before


def test_the_mark_of_proof_is_renewed_by_each_proof_whatever_the_clock_says(host: Host) -> None:
    """A deployed, B deployed, back to A, C fails: A comes back, not B."""
    host.deploy("a-1")
    host.deploy("b-1")
    future = time.time_ns() + 10**15
    os.utime(host.releases.root / "b-1/.good", ns=(future, future))  # the clock was set back since
    host.deploy("a-1")
    assert host.releases.good() == ["a-1", "b-1"]
    host.act("present", "c-1", content="c")
    assert host.releases.back("c-1") == "a-1", "known before it is activated"
    host.act("active", "c-1")
    assert host.releases.back("c-1") == "a-1"
    host.act("active", "a-1")
    assert host.act("good", "a-1")["changed"] is True, "it was on trial"
    assert host.act("good", "a-1") == {"changed": False, "removed": []}


def test_what_was_activated_is_on_trial_until_it_is_proven(host: Host) -> None:
    """Also what was proven once, and also for a run that finds all as it wants it."""
    host.deploy("a-1")
    assert not host.releases.unproven()
    host.deploy("b-1")
    host.act("active", "a-1")
    assert host.releases.unproven() and not host.act("active", "a-1")["changed"]
    assert host.releases.unproven(), "a run that changed nothing proves nothing"
    assert (host.releases.root / "trial").stat().st_mode & 0o777 == 0o644
    assert host.releases.back("a-1") == "b-1", "a run that failed would go back to what served"
    host.act("good", "a-1")
    assert not host.releases.unproven() and not (host.releases.root / "trial").exists()
    assert host.releases.back("a-1") == "", "what serves is what served before"


def test_a_lost_restart_is_a_trial_too_and_what_served_is_that_release(host: Host, tmp_path: Path) -> None:
    host.deploy("b-1")
    host.deploy("a-1")
    assert host.act("active", "a-1", running=str(tmp_path / "nothing-runs"))["changed"]
    assert host.releases.unproven() and host.releases.back("a-1") == ""
    host.act("present", "c-1", content="c")
    host.act("active", "c-1")
    assert host.releases.back("c-1") == "a-1"


def test_after_two_runs_that_were_killed_what_served_before_them_comes_back(host: Host) -> None:
    host.deploy("x-1")
    host.deploy("a-1")
    host.act("left", "x-1")
    for name in ("b-1", "c-1"):
        host.act("present", name, content=name)
        host.act("active", name)
    assert host.releases.unproven() and host.releases.back("c-1") == "a-1"
    assert host.releases.candidates() == ["a-1"]
    host.act("active", "a-1")
    assert host.releases.back("a-1") == ""


def test_a_release_of_an_older_version_without_a_trial_counts_as_unproven(host: Host) -> None:
    host.deploy("a-1")
    host.act("present", "b-1", content="b")
    host.act("active", "b-1")
    (host.releases.root / "trial").unlink()
    assert host.releases.unproven() and host.releases.back("b-1") == "a-1"
    host.deploy("b-1")
    (host.releases.root / "trial").write_text("{broken")
    assert not host.releases.unproven()


def rollback(host: Host, target: str = "") -> str:
    """Roll back as roles/service does, with a target whose probes pass."""
    left, chosen = host.releases.current, target or next(iter(host.releases.candidates()), "")
    if chosen:
        host.act("active", chosen)
        host.act("good", chosen)
        host.act("left", left)
    return chosen


def test_rollbacks_go_further_back_and_never_to_what_was_left(host: Host) -> None:
    for name in ("a-1", "b-1", "c-1"):
        host.deploy(name)
    assert rollback(host) == "b-1"
    assert rollback(host) == "a-1"
    assert rollback(host) == "", "both others were left"
    assert host.releases.left() == ["b-1", "c-1"]
    assert rollback(host, "c-1") == "c-1", "chosen by name"
    assert host.releases.left() == ["a-1", "b-1"], "what is chosen and proven is left no more"
    host.deploy("b-1")
    assert host.releases.left() == ["a-1"] and host.releases.candidates() == ["c-1"]


def test_what_was_left_is_the_last_resort_of_a_failed_deploy(host: Host) -> None:
    host.deploy("a-1")
    host.deploy("b-1")
    host.act("left", "a-1")
    (host.releases.root / "b-1/.good").unlink()
    assert host.releases.candidates() == [] and host.releases.back("c-1") == "a-1"


def test_a_proven_one_that_failed_is_left(host: Host) -> None:
    host.deploy("a-1")
    host.deploy("b-1")
    host.act("active", "a-1")
    assert host.releases.back("a-1") == "b-1"
    host.act("active", "b-1")
    host.act("good", "b-1")
    assert host.act("absent", "a-1") == {"changed": True} and host.act("absent", "a-1") == {"changed": False}
    assert host.releases.left() == ["a-1"] and host.releases.candidates() == []


def test_check_mode_marks_nothing(host: Host) -> None:
    host.deploy("a-1")
    host.deploy("b-1")
    before = sorted((path, path.stat().st_mtime_ns) for path in host.folder.rglob("*"))
    for state, name in (("active", "a-1"), ("left", "a-1"), ("absent", "a-1")):
        assert host.act(state, name, dry=True)["changed"]
    assert not host.act("good", "b-1", dry=True)["changed"]
    assert sorted((path, path.stat().st_mtime_ns) for path in host.folder.rglob("*")) == before
