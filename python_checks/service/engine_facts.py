"""What tells why vLLM behaves as it does: its command, its version, its model, and the memory of its GPUs."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from python_checks.api.http import fetch
from python_checks.core import regular_file
from python_checks.core.options import ServiceParser
from python_checks.core.result import CheckError
from python_checks.gpu import arguments, fit, hardware, inventory
from python_checks.gpu.arithmetic import Budget
from python_checks.host import processes
from python_checks.log.known import over_memory
from python_checks.service import engines
from python_checks.service.facts import Service

TIMEOUT = 5.0  # seconds
GPU_OPTIONS = (
    "tensor-parallel-size",
    "gpu-memory-utilization",
    "max-model-len",
    "max-num-batched-tokens",
    "max-num-seqs",
)


def command(vllm: Service) -> list[str]:
    """Return the command of the process that runs, or else the one that its manager would start."""
    words = processes.command(vllm.pid) if vllm.pid else []
    return words if engines.is_vllm(words) else list(vllm.command)


def version(vllm: Service, refused: str) -> str:
    """Return vLLM's version, as it says itself or as the id of its release says; empty when neither does."""
    if vllm.pid and not refused:
        try:
            reply = fetch("GET", f"{vllm.url}/version", TIMEOUT)
            told = reply.data.get("version") if isinstance(reply.data, dict) else None
            if reply.status == 200 and isinstance(told, str):
                return told
        except CheckError:
            pass  # its release says it, too
    release = re.match(r"(\d+\.\d+\S*)-[0-9a-f]{12}$", vllm.running or vllm.current)
    return release[1] if release else ""


def model_type(vllm: Service) -> str:
    """Return what the model's config.json says it is; empty when that cannot be read."""
    try:
        config = json.loads(regular_file.content(Path(vllm.model, "config.json")))
        return str(config["model_type"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def gpu_arguments(vllm: Service) -> Sequence[str]:
    """Return the options of vLLM's command that the gpu check knows too."""
    words = ["--model-directory", vllm.model] if vllm.model else []
    for name in GPU_OPTIONS:
        if value := vllm.option(f"--{name}"):
            words += [f"--{name}", value]
    if "--disable-custom-all-reduce" in vllm.command:
        words.append("--disable-custom-all-reduce")
    words += ["--service", vllm.name] if vllm.name else []
    return [*words, "--pid", str(vllm.pid)] if vllm.pid else words


def budget(vllm: Service, *causes: str) -> Budget | None:
    """Return the memory of the smallest GPU as the gpu check reckons it, where vLLM ended over memory; else None."""
    over = any(map(over_memory, causes))
    if not over or not vllm.model or not shutil.which("nvidia-smi"):
        return None
    parser = ServiceParser(prog="gpu")
    arguments.add_arguments(parser)
    try:
        options = parser.parse_args(gpu_arguments(vllm))
        found, _ = inventory.look(options.timeout)
    except CheckError:  # the gpu check says it
        return None
    gpus, _ = hardware.choose(found.gpus, options.devices, options.tensor_parallel_size)
    return fit.judge(options, gpus, None)[0] if gpus else None
