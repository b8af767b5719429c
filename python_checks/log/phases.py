"""The phases of a vLLM start, read from its log lines.

Lines as vLLM 0.32 writes them: on the CPU recorded (tests/python_checks/recorded/), those of CUDA from its
source (v1/worker/gpu_model_runner.py, v1/worker/gpu/cudagraph_utils.py, compilation/).
"""

import re

FIRST = "starting Python and importing vLLM"
WARM_UP = "warming up: first chat"

# Looked through from the top, first match wins; {} takes the groups.
PATTERNS = tuple(
    (re.compile(pattern), phase)
    for pattern, phase in (
        (r"[Ll]oading (?:safetensors|[^|]*shards)[^|]*\| (\d+)/(\d+) \[", "loading weights {}/{}"),
        (r"Starting to load model ", "loading weights"),
        (r"Loading weights took |Model loading took ", "weights loaded"),
        (r"Capturing CUDA graphs[^|]*\|[^|]*\| (\d+)/(\d+) \[", "capturing CUDA graphs {}/{}"),
        (r"Profiling CUDA graph memory", "profiling memory"),
        (r"Graph capturing finished", "CUDA graphs captured"),
        (r"Starting torch\.compile|for vLLM's torch\.compile|Dynamo bytecode transform time", "compiling"),
        (
            r"Compiling a graph for|Compile and warming up model|Warming up model for the compilation",
            "compiling",
        ),
        (r"saved AOT compiled function|Directly load (AOT|the)", "compiled, profiling"),
        (r"Initial profiling/warmup run took|Warming up done", "profiling memory"),
        (r"Available KV cache memory|KV cache size: ", "making the KV cache"),
        (r"init engine \(profile, create kv cache, warmup model\) took", "engine is ready, starting the API"),
        (r"Starting vLLM server on ", "starting the API"),
        (r"Application startup complete", "API is up"),
        (r"Initializing a V1 LLM engine", "starting the engine"),
        (r"non-default args: ", "reading the model's configuration"),
    )
)


def phase(line: str) -> str:
    """Return the phase that a log line opens, or an empty string."""
    for pattern, words in PATTERNS:
        match = pattern.search(line)
        if match:
            return words.format(*match.groups())
    return ""
