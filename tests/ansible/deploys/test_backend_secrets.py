"""Secrets of a backend, deployed for real under supervisord: the process has them, and nothing else on the host or in an output does."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ansible.deploys.test_backend_sources import Host, checkout, host

pytestmark = pytest.mark.slow

__all__ = ["checkout", "host"]
# Each hides what to look for between what quoting could spoil: a shell, systemd, supervisord, JSON and Jinja read them.
HOSTILE = "\"q\" 'a' $HOME ${HOME} `id` %n %(x)s \\ \\\\n #; -e 값 {}\n second line\t\\"

# It loads, and ends when it is started.
FAILS = """
if os.environ.get("FAIL") and sys.argv[0] != "-c":
    sys.exit(3)
NEEDED = os.environ[os.environ["NEEDS"]] if "NEEDS" in os.environ else ""
"""


def secret(word: str) -> str:
    """Return a value that holds a word to look for."""
    return f"{word} {HOSTILE}{word}"


class Deployed:
    """The host with its checkout, and secrets that are encrypted in its inventory."""

    def __init__(self, host: Host, checkout: Path) -> None:
        self.host = host
        with (checkout / "src/api/main.py").open("a") as file:
            file.write(FAILS)
        self.source = {"backend_source": "existing", "backend_directory": str(checkout)}
        self.password = host.folder / "password"
        self.password.write_text("of the vault")

    def secrets(self, **values: str) -> None:
        """Put secrets into the inventory, as ``ansible-vault encrypt_string`` gives them."""
        lines = ["backend_secrets:" + ("" if values else " {}")]
        for name, value in values.items():
            command = [
                Path(sys.executable).with_name("ansible-vault"),
                "encrypt_string",
                "--stdin-name",
                name,
            ]
            done = subprocess.run(
                command, input=value, text=True, capture_output=True, timeout=60, check=True
            )
            lines += [f"  {line}" for line in done.stdout.splitlines()]
        folder = self.host.folder / "inventory/group_vars"
        folder.mkdir(exist_ok=True)
        (folder / "backend.yml").write_text("\n".join(lines) + "\n")

    def deploy(self, *arguments: str, **variables: object) -> str:
        """Deploy with everything that Ansible can show."""
        return self.host.deploy("--diff", "-vvv", *arguments, **self.source, **variables)

    @property
    def directory(self) -> Path:
        """Where the secrets of the backend are."""
        return self.host.directory / "secrets/backend"

    @property
    def environment(self) -> dict[str, str]:
        """What the backend's process has."""
        found: dict[str, str] = self.host.about()["environment"]
        return found

    def holders(self, word: str) -> list[str]:
        """Return the files below the host's directories that hold a word, but those of its backups of nothing: secrets."""
        found = subprocess.run(
            [
                "grep",
                "-rlFaz",
                word,
                self.host.directory,
                f"{self.host.directory}-ansible",
                self.host.folder / "tmp",
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return [
            path
            for path in found.stdout.splitlines()
            if not path.startswith(f"{self.host.directory}/secrets/")
        ]


@pytest.fixture(scope="module")
def deployed(host: Host, checkout: Path) -> Deployed:
    return Deployed(host, checkout)


@pytest.fixture(autouse=True)
def _vault(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(deployed.password))


@contextmanager
def watched(word: str) -> Iterator[list[str]]:
    """Look at the command line of every process of this machine, again and again; yield those that held a word."""
    seen: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                except OSError:
                    continue
                if word in words and "grep" not in words:
                    seen.append(words)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def test_they_reach_the_process_and_nothing_else(deployed: Deployed) -> None:
    values = {"API_TOKEN": secret("geheim-1"), "DB_PASSWORD": "geheim-1"}
    deployed.secrets(**values)
    with watched("geheim-1") as seen:
        said = deployed.deploy()
    assert {name: deployed.environment.get(name) for name in values} == values
    assert [line for line in said.splitlines() if "geheim" in line] == []
    assert ": API_TOKEN DB_PASSWORD" in said  # the diff of the release was shown
    assert seen == []
    assert deployed.holders("geheim-1") == []
    files = [deployed.directory.parent, *deployed.directory.parent.rglob("*")]
    modes = {stat.S_IMODE(path.lstat().st_mode) for path in files if not path.is_symlink() and path.is_file()}
    assert modes == {0o600} and {stat.S_IMODE(path.stat().st_mode) for path in files if path.is_dir()} == {
        0o700
    }
    assert not [path for path in deployed.host.folder.rglob("*.ini") if "geheim" in path.read_text()]


@pytest.mark.long
def test_check_mode_tells_that_another_one_comes_and_shows_neither(deployed: Deployed) -> None:
    pid, before = deployed.host.about()["pid"], sorted(deployed.directory.rglob("*"))
    deployed.secrets(API_TOKEN=secret("geheim-2"), NEW="geheim-2")
    said = deployed.deploy("--check", backend_environment={"NEEDS": "NEW"})  # it does not load without
    assert "changed=0" not in said and "geheim" not in said
    assert (deployed.host.about()["pid"], sorted(deployed.directory.rglob("*"))) == (pid, before)


def test_another_one_restarts_it_and_the_old_one_is_nowhere(deployed: Deployed) -> None:
    pid = deployed.host.about()["pid"]
    deployed.secrets(API_TOKEN=secret("geheim-2"))
    said = deployed.deploy()
    assert deployed.host.about()["pid"] != pid
    assert (
        deployed.environment["API_TOKEN"] == secret("geheim-2") and "DB_PASSWORD" not in deployed.environment
    )
    assert "geheim" not in said and deployed.holders("geheim") == []
    [here] = [path for path in deployed.directory.iterdir() if not path.is_symlink()]
    assert os.readlink(deployed.directory / "current") == here.name
    assert "geheim-1" not in "".join(path.read_text() for path in here.iterdir())


@pytest.mark.long
def test_a_failed_deploy_goes_back_with_the_one_that_served(deployed: Deployed) -> None:
    before = os.readlink(deployed.directory / "current")
    deployed.secrets(API_TOKEN=secret("geheim-3"))
    bad = {"backend_environment": {"FAIL": "1"}}
    run = deployed.host.run("deploy.yml", "--diff", "-vvv", **deployed.source, **bad)
    assert (
        run.returncode != 0 and "serves again" in " ".join(run.stdout.split()) and "geheim" not in run.stdout
    ), run.stdout
    assert deployed.environment["API_TOKEN"] == secret("geheim-2")
    assert sorted(path.name for path in deployed.directory.iterdir()) == sorted([before, "current"])
    assert deployed.holders("geheim") == []


@pytest.mark.long
def test_a_rollback_gets_the_newest_one(deployed: Deployed) -> None:
    """What was replaced, because it had become known say, does not come back."""
    deployed.secrets(API_TOKEN=secret("geheim-4"))
    deployed.deploy()
    run = deployed.host.run("ansible/rollback.yml", "-e", "service=backend", **deployed.source)
    assert run.returncode == 0, run.stdout
    assert deployed.environment["API_TOKEN"] == secret("geheim-4")
    assert "changed=0" not in deployed.deploy()  # back to what is wanted
    assert "changed=0" in deployed.deploy()
    assert deployed.environment["API_TOKEN"] == secret("geheim-4")


@pytest.mark.long  # tests/systemd/served/test_secrets.py has the same
def test_without_secrets_nothing_is_kept_and_what_needs_them_is_no_more_gone_back_to(
    deployed: Deployed,
) -> None:
    deployed.secrets()
    deployed.deploy()
    assert "API_TOKEN" not in deployed.environment and not deployed.directory.exists()
    pid = deployed.host.about()["pid"]
    run = deployed.host.run("ansible/rollback.yml", "-e", "service=backend", **deployed.source)
    said = " ".join(run.stdout.split())
    assert run.returncode != 0 and "needs secrets that host has no more" in said and "API_TOKEN" in said
    assert deployed.host.about()["pid"] == pid


def test_the_end_of_it_all_removes_them(deployed: Deployed) -> None:
    deployed.secrets(API_TOKEN=secret("geheim-5"))
    deployed.deploy()
    assert deployed.directory.exists()
    manager = (deployed.host.directory / "supervisor/supervisord.pid").read_text().strip()
    run = deployed.host.run("ansible/uninstall.yml", **deployed.source)
    assert run.returncode == 0, run.stdout
    assert not Path("/proc", manager).exists(), "supervisord, whose files are gone"
    assert not (deployed.host.directory / "secrets").exists() and "geheim" not in run.stdout
