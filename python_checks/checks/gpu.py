"""GPUs before a start: driver, count, health, who holds their memory, and whether the model fits."""

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from python_checks.core import options as opt
from python_checks.core.result import CheckError, Result, conclude
from python_checks.core.say import joined, say
from python_checks.gpu import fit, health, holders, inventory, nvidia_smi, xid
from python_checks.host import processes

NEEDS: tuple[str, ...] = ()

TIMEOUT = 30.0  # seconds; without persistence mode the driver wakes each GPU first


def cuda(value: str) -> tuple[int, int]:
    """Return a CUDA version like 13.0."""
    found = re.fullmatch(r"(\d+)\.(\d+)", value)
    if not found:
        raise argparse.ArgumentTypeError(f"not a version like 13.0: {value!r}")
    return int(found[1]), int(found[2])


def count(value: str) -> int:
    """Return a whole number above 0."""
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"not a whole number above 0: {value!r}")
    return int(value)


def share(value: str) -> float:
    """Return a number above 0 and up to 1."""
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"not above 0 and up to 1: {value!r}")
    return number


def gibibytes(value: str) -> float:
    """Return a number from 0 on."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e4:
        raise argparse.ArgumentTypeError(f"not a number of GiB: {value!r}")
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check: those of vLLM by their own names, with the guide's values."""
    add = parser.add_argument
    add(
        "--model-directory",
        type=Path,
        metavar="DIR",
        help="the model; without it whether it fits is not judged",
    )
    add("--tensor-parallel-size", type=count, default=2, metavar="N", help="GPUs that share it (%(default)s)")
    add("--gpu-memory-utilization", type=share, default=0.90, metavar="X", help="as of vLLM (%(default)s)")
    add("--max-model-len", type=count, metavar="N", help="tokens of the longest request (the model's own)")
    add("--max-num-batched-tokens", type=count, default=4096, metavar="N", help="as of vLLM (%(default)s)")
    add("--max-num-seqs", type=count, metavar="N", help="as of vLLM (its default for the GPU)")
    add("--disable-custom-all-reduce", action="store_true", help="it is set, so peer access does not matter")
    add("--devices", metavar="LIST", help="value of CUDA_VISIBLE_DEVICES (all GPUs)")
    add(
        "--cuda",
        type=cuda,
        default=(13, 0),
        metavar="VERSION",
        help="what the locked vLLM is built for (13.0)",
    )
    add(
        "--pid",
        type=opt.pid,
        action="append",
        default=[],
        help="main process of one of our own servers; repeatable",
    )
    add("--reserve", type=gibibytes, metavar="GIB", help="what neither weights nor KV cache take (estimated)")
    add(
        "--timeout",
        type=opt.seconds,
        default=TIMEOUT,
        metavar="SECONDS",
        help="deadline of each call (%(default)g s)",
    )


def run(options: argparse.Namespace) -> Result:
    """Ask nvidia-smi and the kernel's log, then judge."""
    found, complaints = inventory.look(options.timeout)
    wanted = options.tensor_parallel_size
    gpus, faults = health.choose(found.gpus, options.devices, wanted)
    faults = complaints + health.driver(found, options.cuda) + faults
    abilities = nvidia_smi.capabilities(
        _or_nothing(options.timeout, "--query-gpu=index,compute_cap", "--format=csv,noheader")
    )
    faults += health.health(gpus, abilities, wanted)
    log = xid.kernel_log(options.timeout)
    faults += xid.judge(log or "", gpus, wanted)
    if wanted > 1 and not options.disable_custom_all_reduce:
        # Two GPUs may reach each other over PCIe; more must all be linked (vLLM's custom_all_reduce.py).
        kind = "r" if wanted == 2 else "n"
        faults += health.topology(gpus, nvidia_smi.peers(_or_nothing(options.timeout, "topo", "-p2p", kind)))

    def own(pid: int) -> bool:
        return any(processes.belongs(pid, root) for root in options.pid)

    faults += holders.judge(gpus, own, options.gpu_memory_utilization)
    shared = say(" (shares the host's memory)")
    gpu_names = (
        say("GPU {index} {name}{shared}", index=gpu.index, name=gpu.name, shared=shared if gpu.shared else "")
        for gpu in gpus
    )
    names = joined(", ", gpu_names) or say("no GPU")
    words = say(
        "driver {driver} (CUDA {cuda}), {names}",
        driver=found.driver,
        cuda=found.cuda or say("unknown"),
        names=names,
    )
    evidence: dict[str, Any] = {"driver": found.driver, "cuda": found.cuda, "kernel_log": log is not None}
    evidence["gpus"] = [
        vars(gpu)
        | {"holders": [vars(held) for held in gpu.holders], "faults": [fault.reason for fault in gpu.faults]}
        for gpu in gpus
    ]
    if options.model_directory and gpus:
        free = [size for size in (holders.free(gpu, own) for gpu in gpus) if size is not None]
        budget, more = fit.judge(options, gpus, min(free, default=None))
        faults += more
        evidence["memory"] = budget.figures() if budget else None
        words += say("; {budget}", budget=budget) if budget and not more else ""
    result = conclude("gpu", faults, words, evidence)
    return replace(result, reason=joined("; ", (result.reason, words))) if faults else result


def _or_nothing(timeout: float, *arguments: str) -> str:
    """Ask for what an older driver may not know; no answer is no fault."""
    try:
        return nvidia_smi.ask(timeout, *arguments)
    except CheckError:
        return ""
