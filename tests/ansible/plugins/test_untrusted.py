"""Modules that root runs on what other users may write: a checkout, a bundle, a repository, directories that are shared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from loading import load
from playbooks import REPOSITORY

inspect_checkout = load("modules/inspect_checkout")
verify_files = load("modules/verify_files")
share_directories = load("modules/share_directories")
export_git = load("action/export_git")
copy_tree = load("action/copy_tree")
release = load("modules/release")
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root may give a file away")
NOBODY = 65534
pytestmark = pytest.mark.usefixtures("at_once")


def ids(directory: Path) -> list[bytes]:
    return list(inspect_checkout.content(directory))


def test_a_checkout_with_fifos_links_and_endless_files_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("x = 1")
    before = ids(tmp_path)
    os.mkfifo(tmp_path / "queue.py")
    os.mkfifo(tmp_path / ".env")
    (tmp_path / "zero.py").symlink_to("/dev/zero")
    (tmp_path / "round.py").symlink_to("round.py")
    (tmp_path / "folder.py").mkdir()
    with (tmp_path / "huge.py").open("wb") as file:
        file.truncate(10 * 2**40)  # no disk holds it, and no memory would
    found = ids(tmp_path)
    assert found != before and sum(map(len, found)) < 2 * inspect_checkout.LARGE
    os.utime(tmp_path / "huge.py", (1, 1))
    assert ids(tmp_path) != found, "a large module that changed is loaded anew"


@ROOT
@pytest.mark.parametrize(
    "words",
    [
        b'{"found": {"faults": [], "commit": "../../../etc", "id": "0123456789ab", "home": ""}}',
        b'{"found": {"faults": [], "commit": "", "id": "../../x", "home": ""}}',
        b'{"found": {"faults": [], "commit": "", "id": "0123456789ab"}}',
        b'{"found": {"faults": 1}}',
        b'{"found": [1]}',
        b'"error"',
        b"[1]",
        b"no json",
        b"",
    ],
)
def test_what_a_users_process_says_is_no_path_of_root(words: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect_checkout.another_user, "listen", lambda *_: words)
    found = inspect_checkout.as_user("nobody", Path("/"), "a:b")
    assert "could not be looked at by nobody" in found["faults"][0]


@ROOT
def test_a_users_process_that_stops_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect_checkout, "SECONDS", 1)
    monkeypatch.setattr(inspect_checkout, "look", lambda *_: os.kill(os.getpid(), signal.SIGSTOP))
    found = inspect_checkout.as_user("nobody", tmp_path, "a:b")
    assert "within 1 s" in found["faults"][0]


@ROOT
def test_a_home_is_that_of_the_users_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = b'{"found": {"faults": [], "commit": "", "id": "0123456789ab", "home": "/etc"}}'
    monkeypatch.setattr(inspect_checkout.another_user, "listen", lambda *_: said)
    assert inspect_checkout.as_user("nobody", tmp_path, "a:b")["home"] == "/nonexistent"


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", ".", "..", "a\0b"])
def test_names_of_a_manifest_stay_in_its_directory(name: str) -> None:
    assert not verify_files.leads_in(name, flat=False) and not verify_files.leads_in(name, flat=True)


def test_a_manifest_with_such_a_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "x").write_text("mine")
    given = {
        "directory": str(tmp_path / "bundle"),
        "files": {"../x": {"size": 4, "sha256": "0" * 64}},
        "exact": True,
    }
    given |= {"remember": str(tmp_path / "remember"), "archive": None, "remedy": None}

    def fail(msg: str) -> None:
        raise ValueError(msg)

    module = SimpleNamespace(params=given, check_mode=False, fail_json=fail, exit_json=lambda **_: None)
    monkeypatch.setattr(verify_files, "AnsibleModule", lambda *_, **__: module)
    with pytest.raises(ValueError, match=r"'\.\./x' is no name of a file in"):
        verify_files.main()


def test_names_of_a_manifest_that_are_meant() -> None:
    assert verify_files.leads_in("a-1.0-py3-none-any.whl", flat=True)
    assert verify_files.leads_in("original/config.json", flat=False)
    assert not verify_files.leads_in("original/config.json", flat=True)


def test_a_file_of_a_manifest_that_is_a_fifo_by_now_has_no_sum(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    assert verify_files.sha256(tmp_path / "x") == ""


@pytest.mark.parametrize("links", [{"a": "b", "b": "a"}, {"a": "a"}, {"x/up": ".."}, {"x/to": "../y", "y/fro": "../x"}, {"a": "."},
                                   {"a": "gone"}, {"a": "/etc/passwd"}, {"x/a": "../../elsewhere"}])  # fmt: skip
def test_links_that_no_copy_can_hold_are_refused(tmp_path: Path, links: dict[str, str]) -> None:
    tree = tmp_path / "tree"
    for name in ("x", "y"):
        (tree / name).mkdir(parents=True)
    for name, target in links.items():
        (tree / name).symlink_to(target)
    with pytest.raises(AnsibleActionFail, match=r"is a link that leads .*, and is not followed"):
        export_git.refuse(tree, "https://example/x")
    if "out" not in export_git.astray(tree / next(iter(links)), tree):
        with pytest.raises(AnsibleActionFail, match=r"is a link that leads .*: remove it"):
            copy_tree.refuse(tree)


def test_links_within_a_repository_are_copied(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/page").write_text("x")
    (tmp_path / "page").symlink_to("docs/page")
    (tmp_path / "pages").symlink_to("docs")
    export_git.refuse(tmp_path, "https://example/x")
    copy_tree.refuse(tmp_path)


def unpack(tmp_path: Path, digest: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", copy_tree.UNPACK, "sh", str(tmp_path / "copy"), str(tmp_path / "sent"), digest]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_what_another_user_put_in_place_of_a_copy_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/old").touch()
    subprocess.run(["tar", "--create", "--file", tmp_path / "sent", "-C", "/", "etc/hostname"], check=True)
    done = unpack(tmp_path, "0" * 64)
    assert done.returncode == 1 and "what arrived is not what was sent" in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["copy", "old"]


@ROOT
def test_shared_directories_give_each_user_what_is_its_own_once(tmp_path: Path) -> None:
    for name in ("canary.json", ".canary.json.lock", "deep.verdict", "maintenance.json"):
        (tmp_path / name).touch()
    given: dict[str, Any] = {"group": NOBODY, "files": {NOBODY: ["canary.*", ".canary.*"], 4711: ["deep.*"]}}
    assert share_directories.share(tmp_path, dry=True, **given)
    assert share_directories.share(tmp_path, dry=False, **given)
    owners = {path.name: path.stat().st_uid for path in tmp_path.iterdir()}
    assert owners == {
        "canary.json": NOBODY,
        ".canary.json.lock": NOBODY,
        "deep.verdict": 4711,
        "maintenance.json": 0,
    }
    assert (tmp_path.stat().st_mode & 0o7777, tmp_path.stat().st_gid) == (0o1775, NOBODY)
    assert not share_directories.share(tmp_path, dry=False, **given)
    # By now a name may be any file: a hard link of a member of the group to one of root.
    (tmp_path / "canary.verdict").touch()
    tmp_path.chmod(0o770)
    assert share_directories.share(tmp_path, dry=False, **given)
    assert (tmp_path / "canary.verdict").stat().st_uid == 0


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a\nb", "-x"])
def test_a_release_is_no_path(name: str) -> None:
    assert not release.ID.fullmatch(name)
    assert release.ID.fullmatch("0.32.0-ab1b4259737c") and release.ID.fullmatch("checkout-ab1b4259737c")


def test_an_interpreter_imports_nothing_of_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspect_host = load("modules/inspect_host")
    for name in ("json", "sysconfig", "importlib"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('planted')")
    monkeypatch.chdir(tmp_path)
    assert inspect_host.look_at(sys.executable)[0]["path"] == sys.executable


@ROOT
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757])
def test_an_interpreter_that_others_may_change_is_not_run(tmp_path: Path, mode: int) -> None:
    inspect_host = load("modules/inspect_host")
    python = tmp_path / "bin/python3.12"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    python.chmod(0o755)
    for place in (python, python.parent):
        os.chown(place, 0, 4711)
        place.chmod(mode)
        refused: list[str] = []
        assert inspect_host.look_at(str(python), refused) == []
        assert f"for {place} may be written by" in refused[0] and f"sudo chmod go-w {place}" in refused[0]
        os.chown(place, 0, 0)
        place.chmod(0o755)
    assert not (tmp_path / "ran").exists()
    os.chown(python, 4711, 0)
    inspect_host.look_at(str(python), refused := [])
    assert "belongs to user 4711" in refused[0] and not (tmp_path / "ran").exists()


def test_no_play_has_root_import_from_a_login_users_home() -> None:
    """Ansible starts modules as root in that directory. (That it helps is seen on a host: tests/systemd/served/test_root.py.)"""
    for path in sorted((REPOSITORY / "ansible").glob("*.yml")):
        plays = [play for play in yaml.safe_load(path.read_text()) if "hosts" in play]
        for play in plays if path.name != "bundle.yml" else []:  # that asks no host
            assert play.get("environment") == {"PYTHONSAFEPATH": "1"}, f"{path.name}: {play['name']}"
