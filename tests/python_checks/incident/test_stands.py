"""Where processes stand, in words; the stacks are those of vLLM 0.32's own source."""

from __future__ import annotations

import pytest

from python_checks.incident import stands
from python_checks.incident.stacks import Frame, Process, Thread
from python_checks.incident.stands import Standing

VENV = "/opt/vllm/venvs/vllm-cpu/lib/python3.11/site-packages"
PYTHON = "/usr/lib/python3.11"
SHM = f"{VENV}/vllm/distributed/device_communicators/shm_broadcast.py"
EXECUTOR = f"{VENV}/vllm/v1/executor/multiproc_executor.py"
DEQUEUE = [
    Frame("Poller.poll", f"{VENV}/zmq/sugar/poll.py", 106),
    Frame("SpinCondition.wait", SHM, 201),
    Frame("MessageQueue.acquire_read", SHM, 864),
    Frame("_GeneratorContextManager.__enter__", f"{PYTHON}/contextlib.py", 137),
    Frame("MessageQueue.dequeue", SHM, 968),
]
ENGINE = [*DEQUEUE, Frame("get_response", EXECUTOR, 440), Frame("FutureWrapper.result", EXECUTOR, 95)]
WORKER = [*DEQUEUE, Frame("WorkerProc.worker_busy_loop", EXECUTOR, 1041)]
SERVER = [
    Frame("Runner.run", f"{PYTHON}/asyncio/runners.py", 118),
    Frame("run", f"{VENV}/uvloop/__init__.py", 92),
    Frame("<module>", f"{VENV}/vllm/entrypoints/openai/api_server.py", 700),
]
STEP = [Frame("OffloadedOp.__call__", f"{VENV}/torch/_ops.py", 1209), Frame("forward", "/m/gpt_oss.py", 3)]


def standing(who: str, frames: list[Frame], state: str = "S", why: str = "") -> Standing:
    other = Thread("QueueFeeder", 8, [Frame("wait", f"{PYTHON}/threading.py", 1)])
    return stands.of(Process(7, who, state, [other, Thread("MainThread", 7, frames)] if frames else (), why))


@pytest.mark.parametrize(
    ("frames", "place", "loop"),
    [
        (ENGINE, "shm_broadcast.dequeue", False),
        (WORKER, "shm_broadcast.dequeue", False),
        (SERVER, "api_server.<module>", True),
        (STEP, "_ops.__call__", False),
        ([Frame("Event.wait", f"{PYTHON}/threading.py", 655)], "threading.wait", False),
        ([], "", False),
    ],
)
def test_the_function_that_tells_most(frames: list[Frame], place: str, loop: bool) -> None:
    found = standing("EngineCore", frames)
    assert (found.place, found.loop) == (place, loop)


def test_an_engine_that_waits_for_a_stopped_worker() -> None:
    seen = [
        standing("API server", SERVER),
        standing("EngineCore", ENGINE),
        standing("Worker_TP0", WORKER),
        standing("Worker_TP1", STEP, "T"),
    ]
    assert stands.explain(seen) == [
        "EngineCore (pid 7) waits in shm_broadcast.dequeue for a worker that is stopped (T): Worker_TP1",
        "Worker_TP1 (pid 7) is stopped (T), in _ops.__call__",
        "API server (pid 7) waits in its event loop, in api_server.<module>",
        "Worker_TP0 (pid 7) waits in shm_broadcast.dequeue for work",
    ]


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        (("S", STEP), "EngineCore (pid 7) waits in shm_broadcast.dequeue for its workers"),
        (
            ("D", STEP),
            "EngineCore (pid 7) waits in shm_broadcast.dequeue for a worker that the kernel holds (D): Worker_TP1",
        ),
    ],
)
def test_an_engine_and_other_workers(worker: tuple[str, list[Frame]], words: str) -> None:
    state, frames = worker
    seen = [standing("EngineCore", ENGINE), standing("Worker_TP1", frames, state)]
    assert stands.explain(seen)[0] == words


def test_an_engine_that_is_stopped_itself_and_one_that_tells_nothing() -> None:
    assert stands.explain([standing("EngineCore", ENGINE, "T")]) == [
        "EngineCore (pid 7) is stopped (T), in shm_broadcast.dequeue"
    ]
    assert stands.explain([standing("EngineCore", [], why="py-spy says no")]) == [
        "EngineCore (pid 7) gives no stack: py-spy says no"
    ]
    assert stands.explain([standing("EngineCore", STEP)]) == ["EngineCore (pid 7) is in _ops.__call__"]
