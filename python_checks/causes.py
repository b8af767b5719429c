"""Why a vLLM ended: the one useful line of its log, and the remedy for it."""

import re
from collections.abc import Iterable

from python_checks.result import shorten

_PREFIX = re.compile(r"^\([\w-]+ pid=\d+\) (?:(?P<level>[A-Z]+) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]*\] ?)?")
_EXCEPTION = re.compile(r"^[\w.]*(?:Error|Exception|Exit|Interrupt)\b(?:: .*)?$")
_PLAIN = re.compile(
    r"^[\w./-]+: (?:error: |\d+: |.*(?:No such file|not found|Permission denied))|^Killed|^Segmentation"
)
_TRACEBACK = re.compile(r"^\s|^Traceback |^$|^[\w.]*Error:?$")
_ECHO = re.compile(
    r"See root cause|See stack trace|EngineDeadError|Executor failed|failed to start|fatal error"
    r"|handler failed"
)
# The guard's verdict opens a start: what stands before it is another run's.
GUARD = re.compile(r"^guard (?P<state>OK|WARNING|CRITICAL|UNKNOWN): ")
_OWN = re.compile(r"^[a-z-]+ (?:OK|WARNING|CRITICAL|UNKNOWN): |^remedy: ")  # other lines of our checks
_OPEN = re.compile(r"validation errors? for \w+$")  # pydantic says what is wrong on the next line

MEMORY = (
    r"out of memory|OutOfMemory|No available memory for the cache blocks|less than desired GPU memory"
    r"|larger than the available KV cache memory"
)
FILES = r"SafetensorError|Weight files referenced|config file|Repo id|Invalid repository|config\.json"
REMEDIES = (
    (GUARD.pattern, "the start was refused: do what the guard's remedy says, below it in the log"),
    (
        r"unrecognized arguments|error: argument|invalid choice",
        "correct the flags; all: vllm serve --help=all",
    ),
    (r"Address already in use", "another process holds the port: run the port check"),
    (MEMORY, "lower --gpu-memory-utilization (0.80) or --max-model-len (65536); see nvidia-smi"),
    (r"max_model_len", "lower --max-model-len to what the model allows"),
    (r"tool-call-parser|tool call parser", "set --tool-call-parser openai (vllm_tool_call_parser: openai)"),
    (FILES, "run the model-files check on the model's directory"),
    (
        r"failed to map segment from shared object",
        "compiled code lies on a file system that is mounted noexec: sudo mount -o remount,exec its mount point",
    ),
    (
        r"ModuleNotFound|PackageNotFound|ImportError",
        "the virtual environment is incomplete: install it again",
    ),
    (
        r"vocab file",
        "vLLM before 0.31 downloads o200k_base.tiktoken: deploy a newer one; a newer one needs TIKTOKEN_ENCODINGS_BASE"
        " unset, or a directory that holds that file",
    ),
    (r"No space left on device", "free some disk space: see df -h and df -i"),
    (r"Read-only file system", "a directory that it writes to is mounted read-only: see dmesg and findmnt"),
    (r"Permission denied", "the service's user may not use what it names: see owner and mode (ls -ld)"),
    (
        r"larger than the number of available GPUs|Not enough allowed NUMA nodes|number of CPU id list",
        "lower --tensor-parallel-size to what the host has, or let vLLM use more (vllm_cuda_visible_devices)",
    ),
    (
        r"CUDA driver version is insufficient|no CUDA-capable device|Failed to infer device type",
        "run the gpu check: it names driver and GPUs",
    ),
    (r"validation errors? for", "correct the argument that it names (vllm_extra_args or its own variable)"),
    (r"died unexpectedly", "a worker was killed: by the kernel for memory? journalctl -k | grep -i oom"),
    (r"InductorError|CppCompileError|Python\.h", "install g++ and the Python headers"),
)
OTHER = "read the log"


def cause(lines: Iterable[str]) -> str:
    """Return the line that says why: the last exception or usage error that is no echo of another process's.

    Falls back to the last line of level ERROR, then to an echo, then to the guard's refusal of the start; an
    empty string when no line says anything.
    """
    exceptions, errors, echoes, refusal = "", "", "", ""
    open_line = False
    for line in lines:
        prefix = _PREFIX.match(line)
        level = prefix["level"] if prefix else None
        body = line[prefix.end() :] if prefix else line
        if open_line:
            exceptions += f" {body.strip()}"
        open_line = False
        guard = GUARD.match(line)
        if guard:
            exceptions, errors, echoes = "", "", ""
            refusal = line.partition(" | ")[0] if guard["state"] in ("CRITICAL", "UNKNOWN") else ""
        if _OWN.match(line):
            continue
        if level in ("WARNING", "INFO", "DEBUG"):
            continue
        if _EXCEPTION.match(body) or _PLAIN.match(body) or _OPEN.search(body):
            if _ECHO.search(body):
                echoes = body
            else:
                exceptions, open_line = body, bool(_OPEN.search(body))
        elif level in ("ERROR", "CRITICAL") and not _TRACEBACK.match(body):
            if _ECHO.search(body):
                echoes = body
            else:
                errors = body
    return shorten(exceptions or errors or echoes or refusal, 300)


def remedy(words: str) -> str:
    """Return what to do about a cause."""
    return next((advice for pattern, advice in REMEDIES if re.search(pattern, words)), OTHER)
