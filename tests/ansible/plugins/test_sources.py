"""Where a backend comes from, without a deploy: what is looked at in a checkout, and what git exports."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from base64 import b64encode
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from ansible.errors import AnsibleActionFail
from loading import load

from tests.serving import running

inspect_checkout = load("modules/inspect_checkout")
export_git = load("action/export_git")
APP = "src.api.main:app"


def git(directory: Path, *arguments: str) -> str:
    """Run git in a directory and return what it said."""
    identity = [
        "-c",
        "user.name=test",
        "-c",
        "user.email=test@example.invalid",
        "-c",
        "init.defaultBranch=main",
    ]
    run = subprocess.run(
        ["git", *identity, *arguments], cwd=directory, capture_output=True, text=True, timeout=60, check=True
    )
    return run.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout as on ML35: sources, settings, and an environment that has uvicorn, that of these tests."""
    directory = tmp_path / "checkout"
    (directory / "src/api").mkdir(parents=True)
    (directory / "src/api/main.py").write_text("app = None\n")
    (directory / ".env").write_text("MODEL_NAME=mine\n")
    (directory / ".venv").symlink_to(sys.prefix)
    return directory


def look(directory: Path, app: str = APP, user: str = "root") -> dict[str, object]:
    """Look at a checkout."""
    return dict(inspect_checkout.as_user(user, directory, app))


def state(directory: Path) -> str:
    """Return the id of a checkout that is whole."""
    found = look(directory)
    assert found["faults"] == []
    return str(found["id"])


def test_whole_checkout_is_left_as_it_was(checkout: Path) -> None:
    def content() -> dict[Path, tuple[int, int]]:
        return {
            path: (path.stat().st_mtime_ns, path.stat().st_size) for path in (checkout, *checkout.rglob("*"))
        }

    (checkout / "uvicorn").mkdir()  # what is imported from here would leave bytecode
    (checkout / "uvicorn/__init__.py").touch()
    (checkout / "uvicorn/__main__.py").touch()
    before = content()
    assert len(state(checkout)) == 12
    assert content() == before


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("", "checkout is not there. Correct backend_directory."),
        (
            "src/api/main.py",
            "src/api/main.py is not there, or root may not read it. Correct backend_directory or backend_app.",
        ),
        (".venv", ".venv/bin/python is not there, or root may not run it. Make the environment"),
    ],
)
def test_what_is_missing_is_named(checkout: Path, missing: str, said: str) -> None:
    path = checkout / missing
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    faults = look(checkout)["faults"]
    assert isinstance(faults, list) and len(faults) == 1
    assert said in faults[0]


def test_environment_without_uvicorn(checkout: Path) -> None:
    (checkout / ".venv").unlink()
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", checkout / ".venv"], timeout=60, check=True
    )
    [fault] = look(checkout)["faults"]  # type: ignore[misc]  # a list
    assert "No module named uvicorn" in fault and ".venv/bin/python -m pip install uvicorn" in fault


def test_all_faults_are_told_at_once(checkout: Path) -> None:
    (checkout / ".venv").unlink()
    faults = look(checkout, "src.other:app")["faults"]
    assert isinstance(faults, list) and len(faults) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_user_who_may_not_enter(checkout: Path) -> None:
    checkout.chmod(0o700)
    for path in checkout.parents:
        if path.owner() == "root" and len(path.parts) > 2:
            path.chmod(0o755)
    assert look(checkout)["faults"] == []
    [fault] = look(checkout, user="nobody")["faults"]  # type: ignore[misc]  # a list
    assert f"nobody may not enter {checkout}. Set backend_user to the owner" in fault


def test_id_is_of_what_is_loaded(checkout: Path) -> None:
    ids = [state(checkout)]

    def changed() -> bool:
        ids.append(state(checkout))
        return ids[-1] != ids[-2]

    (checkout / "src/api/main.py").write_text("app = 1\n")
    assert changed()
    (checkout / "src/tools.py").touch()
    assert changed()
    (checkout / ".env").write_text("MODEL_NAME=other\n")
    assert changed()
    (checkout / "sessions.sqlite").write_text("1")
    (checkout / "src/__pycache__").mkdir()
    assert not changed()
    (checkout / "prompt.txt").write_text("1")
    git(checkout, "init")
    git(checkout, "add", "src", "prompt.txt")
    git(checkout, "commit", "-m", "1")
    assert changed()
    assert look(checkout)["commit"] == git(checkout, "rev-parse", "HEAD")
    (checkout / "prompt.txt").write_text("2")
    git(checkout, "commit", "-am", "2")
    assert changed()


def test_packages_of_the_environment_count(tmp_path: Path) -> None:
    package = tmp_path / ".venv/lib/python3.12/site-packages/fastapi-1.0.dist-info"
    package.mkdir(parents=True)
    before = list(inspect_checkout.content(tmp_path))
    package.rename(package.with_name("fastapi-1.1.dist-info"))
    assert list(inspect_checkout.content(tmp_path)) != before


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two commits and a tag on the first."""
    directory = tmp_path / "repository"
    (directory / "src").mkdir(parents=True)
    git(directory, "init")
    for content in ("1", "2"):
        (directory / "src/app.py").write_text(content)
        git(directory, "add", ".")
        git(directory, "commit", "-m", content)
    git(directory, "tag", "v1", "HEAD~1")
    return directory


@pytest.mark.parametrize(("version", "content"), [("main", "2"), ("HEAD", "2"), ("v1", "1"), ("", "1")])
def test_each_name_of_a_version(repository: Path, tmp_path: Path, version: str, content: str) -> None:
    wanted = git(repository, "rev-parse", version or "HEAD~1")
    source = export_git.repository(f"file://{repository}")
    commit = export_git.export(source, version or wanted[:9], tmp_path)
    assert commit == wanted
    assert (tmp_path / "tree/src/app.py").read_text() == content
    assert not (tmp_path / "tree/.git").exists()


def test_what_cannot_be_exported_is_told(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(
        AnsibleActionFail, match="has no branch, tag or commit v9: correct backend_git_version"
    ):
        export_git.export(export_git.repository(f"file://{repository}"), "v9", tmp_path)
    with pytest.raises(AnsibleActionFail) as told:
        export_git.export(export_git.repository("https://me:secret@127.0.0.1:9/x"), "v1", tmp_path)
    assert "git ls-remote https://127.0.0.1:9/x (backend_git_url)" in str(told.value)
    assert "secret" not in str(told.value)


class Guarded:
    """A repository behind HTTP that asks for a name and a password; what it was asked with is kept."""

    def __init__(self, repository: Path, name: str, password: str) -> None:
        git(repository, "update-server-info")
        wanted = b64encode(f"{name}:{password}".encode()).decode()
        self.told: list[str] = []
        owner = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                told = self.headers.get("Authorization", "")
                owner.told.append(told)
                if told == f"Basic {wanted}":
                    super().do_GET()
                    return
                self.send_response(401, f"no entry with {told}")
                self.send_header("WWW-Authenticate", 'Basic realm="x"')
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=repository / ".git"))
        self.place = f"127.0.0.1:{self.server.server_address[1]}/"


@pytest.fixture
def spied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command line of every git that is started, and those of all processes then, as any user could read them."""
    seen, program = tmp_path / "seen", shutil.which("git")
    folder = tmp_path / "bin"
    folder.mkdir()
    look = "for each in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$each; echo; done 2>/dev/null"
    (folder / "git").write_text(f'#!/bin/sh\necho "$@" >>{seen}\n{look} >>{seen}\nexec {program} "$@"\n')
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return seen


NASTY = "p@s s/w:ör%d'\"$(id)"


@pytest.mark.parametrize(
    ("name", "password"), [("me", "ghp_0123456789"), ("me", NASTY), ("ghp_0123456789", "")]
)
def test_a_token_is_told_to_the_server_alone(
    name: str, password: str, repository: Path, tmp_path: Path, spied: Path
) -> None:
    server = Guarded(repository, name, password)
    with running(server.server):
        user = quote(name, safe="") + (f":{quote(password, safe='')}" if password else "")
        source = export_git.repository(f"http://{user}@{server.place}")
        assert source[:3] == (f"http://{server.place}", name, password)
        export_git.export(source, "v1", tmp_path)
        assert (tmp_path / "tree/src/app.py").read_text() == "1"
        wrong = export_git.repository(f"http://{user}x@{server.place}")
        with pytest.raises(AnsibleActionFail) as told:
            export_git.export(wrong, "v1", tmp_path)
    secret = password or name
    assert "git ls-remote http://127.0.0.1" in str(told.value) and secret not in str(told.value)
    assert "clone" in spied.read_text() and secret not in spied.read_text()
    kept = [path.read_bytes() for path in (tmp_path / "git").rglob("*") if path.is_file()]
    assert not [data for data in kept if secret.encode() in data or quote(secret, safe="").encode() in data]


def test_another_server_is_not_told_the_token(repository: Path, tmp_path: Path) -> None:
    """Where the first one sends git on to."""
    other = Guarded(repository, "me", "ghp_0123456789")

    class Onward(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"http://{other.place}{self.path.lstrip('/')}")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with running(other.server), running(ThreadingHTTPServer(("127.0.0.1", 0), Onward)) as url:
        source = export_git.repository(f"{url.replace('//', '//me:ghp_0123456789@')}/")
        with pytest.raises(AnsibleActionFail, match="could not read Username"):
            export_git.export(source, "v1", tmp_path)
        assert other.told and not any(other.told)


def test_a_password_that_the_users_own_helper_knows(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Guarded(repository, "me", "known")
    (tmp_path / "config").write_text("[credential]\n  helper = store\n")
    (tmp_path / ".git-credentials").write_text(
        f"http://other:no@{server.place}\nhttp://me:known@{server.place}\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    with running(server.server):
        export_git.export(export_git.repository(f"http://me@{server.place}"), "v1", tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "https://me:pass/word@host/x",
        "https://tok/en@host/x",
        "https://me:a?b@host/x",
        "https://me:a#b@host/x",
        "ssh://me:password@host/x",
    ],
)
def test_a_url_whose_password_cannot_be_told_is_refused_without_it(url: str) -> None:
    with pytest.raises(AnsibleActionFail, match="backend_git_url") as told:
        export_git.repository(url)
    assert url.partition("://")[2].partition("@")[0] not in str(told.value)


@pytest.mark.parametrize(
    "url", ["git@host:me/x.git", "ssh://git@host/x", "file:///x", "/srv/x", "https://host:8443/x"]
)
def test_a_url_without_a_password_is_left_as_it_is(url: str) -> None:
    assert export_git.repository(url)[:3] == (url, "", "")


def test_submodules_come_along_and_theirs(repository: Path, tmp_path: Path, spied: Path) -> None:
    """From the same server, which asks them for the password, too; it is told to that one alone."""
    inner = repository / ".git/inner"  # what is in there the server serves
    for directory in (inner, inner / ".git/deepest"):
        directory.mkdir(parents=True)
        git(directory, "init")
        (directory / "file").write_text(directory.name)
        git(directory, "add", ".")
        git(directory, "commit", "-m", "1")
        git(directory, "update-server-info")
    added = ("-c", "protocol.file.allow=always", "submodule", "add")
    for outer, name in ((inner, "deepest"), (repository, "inner")):
        git(outer, *added, str(outer / ".git" / name / ".git"), f"sub/{name}")
        git(outer, "config", "--file", ".gitmodules", f"submodule.sub/{name}.url", f"./{name}/.git")
        git(outer, "add", ".")
        git(outer, "commit", "-m", "with a submodule")
        git(outer, "update-server-info")
    server = Guarded(repository, "me", "ghp_0123456789")
    with running(server.server):
        source = export_git.repository(f"http://me:ghp_0123456789@{server.place}")
        export_git.export(source, "HEAD", tmp_path)
    tree = tmp_path / "tree"
    assert (tree / "sub/inner/file").read_text() == "inner"
    assert (tree / "sub/inner/sub/deepest/file").read_text() == "deepest"
    assert not list(tree.rglob(".git"))
    assert "submodule" in spied.read_text() and "ghp_0123456789" not in spied.read_text()


def test_a_submodule_that_cannot_be_read_is_told(repository: Path, tmp_path: Path) -> None:
    (repository / ".gitmodules").write_text('[submodule "x"]\n  path = x\n  url = http://127.0.0.1:9/x\n')
    commit = git(repository, "rev-parse", "HEAD")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{commit},x")
    git(repository, "add", ".gitmodules")
    git(repository, "commit", "-m", "with a submodule")
    with pytest.raises(AnsibleActionFail, match="Can the controller read each submodule of file:"):
        export_git.export(export_git.repository(f"file://{repository}"), "HEAD", tmp_path)


def test_links_out_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "inside").symlink_to("a")
    export_git.refuse(tmp_path, "URL")
    (tmp_path / "outside").symlink_to("/etc/hostname")
    with pytest.raises(AnsibleActionFail, match="outside of URL is a link that leads out of the repository"):
        export_git.refuse(tmp_path, "URL")
