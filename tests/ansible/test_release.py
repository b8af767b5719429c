"""Releases on a host: named by content, activated at once, kept while they may be needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from plugins import load

release = load("modules/release")


class Host:
    """The releases of one service, as the tasks of roles/service use them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.install = folder, folder / "x.service"
        self.releases = release.Releases(folder / "releases", "x.service", 0o644)

    def act(self, state: str, name: str, **given: Any) -> dict[str, Any]:
        options = {"state": state, "install": str(self.install), "verify": [], "running": None, "keep": 3}
        found: dict[str, Any] = release.act(
            self.releases, options | {"belongings": []} | given, name, given.pop("dry", False)
        )
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
