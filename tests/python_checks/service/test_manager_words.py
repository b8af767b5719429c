"""What systemd and supervisord say of a service that ended or never began, explained.

The files of ends/managers/ are after reports of real people; recorded/systemd_ends.json is what a systemd 252 said of units that were
broken on purpose, as the module systemd_state hands it over.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from python_checks.core.finding import Finding
from python_checks.doctor import look
from python_checks.service import manager_words
from python_checks.service.facts import Service
from python_checks.service.last_words import LastWords
from tests.python_checks.doctor_support import one, signs
from tests.python_checks.hosted import Hosted
from tests.python_checks.support import RECORDED

MANAGERS = Path(__file__).parents[1] / "ends/managers"
REAL: dict[str, dict[str, Any]] = json.loads((RECORDED / "systemd_ends.json").read_text(encoding="utf-8"))
# File: words of the cause, words of the remedy.
CASES = {
    "exec203_limit": (
        ("203", "systemd's own (EXEC)", "missing", "/root"),
        ("namei -l /usr/bin/python3", "deploy again"),
    ),
    "namespace226": (
        ("226", "NAMESPACE", "/opt/vllm/cache: No such file"),
        ("make /opt/vllm/cache", "deploy again"),
    ),
    "oomd": (
        ("the kernel killed it for memory of the host",),
        ("journalctl -k", "free memory of the host", "other programs"),
    ),
    "sup_nocmd": (("/opt/vllm/venvs/none/bin/python is not there",), ("environment is gone", "deploy again")),
}
RECORDS = {
    "exec": (
        ("EXEC", "Failed to locate executable /opt/vllm/venvs/none/bin/vllm"),
        "namei -l /opt/vllm/venvs/none/bin/vllm",
    ),
    "root": (("EXEC", "Failed to execute /root/x/sleep: Permission denied"), "namei -l /root/x/sleep"),
    "chdir": (("CHDIR", "working directory"), "systemctl cat vllm"),
    "namespace": (
        ("NAMESPACE", "mount namespacing: /opt/vllm/cache"),
        "make /opt/vllm/cache, or deploy again",
    ),
    "user": (("USER", "its user does not exist"), "getent passwd"),
    "group": (("GROUP", "its group does not exist"), "getent group"),
    "stdout": (("STDOUT", "its log cannot be opened"), "namei -l /opt/vllm/logs/vllm.log"),
    "guard": (("203", "Failed to locate executable /opt/vllm/bin/checks"), "namei -l /opt/vllm/bin/checks"),
    "credentials": (("CREDENTIALS", "secrets"), "LoadCredential="),
    "unit": (
        ("systemd cannot use its unit", "Neither a valid executable name nor an absolute path: bin/vllm"),
        "systemd-analyze verify vllm.service",
    ),
    "timeout": (("within the time of its unit", "start operation timed out"), "vllm_start_seconds"),
    "crash": (("status=11/SEGV",), "segmentation fault"),
}


def ended(log: str = "", **facts: Any) -> Finding:
    """Return what the doctor says of a vLLM that failed with these facts."""
    found = signs("systemd_failed", logs={"vllm": LastWords(cause=log), "backend": LastWords()})
    vllm = replace(found.services["vllm"], **facts)
    return one(replace(found, services={**found.services, "vllm": vllm}))


@pytest.mark.parametrize("name", CASES)
def test_the_doctor_as_a_process(name: str, hosted: Hosted, tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.touch()
    facts = (MANAGERS / f"{name}.json").read_text(encoding="utf-8").replace("@LOG@", str(log))
    done = hosted.recorded(json.loads(facts)["services"], "doctor", "--language", "en")
    [first, *_] = [part for part in done.stdout.split("\n\n") if "vllm failed" in part]
    shown = " ".join(first.split())
    cause, remedy = shown.partition(" cause ")[2].split(" remedy ")
    words, advice = CASES[name]
    assert [part for part in words if part not in cause] == [] and [
        part for part in advice if part not in remedy
    ] == []
    assert "repeated too quickly" not in cause


@pytest.mark.parametrize("name", RECORDS)
def test_what_a_real_systemd_said(name: str) -> None:
    words, advice = RECORDS[name]
    finding = ended(**REAL[name])
    assert [part for part in words if part not in finding.cause] == []
    assert advice in finding.remedy and finding.remedy.endswith(f"; then: {REAL[name]['start']}")
    assert "repeated too quickly" not in finding.cause and "unit-root" not in finding.cause + finding.remedy


@pytest.mark.parametrize("code", manager_words.tables()["codes"])
def test_each_code_of_systemd_has_its_words(code: str) -> None:
    finding = ended(ended=f"exit code {code}", told=[])
    row = manager_words.tables()["codes"][code]
    assert finding.cause == f"exit code {code} is systemd's own ({row['name']}): {row['cause']}"
    assert "{" not in finding.remedy and not finding.remedy.startswith("journalctl")


def test_a_code_that_is_not_known_yet() -> None:
    finding = ended(ended="exit code 244", told=["vllm.service: Failed to frob: No such file or directory"])
    assert finding.cause.startswith("exit code 244 is systemd's own") and "Failed to frob" in finding.cause
    assert finding.remedy.startswith("read what it says: journalctl -u vllm -n 50; then")


@pytest.mark.parametrize("result", manager_words.tables()["results"])
def test_each_result_of_a_unit_has_its_words(result: str) -> None:
    row = manager_words.tables()["results"][result]
    for facts in (
        {"ended": f"killed by SIGKILL, {result}", "told": []},
        {"ended": "", "told": [f"vllm.service: Failed with result '{result}'."]},
    ):
        finding = ended(**facts)
        assert finding.cause.startswith(row["cause"]) and "{" not in finding.remedy


def test_systemds_own_oom_killer() -> None:
    told = [
        "vllm.service: systemd-oomd killed 3 process(es) in this unit.",
        "vllm.service: Main process exited, code=killed, status=9/KILL",
    ]
    assert "oom-kill" in ended(told=told, ended="killed by SIGKILL").cause


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("can't find command '/opt/vllm/venvs/none/bin/vllm'", "its environment is gone"),
        ("command at '/opt/vllm/bin/x' is not executable", "namei -l /opt/vllm/bin/x"),
        ("no permission to run command '/root/x/vllm'", "namei -l /root/x/vllm"),
        ("spawnerr: unknown error making dispatchers for 'vllm': EMFILE", "ulimit -n"),
        ("couldn't setuid to 998: Can't drop privilege as nonroot user", "run it as root"),
        ("couldn't chdir to /opt/vllm/none: ENOENT", "working directory"),
    ],
)
def test_supervisords_words_are_the_cause(said: str, advice: str) -> None:
    ways: tuple[dict[str, Any], ...] = (
        {"told": [said, "exited: vllm (exit status 127; not expected)"]},
        {"told": [], "detail": said},
        {"told": [], "words": f"FATAL {said}"},
        {"told": [f"spawnerr: {said.removeprefix('spawnerr: ')}"]},
    )
    for facts in ways:
        finding = ended(ended="", **facts)
        assert said.removeprefix("spawnerr: ")[:60] in finding.cause and advice in finding.remedy


def test_what_never_ran_has_no_cause_in_a_log_of_another_day() -> None:
    old = "ValueError: of another day"
    assert ended(old, ended="exit code 203", told=[]).cause.startswith("exit code 203")
    assert ended(
        old, ended="exit code 1", told=["vllm.service: Main process exited, code=exited, status=203/EXEC"]
    ).cause.startswith("exit code 203")
    later = [
        "vllm.service: Main process exited, code=exited, status=203/EXEC",
        "vllm.service: Main process exited, code=exited, status=1/FAILURE",
    ]
    assert ended(old, ended="exit code 1", told=later).cause == old


def test_a_unit_that_cannot_be_used_says_so_whatever_ended_before() -> None:
    told = ["vllm.service: Main process exited, code=exited, status=200/CHDIR", *REAL["unit"]["told"]]
    assert ended("ValueError: old", words="bad-setting", told=told).cause.startswith(
        "systemd cannot use its unit"
    )


def test_without_any_words_the_managers_own_log_is_read() -> None:
    finding = ended(ended="exit code 1", told=["vllm.service: Failed with result 'exit-code'."])
    assert finding.cause.startswith("the log does not say why; the manager: ")
    assert finding.remedy.startswith("journalctl -u vllm -n 50; then")
    assert ended(ended="exit code 1", told=[]).cause == manager_words.NOTHING
    signal = ended(ended="terminated by SIGSEGV; not expected", told=[])
    assert "segmentation fault" in signal.remedy


def test_a_unit_that_is_masked() -> None:
    found = signs("systemd_stopped")
    vllm = replace(
        found.services["vllm"],
        words="masked",
        start="systemctl unmask vllm; systemctl start vllm",
        ended="",
    )
    finding = one(replace(found, services={**found.services, "vllm": vllm}))
    assert finding.cause.startswith(manager_words.MASKED) and "unmask" in finding.remedy


def test_the_file_that_a_service_is_started_by(tmp_path: Path) -> None:
    def wrong(*command: str) -> str:
        return look.program(Service("vllm", command=command))

    file = tmp_path / "vllm"
    assert "is not there" in wrong(str(file), "serve")
    file.touch()
    assert "cannot be run" in wrong(str(file))
    file.chmod(0o755)
    assert wrong(str(file)) == wrong("vllm") == wrong() == ""
    (tmp_path / "python").symlink_to(tmp_path / "none")
    assert f"leads to {tmp_path}/none, which is not there" in wrong(str(tmp_path / "python"))
