"""A start that ended for want of GPU memory: vLLM's words, and the guide's two remedies with numbers.

The words are composed after vLLM 0.32's source and issues (no GPU was there to record them); gpt-oss-120b by its real config.
"""

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest

from python_checks.checks import doctor
from python_checks.core.words import GIB
from python_checks.gpu import kv_cache
from python_checks.gpu.arithmetic import Budget, reserve, weights
from python_checks.report import formats
from python_checks.service import engine_facts, last_words
from python_checks.service.facts import Service
from python_checks.service.last_words import LastWords
from tests.python_checks.doctor_support import one, signs
from tests.python_checks.gpu_support import DISK, GPT_OSS, document, make_gpt_oss, script
from tests.python_checks.support import ROOT

EXCEPTION = "(EngineCore pid=6) ERROR 11-23 09:00:00 [core.py:1510] "
OOM = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.25 GiB of which "
    "1.12 GiB is free. Including non-PyTorch memory, this process has 78.10 GiB memory in use."
)
BLOCKS = "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine."
LARGER = (
    "ValueError: To serve at least one request with the model's max seq len (131072), 2.31 GiB KV cache is needed, which is "
    "larger than the available KV cache memory (0.65 GiB). Based on the available memory, the estimated maximum model length "
    "is 35040. Try increasing `gpu_memory_utilization` or decreasing `max_model_len` when initializing the engine."
)
FREE = (
    "ValueError: Free memory on device cuda:0 (66.04/79.25 GiB) on startup is less than desired GPU memory utilization "
    "(0.9, 71.33 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes."
)


def budget(size: float, parts: int = 2) -> Budget:
    """Return the budget of gpt-oss-120b on GPUs of so many GiB."""
    return Budget(
        *(size * GIB, 0.90, weights(GPT_OSS, DISK, parts), reserve(4096, 256), 131072, 8192),
        kv_cache.shape(GPT_OSS, parts),
    )


def remedy(words: str, memory: Budget | None, *options: str) -> str:
    """Return the doctor's remedy for a vLLM that failed with these words."""
    found = signs("systemd_failed", budget=memory)
    log = last_words.judge([EXCEPTION + words], "")
    vllm = replace(found.services["vllm"], command=["vllm", "serve", "/m", *options])
    finding = one(
        replace(found, logs={"vllm": log, "backend": LastWords()}, services={**found.services, "vllm": vllm})
    )
    assert finding.cause.startswith(words[:100])
    assert ("arithmetic" in finding.evidence) and (
        not memory or f"{memory.usable / GIB:.2f} GiB" in finding.evidence
    )
    assert finding.remedy.endswith("; then: systemctl reset-failed vllm; systemctl start vllm")
    return finding.remedy.removesuffix("; then: systemctl reset-failed vllm; systemctl start vllm")


def test_without_nvidia_smi_the_remedies_are_vllms_and_the_guides() -> None:
    assert remedy("CUDA out of memory", None) == "--gpu-memory-utilization 0.80, or --max-model-len 65536"
    assert remedy(OOM, None) == "--gpu-memory-utilization 0.87, or --max-model-len 65536"
    assert remedy(BLOCKS, None) == "--max-model-len 65536, or --gpu-memory-utilization 0.95"
    assert remedy(LARGER, None) == "--max-model-len 35040, or --gpu-memory-utilization 0.95"
    assert remedy(FREE, None) == (
        "another process holds the GPU: end it (nvidia-smi), or --gpu-memory-utilization 0.83 at most"
    )


def test_the_commands_own_figures_are_where_it_starts_from() -> None:
    options = ("--gpu-memory-utilization", "0.80", "--max-model-len", "40000")
    assert (
        remedy("CUDA out of memory", None, *options)
        == "--gpu-memory-utilization 0.75, or --max-model-len 20000"
    )
    assert remedy(LARGER, None, *options[:2]) == "--max-model-len 35040, or --gpu-memory-utilization 0.85"


def test_the_numbers_are_those_that_fit() -> None:
    """On 43 GiB the weights leave less than a request of 131072 tokens; the arithmetic is checked by hand."""
    memory = budget(43)
    request = memory.shape.request_bytes(131072, 8192)
    assert 0 < memory.cache < request
    words = remedy(BLOCKS, memory)
    length, share = int(words.split()[1].rstrip(",")), float(words.split()[-1])
    fits = 0.90 * 43 * GIB - memory.weights - memory.reserve
    assert memory.shape.request_bytes(length, 8192) <= fits < memory.shape.request_bytes(length + 16, 8192)
    assert share * 43 * GIB >= memory.weights + memory.reserve + request > (share - 0.01) * 43 * GIB


def test_what_vllm_measured_counts_before_the_arithmetic() -> None:
    """It had 0.65 of 2.31 GiB on GPUs of 44 GiB: 1.66 / 44 = 0.038 more."""
    assert remedy(LARGER, budget(44)) == "--max-model-len 35040, or --gpu-memory-utilization 0.94"


def test_a_model_that_is_too_large_needs_more_gpus() -> None:
    assert remedy(BLOCKS, budget(30)).startswith("more GPUs (--tensor-parallel-size) or a smaller model: ")
    assert "--max-model-len" not in remedy(BLOCKS, budget(30))
    assert remedy("CUDA out of memory", budget(44)).startswith("more GPUs")  # nothing is left at 0.80


def test_a_server_that_ran_out_of_memory_and_runs_again() -> None:
    found = signs("systemd_running", logs={"vllm": LastWords(before=OOM), "backend": LastWords()})
    assert one(found).remedy == "--gpu-memory-utilization 0.87, or --max-model-len 65536"


def test_the_arithmetic_is_done_where_it_is_needed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vllm = Service("vllm", command=["vllm", "serve", str(make_gpt_oss(model)), "--tensor-parallel-size", "2"])
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    assert engine_facts.budget(vllm, OOM) is None
    (programs / "document").write_text(document("h100x2"))
    script(programs / "nvidia-smi", f"cat {programs}/document")
    found = engine_facts.budget(vllm, OOM)
    assert found and found.usable / GIB == pytest.approx(79.25, abs=0.01)
    assert engine_facts.budget(vllm, "ValueError: x") is None
    script(programs / "nvidia-smi", "echo 'NVIDIA-SMI has failed'; exit 9")
    assert engine_facts.budget(vllm, OOM) is None
    assert os.environ["PATH"].startswith(str(programs))


def test_the_example_of_the_docs_is_what_the_doctor_says() -> None:
    log = last_words.judge([EXCEPTION + BLOCKS], "")
    found = signs("systemd_failed", budget=replace(budget(79.25), utilization=0.45))
    options = ["vllm", "serve", "/m", "--gpu-memory-utilization", "0.45"]
    vllm = replace(found.services["vllm"], command=options, restarts=5)
    found = replace(
        found, logs={"vllm": log, "backend": LastWords()}, services={**found.services, "vllm": vllm}
    )
    screen = io.StringIO()
    formats.screen([doctor.judge(found, "ml35")], screen)
    shown = screen.getvalue().partition("   evidence")[2].partition("   well")[0]
    assert "--gpu-memory-utilization 0.50; then" in shown
    assert shown in (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
