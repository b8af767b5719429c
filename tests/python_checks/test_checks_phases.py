"""The phase that a log line opens: recorded lines of a CPU start, and CUDA's in the words of vLLM's source."""

import pytest

from python_checks.phases import PATTERNS, phase

CUDA = {
    "(Worker_TP0 pid=7) INFO 11-23 09:00:01 [gpu_model_runner.py:5040] Starting to load model /srv/model...": (
        "loading weights"
    ),
    "Loading safetensors checkpoint shards:  53% Completed | 8/15 [00:05<00:04,  1.52it/s]": "loading weights 8/15",
    "Multi-thread loading shards:  20% Completed | 3/15 [00:01<00:04,  3.00it/s]": "loading weights 3/15",
    "(Worker_TP0 pid=7) INFO 11-23 09:00:20 [gpu_model_runner.py:5150] Model loading took 34.38 GiB memory and "
    "14.402711 seconds": "weights loaded",
    "(Worker_TP0 pid=7) INFO 11-23 09:00:21 [backends.py:1105] [backbone] Using cache directory: /var/cache/x for "
    "vLLM's torch.compile": "compiling",
    "(Worker_TP0 pid=7) INFO 11-23 09:00:24 [backends.py:1167] [backbone] Dynamo bytecode transform time: 3.70 s": (
        "compiling"
    ),
    "(Worker_TP0 pid=7) INFO 11-23 09:00:29 [backends.py:399] [backbone] Compiling a graph for compile range "
    "(1, 4096) takes 4.50 s": "compiling",
    "(Worker_TP0 pid=7) INFO 11-23 09:00:29 [backends.py:296] [backbone] Directly load the compiled graph(s) for "
    "compile range (1, 4096) from the cache, took 0.713 s": "compiled, profiling",
    "(Worker_TP0 pid=7) INFO 11-23 09:00:30 [gpu_model_runner.py:6369] Profiling CUDA graph memory: PIECEWISE=83": (
        "profiling memory"
    ),
    "(Worker_TP0 pid=7) INFO 11-23 09:00:31 [gpu_worker.py:760] Available KV cache memory: 35.82 GiB": (
        "making the KV cache"
    ),
    "(EngineCore pid=6) INFO 11-23 09:00:31 [kv_cache_utils.py:2327] GPU KV cache size: 1,043,264 tokens, Maximum "
    "concurrency for 131,072 tokens per request: 15.66x": "making the KV cache",
    "Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  45%|████▍     | 37/83 [00:03<00:04, 11.09it/s]": (
        "capturing CUDA graphs 37/83"
    ),
    "(Worker_TP0 pid=7) INFO 11-23 09:00:40 [gpu_model_runner.py:6582] Graph capturing finished in 8 secs, took "
    "0.94 GiB": "CUDA graphs captured",
}


@pytest.mark.parametrize(("line", "wanted"), CUDA.items())
def test_phase_names_the_cuda_lines(line: str, wanted: str) -> None:
    assert phase(line) == wanted


def test_phases_of_a_recorded_start_come_in_order(recorded) -> None:
    seen: list[str] = []
    for line in recorded("start"):
        name = phase(line)
        if name and name not in seen:
            seen.append(name)
    assert seen == [
        "reading the model's configuration",
        "starting the engine",
        "loading weights",
        "loading weights 0/2",
        "loading weights 2/2",
        "weights loaded",
        "compiling",
        "compiled, profiling",
        "profiling memory",
        "making the KV cache",
        "engine is ready, starting the API",
        "starting the API",
        "API is up",
    ]


def test_every_pattern_is_met_by_a_line(recorded) -> None:
    lines = [*recorded("start"), *CUDA]
    assert [pattern.pattern for pattern, _ in PATTERNS if not any(map(pattern.search, lines))] == []


def test_other_lines_open_no_phase() -> None:
    assert phase('INFO:     127.0.0.1:58132 - "GET /v1/models HTTP/1.1" 200 OK') == ""
