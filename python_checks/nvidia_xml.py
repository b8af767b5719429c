"""The document of `nvidia-smi -q -x`: driver and GPUs.

Elements as in nvsmi_device_v12.dtd and nvsmi_device_v13.dtd (R535 to R580; the names that replace driver_version and
cuda_version from CUDA 14 on are known too). A field that a GPU or a driver does not have reads N/A, [Not Supported] or
a sentence; here it is None, "" or nothing.
"""

import re
from dataclasses import dataclass
from xml.etree import ElementTree

from python_checks.nvidia import KERNEL_LOG
from python_checks.result import CheckError, Fault, shorten

NOTHING = re.compile(r"\[?(?:N/A|Not Supported|Unknown Error|Requested functionality)|None$")
BROKEN = re.compile(r"is lost|requires reset")
TROUBLE = (
    ("remapped_rows/remapped_row_failure", "it could not remap a row of its memory"),
    ("remapped_rows/remapped_row_pending", "a row of its memory waits to be remapped"),
    ("retired_pages/pending_retirement", "a page of its memory waits to be retired"),
    ("ecc_errors/aggregate/sram_threshold_exceeded", "its SRAM had too many errors"),
    ("gpu_reset_status/reset_required", "it has to be reset"),
)


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
    usable: int | None  # CUDA's total: without the driver's reserve; in MIG mode the smallest slice
    free: int | None  # None in MIG mode too
    persistence: bool | None
    mig: bool
    corrected: int
    uncorrected: int
    trouble: tuple[str, ...]  # what the driver itself calls broken, or wants done
    fabric: str  # "Completed" once it is known to the NVSwitches, "" where there are none
    holders: tuple[Holder, ...]


@dataclass(frozen=True)
class Inventory:
    """Driver, the newest CUDA it runs ("" when it does not say), and the GPUs in nvidia-smi's order."""

    driver: str
    cuda: str
    gpus: tuple[Gpu, ...]


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
        raise CheckError(Fault(f"nvidia-smi -q -x gave no XML: {shorten(text)}", KERNEL_LOG)) from error
    return Inventory(
        _value(root, "driver_version") or _value(root, "kmd_version"),
        _value(root, "cuda_version") or _value(root, "cuda_umd_version"),
        tuple(_gpu(index, node) for index, node in enumerate(root.findall("gpu"))),
    )


def _value(node: ElementTree.Element, path: str) -> str:
    words = (node.findtext(path) or "").strip()
    return "" if NOTHING.match(words) else words


def _number(node: ElementTree.Element, path: str) -> int | None:
    found = re.fullmatch(r"(\d+)(?: MiB)?", _value(node, path))
    return int(found[1]) if found else None


def _gpu(index: int, node: ElementTree.Element) -> Gpu:
    bus = re.search(r"([0-9A-F]{4}:[0-9A-F]{2}:[0-9A-F]{2})\.", node.get("id", ""), re.I)
    total, reserved = (_number(node, f"fb_memory_usage/{part}") for part in ("total", "reserved"))
    usable = None if total is None else total - (reserved or 0)
    mig = _value(node, "mig_mode/current_mig") == "Enabled"
    if mig:
        slices = [_number(part, "fb_memory_usage/total") for part in node.findall("mig_devices/mig_device")]
        usable = min((size for size in slices if size is not None), default=None)
    corrected, uncorrected = _errors(node)
    return Gpu(
        index,
        _value(node, "uuid"),
        bus[1].lower() if bus else "",
        _value(node, "product_name") or "unknown GPU",
        usable,
        None if mig else _number(node, "fb_memory_usage/free"),
        {"Enabled": True, "Disabled": False}.get(_value(node, "persistence_mode")),
        mig,
        corrected,
        uncorrected,
        tuple(_trouble(node)),
        _value(node, "fabric/state"),
        tuple(_holders(node)),
    )


def _errors(node: ElementTree.Element) -> tuple[int, int]:
    """Sum the volatile counters: one a kind of memory, or before Turing single_bit and double_bit with totals."""
    counts = {part.tag: _number(part, ".") or 0 for part in node.findall("ecc_errors/volatile/*")}
    single, double = (
        _number(node, f"ecc_errors/volatile/{bits}_bit/total") or 0 for bits in ("single", "double")
    )
    uncorrected = sum(count for tag, count in counts.items() if "_uncorrectable" in tag)
    return sum(counts.values()) - uncorrected + single, uncorrected + double


def _trouble(node: ElementTree.Element) -> list[str]:
    texts = {(part.text or "").strip() for part in node.iter()}
    action = _value(node, "gpu_recovery_action")
    return [
        *sorted(words for words in texts if BROKEN.search(words)),
        *([f"the driver asks for: {action}"] if action and not BROKEN.search(action) else []),
        *(words for path, words in TROUBLE if _value(node, path) == "Yes"),
    ]


def _holders(node: ElementTree.Element) -> list[Holder]:
    found = []
    for part in node.findall("processes/process_info"):
        pid = _number(part, "pid")
        if pid is not None:
            name = _value(part, "process_name")
            found.append(Holder(pid, _value(part, "type"), name, _number(part, "used_memory")))
    return found
