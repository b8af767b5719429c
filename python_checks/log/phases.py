"""The phases of a vLLM start, read from its log lines.

Lines as vLLM 0.32 writes them: on the CPU recorded (tests/python_checks/recorded/), those of CUDA from its
source (v1/worker/gpu_model_runner.py, v1/worker/gpu/cudagraph_utils.py, compilation/).
"""

import re

from python_checks.core.say import msg, say

FIRST = say("starting Python and importing vLLM")
WARM_UP = say("warming up: first chat")

# Looked through from the top, first match wins; {} takes the groups.
PATTERNS = tuple(
    (re.compile(pattern), phase)
    for pattern, phase in (
        (
            r"[Ll]oading (?:safetensors|[^|]*shards)[^|]*\| (\d+)/(\d+) \[",
            msg("loading weights {done}/{total}"),
        ),
        (r"Starting to load model ", msg("loading weights")),
        (r"Loading weights took |Model loading took ", msg("weights loaded")),
        (r"Capturing CUDA graphs[^|]*\|[^|]*\| (\d+)/(\d+) \[", msg("capturing CUDA graphs {done}/{total}")),
        (r"Profiling CUDA graph memory", msg("profiling memory")),
        (r"Graph capturing finished", msg("CUDA graphs captured")),
        (
            r"Starting torch\.compile|for vLLM's torch\.compile|Dynamo bytecode transform time",
            msg("compiling"),
        ),
        (
            r"Compiling a graph for|Compile and warming up model|Warming up model for the compilation",
            msg("compiling"),
        ),
        (r"saved AOT compiled function|Directly load (AOT|the)", msg("compiled, profiling")),
        (r"Initial profiling/warmup run took|Warming up done", msg("profiling memory")),
        (r"Available KV cache memory|KV cache size: ", msg("making the KV cache")),
        (
            r"init engine \(profile, create kv cache, warmup model\) took",
            msg("engine is ready, starting the API"),
        ),
        (r"Starting vLLM server on ", msg("starting the API")),
        (r"Application startup complete", msg("API is up")),
        (r"Initializing a V1 LLM engine", msg("starting the engine")),
        (r"non-default args: ", msg("reading the model's configuration")),
    )
)


def phase(line: str) -> str:
    """Return the phase that a log line opens, or an empty string."""
    for pattern, words in PATTERNS:
        match = pattern.search(line)
        if match:
            return say(words, **dict(zip(("done", "total"), match.groups(), strict=False)))
    return ""
