"""The process that imports vLLM: its stages are shown, it ends at the deadline, and nothing of it is left.

With a stand-in that has the layout of an older vLLM and does what a test wants; tests/demo/served/test_config.py asks the real one.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.python_checks.support import DEADLINE, ROOT, Probe

STAND_IN = {
    "__init__.py": "__version__ = '0.11'",
    "utils.py": "from argparse import ArgumentParser as FlexibleArgumentParser",
    "engine/arg_utils.py": """
import os, signal, subprocess, sys, time
from types import SimpleNamespace as Names
class AsyncEngineArgs:
    from_cli_args = classmethod(lambda cls, given: cls())
    def create_engine_config(self, usage_context):
        exec(os.environ["STAND_IN"])
        return Names(parallel_config=Names(world_size=2), model_config=Names(max_model_len=5, dtype="half"))
""",
    "usage/usage_lib.py": "class UsageContext: OPENAI_API_SERVER = 1",
    "platforms.py": "class current_platform: is_cpu, device_type = bool, 'cuda'",
    "entrypoints/openai/cli_args.py": """
def make_arg_parser(parser):
    parser.add_argument("--model")
    return parser
validate_parsed_serve_args = bool
""",
    "entrypoints/openai/api_server.py": "validate_api_server_args = bool",
}

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start the check with a stand-in for vLLM that runs `code`, in a home and a temporary directory of its own."""
    for name, text in STAND_IN.items():
        file = tmp_path / "site/vllm" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    places = {
        "HOME": tmp_path / "home",
        "TMPDIR": tmp_path / "tmp",
        "XDG_CACHE_HOME": tmp_path / "home/cache",
    }

    def run(
        code: str, *options: str, arguments: tuple[str, ...] = ("--model", "m")
    ) -> "subprocess.Popen[str]":
        path = f"{ROOT}{os.pathsep}{tmp_path / 'site'}"
        return subprocess.Popen(
            [sys.executable, "-B", "-m", "python_checks", "config", *options, "--", *arguments],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": path,
                "STAND_IN": code,
                **{k: str(v) for k, v in places.items()},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def verdict(child: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Return exit code, standard output and standard error."""
    out, err = child.communicate(timeout=DEADLINE)
    return child.returncode, out, err


def gone(file: Path) -> bool:
    """Tell whether the process that `file` names ends within a while."""
    for _ in range(100):
        try:
            if Path(f"/proc/{file.read_text()}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_accepted_with_its_stages(start: Start, tmp_path: Path) -> None:
    code, out, err = verdict(start("pass"))
    assert code == 0 and "config OK: vLLM 0.11 accepts the arguments: cuda, world size 2, 5 tokens" in out
    assert "building the configuration (" in err.splitlines()[-1]
    assert not list((tmp_path / "tmp").iterdir()) and not list((tmp_path / "home").iterdir())


def test_refused_with_its_flag(start: Start) -> None:
    code, out, _ = verdict(start("pass", arguments=("--modle", "m")))
    assert code == 2 and "vLLM refuses --modle m: unrecognized arguments" in out
    assert "remedy: did you mean --model?" in out


def test_no_word_behind_the_dashes_is_ours(start: Start, probe: Probe) -> None:
    code, out, _ = verdict(start("pass", arguments=("--deadline", "1", "@x", "--")))
    assert code == 2 and "unrecognized arguments: --deadline" in out
    assert probe("config").returncode == 3
    done = probe("health", "--", "x")
    assert done.returncode == 3 and "health takes nothing behind --" in done.stderr


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by signal 11 in stage: building"),
        ("sys.stderr.write('OSError: [Errno 28] No space left'); os._exit(7)", "ended with 7"),
        ("sys.exit(0)", "ended with 0"),
        ("raise RuntimeError('who knows')", "who knows"),
    ],
)
def test_no_verdict_is_unknown(start: Start, tmp_path: Path, code: str, words: str) -> None:
    rc, out, _ = verdict(start(code))
    assert rc == 3 and "config UNKNOWN" in out and words in out
    assert not list((tmp_path / "tmp").iterdir())


CHILD = "child = subprocess.Popen(['sleep', '60']); open('child', 'w').write(str(child.pid));"


def test_the_deadline_ends_all_of_it(start: Start, tmp_path: Path) -> None:
    begun = time.monotonic()
    code, out, err = verdict(start(CHILD + "time.sleep(60)", "--deadline", "3"))
    assert code == 3 and "no verdict within 3 s, in stage: building the configuration" in out
    assert time.monotonic() - begun < 20 and "building the configuration (" in err
    assert gone(tmp_path / "child") and not list((tmp_path / "tmp").iterdir())


def test_an_interrupt_ends_all_of_it(start: Start, tmp_path: Path) -> None:
    child = start(CHILD + "time.sleep(60)")
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    code, out, _ = verdict(child)
    assert code == 3 and "interrupted" in out
    assert gone(tmp_path / "child") and not list((tmp_path / "tmp").iterdir())


def test_what_it_started_does_not_outlive_a_good_end(start: Start, tmp_path: Path) -> None:
    assert verdict(start(CHILD))[0] == 0
    assert gone(tmp_path / "child")


def test_nothing_is_written_where_the_service_writes(start: Start, tmp_path: Path) -> None:
    known = tmp_path / "home/cache/vllm/modelinfos/a.json"
    known.parent.mkdir(parents=True)
    known.write_text("known")
    code = """
from pathlib import Path
import tempfile
copy = Path(os.environ["VLLM_CACHE_ROOT"], "modelinfos/a.json")
assert copy.read_text() == "known"
copy.write_text("changed")
for name in ("HOME", "XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "FLASHINFER_WORKSPACE_BASE"):
    Path(os.environ[name], "left").write_text("x")
tempfile.mkstemp()
"""
    assert verdict(start(code))[0] == 0
    assert known.read_text() == "known"
    files = [path for name in ("home", "tmp") for path in (tmp_path / name).rglob("*") if path.is_file()]
    assert files == [known]
