"""What other services of the host take of the same GPUs, by the share that each was given: also one that does not run now."""

from collections.abc import Mapping, Sequence

from python_checks.core.result import Fault
from python_checks.core.words import MIB
from python_checks.gpu import hardware
from python_checks.gpu.inventory import Gpu

Shares = Mapping[str, Mapping[str, float]]  # GPU -> service -> share of its memory


def shares(gpus: Sequence[Gpu], services: Mapping[str, Mapping[str, str]]) -> Shares:
    """Return what services take, each known by its name and the options of its gpu check."""
    found: dict[str, dict[str, float]] = {}
    for name, options in services.items():
        share, devices = options.get("gpu-memory-utilization", ""), options.get("devices", "")
        if share and devices:
            chosen, _ = hardware.choose(list(gpus), devices, int(options.get("tensor-parallel-size", 1)))
            for gpu in chosen:
                found.setdefault(str(gpu.index), {})[name] = float(share)
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
