"""What the doctor says of a hang of the last day."""

from __future__ import annotations

from pathlib import Path

from python_checks.core.result import State
from python_checks.incident.kept import Incident
from python_checks.incident.stands import Standing
from tests.python_checks.doctor_support import known, one, signs

NOW = known("supervisor_running")["vllm"].since + 60
WAITS = [
    Standing("EngineCore", 12, "S", "shm_broadcast.dequeue"),
    Standing("Worker_TP0", 13, "S", "shm_broadcast.dequeue"),
    Standing("Worker_TP1", 14, "T", "gpu_worker.execute_model"),
]


def test_it_says_where_the_stacks_stand_and_where_they_are() -> None:
    incident = Incident(Path("/w/incidents/a"), NOW - 600, WAITS, {"running": 2, "waiting": 1, "ids": []})
    found = one(signs(incidents={"vllm": incident}))
    assert found.state is State.WARNING
    assert found.symptom == "vllm gave no answer 10 min ago, and was to be restarted"
    assert found.evidence == (
        "EngineCore (pid 12) waits in shm_broadcast.dequeue for a worker that is stopped (T): Worker_TP1; "
        "Worker_TP1 (pid 14) is stopped (T), in gpu_worker.execute_model; "
        "Worker_TP0 (pid 13) waits in shm_broadcast.dequeue for work; "
        "open requests: 2 running, 1 waiting; their ids are logged only with --enable-log-requests"
    )
    assert found.cause == "kept before the restart in /w/incidents/a"
    assert "stacks.txt" in found.remedy


def test_ids_and_many_processes() -> None:
    many = [Standing(f"Worker_TP{number}", number, "S", "x.y") for number in range(9)]
    incident = Incident(Path("/w"), NOW, many, {"ids": [f"chatcmpl-{number}" for number in range(9)]})
    evidence = one(signs(incidents={"vllm": incident})).evidence
    assert "5 more in stacks.txt; ids: chatcmpl-0, chatcmpl-1, chatcmpl-2, chatcmpl-3" in evidence
    assert "chatcmpl-4" not in evidence


def test_without_a_stack() -> None:
    assert one(signs(incidents={"vllm": Incident(Path("/w"), NOW)})).evidence == "no stack could be read"
