"""A host with GPUs for the tests of the gpu check: programs on PATH that print its documents, and a model."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.python_checks.support import Probe

DOCUMENTS = Path(__file__).parent / "nvidia_smi"
NCCL = "--disable-custom-all-reduce"
# openai/gpt-oss-120b: config.json, and metadata.total_size of model.safetensors.index.json.
GPT_OSS: dict[str, Any] = {
    "model_type": "gpt_oss",
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "num_hidden_layers": 36,
    "num_local_experts": 128,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"] * 18,
    "max_position_embeddings": 131072,
    "quantization_config": {"quant_method": "mxfp4"},
}
DISK = 65_248_815_744


def document(name: str) -> str:
    """Return what `nvidia-smi -q -x` prints on a host."""
    return (DOCUMENTS / f"{name}.xml").read_text()


def script(path: Path, body: str) -> None:
    """Write a program of the shell."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


class Host:
    """Runs the check with a nvidia-smi and a journalctl of its own."""

    def __init__(self, probe: Probe, programs: Path) -> None:
        """Put the programs into a directory that is made for them."""
        self.probe, self.programs = probe, programs
        programs.mkdir()

    def __call__(
        self,
        text: str,
        *arguments: str,
        log: str = "",
        p2p: str = "ok",
        ability: str = "9.0",
        code: int = 0,
    ) -> subprocess.CompletedProcess[str]:
        """Run the check on a host; `text` is what nvidia-smi prints before it ends with `code`, or the name of a document."""
        here = self.programs
        (here / "document").write_text(text if "<" in text or " " in text else document(text))
        (here / "log").write_text(f"{log}\nLinux\n")
        script(
            here / "nvidia-smi",
            f'case "$1" in\n-q) cat {here}/document; exit {code} ;;\ntopo) cat {DOCUMENTS}/{p2p}.p2p ;;\n'
            f'--query-gpu=*) printf "0, {ability}\\n1, {ability}\\n" ;;\nesac',
        )
        script(here / "journalctl", f"cat {here}/log")
        return self.probe("gpu", *arguments, PATH=f"{here}{os.pathsep}{os.environ['PATH']}")


def make_gpt_oss(model: Path) -> Path:
    """Turn a small model into gpt-oss-120b: the real config and size; the weights are a hole."""
    (model / "config.json").write_text(json.dumps(GPT_OSS))
    for path in model.glob("model*"):
        path.unlink()
    header = {"weights": {"dtype": "U8", "shape": [DISK], "data_offsets": [0, DISK]}}
    raw = json.dumps(header).encode()
    with (model / "model.safetensors").open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        file.truncate(8 + len(raw) + DISK)
    return model
