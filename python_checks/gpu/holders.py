"""Who holds memory on the GPUs: our own, which comes back, other services of vllm-deploy, and strangers, which may stop a start."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from python_checks.core.result import Fault, State
from python_checks.core.say import joined, say
from python_checks.core.words import GIB, MIB
from python_checks.gpu.inventory import Gpu, Holder
from python_checks.host import cgroups, processes

Own = Callable[[int], bool]  # tells whether a process id belongs to the service itself
UNITS = Path("/etc/systemd/system")
OURS = re.compile(r"^Description=.*, release \S+-[0-9a-f]{12}$", re.MULTILINE)  # as our units are written
ENOUGH = say(
    "enough is left for vLLM to start; what it takes later vLLM will lack: stop it if it is not wanted"
)
UNSAID = say("the driver does not say how much is left: a start may end over it")
STOP = say("stop it (kill PID; what an earlier vLLM left is called VLLM::), or name our own by --pid")
OF_NOBODY = (
    say("memory is held by no process that can be seen from here"),
    say("see who: sudo fuser -v /dev/nvidia*, containers too"),
)
OF_THE_HOST = (
    say("memory is held by other programs of the host, whose memory it shares"),
    say("see who: ps -eo rss,pid,user,args --sort -rss | head"),
)
LOWER = say("or lower --gpu-memory-utilization")


def judge(gpus: Sequence[Gpu], own: Own, utilization: float) -> list[Fault]:
    """Fault programs that are not ours with memory on a GPU, and memory that is gone without a name.

    vLLM refuses to start below utilization x total free (v1/worker/utils.py, request_memory): while that is left, a program that
    computes is a warning, and a desktop (graphics only) or another service of vllm-deploy is let be. What our own processes hold comes
    back when they are replaced.
    """
    faults = []
    for gpu in [gpu for gpu in gpus if not gpu.mig]:  # of a slice it is not known whose it is
        left = free(gpu, own)
        short = left is not None and left < (gpu.usable or 0) * MIB * utilization
        others = [held for held in gpu.holders if not own(held.pid)]
        if gpu.shared:
            others = [] if short else others  # any program of the host may hold it
        if not short:
            others = [held for held in others if "C" in held.kind and not sibling(held.pid)]
        need = _need(gpu, left, utilization)
        if others:
            words = say("GPU {index}: ", index=gpu.index) + joined(", ", map(_describe, others))
            ours = any(sibling(held.pid) for held in others)
            remedy = (
                say("a service of vllm-deploy holds it: stop that, {lower} to what it leaves", lower=LOWER)
                if ours
                else STOP
            )
            state = State.CRITICAL if short else State.WARNING
            faults.append(
                Fault(
                    joined("", (words, need)), remedy if short else UNSAID if left is None else ENOUGH, state
                )
            )
        elif short:
            words, see = OF_THE_HOST if gpu.shared else OF_NOBODY
            faults.append(
                Fault(
                    say("GPU {index}: {words}{need}", index=gpu.index, words=words, need=need),
                    say("{see}; {lower}", see=see, lower=LOWER),
                )
            )
    return faults


def sibling(pid: int) -> bool:
    """Tell whether a process is in a unit of this host that is deployed as vLLM is: services of one host are no strangers."""
    unit = cgroups.unit(pid)
    try:
        return bool(unit) and bool(OURS.search((UNITS / unit).read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return False


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
    return say(
        "; vLLM takes {wanted:.1f} GiB, {free:.1f} of {usable:.1f} are free",
        wanted=wanted / GIB,
        free=free / GIB,
        usable=gpu.usable * MIB / GIB,
    )


def _describe(held: Holder) -> str:
    size = say("an unknown part") if held.mib is None else say("{mib} MiB", mib=held.mib)
    return say(
        "{size} held by {process}",
        size=size,
        process=processes.describe(held.pid, held.name or say("not seen from here")),
    )
