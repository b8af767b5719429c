"""Judges of what nvidia-smi and the kernel's log say; each returns the faults it sees."""

import re
from collections.abc import Mapping, Sequence

from python_checks.nvidia_xml import Gpu, Inventory
from python_checks.result import Fault, State

# First driver branch for a CUDA version (docs.nvidia.com/cuda/cuda-toolkit-release-notes, "CUDA Toolkit and Minimum
# Required Driver Version for CUDA Minor Version Compatibility").
BRANCHES = {11: 450, 12: 525, 13: 580}
CAPABILITY = (8, 0)  # bfloat16, which gpt-oss is in (vLLM's platforms/cuda.py, check_if_supports_dtype)
RESET = "stop what uses it and reset it (sudo nvidia-smi -i {} -r), else reboot; if it comes back, replace the card"


def driver(found: Inventory, wanted: tuple[int, int]) -> list[Fault]:
    """Want a driver that runs the CUDA of the locked vLLM."""
    branch = BRANCHES.get(wanted[0])
    number = re.match(r"\d+", found.driver)
    cuda = re.fullmatch(r"(\d+)\.(\d+).*", found.cuda)
    if cuda:
        enough = (int(cuda[1]), int(cuda[2])) >= wanted
    elif number and branch:
        enough = int(number[0]) >= branch
    else:
        words = f"driver {found.driver or 'unknown'} does not say which CUDA it runs"
        return [Fault(words, "see the head of nvidia-smi", State.UNKNOWN)]
    if enough:
        return []
    runs, needs = f"CUDA {found.cuda}" if cuda else "an older CUDA", f"{wanted[0]}.{wanted[1]}"
    install = f"install driver {branch} or newer" if branch else "install a newer driver"
    words = f"driver {found.driver} runs {runs}, the locked vLLM needs CUDA {needs}"
    return [Fault(words, f"{install}, or lock a vLLM for the older CUDA: another set by vllm_lock")]


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
    """Judge the state of each GPU: what the driver calls broken, memory errors, MIG, age, persistence."""
    faults = []
    for gpu in gpus:
        name, reset = f"GPU {gpu.index} ({gpu.name})", RESET.format(gpu.index)
        faults += [Fault(f"{name}: {words}", reset) for words in gpu.trouble]
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


def xids(gpus: Sequence[Gpu], found: Mapping[str, Sequence[int]]) -> list[Fault]:
    """Fault a GPU whose hardware or driver the kernel's log reports since boot."""
    return [
        Fault(
            f"GPU {gpu.index} ({gpu.name}): Xid {', '.join(map(str, found[gpu.bus]))} since boot",
            f"read journalctl -k | grep Xid; {RESET.format(gpu.index)}; the log forgets at a reboot",
        )
        for gpu in gpus
        if gpu.bus in found
    ]


def topology(gpus: Sequence[Gpu], links: Mapping[tuple[int, int], str]) -> list[Fault]:
    """Warn of pairs that cannot reach each other's memory: vLLM's own all-reduce needs it."""
    order = sorted(gpu.index for gpu in gpus)
    pairs = [(one, two) for one in order for two in order if one < two]
    bad = [f"{one}-{two} {links[one, two]}" for one, two in pairs if links.get((one, two), "OK") != "OK"]
    if not bad:
        return []
    words = f"GPUs without peer-to-peer access: {', '.join(bad)}"
    return [Fault(words, "set --disable-custom-all-reduce: NCCL goes through the host", State.WARNING)]
