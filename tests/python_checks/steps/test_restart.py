"""`restart` and `follow`: which unit, its phases, why a start failed, and for the canary only the process that it judged."""

import os
import time
from pathlib import Path

import pytest

from python_checks.host import processes
from tests.python_checks.hosted import Hosted

# A unit that starts for a moment: says so twice, then is what FINAL says. Its log gets the waiter's verdict meanwhile.
STARTING = """#!/bin/sh
echo "$*" >>{programs}/calls
case "$1" in
show) n=$(wc -l <{programs}/shows); echo x >>{programs}/shows
    if [ "$n" -ge 2 ]; then cat {programs}/vllm.shown; exit; fi
    sed 's/=active$/=activating/; s/=running$/=start-post/; s/^StatusText=.*/StatusText=loading weights/' {programs}/vllm.shown ;;
restart) sleep 1
    printf 'old no more\\nwait CRITICAL: process 7 ended | time=1s\\nremedy: see\\nlast\\n' >>{log}
    exit {code} ;;
esac
"""


def starting(hosted: Hosted, log: Path, code: int) -> None:
    """Have systemctl start a unit."""
    log.write_text("guard CRITICAL: of an earlier start | time=1s\n")
    hosted.add("vllm", log=str(log))
    (hosted.programs / "shows").write_text("")
    (hosted.programs / "systemctl").write_text(STARTING.format(programs=hosted.programs, log=log, code=code))


def test_a_start_that_goes_well(hosted: Hosted, tmp_path: Path) -> None:
    starting(hosted, tmp_path / "log", 0)
    done = hosted.checks("restart", "vllm")
    assert done.returncode == 0 and done.stdout.startswith("restart OK: vllm answers after "), done.stdout
    assert done.stderr.startswith("loading weights (")
    calls = [
        line for line in (hosted.programs / "calls").read_text().splitlines() if not line.startswith("show")
    ]
    assert calls == ["daemon-reload", "reset-failed vllm", "enable --quiet vllm", "restart vllm"]
    (hosted.programs / "shows").write_text("")
    done = hosted.checks("follow", "vllm")
    assert done.returncode == 0 and "loading weights" in done.stderr, done.stderr


def test_a_start_that_fails_is_told_by_its_log_since_then(hosted: Hosted, tmp_path: Path) -> None:
    log = tmp_path / "log"
    starting(hosted, log, 1)
    hosted.shown("vllm", ActiveState="failed", SubState="failed", Result="exit-code")
    done = hosted.checks("restart", "vllm")
    assert done.returncode == 2
    told = " ".join(line[2:].strip() for line in done.stdout.splitlines())
    assert told.startswith(f"vllm.service did not get ready (exit-code). The end of {log}: old no more")
    assert told.endswith("wait CRITICAL: process 7 ended | time=1s remedy: see")
    assert "of an earlier start" not in done.stdout
    done = hosted.checks("follow", "vllm")
    assert done.returncode == 2 and "wait CRITICAL: process 7 ended" in done.stdout, (
        "it began before it is followed"
    )


def test_a_service_of_nobody(hosted: Hosted) -> None:
    done = hosted.checks("restart", "nope")
    assert done.returncode == 3 and "no service nope is deployed here" in done.stdout


@pytest.mark.parametrize("words", ["", "x", "1 1", "{pid} 1", "{pid}", "{pid} {started} 1", "9" * 5000])
def test_only_the_process_that_was_judged(hosted: Hosted, words: str) -> None:
    facts = processes.stat(os.getpid())
    assert facts
    hosted.add("vllm")
    hosted.shown("vllm", MainPID=str(os.getpid()))
    own = {"pid": os.getpid(), "started": facts.started}
    done = hosted.checks("restart", "vllm", "--judged", "--format", "text", given=words.format(**own))
    assert done.stdout.startswith(f"restart WARNING: by now it is active running (process {os.getpid()})")
    assert "try-restart" not in (hosted.programs / "calls").read_text()
    done = hosted.checks(
        "restart", "vllm", "--judged", "--format", "text", given="{pid} {started}\n".format(**own)
    )
    assert done.stdout.startswith("restart OK: restarted")
    assert (hosted.programs / "calls").read_text().splitlines()[-1].endswith("try-restart vllm")
    hosted.shown("vllm", ActiveState="deactivating", SubState="stop-sigterm", MainPID=str(os.getpid()))
    done = hosted.checks(
        "restart", "vllm", "--judged", "--format", "text", given="{pid} {started}\n".format(**own)
    )
    assert "by now it is deactivating stop-sigterm" in done.stdout


# The unit that keeps what explains a hang, as a line of the fake systemctl.
KEEPING = """#!/bin/sh
echo "$*" >>{programs}/calls
case "$1" in
show) cat {programs}/vllm.shown ;;
start) {does} ;;
esac
"""


@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("exit 0", "restart OK: restarted | "),
        (
            "echo no room; exit 1",
            "restart OK: restarted, and what explains the hang was not kept: no room (journalctl -u canary-incident.service) | ",
        ),
        (
            "exec sleep 60",
            "restart OK: restarted, and what explains the hang was not kept: systemctl gave no answer within 22 s",
        ),
    ],
)
def test_what_explains_the_hang_is_kept_first_and_holds_no_restart_back(
    hosted: Hosted, does: str, words: str
) -> None:
    facts = processes.stat(os.getpid())
    assert facts
    hosted.add("vllm")
    hosted.shown("vllm", MainPID=str(os.getpid()))
    (hosted.programs / "systemctl").write_text(KEEPING.format(programs=hosted.programs, does=does))
    begun = time.monotonic()
    done = hosted.checks(
        "restart", "vllm", "--judged", "--incident", "canary-incident.service", "--format", "text",
        given=f"{os.getpid()} {facts.started}\n",
    )  # fmt: skip
    assert done.stdout.startswith(words) and time.monotonic() - begun < 35, done.stdout
    calls = [
        line for line in (hosted.programs / "calls").read_text().splitlines() if not line.startswith("show ")
    ]
    assert calls == ["start canary-incident.service", "--no-block --job-mode=fail try-restart vllm"]


def test_another_process_by_the_time_that_it_is_kept_is_not_restarted(hosted: Hosted) -> None:
    facts = processes.stat(os.getpid())
    assert facts
    hosted.add("vllm")
    hosted.shown("vllm", MainPID=str(os.getpid()))
    does = f"sed -i s/=active$/=inactive/ {hosted.programs}/vllm.shown"
    (hosted.programs / "systemctl").write_text(KEEPING.format(programs=hosted.programs, does=does))
    done = hosted.checks(
        "restart", "vllm", "--judged", "--incident", "canary-incident.service", "--format", "text",
        given=f"{os.getpid()} {facts.started}\n",
    )  # fmt: skip
    assert done.stdout.startswith("restart WARNING: by now it is inactive running (process 0)")
    assert "try-restart" not in (hosted.programs / "calls").read_text()
