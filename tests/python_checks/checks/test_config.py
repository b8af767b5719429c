"""The process that imports vLLM: its stages are shown, one that lasts too long ends it, and nothing of it is left.

With a stand-in that has the layout of an older vLLM and does what a test wants; tests/demo/served/test_config.py asks the real one.
"""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from python_checks.config import staged
from python_checks.core.result import CheckError
from tests.python_checks.support import DEADLINE, ROOT, Probe, wait_for_end

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
    for name in "model", "tool-parser-plugin", "reasoning-parser-plugin":
        parser.add_argument(f"--{name}")
    parser.add_argument("--tensor-parallel-size", "-tp")
    parser.add_argument("--seed", default="0")
    return parser
validate_parsed_serve_args = bool
""",
    "entrypoints/openai/api_server.py": """
import os
def validate_api_server_args(given):
    assert os.environ.get("NEEDS", "") == ",".join(map(str, loaded))
loaded = []
""",
    "entrypoints/openai/tool_parsers.py": """
from vllm.entrypoints.openai.api_server import loaded
class ToolParserManager: import_tool_parser = loaded.append
""",
    "reasoning.py": """
from vllm.entrypoints.openai.api_server import loaded
class ReasoningParserManager: import_reasoning_parser = loaded.append
""",
}
# What a newer vLLM has elsewhere: an older place that stays may have lost the name.
MOVED = {
    "entrypoints/common/cli_args.py": STAND_IN["entrypoints/openai/cli_args.py"]
    + STAND_IN["entrypoints/openai/api_server.py"],
    "entrypoints/launchers/launcher.py": "",
    "entrypoints/openai/cli_args.py": "raise RuntimeError('the old place')",
    "entrypoints/openai/api_server.py": "",
    "tool_parsers.py": "class ToolParserManager: import_tool_parser = str",
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


def test_accepted_with_its_stages(start: Start, tmp_path: Path) -> None:
    code, out, err = verdict(start("pass"))
    assert code == 0 and "config OK: vLLM 0.11 accepts the arguments: cuda, world size 2, 5 tokens" in out
    assert "building the configuration (" in err.splitlines()[-1]
    assert not list((tmp_path / "tmp").iterdir()) and not list((tmp_path / "home").iterdir())


def test_names_that_moved_are_found(start: Start, tmp_path: Path) -> None:
    for name, text in MOVED.items():
        file = tmp_path / "site/vllm" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(
            text.replace("from vllm.entrypoints.openai.api_server", "from vllm.entrypoints.common.cli_args")
        )
    (tmp_path / "site/vllm/reasoning.py").write_text(
        "class ReasoningParserManager: import_reasoning_parser = str"
    )
    code, out, _ = verdict(start("pass"))
    assert code == 0, out


def test_a_name_that_is_nowhere_is_unknown(start: Start, tmp_path: Path) -> None:
    (tmp_path / "site/vllm/entrypoints/openai/api_server.py").write_text("loaded = []")  # the place stays
    code, out, _ = verdict(start("pass"))
    assert code == 3 and "this vLLM keeps its parser elsewhere: validate_api_server_args is not in" in out


def test_a_parser_of_the_users_own_is_loaded_before_its_name_is_judged(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEEDS", "t.py,r.py")
    arguments = ("--tool-parser-plugin", "t.py", "--reasoning-parser-plugin", "r.py")
    assert verdict(start("pass", arguments=arguments))[0] == 0
    assert verdict(start("pass"))[0] == 3


def test_refused_with_its_flag(start: Start) -> None:
    code, out, _ = verdict(start("pass", arguments=("--modle", "m")))
    assert code == 2 and "vLLM refuses --modle m: unrecognized arguments" in out
    assert "remedy: did you mean --model?" in out


@pytest.mark.parametrize(
    "again",
    [("-tp", "4"), ("--tensor-p", "4"), ("--tensor-parallel-size=4",), ("--model=x", "-tp=4")],
)
def test_extra_arguments_repeat_no_flag_of_a_variable(start: Start, again: tuple[str, ...]) -> None:
    words = ("--seed", "1", *again)
    arguments = ("--model", "m", "-tp", "2", *words)
    code, out, _ = verdict(start("pass", "--extra", str(len(words)), arguments=arguments))
    assert code == 2 and "vllm_extra_args gives vLLM" in out and "--tensor-parallel-size" in out
    assert "vllm_tensor_parallel_size" in out and ("vllm_model" in out) == ("--model=x" in again)


def test_extra_arguments_with_flags_of_their_own(start: Start) -> None:
    words = ("--seed", "-1")
    code, out, _ = verdict(start("pass", "--extra", "2", arguments=("--model", "m", "-tp", "2", *words)))
    assert code == 0, out


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


def test_a_stage_that_lasts_too_long_ends_all_of_it(start: Start, tmp_path: Path) -> None:
    code, out, err = verdict(start(CHILD + "time.sleep(600)", "--deadline", "8"))
    assert code == 3 and "no verdict: building the configuration has lasted longer than 8 s" in out
    assert "remedy: a slow disk or a busy host needs a longer vllm_config_seconds (--deadline)" in out
    assert "building the configuration (" in err
    wait_for_end(int((tmp_path / "child").read_text()))
    assert not list((tmp_path / "tmp").iterdir())


# Tells its stages, and begins the next when it is let.
STAGES = """
import json, os, sys
channel, gate = int(sys.argv[1]), sys.argv[2]
for number in range(1, 5):
    os.write(channel, json.dumps({"stage": f"stage {number}"}).encode() + b"\\n")
    open(gate).read()
os.write(channel, b'{"end": {}}\\n')
"""


@pytest.mark.parametrize(("limit", "end"), [(200.0, {}), (100.0, None)])
def test_the_limit_counts_from_the_last_stage_that_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: float, end: dict[str, str] | None
) -> None:
    gate, now, seen = tmp_path / "gate", [0.0], set()
    os.mkfifo(gate)

    class Watcher(io.StringIO):
        """Each new stage that is shown lasts 150 s, and then the next may begin."""

        def write(self, words: str) -> int:
            if words.startswith("stage") and words[:7] not in seen:
                seen.add(words[:7])
                now[0] += 150
                if limit > 150:
                    gate.write_text("go")
            return len(words)

    monkeypatch.setattr(sys, "stderr", Watcher())
    monkeypatch.setattr(staged, "time", SimpleNamespace(monotonic=lambda: now[0]))
    run = staged.Run([sys.executable, "-c", STAGES], [str(gate)], os.environ, tmp_path / "output")
    if end is None:
        with pytest.raises(CheckError) as caught:
            run.outcome(limit)
        assert caught.value.fault.reason == "no verdict: stage 1 has lasted longer than 100 s"
    else:
        assert run.outcome(limit).end == end and now[0] == 600


def test_an_interrupt_ends_all_of_it(start: Start, tmp_path: Path) -> None:
    child = start(CHILD + "time.sleep(60)")
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    code, out, _ = verdict(child)
    assert code == 3 and "interrupted" in out
    wait_for_end(int((tmp_path / "child").read_text()))
    assert not list((tmp_path / "tmp").iterdir())


def test_what_it_started_does_not_outlive_a_good_end(start: Start, tmp_path: Path) -> None:
    assert verdict(start(CHILD))[0] == 0
    wait_for_end(int((tmp_path / "child").read_text()))


@pytest.mark.parametrize("cache", ["home/cache", "home/cache/vllm/modelinfos", ""])
def test_what_vllm_found_out_is_kept_for_its_start(start: Start, tmp_path: Path, cache: str) -> None:
    (tmp_path / cache).mkdir(parents=True, exist_ok=True)
    code = """
from pathlib import Path
found = Path(os.environ["VLLM_CACHE_ROOT"], "modelinfos/a.json")
found.parent.mkdir(parents=True, exist_ok=True)
found.write_text("found out")
Path(os.environ["VLLM_CACHE_ROOT"], "other").write_text("x")
"""
    assert verdict(start(code, "--keep"))[0] == 0
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert files == [tmp_path / "home/cache/vllm/modelinfos/a.json"]
    assert files[0].read_text() == "found out"


def test_where_nothing_can_be_kept_the_verdict_stands(start: Start, tmp_path: Path) -> None:
    (tmp_path / "home/cache").write_text("a file")
    assert verdict(start("pass", "--keep"))[0] == 0


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
