"""What a run prints: one line a phase, what it has to say below its name, and what failed last; with -v Ansible's own lines."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from playbooks import REPOSITORY

CONTROLS = "\x1b\x07\x9b\u202e\r"


def call(
    folder: Path, ends: str, *arguments: str, hosts: tuple[str, ...] = ("alpha",), **environment: str
) -> list[str]:
    """Return the command of a run that ends so; what it writes is below a folder of the test."""
    variables = {
        "ends": ends,
        "here": str(folder),
        "ansible_python_interpreter": sys.executable,
        "ansible_remote_tmp": str(folder / "remote"),
    }
    inventory = folder / "hosts.json"
    every = {host: {"ansible_connection": "local"} for host in hosts}
    inventory.write_text(json.dumps({"all": {"hosts": every}}))
    settings = {"ANSIBLE_HOME": f"{folder}-ansible", "COLUMNS": "80", **environment}
    words = [f"{name}={value}" for name, value in settings.items()]
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    given = ["-i", str(inventory), "-e", json.dumps(variables), *arguments]
    return ["env", "-u", "NO_COLOR", *words, program, *given]


def run(folder: Path, ends: str, *arguments: str, hosts: tuple[str, ...] = ("alpha",)) -> list[str]:
    """Run the plays into a pipe, and return their lines with each time as one word."""
    done = subprocess.run(
        call(folder, ends, "tests/ansible/phases.yml", *arguments, hosts=hosts),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    failed = ends not in ("quiet", "well", "saved")
    assert (done.returncode != 0) is failed, done.stdout
    assert not [char for char in done.stdout if char in CONTROLS], repr(done.stdout)
    assert "geheim" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80 or "-v" in arguments, done.stdout
    return re.sub(r" +\d+(\.\d+| min +\d+)? s$", " TIME", done.stdout, flags=re.MULTILINE).splitlines()


def test_what_changes_is_told_and_what_does_not_fits_a_screen(tmp_path: Path) -> None:
    first, again = run(tmp_path, "well"), run(tmp_path, "quiet")
    assert first == [
        "...      Check the host",
        "[WARNING]: gpu WARNING: 서울 ?]0;owned? ?[2J",
        "remedy: nvidia-smi",
        "ok       Check the host TIME",
        "...      Install the probes",
        "         vllm: installing",
        first[6],
        "changed  Install the probes TIME",
        "ok       Deploy vLLM TIME",
        "",
        "check  verdict",
        "chat   ok",
        "",
        "ok       Prove it TIME",
        first[-1],
    ]
    assert re.fullmatch(r" {9}vllm: loading weights \(\d+ s\)", first[6])
    assert re.fullmatch(r"alpha : ok=\d+ changed=2 failed=0", first[-1])
    assert again == [
        "ok       Check the host TIME",
        "ok       Install the probes TIME",
        *first[8:-1],
        again[-1],
    ]
    assert re.fullmatch(r"alpha : ok=\d+ changed=0 failed=0", again[-1])


def test_a_failure_is_last_with_task_cause_and_remedy(tmp_path: Path) -> None:
    reason = ["  tool-call CRITICAL: no call", "  remedy: --enable-auto-tool-choice"]
    back = run(tmp_path, "back")
    place = next(number for number, line in enumerate(back) if line.startswith("FAILED   Deploy vLLM"))
    assert back[place : place + 4] == [
        "FAILED   Deploy vLLM TIME",
        "         Probe: tool-call CRITICAL: no call",
        "         remedy: --enable-auto-tool-choice",
        "changed  Go back to what served before TIME",
    ]
    head = "FAILED  alpha: Go back to what served before: Say why"
    assert back[-4:] == [head, *reason, "  Release a is taken back."]
    assert back[-6].startswith("alpha : ok=") and back[-6].endswith("failed=1 rescued=1")
    command = run(tmp_path, "command")
    assert "FAILED   Deploy vLLM TIME" in command
    assert command[-4] == "FAILED  alpha: Deploy vLLM: Run a command"
    assert command[-2:] == ["  sh -c 'echo the reason >&2; exit 3'", "  the reason"]
    secret = run(tmp_path, "secret")
    assert secret[-3] == "FAILED  alpha: Deploy vLLM: Hide it" and "no_log: true" in " ".join(secret[-2:])


def test_several_hosts_are_named(tmp_path: Path) -> None:
    gone = run(tmp_path, "unreachable", hosts=("alpha", "beta"))
    assert "[WARNING]: beta: gpu WARNING: 서울 ?]0;owned? ?[2J" in gone
    assert "         beta: vllm: installing" in gone
    assert "FAILED   Deploy vLLM: alpha TIME" in gone and "ok       Prove it TIME" in gone
    assert "FAILED  alpha: Deploy vLLM: Be gone" in gone
    assert gone[-1] == "  is the host up, and does this reach it: ssh alpha"
    loop = " ".join(run(tmp_path, "loop", hosts=("alpha", "beta")))
    assert re.search(
        r"FAILED  (alpha, beta|beta, alpha): Deploy vLLM: Refuse one of several   port: port", loop
    )
    assert "to its end" in loop and "disk: disk" not in loop


def test_a_rescue_that_helps_and_a_handler_that_does_not(tmp_path: Path) -> None:
    saved = run(tmp_path, "saved")
    assert "FAILED   Deploy vLLM TIME" in saved and saved[-1].endswith("failed=0 rescued=1")
    assert not [line for line in saved if line.startswith("FAILED  alpha")], "nothing failed in the end"
    handler = run(tmp_path, "handler")
    assert [line for line in handler if line.startswith("         Restart: ") and "non-zero" in line]
    assert "changed  Go back to what served before TIME" in handler and "FAILED  alpha: " in "\n".join(
        handler
    )


def test_a_dry_run_shows_differences_and_verbosity_brings_ansible_back(tmp_path: Path) -> None:
    dry = run(tmp_path, "quiet", "--check", "--diff")
    assert "change   Install the probes TIME" in dry and "         Write" in dry
    assert "+one" in dry and "+?[2J" in dry and not list(tmp_path.glob("alpha*"))
    assert dry[-1] == "This was a dry run: nothing was changed."
    full = run(tmp_path, "command", "-v")
    assert [line for line in full if line.startswith("TASK [Run a command] ****")]
    assert [line for line in full if line.startswith("alpha ") and "unreachable=0" in line]
    assert full[-4] == "FAILED  alpha: Run a command" and full[-1] == "  the reason"


def test_a_terminal_shows_the_phase_under_way_and_korean_words(tmp_path: Path) -> None:
    """A status is its screen and nothing else; what stands on a line that was erased is not seen."""
    shown: dict[str, str] = {}
    for name, ends in (("phases_status", "quiet"), ("phases", "back")):
        command = call(tmp_path, ends, f"tests/ansible/{name}.yml", TERM="xterm", CHECKS_LOCALE="ko_KR.UTF-8")
        master, slave = pty.openpty()
        with subprocess.Popen(command, cwd=REPOSITORY, stdin=slave, stdout=slave, stderr=slave):
            os.close(slave)
            text = b""
            while True:
                try:
                    text += os.read(master, 65536)
                except OSError:  # as Linux tells the end
                    break
        os.close(master)
        shown[name] = text.decode()
        assert "\x1b[2J" not in shown[name] and "\x1b]" not in shown[name]
    assert "...      Deploy vLLM\r\x1b[K" in shown["phases"]
    assert re.search(r"\x1b\[0;31m실패     Deploy vLLM +\d", shown["phases"])
    seen = re.sub(r"[^\n]*\r\x1b\[K|\x1b\[[0-9;]*m", "", shown["phases_status"]).replace("\r", "")
    assert seen == "\ncheck  verdict\nchat   ok\n"
