"""Who holds memory on the GPUs: our own, which comes back, and others, who keep vLLM from starting."""

from collections.abc import Callable, Sequence

from python_checks import proc
from python_checks.gpu_memory import GIB, MIB
from python_checks.nvidia_xml import Gpu, Holder
from python_checks.result import Fault

Own = Callable[[int], bool]  # tells whether a process id is one of ours


def judge(gpus: Sequence[Gpu], own: Own, utilization: float) -> list[Fault]:
    """Fault programs that are not ours with memory on a GPU, and memory that is gone without a name.

    A desktop (graphics only) is let be while enough is left. vLLM refuses to start below utilization x total free
    (v1/worker/utils.py, request_memory); what our own processes hold comes back when they are replaced.
    """
    faults = []
    for gpu in [gpu for gpu in gpus if not gpu.mig]:  # of a slice it is not known whose it is
        left = free(gpu, own)
        short = left is not None and left < (gpu.usable or 0) * MIB * utilization
        foreign = [held for held in gpu.holders if not own(held.pid) and (short or "C" in held.kind)]
        if foreign:
            words = f"GPU {gpu.index}: " + ", ".join(map(_describe, foreign))
            remedy = (
                "stop it (kill PID; what an earlier vLLM left is called VLLM::), or name our own by --pid"
            )
            faults.append(Fault(words + _need(gpu, left, utilization), remedy))
        elif short:
            words = f"GPU {gpu.index}: memory is held by no process that can be seen from here"
            remedy = "see who: sudo fuser -v /dev/nvidia*, containers too; or lower --gpu-memory-utilization"
            faults.append(Fault(words + _need(gpu, left, utilization), remedy))
    return faults


def free(gpu: Gpu, own: Own) -> float | None:
    """Return the bytes of a GPU that no other program holds; None when the driver does not say."""
    if gpu.free is None or gpu.usable is None:
        return None
    ours = [held.mib for held in gpu.holders if own(held.pid)]
    known = sum(size for size in ours if size is not None)
    return (gpu.usable if None in ours else min(gpu.usable, gpu.free + known)) * MIB


def _need(gpu: Gpu, free: float | None, utilization: float) -> str:
    if free is None or gpu.usable is None:
        return ""
    wanted = gpu.usable * MIB * utilization
    return f"; vLLM takes {wanted / GIB:.1f} GiB, {free / GIB:.1f} of {gpu.usable * MIB / GIB:.1f} are free"


def _describe(held: Holder) -> str:
    size = "an unknown part" if held.mib is None else f"{held.mib} MiB"
    words = proc.describe(held.pid)
    return f"{size} held by {words.replace('just ended', held.name or 'not seen from here')}"
