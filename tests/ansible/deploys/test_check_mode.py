"""A dry run fails where the deploy would, on a host without probes as well, and says what it could not check."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from playbooks import REPOSITORY

from tests.ports import free_port

OLD_PROBES = "#!/bin/sh\necho of an older version; exit 0\n"


def looked(folder: Path, *arguments: str, **commands: list[str]) -> tuple[str, dict[str, str]]:
    """Run a command for each name, and return what the play said in one line, and how each ended."""
    hosts = {
        name: {"test_argv": argv, "ansible_remote_tmp": str(folder / "remote")}
        for name, argv in commands.items()
    }
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (folder / "hosts.yml").write_text(json.dumps({"all": {"vars": variables, "hosts": hosts}}))
    program = Path(sys.executable).with_name("ansible-playbook")
    run = subprocess.run(
        [program, "-i", folder / "hosts.yml", "tests/ansible/check.yml", "-v", *arguments],
        cwd=REPOSITORY,
        env=os.environ
        | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(folder / "a"), "TMPDIR": str(folder / "t")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    ends = re.findall(r"(?m)^(\w+) +: ok=\d+ .*failed=(\d+) +skipped=(\d+)", run.stdout)
    found = {name: "failed" if int(bad) else "skipped" if int(left) else "ok" for name, bad, left in ends}
    assert found.keys() == commands.keys(), run.stdout + run.stderr
    return " ".join((run.stdout + run.stderr).split()), found


@pytest.mark.parametrize("installed", [False, True], ids=["without probes", "with older ones"])
def test_a_dry_run_fails_where_the_deploy_would(tmp_path: Path, installed: bool) -> None:
    checks = tmp_path / "home/bin/checks"
    if installed:
        checks.parent.mkdir(parents=True)
        checks.write_text(OLD_PROBES)
        checks.chmod(0o755)
    (tmp_path / "empty").mkdir()
    (tmp_path / "t").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as held:
        port, other = held.getsockname()[1], free_port()
        at = [str(checks), "port", "--host", "127.0.0.1", "--port"]
        said, ends = looked(
            tmp_path,
            "--check",
            model=[str(checks), "model-files", "--directory", str(tmp_path / "empty")],
            held=[*at, str(port)],
            free=[*at, str(other)],
            wrong=[*at, "a word", "--quoted", 'it\'s "$HOME"'],
            engine=["env", f"CHECKS_PYTHON={tmp_path}/none", str(checks), "config", "--", "--model", "x"],
            backend=["env", f"--chdir={tmp_path}/none", "true"],
            python=["env", f"CHECKS_PYTHON={sys.executable}", str(checks), *at[1:], str(port)],
        )
    failed = dict.fromkeys(("model", "held", "wrong", "python"), "failed")
    assert ends == failed | {"free": "ok", "engine": "skipped", "backend": "skipped"}, said
    assert "model-files CRITICAL: " in said and "config.json is missing" in said
    assert f"port CRITICAL: 127.0.0.1:{port} is held by pid {os.getpid()}" in said
    assert f"free says port OK: 127.0.0.1:{other} is free" in said
    assert said.count("NOT CHECKED in this dry run, for it needs what is not installed yet: Look") == 2
    assert not list((tmp_path / "t").iterdir()) and not list((tmp_path / "remote").rglob("*.tar"))
    assert checks.exists() is installed


def test_only_a_verdict_is_a_warning(tmp_path: Path) -> None:
    """A Python that cannot load the probes ends with 1 as well; and a run that is not dry fails without probes."""
    said, ends = looked(
        tmp_path,
        none=[f"{tmp_path}/bin/checks", "port", "--port", "80"],
        warns=["sh", "-c", "echo 'gpu WARNING: old driver'; exit 1"],
        broken=[sys.executable, "-m", "no_such_probes"],
    )
    assert ends == {"none": "failed", "warns": "ok", "broken": "failed"}, said
    assert "gpu WARNING: old driver" in said and "No module named no_such_probes" in said
