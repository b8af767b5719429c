"""docs/backup.md on real hosts: what one saves is restored on a bare one by the page's own commands, and a conversation goes on there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.test_backup import commands
from tests.systemd.deployed import START, Host
from tests.systemd.image import main as image

pytestmark = pytest.mark.long
SAVED = "/root/vllm-deploy.tar.gz"
SESSION = "kept-over-hosts"
# As its user: a database that is looked at may get a file beside it.
COUNT = (
    "runuser -u backend -- python3 -c \"import sqlite3; c = sqlite3.connect('/var/lib/backend/sessions.sqlite');"
    " print([(t, c.execute('select count(*) from ' + t).fetchone()[0])"
    " for (t,) in sorted(c.execute('select name from sqlite_master where type = \\'table\\''))])\""
)


@pytest.fixture
def quiet(host: Host) -> Iterator[Host]:
    """The host of the run; its vLLM makes room for another host's, and serves again in the end."""
    yield host
    host.told("systemctl start vllm", seconds=START)


def moved(old: Host, new: Host, folder: Path) -> None:
    """Bring the saved file from one host to another, as a person would with scp."""
    file = folder / "saved"
    with file.open("wb") as into:
        subprocess.run(old.command(f"cat {SAVED}"), stdout=into, timeout=60, check=True)
    with file.open("rb") as out:
        subprocess.run(new.command(f"umask 077; cat >{SAVED}"), stdin=out, timeout=60, check=True)


def test_restored_on_a_bare_host(
    quiet: Host, fresh_host: Callable[..., Host], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save, restore = commands()
    assert quiet.ask("서울의 현재 날씨를 알려줘", SESSION).ok
    quiet.told("systemctl start deep-probe.service", seconds=600)
    night = quiet.told("cat /opt/vllm/watch/history.json")
    quiet.told(save)
    assert quiet.show("backend", "ActiveState") == "active"
    assert quiet.told(f"stat -c %U {SAVED}; tar -tzf {SAVED} | grep -c canary || true") == "root\n0"
    rows = quiet.told(COUNT)
    assert re.search(r", [1-9]", rows), rows
    quiet.told("systemctl stop vllm", seconds=120)

    image()
    new = fresh_host(Path(capfd.readouterr().out.strip().splitlines()[-1]))
    run = new.playbook("deploy.yml", seconds=1800)
    assert run.returncode == 0, run.stdout
    moved(quiet, new, tmp_path)
    new.told(restore)
    new.until(lambda: new.show("backend", "ActiveState") == "active", 60, "the backend is up")
    assert new.told(COUNT) == rows
    assert new.told("cat /opt/vllm/watch/history.json") == night
    assert new.told("stat -c %U /var/lib/backend/sessions.sqlite") == "backend"
    assert new.ask("부산은?", SESSION).ok
    status = new.playbook("ansible/status.yml")
    assert status.returncode == 0 and new.playbook("deploy.yml").stdout.count("changed=0 ") == 1, (
        status.stdout
    )
