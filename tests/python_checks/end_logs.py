"""Logs of starts that ended, in the forms that vLLM 0.32 gives them: composed, for no GPU was there to record them."""

from collections.abc import Sequence

BEGIN = (
    "(APIServer pid=2001) INFO 11-20 03:11:31 [utils.py:326] non-default args: {'model': '/srv/model', 'tensor_parallel_size': 2}",
    "(EngineCore pid=2101) INFO 11-20 03:11:45 [core.py:133] Initializing a V1 LLM engine (v0.32.0) with config: model='/srv/model'",
)
CORE = "(EngineCore pid=2101) ERROR 11-20 03:12:09 [core.py:1510] "
SERVER = "(APIServer pid=2001) "
END = (
    f"{CORE}EngineCore failed to start.",
    f"{CORE}Traceback (most recent call last):",
    f"{CORE}    raise e from None",
    f"{CORE}Exception: WorkerProc initialization failed due to an exception in a background process. See stack trace for root cause.",
    f"{SERVER}Traceback (most recent call last):",
    f'{SERVER}  File "/opt/vllm/venv/bin/vllm", line 8, in <module>',
    f"{SERVER}RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {{'EngineCore': 1}}",
)
CHAINED = "The above exception was the direct cause of the following exception:"
DURING = "During handling of the above exception, another exception occurred:"
TRACEBACK = "Traceback (most recent call last):"


def raised(*lines: str, rank: int = 0, time: str = "03:12:08") -> list[str]:
    """Return what a worker logs of an exception: the traceback's heading and places, then `lines`."""
    head = (
        "WorkerProc failed to start.",
        TRACEBACK,
        '  File "/opt/vllm/venv/lib/python3.12/site-packages/vllm/v1/executor/multiproc_executor.py", line 929, in worker_main',
    )
    prefix = f"(Worker_TP{rank} pid={2201 + rank}) ERROR 11-20 {time} [multiproc_executor.py:953] "
    return [prefix + line for line in (*head, *lines)]


def died(code: int, rank: int = 0) -> str:
    """Return what the engine logs of a worker that is gone."""
    return (
        f"(EngineCore pid=2101) ERROR 11-20 03:12:09 [multiproc_executor.py:316] Worker proc VllmWorker-{rank} died unexpectedly "
        f"(exit code: {code}), shutting down executor."
    )


def log(*middle: str | Sequence[str]) -> list[str]:
    """Return a whole log with this in its middle."""
    lines = [line for part in middle for line in ([part] if isinstance(part, str) else part)]
    return [*BEGIN, *lines, *END]
