"""The document of `nvidia-smi -q -x`: driver and GPUs.

Elements as in nvsmi_device_v12.dtd and nvsmi_device_v13.dtd (R535 to R580; the names that replace driver_version and
cuda_version from CUDA 14 on are known too). A field that a GPU or a driver does not have reads N/A, [Not Supported] or
a sentence; here it is None, "" or nothing.
"""

import re
from dataclasses import dataclass, replace
from xml.etree import ElementTree

from python_checks.core.result import CheckError, Fault, shorten
from python_checks.core.say import say
from python_checks.core.words import MIB
from python_checks.gpu import fields, nvidia_smi
from python_checks.gpu.fields import value
from python_checks.gpu.nvidia_smi import KERNEL_LOG
from python_checks.host import processes

INTEGRATED = re.compile(
    r"\b(?:GB10|Orin|Thor|Xavier|Tegra|Jetson)\b"
)  # by name: they have no memory of their own
MISSING = re.compile(r"not found|err", re.IGNORECASE)


@dataclass(frozen=True)
class Holder:
    """A process with memory on a GPU; its kind is C (compute), G (graphics) or both."""

    pid: int
    kind: str
    name: str
    mib: int | None


@dataclass(frozen=True)
class Gpu:
    """One GPU; memory in MiB, None where the driver does not say; errors counted since the driver was loaded."""

    index: int  # in nvidia-smi, and in CUDA where all GPUs are alike
    uuid: str
    bus: str  # as in the kernel's log: 0000:1b:00
    name: str
    total: int | None  # with the driver's reserve
    used: int | None
    usable: int | None  # CUDA's total: without the driver's reserve; in MIG mode the smallest slice
    free: int | None  # None in MIG mode too
    busy: int | None  # percent of the last moments in which something was computed
    persistence: bool | None
    mig: bool
    corrected: int
    uncorrected: int
    faults: tuple[Fault, ...]  # what its fields tell; the reasons do not name it
    fabric: str  # "Completed" once it is known to the NVSwitches, "" where there are none
    holders: tuple[Holder, ...]
    shared: bool = False  # its memory is the host's


@dataclass(frozen=True)
class Inventory:
    """Driver, the newest CUDA it runs ("" when it does not say), and the GPUs in nvidia-smi's order, of as many as it counts."""

    driver: str
    cuda: str
    gpus: tuple[Gpu, ...]
    attached: int | None = None


def look(timeout: float) -> tuple[Inventory, list[Fault]]:
    """Ask nvidia-smi, and return what it complains of beside a document that is whole.

    Raises:
        CheckError: it is missing, hangs or fails.
    """
    text, faults = nvidia_smi.document(timeout)
    found = parse(text)
    total, free = (size // MIB for size in processes.memory())
    gpus = [replace(gpu, usable=total, free=free) if gpu.shared else gpu for gpu in found.gpus]
    return replace(found, gpus=tuple(gpus)), faults


def parse(text: str) -> Inventory:
    """Read the document.

    Raises:
        CheckError: it is none.
    """
    try:
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError:  # the one text in it that is not the driver's own
            root = ElementTree.fromstring(re.sub(r"(?s)<process_name>.*?</process_name>", "", text))
    except ElementTree.ParseError as error:
        raise CheckError(
            Fault(say("nvidia-smi -q -x gave no XML: {text}", text=shorten(text)), KERNEL_LOG)
        ) from error
    cuda = (root.findtext("cuda_version") or root.findtext("cuda_umd_version") or "").strip()
    return Inventory(
        value(root, "driver_version") or value(root, "kmd_version"),
        cuda if MISSING.search(cuda) else value(root, "cuda_version") or value(root, "cuda_umd_version"),
        tuple(_gpu(index, node) for index, node in enumerate(root.findall("gpu"))),
        _number(root, "attached_gpus"),
    )


def _number(node: ElementTree.Element, path: str) -> int | None:
    found = re.fullmatch(r"(\d+)(?: MiB| %)?", value(node, path))
    return int(found[1]) if found else None


def _gpu(index: int, node: ElementTree.Element) -> Gpu:
    bus = re.search(r"([0-9A-F]{4}:[0-9A-F]{2}:[0-9A-F]{2})\.", node.get("id", ""), re.I)
    total, reserved = (_number(node, f"fb_memory_usage/{part}") for part in ("total", "reserved"))
    usable = None if total is None else total - (reserved or 0)
    mig = value(node, "mig_mode/current_mig") == "Enabled"
    if mig:
        slices = [_number(part, "fb_memory_usage/total") for part in node.findall("mig_devices/mig_device")]
        usable = min((size for size in slices if size is not None), default=None)
    corrected, uncorrected = _errors(node)
    name = value(node, "product_name") or "unknown GPU"
    return Gpu(
        index,
        value(node, "uuid"),
        bus[1].lower() if bus else "",
        name,
        total,
        _number(node, "fb_memory_usage/used"),
        usable,
        None if mig else _number(node, "fb_memory_usage/free"),
        _number(node, "utilization/gpu_util"),
        {"Enabled": True, "Disabled": False}.get(value(node, "persistence_mode")),
        mig,
        corrected,
        uncorrected,
        tuple(fields.judge(node, index)),
        value(node, "fabric/state"),
        tuple(_holders(node)),
        total is None and bool(INTEGRATED.search(name) or value(node, "addressing_mode") == "ATS"),
    )


def _errors(node: ElementTree.Element) -> tuple[int, int]:
    """Sum the volatile counters, one a kind of memory."""
    counts = {part.tag: _number(part, ".") or 0 for part in node.findall("ecc_errors/volatile/*")}
    uncorrected = sum(count for tag, count in counts.items() if "_uncorrectable" in tag)
    return sum(counts.values()) - uncorrected, uncorrected


def _holders(node: ElementTree.Element) -> list[Holder]:
    found = []
    for part in node.findall("processes/process_info"):
        pid = _number(part, "pid")
        if pid is not None:
            name = value(part, "process_name")
            found.append(Holder(pid, value(part, "type"), name, _number(part, "used_memory")))
    return found
