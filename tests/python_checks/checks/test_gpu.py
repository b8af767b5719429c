"""The gpu check as a process: how many GPUs, and whether gpt-oss-120b fits."""

import json
from pathlib import Path

import pytest

from tests.python_checks.gpu_support import GPT_OSS, NCCL, Host, document, make_gpt_oss
from tests.python_checks.support import Probe


@pytest.fixture
def host(probe: Probe, tmp_path: Path) -> Host:
    """Give a host with GPUs."""
    return Host(probe, tmp_path / "bin")


@pytest.fixture
def gpt_oss(model: Path) -> Path:
    """Give the files of gpt-oss-120b."""
    return make_gpt_oss(model)


def test_two_h100_are_fine_and_the_figures_are_printed(host: Host, gpt_oss: Path) -> None:
    """With the batch and the reserve of the measured start (test_kv_cache.py)."""
    measured = ("--max-num-batched-tokens", "1024", "--reserve", "1.13")
    done = host("h100x2", "--model-directory", str(gpt_oss), *measured)
    assert done.returncode == 0, done.stdout
    for words in (
        "gpu OK: driver 580.95.05 (CUDA 13.0), GPU 0 NVIDIA H100 80GB HBM3, GPU 1 NVIDIA H100 80GB HBM3",
        "0.9 x 79.25 GiB - 34.4 weights - 1.1 reserve (estimate) = 35.8 for KV cache",
        "a request of 131072 tokens: 15.66 at a time",
    ):
        assert words in done.stdout
    done = host("h100x2", "--model-directory", str(gpt_oss), "--format", "json")
    memory = json.loads(done.stdout)["results"][0]["evidence"]["memory"]
    # by the guide's 4096 tokens, vLLM's 1024 requests on an H100: 0.44 + 0.94 + 4 x 0.69
    assert memory["reserve"] == 4.14 and memory["weights"] == pytest.approx(34.38, abs=0.02)
    assert memory["cache"] == pytest.approx(0.9 * 79.25 - 34.38 - 4.14, abs=0.02)


def test_two_a100_of_40_gb_are_too_small_and_have_weak_points(host: Host, gpt_oss: Path) -> None:
    done = host("a100x2", "--model-directory", str(gpt_oss), p2p="none", ability="8.0")
    assert done.returncode == 2
    for words in (
        "the model does not fit: a GPU: 0.9 x 39.41 GiB - 34.4 weights - 2.8 reserve (estimate) = -1.7",
        "more GPUs (--tensor-parallel-size)",
        "GPU 0 (NVIDIA A100-SXM4-40GB): 2 corrected memory errors (ECC)",
        "GPU 1 (NVIDIA A100-SXM4-40GB): persistence mode is off",
        "GPUs without peer-to-peer access: 0-1 CNS",
    ):
        assert words in done.stdout


def test_one_gpu_is_too_few_for_two(host: Host, gpt_oss: Path) -> None:
    done = host("h100x1", NCCL)
    assert done.returncode == 2
    assert "1 of 1 GPUs is visible, --tensor-parallel-size is 2" in done.stdout
    assert "lower --tensor-parallel-size to 1" in done.stdout
    assert host("h100x1", "--tensor-parallel-size", "1").returncode == 0
    done = host("h100x1", "--tensor-parallel-size", "1", "--model-directory", str(gpt_oss))
    assert done.returncode == 2 and "66.0 weights" in done.stdout and "--max-model-len" in done.stdout


def test_mig_keeps_tensor_parallel_out_and_shrinks_one(host: Host, gpt_oss: Path) -> None:
    done = host("mig", NCCL)
    assert done.returncode == 2
    assert "GPU 0 (NVIDIA H100 80GB HBM3) is in MIG mode: tensor parallel needs whole GPUs" in done.stdout
    assert "sudo nvidia-smi -i 0 -mig 0" in done.stdout
    assert host("mig", "--devices", "MIG-a", "--tensor-parallel-size", "1").returncode == 0
    alone = ("--tensor-parallel-size", "1", "--model-directory", str(gpt_oss))
    assert "0.9 x 19.62 GiB" in host("mig", *alone).stdout
    assert "0.9 x 79.25 GiB" in host("mig", "--devices", "1", *alone).stdout


def test_the_smaller_of_two_gpus_counts(host: Host, gpt_oss: Path) -> None:
    text = document("h100x2").replace("81559", "97871", 1).replace("<free>81152", "<free>97464", 1)
    for order in ("0,1", "1,0"):
        done = host(text, NCCL, "--model-directory", str(gpt_oss), "--devices", order)
        assert done.returncode == 0 and "0.9 x 79.25 GiB" in done.stdout


def test_a_model_that_cannot_be_reckoned_is_unknown(host: Host, gpt_oss: Path, tmp_path: Path) -> None:
    both = ("--model-directory", str(gpt_oss), NCCL)
    (gpt_oss / "config.json").write_text(json.dumps(GPT_OSS | {"kv_lora_rank": 512}))
    assert host("h100x2", *both).returncode == 3
    (gpt_oss / "config.json").write_text(json.dumps(GPT_OSS | {"num_local_experts": None}))
    done = host("h100x2", *both)
    assert done.returncode == 3 and "shape of the experts" in done.stdout
    (gpt_oss / "model.safetensors").unlink()
    done = host("h100x2", *both)
    assert done.returncode == 3 and "the size of the weights is not known: no weights" in done.stdout
    done = host("h100x2", NCCL, "--model-directory", str(tmp_path / "none"))
    assert done.returncode == 2 and "is no directory" in done.stdout and "GPU 0 NVIDIA" in done.stdout


def test_a_length_over_the_models_is_told(host: Host, gpt_oss: Path) -> None:
    done = host("h100x2", NCCL, "--model-directory", str(gpt_oss), "--max-model-len", "200000")
    assert done.returncode == 2
    assert "--max-model-len 200000 is over the 131072 tokens that the model allows" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tensor-parallel-size", "0"],
        ["--gpu-memory-utilization", "1.5"],
        ["--gpu-memory-utilization", "nan"],
        ["--cuda", "13"],
        ["--reserve", "-1"],
        ["--reserve", "nan"],
        ["--pid", "0"],
    ],
)
def test_wrong_options_are_unknown(probe: Probe, arguments: list[str]) -> None:
    done = probe("gpu", *arguments)
    assert done.returncode == 3 and "error: argument" in done.stderr
