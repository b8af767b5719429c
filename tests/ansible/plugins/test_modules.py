"""The modules: which Python and which torch, and what a host offers."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from loading import load
from playbooks import REPOSITORY

pick_python = load("modules/pick_python")
inspect_host = load("modules/inspect_host")
UV = str(Path(sys.executable).with_name("uv"))
NAME = "vllm_deploy_test_wheel"


@pytest.fixture
def requirement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A requirement with its hash, whose only wheel lies in the find-links of this machine; no index is asked."""
    wheel = tmp_path / f"{NAME}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(
            f"{NAME}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{NAME}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{NAME}-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    return f"{NAME}==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def test_build_in_find_links_is_taken(requirement: str) -> None:
    choice = pick_python.choose([UV], [sys.executable], requirement)
    assert choice == {"python": sys.executable, "torch": "cpu", "options": []}


def test_build_that_is_nowhere_leaves_the_index(requirement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", "")
    choice = pick_python.choose([UV], [sys.executable], requirement)
    assert choice == {"python": sys.executable, "torch": "index", "options": []}


def test_lock_with_one_build_only_chooses_a_python() -> None:
    choice = pick_python.choose(["/no/uv"], ["/a/python", "/b/python"], "")
    assert choice == {"python": "/a/python", "torch": "index", "options": []}


def test_interpreters_have_headers_and_are_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "python3.13"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    name = f"python3.{sys.version_info.minor}"
    if not (tmp_path / name).exists():
        (tmp_path / name).symlink_to(Path(sys.executable).resolve())
    monkeypatch.setenv("PATH", str(tmp_path))
    found = inspect_host.pythons(tmp_path / "none")
    expected = [] if sys.version_info.minor == 13 else [str(tmp_path / name)]
    assert [each["path"] for each in found] == expected


def test_disk_of_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    assert 0 < inspect_host.disk_free(tmp_path / "not/yet") <= os.statvfs(tmp_path).f_bavail * 4096 * 1.01


def test_missing_library() -> None:
    assert inspect_host.loads("libc.so.6")
    assert not inspect_host.loads("libnotthere.so.9")


def write_files(files: list[dict[str, str]], *options: str) -> bool:
    """Run the module through Ansible; return whether it changed something."""
    program = Path(sys.executable).with_name("ansible")
    command = [
        program,
        "demo",
        "-m",
        "write_files",
        "-a",
        json.dumps({"files": files}),
        "--one-line",
        *options,
    ]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
    return "| CHANGED =>" in run.stdout


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (10, before[1])
    )  # the same error for Python, an OSError in the middle of a file
    try:
        with pytest.raises(OSError, match="too large"):
            load("module_utils/whole_file").write(tmp_path / "file", "more than ten", 0o644)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [*tmp_path.iterdir()]


def test_files_are_written_once_and_whole(tmp_path: Path) -> None:
    secret, other = tmp_path / "closed/secret", tmp_path / "other"
    files = [
        {"path": str(secret), "content": "a: 'b'\n한국어\n", "mode": "0600"},
        {"path": str(other), "content": ""},
    ]
    assert write_files(files, "--check")
    assert not secret.parent.exists()
    assert write_files(files)
    assert secret.read_text() == files[0]["content"] and other.read_text() == ""
    modes = [path.stat().st_mode & 0o777 for path in (secret.parent, secret, other)]
    assert modes == [0o700, 0o600, 0o644]
    inode = secret.stat().st_ino
    assert not write_files(files)
    assert secret.stat().st_ino == inode
    secret.chmod(0o644)
    assert write_files(files)
    assert secret.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in secret.parent.iterdir()] == ["secret"]


def test_what_is_verified_lands_whole_or_not_at_all(tmp_path: Path) -> None:
    write = load("modules/write_files")
    units = [
        {"path": "/etc/systemd/system/a.service", "content": "x=1"},
        {"path": "/etc/b.timer", "content": "y=2"},
    ]
    assert write.faults(units, ["sh", "-c", 'cat "$@"', "verify"]) == ""
    complains = ["sh", "-c", 'grep -l y=2 "$@" >&2; echo "c.service: not ours" >&2', "verify"]
    assert write.faults(units, complains).endswith("/b.timer") and "not ours" not in write.faults(
        units, complains
    )
    assert write.faults(units, ["sh", "-c", "echo broken >&2; exit 1", "verify"]) == "broken\n"
    assert write.faults(units, ["false"]) == "false ended with 1"
