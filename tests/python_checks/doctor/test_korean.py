"""The doctor in Korean: every sentence that it can say is in the catalogue, and nothing else is."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unicodedata import east_asian_width

import pytest

from python_checks.api.http import Reply
from python_checks.checks import doctor, models, port
from python_checks.core.result import Line, Result, State
from python_checks.doctor import diagnosis, language
from python_checks.doctor.language import CATALOGUE, ENGLISH, HOLE, KOREAN, Catalogue, Template
from python_checks.doctor.signs import Signs
from python_checks.report import columns
from python_checks.service.condition import condition
from python_checks.service.last_words import LastWords
from tests.python_checks import korean_recorder, korean_source
from tests.python_checks.doctor_support import signs
from tests.python_checks.hosted import Hosted
from tests.python_checks.support import DEADLINE, ROOT

HERE = "tests/python_checks"
SCENARIOS = (
    "api/http",
    "checks/doctor",
    "checks/gpu",
    "model/files",
    "checks/port",
    "checks/replies",
    "checks/tool_call",
    "conformance/turns",
    "doctor/firewall",
    "doctor/places",
    "doctor/slow_start",
    "doctor/stuck",
    "doctor/tool_flags",
    "gpu/documents",
    "gpu/hardware",
    "gpu/holders",
    "gpu/kv_cache",
    "gpu/nvidia_smi",
    "model/directories",
    "model/safetensors",
    "service/engines",
    "service/manager_words",
    "service/out_of_memory",
)
PARTS = json.loads(CATALOGUE.read_text(encoding="utf-8"))
ENTRIES = PARTS["sentences"] | PARTS["values"]

LIBRARY = [text for path in ROOT.glob(korean_source.LIBRARY) for text in korean_source.shapes(path)]
SHAPES = {
    str(path.relative_to(ROOT)): korean_source.shapes(path) for path in korean_source.modules()
} | korean_source.tables()

# What stays English in a Korean line, in the order in which it is taken out of it; words are ASCII here.
STAYS = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        r"'[^']*'|\"(?:\\.|[^\"\\])*\"?|`[^`]*`|\{.*?\}",  # quotations, also those in the repr of an exception
        # Words of other programs, behind ours.
        r"서비스 관리자의 기록: vllm\.service: [^;]*(?:; vllm\.service: [^;]*)*",
        r"HTTP \d+: .*|응답 \d+.*|연결 실패: .*|올바른 JSON이 아닙니다[:(].*|스키마에 맞지 않습니다: .*",
        r"올바른 주소가 아닙니다: .*|XML을 내놓지 않았습니다: .*|(?:실행할 수|읽을 수|열 권한이) 없습니다: .*",
        r"커널 로그: .*|(?:요구하는 조치|드라이버의 말): .*",
        r"종료 코드 \d+: .*|vLLM 로그로 판단하세요: .*",
        r"pid \d+\(사용자 [\w-]+\): .*?(?=; vLLM에|; pid|$)",  # commands of processes
        r"\b(?:sudo|systemctl|journalctl|tail|kill|ps|ss|curl|chmod|iostat|df|ls|du|nvidia-smi|vllm serve|lspci"
        r"|rsync|cp|git lfs|hf download"
        r"|dmesg|bin/checks|ansible-playbook|ufw status|ulimit|namei|lscpu|free|getent"
        r"|quota|mount|findmnt|ausearch|smartctl|numactl|ip -br address)\b[\0\x20-\x3a\x3c-\x7e]*",  # commands, up to ";"
        r"\b(?:chat completion|tensor parallel|persistence mode|compute capability|latent attention|no such host|assistantcommentary)\b",
        r"\S*[-/_.=<|+@]\S*",  # flags, paths, identifiers, addresses, tokens of a model
        r"\b\w*[A-Z0-9]\w*\b",  # names and numbers
        r"\b(?:vllm|backend|canary|port|gpu|health|models|completion|chat|guard|wait|supervisord|chrony|openai|opneai|hermes)\b",
        r"\b(?:config|content|arguments|function|null|id|eos|strict|true|required|parameter|location|other|mamba)\b",
        r"\b(?:stop|length|abort|pid|inode|fstab|ro|noexec|drwx\w*|root|nobody|listen|expert|remedy|safetensors|video|render)\b",
        r"\b(?:nvcc|ninja|gcc|ptxas|numpy|torch|torchvision|transformers|libcuda|systemd|watchdog|protocol|capability|seccomp|timeout|resources|verify)\b",
    )
)
# Said when all is well, where no reason is shown; as usage; as code; or inside the repr of an exception.
UNSHOWN = (
    *("answered with", "no tool reported", "weight file", "then answered", "is free", "by our own server"),
    *(
        "the index is missing",
        "nothing to check",
        "not run, health failed",
        "not deployed on this host",
        "the last run of",
    ),
    *("in maintenance", "does not tell who, when", " deploys, for "),  # by the canary, whose words are quoted
    *("not a version like", "not a number of GiB", "import os, sysconfig", "layer_types for", "it hangs"),
)


def english(text: str) -> list[str]:
    """Return the words that are left of a line in which nothing may stay English."""
    return re.findall(r"[a-z]{2,}", taken_out(text, " "))


def taken_out(text: str, instead: str) -> str:
    for pattern in STAYS:
        text = pattern.sub(instead, text)
    return text


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the tests of the doctor and of its checks heard in the run before this one; where there was none they are run once more."""
    files = {f"{HERE}/{room}/test_{name}.py" for room, name in (each.split("/") for each in SCENARIOS)}
    before = os.environ.get(korean_recorder.DIRECTORY)
    found = before and korean_recorder.heard(Path(before), files)
    if not found:
        directory = tmp_path_factory.mktemp("korean")
        environment = os.environ | {korean_recorder.DIRECTORY: str(directory)}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *sorted(files)]
        subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, timeout=10 * DEADLINE, check=False
        )
        found = korean_recorder.heard(directory, files)
    assert found and len(found["said"]) > 200
    return found


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Note the Korean of each template that is found."""
    found: set[str] = set()
    original = Catalogue._sentence

    def note(self: Catalogue, text: str, templates: Sequence[Template]) -> str:
        first = next((each.korean for each in templates if each.pattern.fullmatch(text)), "")
        found.add(first)
        return original(self, text, templates)

    monkeypatch.setattr(Catalogue, "_sentence", note)
    return found


def test_no_line_of_the_doctor_keeps_an_english_sentence(heard: dict[str, list[str]]) -> None:
    put_in = sorted((text for text in heard["put in"] if " " in text.strip()), key=len, reverse=True)
    left = {}
    for line in heard["said"]:
        korean = language.catalogue().said(line)
        for text in put_in:  # logs, replies, commands
            korean = korean.replace(text, "")
        if words := english(korean):
            left[line] = words
    assert left == {}


@pytest.mark.parametrize("module", SHAPES)
def test_the_catalogue_has_every_sentence_of_the_source(module: str) -> None:
    known = "\n".join(HOLE.sub(korean_source.HOLE, entry) for entry in ENTRIES)
    parts = [
        part.strip(" ,()").removeprefix("by ")
        for text in SHAPES[module]
        if not any(words in text for words in UNSHOWN)
        for clause in re.split("; |: ", text)
        for part in re.split("\0+", taken_out(clause, "\0"))
    ]
    assert [part for part in parts if part not in known and len(english(part)) > 1] == []


@pytest.mark.parametrize("table", korean_source.tables())
def test_each_remedy_of_the_tables_is_korean(table: str) -> None:
    told = {text: language.catalogue().said(text.replace("\0", "/opt/vllm")) for text in SHAPES[table]}
    assert {
        text: words
        for text, korean in told.items()
        if (words := english(korean)) or not re.search("[가-힣]", korean)
    } == {}


def joined() -> list[str]:
    """Return lines that no other test makes the source join of several strings."""
    vllm = signs().services["vllm"]
    hung = [replace(vllm, restarts=number, restarts_hours=hours) for number in (0, 1, 2) for hours in (0, 24)]
    lines = [f"vllm {condition(each, 'x', LastWords(), 2e9).words}" for each in hung]
    for ended in ("exit status 1; not expected", "terminated by SIGTERM; expected"):  # supervisord's words
        failed = replace(vllm, state="failed", ended=ended, gave_up=True)
        lines.append(f"vllm {condition(failed, '', LastWords(), 2e9).words}")
    wrong = models.judge(Reply(200, {"data": [{"id": "a"}]}, ""), "b")
    lines += [each.evidence for each in diagnosis.of_name(replace(signs(results=[wrong]), services={}))]
    silent = port.stranger("127.0.0.1:80", port.Holders([os.getpid()], False, listens=False), lambda _: False)
    return [*lines, silent.reason if silent else ""]


def test_no_joined_line_keeps_an_english_sentence() -> None:
    left = {line: english(language.catalogue().said(line)) for line in joined()}
    assert {line: words for line, words in left.items() if words} == {}


def test_no_entry_of_the_catalogue_is_dead(heard: dict[str, list[str]], used: set[str]) -> None:
    """It is in the source, or what several strings of the source come to."""
    for line in [*heard["said"], *joined()]:
        language.catalogue().said(line)
    for result in (Result("chat", state, "x") for state in (State.WARNING, State.CRITICAL, State.UNKNOWN)):
        doctor.judge(signs(results=[result]), "demo", KOREAN)
    source = [text for texts in [*SHAPES.values(), LIBRARY] for text in texts]
    shapes = {entry: korean_source.flat(HOLE.sub(korean_source.HOLE, entry)) for entry in ENTRIES}
    dead = [entry for entry, shape in shapes.items() if not any(shape in text for text in source)]
    assert [entry for entry in dead if ENTRIES[entry] not in used] == []


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_holes_of_both_sides_agree(entry: str) -> None:
    assert sorted(HOLE.findall(entry)) == sorted(HOLE.findall(ENTRIES[entry]))
    assert entry not in PARTS["sentences"] or entry not in PARTS["values"]
    assert re.search("[가-힣]", ENTRIES[entry]) or not english(ENTRIES[entry])


def host() -> Signs:
    """Return the signs of a host on which a start failed, with a line of a log that looks like our own words."""
    log = LastWords(
        cause="OSError: No space left on device", remedy="read the log", last="vllm stopped: disk, clock"
    )
    return signs("systemd_failed", logs={"vllm": log, "backend": LastWords()})


def test_the_screen_in_korean() -> None:
    result = doctor.judge(host(), "ml35", KOREAN)
    assert result.evidence["screen"] == [
        Line("ml35", "심각 1건", State.CRITICAL),
        Line("", ""),
        Line(
            "증상",
            "vllm: 60초 전 (종료 코드 1) 실패, 재시작 포기(지난 24시간 동안 자동 재시작 14회)",
            State.CRITICAL,
        ),
        Line("근거", "/opt/vllm/logs/vllm.log 끝부분: vllm stopped: disk, clock"),
        Line("원인", "OSError: No space left on device"),
        Line("해결", "로그를 확인하세요; 그다음: systemctl reset-failed vllm; systemctl start vllm"),
        Line("", ""),
        Line("정상", "backend (0.0.0.0:8080), health, 디스크, 컴파일러"),
    ]


def test_all_is_well_in_korean() -> None:
    first, *_, well = doctor.judge(signs(), "demo", KOREAN).evidence["screen"]
    assert first == Line("demo", "이상이 없습니다")
    services = "vllm (127.0.0.1:18741, 이 호스트 전용), backend (127.0.0.1:18742, 이 호스트 전용)"
    assert well == Line("정상", f"{services}, health, 디스크, 컴파일러")


def test_what_machines_read_is_english_in_every_language() -> None:
    korean, plain, default = (doctor.judge(host(), "ml35", *spoken) for spoken in ([KOREAN], [ENGLISH], []))
    assert plain == default and plain.evidence["screen"][2].label == "symptom"
    assert (korean.reason, korean.remedy, korean.state) == (plain.reason, plain.remedy, plain.state)


def test_english_lines_are_given_back_as_they_are(heard: dict[str, list[str]]) -> None:
    lines = [Line("remedy", text, State.WARNING) for text in heard["said"]]
    assert language.translate(lines, ENGLISH) == lines


@pytest.mark.parametrize(
    "text",
    [
        "(APIServer pid=1) ERROR 11-24 12:00:00 [x.py:1] ValueError: disk, clock and wait",
        "RuntimeError: a worker is gone, see the server's log, wait",
        "vllm serve /m --port 8000",
        "vllm stopped working: 3 s, 2 min ago",
        "systemctl reset-failed vllm; systemctl start vllm",
        "supervisord: exited: vllm (terminated by SIGKILL; not expected)",
    ],
)
def test_lines_of_logs_and_commands_stay(text: str) -> None:
    assert language.catalogue().said(text) == text


@pytest.mark.parametrize(
    ("environment", "spoken"),
    [
        ({}, ENGLISH),
        ({"LANG": "ko_KR.UTF-8"}, KOREAN),
        ({"LANG": "ko"}, KOREAN),
        ({"LANG": "kok_IN.UTF-8"}, ENGLISH),  # Konkani
        ({"LANG": "ko_KR.UTF-8", "LC_MESSAGES": "C"}, ENGLISH),
        ({"LANG": "ko_KR.UTF-8", "LC_MESSAGES": "", "LC_ALL": ""}, KOREAN),
        ({"LANG": "C", "LC_MESSAGES": "ko_KR@x"}, KOREAN),
        ({"LANG": "ko_KR.UTF-8", "LC_MESSAGES": "ko_KR.UTF-8", "LC_ALL": "en_US.UTF-8"}, ENGLISH),
        ({"LC_ALL": "ko_KR.eucKR", "LANG": "C"}, KOREAN),
        ({"LC_CTYPE": "ko_KR.UTF-8"}, ENGLISH),
    ],
)
def test_the_locale_chooses(environment: dict[str, str], spoken: str) -> None:
    assert language.by_locale(environment) == spoken


@pytest.mark.parametrize(
    ("locale", "options", "label"),
    [
        ("ko_KR.UTF-8", (), "증상"),
        ("ko_KR.UTF-8", ("--language", "en"), "symptom"),
        ("C", ("--language", "ko"), "증상"),
    ],
)
def test_the_doctor_as_a_process(hosted: Hosted, locale: str, options: tuple[str, ...], label: str) -> None:
    """The labels stand in one column, and no line is wider than the screen, as a terminal counts."""
    command = ["python", "-m", "x", "--model", "/nowhere/" + "long/" * 9, "--port", "8000"]
    vllm = {"state": "stopped", "ended": "exit status 0", "start": "START", "command": command}
    done = hosted.recorded({"vllm": vllm}, "doctor", *options, LC_ALL=locale, PYTHONIOENCODING="utf-8")
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    widths = [sum(1 + (east_asian_width(char) in "WF") for char in line) for line in lines]
    assert 80 < max(widths) <= 100
    [first] = [line for line in lines if label in line and "vllm" in line]
    begin = sum(1 + (east_asian_width(char) in "WF") for char in first[: first.index("vllm")])
    wrapped = [line for line in lines if line.startswith("    ") and line.strip()]
    assert wrapped and {len(line) - len(line.lstrip()) for line in wrapped} == {begin}


def test_a_command_is_never_cut_and_korean_takes_two_columns() -> None:
    path = "/" + "a" * 120
    assert columns.fill(f"가나다 {path} 라", "  해결  ", 20) == f"  해결  가나다\n        {path}\n        라"
    assert columns.fill("가나 다라 마바", "x ", 11) == "x 가나 다라\n  마바"
    assert columns.fill("", "  정상  ", 20) == "  정상"
    assert (columns.pad("원인", 7), columns.pad("cause", 7)) == ("원인   ", "cause  ")
