"""What is printed: one line, a table, JSON; on any terminal and on none."""

import json
import os
import subprocess
import sys

import pytest

from python_checks.report import as_json, screen, table, text
from python_checks.result import SEVERITY, Fault, Line, Result, State, conclude, one_line, worst
from tests.python_checks.support import ROOT, Healthy, Probe, Server


def test_a_piped_table_is_100_wide_and_plain(probe: Probe, healthy: Healthy) -> None:
    server, options = healthy
    server.answers["/v1/models"] = (200, {"data": [{"id": "m" * 300}]})
    done = probe(*options, "--format", "table", COLUMNS="40", FORCE_COLOR="1")
    grid, _, remedies = done.stdout.partition("remedy (models): ")
    assert "\x1b" not in done.stdout
    assert max(len(line) for line in grid.splitlines()) == 100
    for heading in ("check", "verdict", "reason", "time"):
        assert heading in grid.splitlines()[1]
    assert "--served-model-name" in remedies


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


@pytest.mark.parametrize("style", ["text", "table", "json"])
@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}])
def test_a_terminal_without_utf8_does_not_crash(
    probe: Probe, server: Server, style: str, locale: dict[str, str]
) -> None:
    server.answers["/v1/models"] = (200, {"data": [{"id": "모델 🌤"}]})
    done = probe("models", "--url", server.url, "--format", style, **locale)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    if style == "json":
        assert json.loads(done.stdout)["results"][0]["evidence"] == {"models": ["모델 🌤"]}


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
    assert len(shown[1]) <= 100
    screen([Result("port", State.OK, "free")], sys.stdout)  # a check without a screen of its own
    assert capsys.readouterr().out == "port OK: free | time=0.00s\n"
