"""What a host with GPUs is asked before a deploy touches it. There is no GPU here: a program on PATH prints what nvidia-smi would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from playbooks import REPOSITORY, Playbook

from tests.python_checks.gpu_support import DOCUMENTS, document, make_gpt_oss, script

Preflight = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(scope="module")
def gpt_oss(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the config and the size of gpt-oss-120b; the weights are a hole."""
    model = tmp_path_factory.mktemp("model")
    (model / "tokenizer.json").write_text("{}")
    (model / "tokenizer_config.json").write_text("{}")
    (model / "generation_config.json").write_text(json.dumps({"eos_token_id": [200002, 199999, 200012]}))
    return make_gpt_oss(model)


@pytest.fixture(scope="module")
def lock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the GPU lock as a lock of the user's own, for the Python that is sure to be here."""
    path = tmp_path_factory.mktemp("lock") / "mine.txt"
    text = (REPOSITORY / "locks/vllm-cuda.txt").read_text()
    path.write_text(f"# python: 3.{sys.version_info.minor}\n{text}")
    return path


@pytest.fixture
def preflight(
    prepared: Playbook, gpt_oss: Path, lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Preflight:
    """Run the checks of a deploy on a host whose `nvidia-smi -q -x` prints `text`, a document or the name of one."""

    path = os.environ["PATH"]

    def run(text: str, *arguments: str, program: str = "") -> CompletedProcess[str]:
        (tmp_path / "document").write_text(text if "<" in text else document(text))
        table = r'--query-gpu=*) printf "0, 9.0\n1, 9.0\n" ;;'
        body = f'case "$1" in\n-q) cat {tmp_path}/document ;;\ntopo) cat {DOCUMENTS}/ok.p2p ;;\n{table}\nesac'
        script(tmp_path / "nvidia-smi", f"exec {program}" if program else body)
        script(tmp_path / "journalctl", "echo Linux")
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{path}")
        own = ("-e", f"vllm_model={gpt_oss}", "-e", f"vllm_lock={lock}")
        return prepared("ansible/check.yml", *own, *arguments)

    return run


def said(run: CompletedProcess[str]) -> str:
    """Return what a playbook said, in one line."""
    return " ".join(run.stdout.split())


def test_two_h100_fit_and_the_play_shows_the_figures(preflight: Preflight) -> None:
    """The values of the guide, but for the requests at a time; 79.25 and 34.38 GiB are of a measured start (test_kv_cache.py)."""
    run = preflight("h100x2", "-e", json.dumps({"vllm_extra_args": ["--max-num-seqs", "64"]}))
    assert run.returncode == 0, run.stdout
    assert "GPU 0 NVIDIA H100 80GB HBM3, GPU 1 NVIDIA H100 80GB HBM3" in said(run)
    # of 64 requests and 4096 tokens: 0.44 + 0.94 + 2 x 0.69 GiB
    assert "0.9 x 79.25 GiB - 34.4 weights - 2.8 reserve (estimate) = 34.2 for KV cache" in said(run)
    assert "a request of 131072 tokens: 14." in said(run)


@pytest.mark.slow
def test_two_a100_of_40_gb_are_too_small(preflight: Preflight) -> None:
    run = preflight("a100x2", "-v")
    assert run.returncode != 0
    assert "Find the Python" not in run.stdout  # nothing that comes behind was begun
    assert "does not fit: a GPU: 0.9 x 39.41 GiB - 34.4 weights - 2.8 reserve (estimate) = -1.7" in said(run)
    assert "1.01 is needed): more GPUs (--tensor-parallel-size), larger ones, or a smaller model" in said(run)


@pytest.mark.slow
def test_a_warning_goes_on_and_says_what_would_fit(preflight: Preflight) -> None:
    """One H100: 0.93 x 79.25 - 65.99 leaves less than a request's 4.79 GiB besides the estimate, but more besides what was measured."""
    values = {
        "vllm_tensor_parallel_size": 1,
        "vllm_gpu_memory_utilization": 0.93,
        "vllm_cuda_visible_devices": "0",
    }
    run = preflight("h100x1", "-e", json.dumps(values))
    assert run.returncode == 0, run.stdout
    assert (
        "[WARNING]: gpu WARNING: the model may not fit, by the estimate: a GPU: 0.93 x 79.25 GiB - 66.0"
        in said(run)
    )
    assert re.search(
        r"remedy: --max-model-len \d{5} at most or --gpu-memory-utilization 0\.95 at least", said(run)
    )


@pytest.mark.parametrize(
    ("name", "reason", "remedy"),
    [
        ("h100x1", "names 1, which is not here", "name GPUs that are: 0 (GPU-"),
        pytest.param(
            "mig",
            "is in MIG mode: tensor parallel needs whole GPUs",
            "sudo nvidia-smi -i 0 -mig 0",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "old_driver",
            "built for CUDA 13.0 and needs R580",
            "install driver R580 or newer, or let vllm_lock name",
            marks=pytest.mark.long,
        ),
    ],
)
def test_what_cannot_serve_stops_the_deploy(
    preflight: Preflight, name: str, reason: str, remedy: str
) -> None:
    run = preflight(name)
    assert run.returncode != 0
    assert reason in said(run) and remedy in said(run), run.stdout


@pytest.mark.slow
def test_a_hung_driver_ends_the_check_at_its_deadline(preflight: Preflight, tmp_path: Path) -> None:
    script(tmp_path / "hung", f"echo $$ >{tmp_path}/pid; exec sleep 1000")
    start = time.monotonic()
    run = preflight("h100x2", program=f"{tmp_path}/hung")
    assert run.returncode != 0 and time.monotonic() - start < 150
    assert "nvidia-smi gave no answer within 30 s; it was killed" in said(run), run.stdout
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


@pytest.mark.slow
def test_our_own_server_is_no_stranger(preflight: Preflight, prepared_directory: Path) -> None:
    manager = prepared_directory / "supervisor"
    [program] = prepared_directory.glob("venvs/supervisor-*/bin/supervisord")
    subprocess.run([program, "--configuration", manager / "supervisord.conf"], check=True, timeout=60)
    # The daemon writes it after its parent's end.
    written, deadline = manager / "supervisord.pid", time.monotonic() + 60
    while not (own := written.read_text().strip() if written.exists() else ""):
        assert time.monotonic() < deadline, f"supervisord wrote no {written}"
        time.sleep(0.05)
    text = document("orphans").replace("999999901", own).replace("999999902", own)
    run = preflight(text)
    assert run.returncode == 0, run.stdout
    run = preflight(text.replace(f"<pid>{own}", f"<pid>{os.getpid()}", 1))
    assert run.returncode != 0
    assert f"GPU 0: 72896 MiB held by pid {os.getpid()} (user " in said(run)
