"""The command as others run it: exit codes, formats, option files, failures that nobody foresaw."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from python_checks import __version__, cli
from python_checks.checks import health
from python_checks.core.result import Result
from python_checks.report.formats import FORMATS
from tests.python_checks.support import DEADLINE, ROOT, Probe, Server


def ended(*arguments: str) -> object:
    """Return the exit code of a command that argparse ends."""
    with pytest.raises(SystemExit) as end:
        cli.main([*arguments])
    return end.value.code


@pytest.mark.parametrize("name", cli.CHECKS)
def test_every_check_has_a_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(name, "--help") == 0
    assert "usage: python -m python_checks " + name in capsys.readouterr().out


def test_the_help_of_all_as_a_process(probe: Probe) -> None:
    done = probe("--help")
    assert done.returncode == 0 and [name for name in cli.CHECKS if name not in done.stdout] == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nope"],
        ["port"],
        ["health", "--url", "localhost:8000"],
        ["health", "--url", "http://127.0.0.1:99999"],
        ["health", "--timeout", "0"],
        ["health", "--format", "xml"],
        ["port", "--port", "0"],
        ["wait", "--pid", "-1"],
        ["all", "@/no/such/file"],
        ["restart"],
    ],
)
def test_wrong_usage_is_unknown_and_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(*arguments) == 3
    assert "error:" in capsys.readouterr().err


def test_wrong_usage_as_a_process(probe: Probe) -> None:
    done = probe("health", "--timeout", "0")
    assert done.returncode == 3
    assert "error:" in done.stderr and "Traceback" not in done.stderr


def test_the_version(probe: Probe) -> None:
    done = probe("--version")
    assert (done.returncode, done.stdout) == (0, f"vllm-deploy {__version__}\n")


def test_text_is_one_line_with_figures(probe: Probe, server: Server) -> None:
    server.answers["/health"] = (200, "")
    done = probe("health", "--url", server.url)
    assert done.returncode == 0
    head, _, figures = done.stdout.strip().partition(" | ")
    assert head == "health OK: /health says 200"
    assert figures.startswith("time=") and figures.endswith("s") and done.stdout.count("\n") == 1


def test_a_failure_has_a_remedy_line(probe: Probe, free_port: int) -> None:
    done = probe("health", "--url", f"http://127.0.0.1:{free_port}")
    first, second = done.stdout.splitlines()
    assert done.returncode == 2
    assert first.startswith("health CRITICAL: connection refused") and second.startswith("remedy: ")


def test_what_nobody_foresaw_is_unknown(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def burst(options: object) -> Result:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(health, "run", burst)
    assert cli.main(["health"]) == 3
    assert "health UNKNOWN: unforeseen RuntimeError: two lines" in capsys.readouterr().out


def test_an_output_that_breaks_is_unknown(server: Server) -> None:
    server.answers["/health"] = (200, "")
    command = [sys.executable, "-m", "python_checks", "health", "--url", server.url]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode not in (0, 1, 2) and "UNKNOWN" in done.stderr


@pytest.mark.parametrize("name", [*FORMATS, "--help"])
def test_whoever_reads_may_have_enough(free_port: int, name: str) -> None:
    """As in `checks … | head -1`: no word of Python about its pipe, and the code of the verdict."""
    options = ["port", "--port", str(free_port), "--format", name] if name in FORMATS else [name]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "python_checks", *options],
        cwd=ROOT,
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=DEADLINE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_nobody_reads_the_progress_either(free_port: int, tmp_path: Path) -> None:
    """As in `checks wait … 2>&1 | head -1`; what follows the output is done all the same."""
    reading, writing = os.pipe()
    os.close(reading)
    url = f"http://127.0.0.1:{free_port}"
    command = [sys.executable, "-m", "python_checks", "wait", "--url", url, "--deadline", "1"]
    done = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=writing, timeout=DEADLINE, check=False)
    assert done.returncode in (2, 3)
    file = tmp_path / "port.prom"
    command = [
        sys.executable,
        "-m",
        "python_checks",
        "port",
        "--port",
        str(free_port),
        "--textfile",
        str(file),
    ]
    done = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=writing, timeout=DEADLINE, check=False)
    os.close(writing)
    assert done.returncode == 0 and "port" in file.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupt_is_unknown_without_traceback(free_port: int, number: int) -> None:
    command = [sys.executable, "-m", "python_checks", "wait", "--url", f"http://127.0.0.1:{free_port}"]

    def heed() -> (
        None
    ):  # a shell that starts tests in the background has them ignore SIGINT, and children inherit it
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(command, cwd=ROOT, stdout=-1, stderr=-1, text=True, preexec_fn=heed) as child:
        assert child.stderr is not None and "waiting for /health" in child.stderr.readline()
        child.send_signal(number)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 3
    assert "UNKNOWN: interrupted" in out and "Traceback" not in err


def test_heavy_libraries_are_loaded_only_where_needed() -> None:
    code = (
        "import sys; from python_checks.cli import parser; parser().parse_args(['health']);"
        "print([name for name in ('rich', 'jsonschema', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
