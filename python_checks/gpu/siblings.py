"""What other services of the host take of the same GPUs, by the share that each was given: also one that does not run now."""

from collections.abc import Mapping, Sequence

from python_checks.core.result import Fault
from python_checks.core.say import joined, say
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
            takes = joined(
                ", ",
                (say("{name} takes {share:g}", name=name, share=share) for name, share in others.items()),
            )
            reason = say(
                "GPU {index}: {takes} of its memory, and {utilization:g} is asked for",
                index=gpu.index,
                takes=takes,
                utilization=utilization,
            )
            remedy = say("less for {others}, or other GPUs", others=joined(say(" and "), others))
            if left >= 0.01:
                remedy = say(
                    "--gpu-memory-utilization {left:.2f} at most, or {remedy}", left=left, remedy=remedy
                )
            faults.append(Fault(reason, remedy))
    return faults


def left(gpu: Gpu, free: float, found: Shares) -> float:
    """Return the bytes that are free of a GPU once all others have what they may take."""
    taken = sum(found.get(str(gpu.index), {}).values())
    return min(free, (gpu.usable or 0) * MIB * (1 - taken)) if taken else free
