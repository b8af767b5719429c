"""A site behind a proxy with a private CA: each way out takes both, and the proxy's password is told to the proxy alone."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail
from loading import load
from mirror import HERE, mirror
from outside import PASSWORD, Site
from playbooks import REPOSITORY, Playbook, run_playbook

from tests.python_checks.model_directories import two

pytestmark = pytest.mark.slow

pick_python = load("modules/pick_python")
export_git = load("action/export_git")
PACKAGE = "vllm_deploy_test_wheel"
OUTBOUND = "bin/outbound"


def wheel(folder: Path) -> str:
    """Make a wheel in a directory of an index, and return the requirement with its hash."""
    path = folder / PACKAGE.replace("_", "-") / f"{PACKAGE}-1.0-py3-none-any.whl"
    path.parent.mkdir()
    about = f"{PACKAGE}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return f"{PACKAGE}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site, with an index that has uv and one package, downloads of a Python, and a repository."""
    with Site(tmp_path_factory.mktemp("site") / "s").running() as site:
        index = site.files / "simple"
        (index / "uv").mkdir(parents=True)
        (site.files / "lock.txt").write_text(wheel(index))
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps"]
        fetch += ["--requirement", str(REPOSITORY / "locks/uv.txt"), "--dest", str(index / "uv")]
        subprocess.run(fetch, timeout=300, check=True)
        listed = mirror(site.files)
        listed.write_text(listed.read_text().replace(site.files.as_uri(), site.url))
        source = site.files / "source"
        (source / "src/api").mkdir(parents=True)
        (source / "src/api/main.py").write_text("app = None\n")
        git = ["git", "-C", str(source), "-c", "user.name=t", "-c", "user.email=t@example.invalid"]
        for words in ("init -q", "add .", "commit -q -m 1", "update-server-info"):
            subprocess.run([*git, *words.split()], timeout=60, check=True)
        yield site


class Host:
    """This machine as a host of the site, in a directory of its own."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self.folder, self.directory = site, folder, folder / "d"

    def run(self, playbook: str, *arguments: str, **variables: object) -> subprocess.CompletedProcess[str]:
        """Run a playbook with further variables of the inventory; it says all that it can say."""
        given = self.folder / "variables.json"
        given.write_text(json.dumps(variables))
        return run_playbook(
            playbook,
            self.directory,
            *("-vvv", "--diff", "-e", f"@{given}", *arguments),
            UV_CACHE_DIR=str(self.folder / "cache"),
            UV_PYTHON_DOWNLOADS_JSON_URL=f"{self.site.url}/downloads.json",
            **index(self.site),
        )

    def install(self, **variables: object) -> subprocess.CompletedProcess[str]:
        """Install uv and, with it, the package."""
        environment = self.directory / "venvs/test"
        given = ["-e", f"test_lock={self.site.files / 'lock.txt'}", "-e", f"test_venv={environment}"]
        return self.run("tests/ansible/venv.yml", *given, **variables)


def index(site: Site) -> dict[str, str]:
    """Return the variables with which pip and uv ask the site's index, and no other place."""
    url = f"{site.url}/simple"
    ours = {"PIP_INDEX_URL": url, "UV_DEFAULT_INDEX": url, "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"}
    return ours | {"PIP_FIND_LINKS": "", "UV_FIND_LINKS": "", "PIP_RETRIES": "0", "UV_HTTP_RETRIES": "0"}


@pytest.fixture
def host(site: Site, tmp_path: Path) -> Host:
    """A host that nothing was installed on."""
    return Host(site, tmp_path)


def way(site: Site) -> dict[str, object]:
    """Return the two variables of the inventory."""
    return {"host_proxy_environment": site.proxies(), "host_ca_file": str(site.ca)}


@contextmanager
def watched() -> Iterator[set[str]]:
    """Collect the command lines of all processes, as every user of the machine sees them."""
    seen: set[str] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue
            time.sleep(0.02)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    yield seen
    done.set()
    thread.join()


def said(run: subprocess.CompletedProcess[str]) -> str:
    """Return what a playbook said, in one line."""
    return " ".join(run.stdout.split())


def test_neither_is_reached_without_them(host: Host, site: Site) -> None:
    before = len(site.proxy.asked)
    run = host.install(host_ca_file=str(site.ca))
    assert run.returncode != 0 and "uv.txt was not installed" in said(run), run.stdout
    assert len(site.proxy.asked) == before

    run = host.install(host_proxy_environment=site.proxies())
    assert run.returncode != 0 and "uv.txt was not installed" in said(run), run.stdout
    assert site.proxy.tunnels and "UNKNOWN_CA" in site.server.refusals

    run = host.install(host_ca_file=str(site.ca), host_proxy_environment=site.proxies("Wrong-Pa55word"))
    assert run.returncode != 0 and "407" in said(run), run.stdout
    assert "Wrong-Pa55word" not in run.stdout
    assert not list(host.directory.glob("venvs/*"))


def test_both_install_and_the_password_is_told_to_the_proxy_alone(host: Host, site: Site) -> None:
    with watched() as seen:
        run = host.install(**way(site))
    assert run.returncode == 0, run.stdout
    assert list(host.directory.glob(f"venvs/test/lib/*/site-packages/{PACKAGE}-1.0.dist-info"))
    assert any("/outbound" in line and "pip" in line for line in seen)
    assert PASSWORD not in run.stdout and not [line for line in seen if PASSWORD in line]
    files = [path for path in host.directory.rglob("*") if path.is_file() and not path.is_symlink()]
    telling = [path for path in files if PASSWORD.encode() in path.read_bytes()]
    assert telling == [host.directory / OUTBOUND]
    assert telling[0].stat().st_mode & 0o777 == 0o700
    assert (host.directory / "bin").stat().st_mode & 0o777 == 0o755

    again = host.install(**way(site))
    assert again.returncode == 0 and "changed=0" in again.stdout, again.stdout

    fetched = host.run("tests/ansible/python.yml", "-e", f"test_version={HERE}", **way(site))
    assert fetched.returncode == 0 and PASSWORD not in fetched.stdout, fetched.stdout
    name = f"python/{HERE}/cpython-{platform.python_version()}-linux-{platform.machine()}-gnu"
    assert (host.directory / name).is_dir()

    # Without the variables the file forgets them.
    gone = host.install()
    assert gone.returncode == 0 and PASSWORD not in (host.directory / OUTBOUND).read_text(), gone.stdout
    assert PASSWORD not in gone.stdout


def test_the_build_of_torch_is_asked_for_the_same_way(
    host: Host, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert host.install(**way(site)).returncode == 0
    for name, value in (index(site) | {"UV_CACHE_DIR": str(host.folder / "fresh")}).items():
        monkeypatch.setenv(name, value)
    requirement, uv = (site.files / "lock.txt").read_text(), str(host.directory / "bin/uv")
    through = [str(host.directory / OUTBOUND), uv]
    assert pick_python.source_of_cpu_build([uv], sys.executable, requirement) is None
    assert pick_python.source_of_cpu_build(through, sys.executable, requirement) == []


def test_git_takes_the_same_way(host: Host, site: Site, tmp_path: Path) -> None:
    url, full = f"{site.url}/source/.git", site.proxies() | {"GIT_SSL_CAINFO": str(site.ca)}
    for name in "https_proxy", "GIT_SSL_CAINFO":
        less = {key: value for key, value in full.items() if key != name}
        with pytest.raises(AnsibleActionFail, match="Can the controller read it") as told:
            export_git.export(export_git.repository(url)._replace(way=less), "HEAD", tmp_path)
        assert PASSWORD not in str(told.value)
    with watched() as seen:
        run = host.run("tests/ansible/git.yml", backend_source="git", backend_git_url=url, **way(site))
    assert run.returncode == 0 and PASSWORD not in run.stdout, run.stdout
    assert any("clone" in line for line in seen)
    assert not [line for line in seen if PASSWORD in line]


@pytest.mark.parametrize("left_out", ["host_ca_file", ""])
def test_a_bundle_is_fetched_the_same_way(host: Host, site: Site, left_out: str) -> None:
    """The index lacks the packages, so the bundle is not finished; what counts is what the server was asked for."""
    given = {name: value for name, value in way(site).items() if name != left_out}
    before = len(site.server.requested)
    run = host.run("ansible/bundle.yml", "-e", f"bundle_directory={host.folder / 'bundle'}", **given)
    assert run.returncode != 0 and PASSWORD not in run.stdout
    assert ("/simple/torch/" in site.server.requested[before:]) == (not left_out), run.stdout


def test_a_model_is_fetched_the_same_way(prepared: Playbook, site: Site, tmp_path: Path) -> None:
    model, target = two(site.files / "model"), tmp_path / "model"
    subprocess.run("sha256sum -- * >SHA256SUMS", shell=True, cwd=model, check=True)
    given = tmp_path / "variables.json"
    variables = {"vllm_model": str(target), "vllm_model_source": f"{site.url}/model", **way(site)}
    given.write_text(json.dumps(variables))
    with watched() as seen:
        run = prepared("ansible/model.yml", "-vvv", "-e", f"@{given}")
    assert run.returncode == 0 and PASSWORD not in run.stdout, run.stdout
    assert {path.name for path in target.iterdir()} >= {path.name for path in model.iterdir()}
    assert not [line for line in seen if PASSWORD in line]
