"""vLLM's own parser and config builder accept its arguments: everything behind `--`, before anything is stopped.

Run it with the interpreter of the engine's environment, as the user and in the environment of the service.
"""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from python_checks.config import refusals, staged
from python_checks.core import options as opt
from python_checks.core import whole_file
from python_checks.core.result import CheckError, Fault, Result, State
from python_checks.core.say import say
from python_checks.log import causes
from python_checks.service import remedies

NEEDS: tuple[str, ...] = ()

# A stage takes 5 to 30 s; on a cold disk beside eight busy programs importing took 72 s and building more than 110.
SECONDS = 600.0
PROGRAM = ("-B", "-P", "-m", "python_checks.config.vllm_stages")
# All that says where vLLM and what it imports write.
PLACES = """HOME XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME TMPDIR VLLM_CONFIG_ROOT VLLM_RPC_BASE_PATH HF_MODULES_CACHE
TORCHINDUCTOR_CACHE_DIR TRITON_HOME TRITON_CACHE_DIR FLASHINFER_WORKSPACE_BASE CUDA_CACHE_PATH NUMBA_CACHE_DIR MPLCONFIGDIR"""
KEPT = (
    "modelinfos"  # what vLLM found out about a model's class; it checks a hash, and looking again takes 10 s
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check; those of vLLM follow behind `--` and are taken apart by vLLM alone."""
    parser.usage = f"{parser.prog} [options] -- ARGUMENTS OF VLLM"
    parser.add_argument(
        "--deadline",
        type=opt.seconds,
        default=SECONDS,
        metavar="SECONDS",
        help="of each stage, from the end of the one before (%(default)g s)",
    )
    parser.add_argument(
        "--extra",
        type=int,
        default=0,
        metavar="N",
        help="so many of the last arguments are those of vllm_extra_args: they repeat no flag of a variable (%(default)s)",
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep what vLLM finds out about the model's class in its cache, where its next start looks for it",
    )


def run(options: argparse.Namespace) -> Result:
    """Let a process of its own import vLLM, in a directory that is removed."""
    if not options.arguments:
        raise CheckError(
            Fault(
                say("no arguments of vLLM are given"),
                say("give them behind: config -- --model DIR …"),
                State.UNKNOWN,
            )
        )
    with tempfile.TemporaryDirectory(prefix="vllm-config-") as directory:
        output = Path(directory, "output")
        program = [sys.executable, *PROGRAM]
        arguments = [str(options.extra), *options.arguments]
        child = staged.Run(program, arguments, environment(Path(directory)), output)
        outcome = child.outcome(options.deadline)
        if outcome.end is not None:
            if options.keep:
                keep(Path(directory))
            return refusals.judge(outcome.end, options.arguments)
        why = causes.find(output.read_text(errors="replace").splitlines())
    ended = (
        say("was killed by signal {code}", code=-outcome.code)
        if outcome.code < 0
        else say("ended with {code}", code=outcome.code)
    )
    words = say(
        "vLLM {ended} in stage: {stage}; {words}",
        ended=ended,
        stage=outcome.stage,
        words=why.words or say("it does not say why"),
    )
    raise CheckError(Fault(words, remedies.remedy(why.text), State.UNKNOWN))


def environment(directory: Path) -> dict[str, str]:
    """Return this process's environment with every place to write in `directory`."""
    cache = directory / "vllm"
    known = vllm_cache() / KEPT
    with contextlib.suppress(OSError):  # there is none before the first start
        shutil.copytree(known, cache / KEPT)
    tree = str(Path(__file__).parents[2])
    path = os.pathsep.join([tree, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {
        **os.environ,
        **dict.fromkeys(PLACES.split(), str(directory)),
        "VLLM_CACHE_ROOT": str(cache),
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def keep(directory: Path) -> None:
    """Copy what vLLM found out about the model's class from `directory` to its own cache; without that cache nothing is kept."""
    known = vllm_cache() / KEPT
    with contextlib.suppress(OSError):
        known.mkdir(parents=True, exist_ok=True)
        for path in (directory / "vllm" / KEPT).iterdir():
            whole_file.write(known / path.name, path.read_text(encoding="utf-8"))


def vllm_cache() -> Path:
    """Return where a vLLM in this environment keeps what it may find again (vllm/envs.py)."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("VLLM_CACHE_ROOT") or Path(home, "vllm"))
