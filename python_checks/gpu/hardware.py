"""Judges of what nvidia-smi and the kernel's log say; each returns the faults it sees."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from python_checks.core.result import Fault, State, shorten
from python_checks.core.say import count, say
from python_checks.gpu.inventory import MISSING, Gpu, Inventory
from python_checks.gpu.known_fields import RESET
from python_checks.gpu.nvidia_smi import BUS

# First driver branch for a CUDA version (docs.nvidia.com/cuda/cuda-toolkit-release-notes, "CUDA Toolkit and Minimum
# Required Driver Version for CUDA Minor Version Compatibility").
BRANCHES = {11: 450, 12: 525, 13: 580}
CAPABILITY = (8, 0)  # bfloat16, which gpt-oss is in (vLLM's platforms/cuda.py, check_if_supports_dtype)
OWN_LOCK = say("let vllm_lock name a set of your own for the CUDA of this driver (docs/gpus-and-locks.md)")
CUDA_LIBRARY = say(
    "install the driver's libraries whole, libcuda.so.1 among them: a start would end with an ImportError"
)


def driver(found: Inventory, wanted: tuple[int, int]) -> list[Fault]:
    """Want a driver that sees all its GPUs and runs the CUDA of the locked vLLM; of the same major version an older one does, as a rule."""
    faults = []
    if found.attached is not None and found.attached != len(found.gpus):
        words = say(
            "nvidia-smi counts {attached} GPUs and describes {number}",
            attached=found.attached,
            number=len(found.gpus),
        )
        faults.append(Fault(words, BUS, State.WARNING))
    return faults + _runs(found, wanted)


def _runs(found: Inventory, wanted: tuple[int, int]) -> list[Fault]:
    if MISSING.search(found.cuda):
        words = say(
            "driver {driver} answers, and its CUDA library is not found (CUDA {cuda})",
            driver=found.driver or say("unknown"),
            cuda=shorten(found.cuda, 40),
        )
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
        words = say("driver {driver} does not say which CUDA it runs", driver=found.driver or say("unknown"))
        return [Fault(words, say("see the head of nvidia-smi"), State.UNKNOWN)]
    if enough:
        return []
    runs, needs = (
        say("CUDA {cuda}", cuda=found.cuda) if cuda else say("an older CUDA"),
        f"{wanted[0]}.{wanted[1]}",
    )
    words = say(
        "driver {driver} runs {runs}, the locked vLLM is built for CUDA {needs}",
        driver=found.driver,
        runs=runs,
        needs=needs,
    )
    if state is State.WARNING:
        return [
            Fault(words, say("should a start say that a PTX is unsupported, install a newer driver"), state)
        ]
    install = (
        say("install driver R{branch} or newer", branch=branch) if branch else say("install a newer driver")
    )
    newer = f"R{branch}" if branch else say("a newer one")
    return [
        Fault(
            say("{words} and needs {driver}", words=words, driver=newer),
            say("{install}, or {own_lock}", install=install, own_lock=OWN_LOCK),
        )
    ]


def choose(gpus: Sequence[Gpu], devices: str | None, wanted: int | None) -> tuple[list[Gpu], list[Fault]]:
    """Return the GPUs that vLLM would take, the first `wanted` (all) of those that CUDA_VISIBLE_DEVICES names."""
    visible: list[Gpu] = list(gpus) if devices is None else []
    faults: list[Fault] = []
    here = ", ".join(f"{gpu.index} ({gpu.uuid})" for gpu in gpus) or say("none")
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
                    say(
                        "CUDA_VISIBLE_DEVICES={devices} names {name}, which is not here",
                        devices=devices,
                        name=name,
                    ),
                    say("name GPUs that are: {here}", here=here),
                )
            )
        visible += [gpu for gpu in found[:1] if gpu not in visible]
    if wanted and len(visible) < wanted and not faults:
        limit = say(" (CUDA_VISIBLE_DEVICES={devices})", devices=devices) if devices is not None else ""
        remedy = say(
            "lower --tensor-parallel-size to {number}, or make more GPUs visible; here: {here}",
            number=len(visible),
            here=here,
        )
        words = count(
            len(visible),
            "{number} of {total} GPUs is visible{limit}, --tensor-parallel-size is {wanted}",
            "{number} of {total} GPUs are visible{limit}, --tensor-parallel-size is {wanted}",
            total=len(gpus),
            limit=limit,
            wanted=wanted,
        )
        faults.append(Fault(words, remedy if visible else say("make GPUs visible; here: {here}", here=here)))
    return visible[:wanted], faults


def health(gpus: Sequence[Gpu], abilities: Mapping[int, tuple[int, int]], wanted: int) -> list[Fault]:
    """Judge the state of each GPU: what its fields tell, memory errors, MIG, age, persistence."""
    faults = []
    for gpu in gpus:
        name, reset = (
            say("GPU {index} ({name})", index=gpu.index, name=gpu.name),
            RESET.filled(index=gpu.index),
        )
        faults += [
            replace(fault, reason=say("{name}: {reason}", name=name, reason=fault.reason))
            for fault in gpu.faults
        ]
        if gpu.fabric not in ("", "Completed"):
            words = say(
                "{name}: its NVLink fabric is not ready ({fabric}), CUDA would fail with 802",
                name=name,
                fabric=gpu.fabric,
            )
            faults.append(
                Fault(
                    words, say("start the Fabric Manager: sudo systemctl enable --now nvidia-fabricmanager")
                )
            )
        if gpu.uncorrected:
            faults.append(
                Fault(
                    say(
                        "{name}: {uncorrected} uncorrected memory errors (ECC)",
                        name=name,
                        uncorrected=gpu.uncorrected,
                    ),
                    reset,
                )
            )
        if gpu.corrected:
            remedy = say("watch the count (nvidia-smi -q -d ECC): a growing one announces a failing card")
            words = say(
                "{name}: {corrected} corrected memory errors (ECC)", name=name, corrected=gpu.corrected
            )
            faults.append(Fault(words, remedy, State.WARNING))
        if gpu.mig and (wanted > 1 or gpu.usable is None):
            words = say("{name} is in MIG mode: ", name=name) + (
                say("tensor parallel needs whole GPUs") if gpu.usable else say("it has no slice")
            )
            faults.append(
                Fault(
                    words, say("stop what uses it, then: sudo nvidia-smi -i {index} -mig 0", index=gpu.index)
                )
            )
        ability = abilities.get(gpu.index)
        if ability and ability < CAPABILITY:
            words = say(
                "{name} has compute capability {major}.{minor}, bfloat16 needs 8.0",
                name=name,
                major=ability[0],
                minor=ability[1],
            )
            faults.append(Fault(words, say("take a GPU from Ampere on")))
        if gpu.persistence is False:
            remedy = say("sudo systemctl enable --now nvidia-persistenced, or sudo nvidia-smi -pm 1")
            words = say("{name}: persistence mode is off, so each start loads the driver anew", name=name)
            faults.append(Fault(words, remedy, State.WARNING))
    return faults


def topology(gpus: Sequence[Gpu], links: Mapping[tuple[int, int], str]) -> list[Fault]:
    """Warn of pairs that cannot reach each other's memory: vLLM's own all-reduce needs it."""
    order = sorted(gpu.index for gpu in gpus)
    pairs = [(one, two) for one in order for two in order if one < two]
    bad = [f"{one}-{two} {links[one, two]}" for one, two in pairs if links.get((one, two), "OK") != "OK"]
    if not bad:
        return []
    words = say("GPUs without peer-to-peer access: {bad}", bad=", ".join(bad))
    return [Fault(words, say("set --disable-custom-all-reduce: NCCL goes through the host"), State.WARNING)]
