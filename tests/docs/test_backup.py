"""The commands of docs/backup.md, run on directories in place of hosts: what they save comes back, and the backend is up in the end."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import read

SYSTEMCTL = """#!/bin/sh
echo "$@" >>"$CALLS"
"""


def commands() -> tuple[str, str]:
    """Return the lines of the page that save and restore."""
    texts = [block.text for block in read("docs/backup.md").blocks if "tar " in block.text]
    save, restore = (text.strip() for text in texts)
    return save, restore


class Directory:
    """A directory that stands for a host."""

    def __init__(self, folder: Path, name: str) -> None:
        self.root, self.calls, self.kept = folder / name, folder / f"{name}.calls", folder / "root"
        self.programs = folder / "programs"
        for path in (self.root, self.kept, self.programs):
            path.mkdir(exist_ok=True)
        (self.programs / "systemctl").write_text(SYSTEMCTL)
        (self.programs / "systemctl").chmod(0o755)

    def run(self, line: str) -> str:
        """Run a line of the page as root of that host; the backend is up in the end. Return what tar complains of."""
        assert " -C / " in line and " /root/" in line
        own = line.replace(" -C / ", f" -C {self.root} ").replace(" /root/", f" {self.kept}/")
        environment = os.environ | {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "CALLS": str(self.calls),
        }
        done = subprocess.run(
            ["sh", "-c", own], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert self.calls.read_text().split("\n") == ["stop backend", "start backend", ""]
        return done.stderr

    def write(self, name: str, text: str) -> None:
        """Write a file of that host."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def old(tmp_path: Path) -> Directory:
    """A host with a session, a night, and a canary that remembers."""
    host = Directory(tmp_path, "old")
    for name in (
        "opt/vllm/watch/history.json",
        "opt/vllm/watch/second/history.json",
        "opt/vllm/watch/canary.json",
    ):
        host.write(name, name)
    host.write("opt/vllm/secrets/vllm/current/own.env", "KEY=1")
    database = host.root / "var/lib/backend/sessions.sqlite"
    database.parent.mkdir(parents=True)
    with sqlite3.connect(database) as connection:
        connection.execute("create table sessions (words)")
        connection.execute("insert into sessions values ('서울')")
    connection.close()
    return host


def test_what_is_saved_comes_back_on_another_host(tmp_path: Path, old: Directory) -> None:
    save, restore = commands()
    new = Directory(tmp_path, "new")
    new.write("opt/vllm/watch/canary.json", "of the new host")
    new.write("var/lib/backend/sessions.sqlite", "empty")
    assert old.run(save) == new.run(restore) == ""
    with sqlite3.connect(new.root / "var/lib/backend/sessions.sqlite") as connection:
        assert connection.execute("select words from sessions").fetchall() == [("서울",)]
    connection.close()
    for name in ("history.json", "second/history.json"):
        assert (new.root / "opt/vllm/watch" / name).read_text() == f"opt/vllm/watch/{name}"
    assert (new.root / "opt/vllm/watch/canary.json").read_text() == "of the new host"
    assert not (new.root / "opt/vllm/secrets").exists()


def test_the_backend_is_started_again_though_nothing_could_be_saved(tmp_path: Path) -> None:
    save, _ = commands()
    assert "No such file" in Directory(tmp_path, "bare").run(save.replace("/root/", "/root/gone/"))
