"""What other services of the host take of the same GPUs, by the share that each was given: also one that does not run now."""

from collections.abc import Mapping, Sequence

from python_checks.core.result import Fault
from python_checks.gpu import health
from python_checks.gpu.inventory import Gpu
from python_checks.gpu.memory import MIB
from python_checks.service import registry

Shares = Mapping[str, Mapping[str, float]]  # GPU -> service -> share of its memory


def shares(gpus: Sequence[Gpu], name: str) -> Shares:
    """Return what services other than `name` take; nothing where no service is named."""
    found: dict[str, dict[str, float]] = {}
    for row in registry.siblings(name) if name else []:
        share, devices = row.options.get("gpu-memory-utilization", ""), row.options.get("devices", "")
        if share and devices:
            chosen, _ = health.choose(list(gpus), devices, int(row.options.get("tensor-parallel-size", 1)))
            for gpu in chosen:
                found.setdefault(str(gpu.index), {})[row.name] = float(share)
    return found


def judge(gpus: Sequence[Gpu], found: Shares, utilization: float) -> list[Fault]:
    """Fault a share that does not fit beside those of others."""
    faults = []
    for gpu in gpus:
        others = found.get(str(gpu.index), {})
        left = 1 - sum(others.values())
        if others and utilization > left + 1e-6:
            words = ", ".join(f"{name} takes {share:g}" for name, share in others.items())
            reason = f"GPU {gpu.index}: {words} of its memory, and {utilization:g} is asked for"
            way = f"--gpu-memory-utilization {left:.2f} at most, or " if left >= 0.01 else ""
            faults.append(Fault(reason, f"{way}less for {' and '.join(others)}, or other GPUs"))
    return faults


def left(gpu: Gpu, free: float, found: Shares) -> float:
    """Return the bytes that are free of a GPU once all others have what they may take."""
    taken = sum(found.get(str(gpu.index), {}).values())
    return min(free, (gpu.usable or 0) * MIB * (1 - taken)) if taken else free
