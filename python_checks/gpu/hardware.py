"""Judges of what nvidia-smi and the kernel's log say; each returns the faults it sees."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from python_checks.core.result import Fault, State, shorten
from python_checks.gpu.fields import RESET
from python_checks.gpu.inventory import MISSING, Gpu, Inventory
from python_checks.gpu.nvidia_smi import BUS

# First driver branch for a CUDA version (docs.nvidia.com/cuda/cuda-toolkit-release-notes, "CUDA Toolkit and Minimum
# Required Driver Version for CUDA Minor Version Compatibility").
BRANCHES = {11: 450, 12: 525, 13: 580}
CAPABILITY = (8, 0)  # bfloat16, which gpt-oss is in (vLLM's platforms/cuda.py, check_if_supports_dtype)
OWN_LOCK = "let vllm_lock name a set of your own for the CUDA of this driver (docs/gpus-and-locks.md)"
CUDA_LIBRARY = (
    "install the driver's libraries whole, libcuda.so.1 among them: a start would end with an ImportError"
)


def driver(found: Inventory, wanted: tuple[int, int]) -> list[Fault]:
    """Want a driver that sees all its GPUs and runs the CUDA of the locked vLLM; of the same major version an older one does, as a rule."""
    faults = []
    if found.attached is not None and found.attached != len(found.gpus):
        words = f"nvidia-smi counts {found.attached} GPUs and describes {len(found.gpus)}"
        faults.append(Fault(words, BUS, State.WARNING))
    return faults + _runs(found, wanted)


def _runs(found: Inventory, wanted: tuple[int, int]) -> list[Fault]:
    if MISSING.search(found.cuda):
        words = f"driver {found.driver or 'unknown'} answers, and its CUDA library is not found (CUDA {shorten(found.cuda, 40)})"
        return [Fault(words, CUDA_LIBRARY)]
    branch = BRANCHES.get(wanted[0])
    number = re.match(r"\d+", found.driver)
    cuda = re.fullmatch(r"(\d+)\.(\d+).*", found.cuda)
    state = State.CRITICAL
    if cuda:
        enough = (int(cuda[1]), int(cuda[2])) >= wanted
        state = State.WARNING if int(cuda[1]) == wanted[0] else state
    elif number and branch:
        enough = int(number[0]) >= branch
    else:
        words = f"driver {found.driver or 'unknown'} does not say which CUDA it runs"
        return [Fault(words, "see the head of nvidia-smi", State.UNKNOWN)]
    if enough:
        return []
    runs, needs = f"CUDA {found.cuda}" if cuda else "an older CUDA", f"{wanted[0]}.{wanted[1]}"
    words = f"driver {found.driver} runs {runs}, the locked vLLM is built for CUDA {needs}"
    if state is State.WARNING:
        return [Fault(words, "should a start say that a PTX is unsupported, install a newer driver", state)]
    install = f"install driver R{branch} or newer" if branch else "install a newer driver"
    return [
        Fault(f"{words} and needs {f'R{branch}' if branch else 'a newer one'}", f"{install}, or {OWN_LOCK}")
    ]


def choose(gpus: Sequence[Gpu], devices: str | None, wanted: int | None) -> tuple[list[Gpu], list[Fault]]:
    """Return the GPUs that vLLM would take, the first `wanted` (all) of those that CUDA_VISIBLE_DEVICES names."""
    visible: list[Gpu] = list(gpus) if devices is None else []
    faults: list[Fault] = []
    here = ", ".join(f"{gpu.index} ({gpu.uuid})" for gpu in gpus) or "none"
    for name in [name.strip() for name in (devices or "").split(",") if name.strip()]:
        if name.startswith("MIG-"):  # nvidia-smi -q -x does not name slices: take their GPU
            found = [gpu for gpu in gpus if gpu.mig]
        else:
            found = [
                gpu for gpu in gpus if name == str(gpu.index) or (gpu.uuid and gpu.uuid.startswith(name))
            ]
        if not found:
            faults.append(
                Fault(
                    f"CUDA_VISIBLE_DEVICES={devices} names {name}, which is not here",
                    f"name GPUs that are: {here}",
                )
            )
        visible += [gpu for gpu in found[:1] if gpu not in visible]
    if wanted and len(visible) < wanted and not faults:
        limit = f" (CUDA_VISIBLE_DEVICES={devices})" if devices is not None else ""
        remedy = f"lower --tensor-parallel-size to {len(visible)}, or make more GPUs visible; here: {here}"
        words = f"{len(visible)} of {len(gpus)} GPUs are visible{limit}, --tensor-parallel-size is {wanted}"
        faults.append(Fault(words, remedy if visible else f"make GPUs visible; here: {here}"))
    return visible[:wanted], faults


def health(gpus: Sequence[Gpu], abilities: Mapping[int, tuple[int, int]], wanted: int) -> list[Fault]:
    """Judge the state of each GPU: what its fields tell, memory errors, MIG, age, persistence."""
    faults = []
    for gpu in gpus:
        name, reset = f"GPU {gpu.index} ({gpu.name})", RESET.format(gpu.index)
        faults += [replace(fault, reason=f"{name}: {fault.reason}") for fault in gpu.faults]
        if gpu.fabric not in ("", "Completed"):
            words = f"{name}: its NVLink fabric is not ready ({gpu.fabric}), CUDA would fail with 802"
            faults.append(
                Fault(words, "start the Fabric Manager: sudo systemctl enable --now nvidia-fabricmanager")
            )
        if gpu.uncorrected:
            faults.append(Fault(f"{name}: {gpu.uncorrected} uncorrected memory errors (ECC)", reset))
        if gpu.corrected:
            remedy = "watch the count (nvidia-smi -q -d ECC): a growing one announces a failing card"
            words = f"{name}: {gpu.corrected} corrected memory errors (ECC)"
            faults.append(Fault(words, remedy, State.WARNING))
        if gpu.mig and (wanted > 1 or gpu.usable is None):
            words = f"{name} is in MIG mode: " + (
                "tensor parallel needs whole GPUs" if gpu.usable else "it has no slice"
            )
            faults.append(Fault(words, f"stop what uses it, then: sudo nvidia-smi -i {gpu.index} -mig 0"))
        ability = abilities.get(gpu.index)
        if ability and ability < CAPABILITY:
            words = f"{name} has compute capability {ability[0]}.{ability[1]}, bfloat16 needs 8.0"
            faults.append(Fault(words, "take a GPU from Ampere on"))
        if gpu.persistence is False:
            remedy = "sudo systemctl enable --now nvidia-persistenced, or sudo nvidia-smi -pm 1"
            words = f"{name}: persistence mode is off, so each start loads the driver anew"
            faults.append(Fault(words, remedy, State.WARNING))
    return faults


def topology(gpus: Sequence[Gpu], links: Mapping[tuple[int, int], str]) -> list[Fault]:
    """Warn of pairs that cannot reach each other's memory: vLLM's own all-reduce needs it."""
    order = sorted(gpu.index for gpu in gpus)
    pairs = [(one, two) for one in order for two in order if one < two]
    bad = [f"{one}-{two} {links[one, two]}" for one, two in pairs if links.get((one, two), "OK") != "OK"]
    if not bad:
        return []
    words = f"GPUs without peer-to-peer access: {', '.join(bad)}"
    return [Fault(words, "set --disable-custom-all-reduce: NCCL goes through the host", State.WARNING)]
