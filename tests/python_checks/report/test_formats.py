"""What is printed: one line, a table, JSON, XML; on any terminal and on none."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from python_checks.core.result import SEVERITY, Fault, Figure, Line, Result, State, conclude, one_line, worst
from python_checks.report.formats import as_json, junit, screen, table, text
from tests.python_checks.support import ROOT, Healthy, Probe, Server


def test_a_piped_table_is_80_wide_and_plain(probe: Probe, healthy: Healthy) -> None:
    server, options = healthy
    path = "/srv/" + "m" * 60
    server.answers["/v1/models"] = (200, {"data": [{"id": path}]})
    done = probe(*options, "--format", "table", COLUMNS="40", FORCE_COLOR="1")
    grid, _, remedies = done.stdout.partition("remedy (models): ")
    assert "\x1b" not in done.stdout
    wide = [line.split()[-1] for line in done.stdout.splitlines() if len(line) > 80]
    assert any(path in word for word in wide), "what is to be copied is never cut"
    assert min(map(len, wide)) > 40, "what can be wrapped is"
    assert grid.split()[:4] == ["check", "verdict", "time", "reason"]
    assert "--served-model-name" in remedies


def test_a_table_is_aligned_and_wraps_in_its_last_column(capsys: pytest.CaptureFixture[str]) -> None:
    reason = "called get_weather, then answered '현재 기온은 21도, 날씨는 맑음입니다. 내일은 비가 옵니다.'"
    figures = (Figure("ttft", 0.12, "s"),)
    table(
        [
            Result("health", State.OK, "fine"),
            Result("tool-call", State.OK, reason, seconds=120.5, figures=figures),
        ],
        sys.stdout,
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "check      verdict       time  reason"
    assert lines[1] == "health     ok          0.00 s  fine"
    assert lines[2].startswith(
        "tool-call  ok        120.50 s  called get_weather, then answered '현재 기온은"
    )
    assert [line[:31].strip() for line in lines[3:]] == ["", ""] and lines[-1].strip() == "ttft 0.12 s"


@pytest.mark.parametrize(("no_color", "coloured"), [(False, True), (True, False)])
def test_colours_are_for_a_terminal(healthy: Healthy, no_color: bool, coloured: bool) -> None:
    _, options = healthy
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {
        "TERM": "xterm-256color"
    }
    master, slave = os.openpty()
    command = [sys.executable, "-m", "python_checks", *options, "--format", "table"]
    extra = {"NO_COLOR": "1"} if no_color else {}
    subprocess.run(command, cwd=ROOT, stdout=slave, env=environment | extra, timeout=60, check=True)
    os.close(slave)
    shown = b""
    while b"chat" not in shown:
        shown += os.read(master, 65536)
    os.close(master)
    assert (b"\x1b[32m" in shown) is coloured


@pytest.mark.parametrize("style", ["text", "table", "json", "junit"])
@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}])
def test_a_terminal_without_utf8_does_not_crash(
    probe: Probe, server: Server, style: str, locale: dict[str, str]
) -> None:
    server.answers["/v1/models"] = (200, {"data": [{"id": "모델 🌤"}]})
    done = probe("models", "--url", server.url, "--format", style, **locale)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    if style == "json":
        assert json.loads(done.stdout)["results"][0]["evidence"] == {"models": ["모델 🌤"]}
    if style == "junit":
        failure = ElementTree.fromstring(done.stdout).find("testcase/failure")
        assert failure is not None and "모델 🌤" in failure.get("message", "")


def test_worst_and_conclude() -> None:
    assert worst([]) is State.UNKNOWN
    assert worst([State.UNKNOWN, State.CRITICAL]) is State.CRITICAL
    assert worst([State.WARNING, State.UNKNOWN, State.OK]) is State.UNKNOWN
    assert set(SEVERITY) == set(State)
    faults = [Fault("a", "x", State.WARNING), Fault("b", "x"), Fault("c", "")]
    result = conclude("n", faults, "fine")
    assert (result.state, result.reason, result.remedy) == (State.CRITICAL, "a; b; c", "x")


def test_reasons_are_one_line_in_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    assert one_line("a\n\tb\x1b[31m\ud800c") == "a b [31m c"
    result = Result("n", State.OK, "a\nb [bold]|[/bold]")
    text([result], sys.stdout)
    assert capsys.readouterr().out == "n OK: a b [bold]¦[/bold] | time=0.00s\n"
    table([result], sys.stdout)
    assert "[bold]|[/bold]" in capsys.readouterr().out
    as_json([result], sys.stdout)
    assert json.loads(capsys.readouterr().out)["results"][0]["reason"] == "a b [bold]|[/bold]"


def test_a_screen_is_aligned_and_cuts_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/opt/" + "x" * 120
    lines = [Line("short", "a"), Line("longer", f"words {'w ' * 45}{path}", State.CRITICAL), Line("", "")]
    screen([Result("status", State.CRITICAL, "r", evidence={"screen": lines})], sys.stdout)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "   short   a" and shown[1].startswith("!! longer  words w")
    assert shown[-2:] == [f"           {path}", ""]
    assert len(shown[1]) <= 80
    screen([Result("port", State.OK, "free")], sys.stdout)  # a check without a screen of its own
    assert capsys.readouterr().out == "port OK: free | time=0.00s\n"


FIGURES = (
    Figure("ttft", 0.12, "s", 2, 10),
    Figure("tokens", 131072.0),
    Figure("gap", 0.00004, "s", critical=0.5),
    Figure("per user", 1e6 / 3, warning=0),
)


def test_figures_are_behind_the_time_and_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    result = Result("n", State.OK, "fine", seconds=0.284, figures=FIGURES)
    text([result], sys.stdout)
    line = "time=0.28s ttft=0.12s;2;10 tokens=131072 gap=0s;;0.5 'per user'=333333.333;0"
    assert capsys.readouterr().out == f"n OK: fine | {line}\n"
    table([result], sys.stdout)
    shown = " ".join(capsys.readouterr().out.split())
    assert "ttft 0.12 s, tokens 131072, gap 0 s, per user 333333.333" in shown


# All that XML 1.0 knows no way to write, not even as a reference (its production 2, Char).
FORBIDDEN = [*range(0x9), 0xB, 0xC, *range(0xE, 0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF]


def test_junit_tells_each_verdict_whatever_a_server_says(capsys: pytest.CaptureFixture[str]) -> None:
    bad = "a" + "".join(map(chr, FORBIDDEN)) + 'z <b>&"]]>\n\t답'
    shown = 'a z <b>&"]]> 답'
    results = [
        Result("health", State.OK, "fine", seconds=0.25, figures=FIGURES[:1]),
        Result("gpu", State.WARNING, "hot", "cool it", 1.5),
        Result("models", State.CRITICAL, bad, bad),
        Result("chat", State.UNKNOWN, bad),
        Result("port", State.CRITICAL, "held"),
    ]
    junit(results, sys.stdout)
    suite = ElementTree.fromstring(capsys.readouterr().out)
    assert suite.tag == "testsuite"
    counts = {"tests": "5", "failures": "2", "errors": "1", "time": "1.750"}
    assert suite.attrib == {"name": "python_checks", **counts}
    cases = {case.get("name"): case for case in suite}
    assert list(cases) == ["health", "gpu", "models", "chat", "port"]
    assert cases["gpu"].attrib == {"classname": "python_checks", "name": "gpu", "time": "1.500"}
    for name, mark, reason, remedy in (
        ("models", "failure", shown, shown),
        ("chat", "error", shown, None),
        ("port", "failure", "held", None),
    ):
        broken = cases[name].find(mark)
        assert broken is not None and (broken.get("message"), broken.text) == (reason, remedy)
    assert [case.findtext("system-out") for case in (cases["health"], cases["gpu"])] == [
        "health OK: fine | time=0.25s ttft=0.12s;2;10\n",
        "gpu WARNING: hot | time=1.50s\nremedy: cool it\n",
    ]
    assert [[part.tag for part in cases[name]] for name in ("health", "gpu")] == [["system-out"]] * 2


def test_junit_counts_what_the_probes_found(probe: Probe, healthy: Healthy) -> None:
    server, options = healthy
    server.answers["/v1/chat"] = (500, {"detail": "\x00\x1b[31m\ufffe"})
    done = probe(*options, "--format", "junit")
    suite = ElementTree.fromstring(done.stdout)
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert (done.returncode, failed) == (2, ["chat"])
    assert (suite.get("failures"), suite.get("errors")) == ("1", "0")
    assert suite.get("tests") == str(len(suite)) == "6"


def test_the_journal_gets_a_level_and_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = [Result("a", State.OK, "fine"), Result("b", State.CRITICAL, "broken", "mend it")]
    results.append(Result("c", State.CRITICAL, "still broken", repeated=True))
    with (tmp_path / "journal").open("w+") as stream:
        facts = os.fstat(stream.fileno())
        for value, head in ((f"{facts.st_dev}:{facts.st_ino}", ("<6>", "<3>")), ("8:1", ("", ""))):
            monkeypatch.setenv("JOURNAL_STREAM", value)
            stream.seek(0)
            stream.truncate()
            text(results, stream)
            stream.seek(0)
            good, bad, remedy, again = stream.read().splitlines()
            assert good.startswith(f"{head[0]}a OK: ") and bad.startswith(f"{head[1]}b CRITICAL: ")
            assert remedy == f"{head[1]}remedy: mend it"
            assert again.startswith(f"{head[0]}c CRITICAL: ")
    text(results, io.StringIO())
