"""What tells why vLLM behaves as it does: its command, its version, its model, and the memory of its GPUs."""

import json
import re
import shutil
from pathlib import Path

from python_checks.api.http import fetch
from python_checks.checks import gpu
from python_checks.core import regular_file
from python_checks.core.result import CheckError
from python_checks.doctor import look
from python_checks.gpu import fit, health, inventory
from python_checks.gpu.memory import Budget
from python_checks.host import processes
from python_checks.service import engines, out_of_memory, targets
from python_checks.service.facts import Service

TIMEOUT = 5.0  # seconds


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


def budget(vllm: Service, *causes: str) -> Budget | None:
    """Return the memory of the smallest GPU as the gpu check reckons it, where vLLM ended over memory; else None."""
    over = any(map(out_of_memory.is_it, causes))
    if not over or not vllm.model or not shutil.which("nvidia-smi"):
        return None
    try:
        options = targets.known(gpu).parse_args(look.gpu_arguments(vllm))
        found, _ = inventory.look(options.timeout)
    except CheckError:  # the gpu check says it
        return None
    gpus, _ = health.choose(found.gpus, options.devices, options.tensor_parallel_size)
    return fit.judge(options, gpus, None)[0] if gpus else None
