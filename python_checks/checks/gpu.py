"""GPUs before a start: driver, count, health, who holds their memory, and whether the model fits."""

import argparse
from dataclasses import replace
from typing import Any

from python_checks.core.result import CheckError, Result, conclude
from python_checks.core.say import joined, say
from python_checks.gpu import arguments, fit, hardware, holders, inventory, nvidia_smi, siblings, xid
from python_checks.host import processes
from python_checks.service import registry

NEEDS: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    arguments.add_arguments(parser)


def run(options: argparse.Namespace) -> Result:
    """Ask nvidia-smi and the kernel's log, then judge."""
    found, complaints = inventory.look(options.timeout)
    wanted = options.tensor_parallel_size
    gpus, faults = hardware.choose(found.gpus, options.devices, wanted)
    faults = complaints + hardware.driver(found, options.cuda) + faults
    abilities = nvidia_smi.capabilities(
        _or_nothing(options.timeout, "--query-gpu=index,compute_cap", "--format=csv,noheader")
    )
    faults += hardware.health(gpus, abilities, wanted)
    log = xid.kernel_log(options.timeout)
    faults += xid.judge(log or "", gpus, wanted)
    if wanted > 1 and not options.disable_custom_all_reduce:
        # Two GPUs may reach each other over PCIe; more must all be linked (vLLM's custom_all_reduce.py).
        kind = "r" if wanted == 2 else "n"
        faults += hardware.topology(
            gpus, nvidia_smi.peers(_or_nothing(options.timeout, "topo", "-p2p", kind))
        )

    def own(pid: int) -> bool:
        return any(processes.belongs(pid, root) for root in options.pid)

    others = registry.siblings(options.service) if options.service else []
    shares = siblings.shares(found.gpus, {row.name: row.options for row in others})
    faults += siblings.judge(gpus, shares, options.gpu_memory_utilization)
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
        free = [
            siblings.left(gpu, size, shares) for gpu in gpus if (size := holders.free(gpu, own)) is not None
        ]
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
