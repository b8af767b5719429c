"""nvidia-smi: asked under a deadline; what its failures mean, and its small tables."""

import re
from itertools import combinations

from python_checks.core import command
from python_checks.core.result import CheckError, Fault, State, shorten
from python_checks.core.say import say

DRIVER = say("install the NVIDIA driver, 580 or newer for CUDA 13")
KERNEL_LOG = "journalctl -k | grep -iE 'nvrm|xid'"
BUS = say(
    "a GPU fell off the bus (Xid 79): {kernel_log}; switch the host off and on, have the card looked at",
    kernel_log=KERNEL_LOG,
)
LOAD = say("load it: sudo modprobe nvidia; or {driver}", driver=DRIVER)
LIBRARY = say(
    "libnvidia-ml.so is missing: install the driver's libraries whole, in its own version; a "
    "container gets them from the NVIDIA Container Toolkit"
)
PERMISSION = say(
    "this user may not use /dev/nvidia*: see ls -l /dev/nvidia*; add the user to their group "
    "(video, render), or mend their mode; a unit with DevicePolicy= needs DeviceAllow= for them"
)
REACH = say(
    "the device nodes are out of reach of this process, as in a container, or once systemctl "
    "daemon-reload has taken them out of its cgroup: run nvidia-smi on the host itself; then "
    "restart the container"
)
POWER = say("a GPU lacks power: attach its power cables, all of them, with the host switched off")
INTERRUPT = say(
    "the interrupts of a GPU do not arrive: {kernel_log}; update the BIOS, reboot the host",
    kernel_log=KERNEL_LOG,
)
INFOROM = say(
    "the card works on; have it looked at, and replaced if it does more (nvidia-smi names it, "
    "NVIDIA's code 14)"
)
PARTS = say(
    "parts of the driver are of different versions: install it whole, in one version, and reboot the host"
)
MODULE = say("the driver was updated under a loaded module: reboot the host")
RESET = say("stop what uses the GPUs and reset them (sudo nvidia-smi -r), else reboot")
HANGS = say("the driver hangs: {kernel_log}; reboot the host", kernel_log=KERNEL_LOG)
NO_GPU = say("the driver sees no GPU: lspci | grep -i nvidia; {kernel_log}", kernel_log=KERNEL_LOG)
KIND = say(
    "the driver does not serve this device: compare lspci | grep -i nvidia with the driver's list "
    "of GPUs; {kernel_log}",
    kernel_log=KERNEL_LOG,
)
# The texts of nvidia-smi and of NVML's errors (nvml.h, nvmlErrorString), the more specific ones first.
FAILURES = (
    (r"version mismatch", MODULE),
    (r"determine the device handle|GPU is lost|fallen off the bus", BUS),
    (r"Insufficient Permissions", PERMISSION),
    (r"libnvidia-ml|NVML Shared Library Not Found", LIBRARY),
    (r"External Power|power cables", POWER),
    (r"requires (?:reset|restart)|reset required", RESET),
    (r"Interrupt Request Issue|interrupt issue", INTERRUPT),
    (r"infoROM", INFOROM),
    (r"Function Not Found|while loading shared libraries", PARTS),
    (r"blocked (?:by the operating system|the request)|Unknown Error", REACH),
    (r"couldn't communicate|Driver Not Loaded", LOAD),
    (r"No devices (?:were )?found|NVML: Not Found", NO_GPU),
    (r"NVML: Not Supported", KIND),
    (r"NVML: Timeout", HANGS),
)
# nvidia-smi's exit codes by its documentation, "RETURN VALUE", for a text that says nothing known.
CODES = {
    **{
        2: PARTS,
        3: KIND,
        4: PERMISSION,
        6: NO_GPU,
        8: POWER,
        9: LOAD,
        10: INTERRUPT,
        12: LIBRARY,
        13: PARTS,
        14: INFOROM,
    },
    **{
        15: BUS,
        126: say("nvidia-smi is of another kind of machine: install the driver whole"),
        127: PARTS,
        255: REACH,
    },
}
MEANINGS = {
    8: say("a GPU lacks power"),
    14: say("the infoROM of a GPU is corrupt"),
    15: say("a GPU fell off the bus"),
}
COMPLAINT = re.compile(
    r"(?:WARNING|ERROR|Error|Unable|Failed|NVIDIA-SMI)\b"
)  # a line that came into the midst of a document
UNHARMED = (
    2,
    3,
    6,
    13,
    14,
)  # beside a whole document: a question was not answered, or the infoROM is corrupt


def ask(timeout: float, *arguments: str) -> str:
    """Return what nvidia-smi prints.

    Raises:
        CheckError: it is missing, hangs, or fails.
    """
    output = _run(timeout, *arguments)
    if output.code != 0:
        raise CheckError(_failure(output.code, output.text))
    return output.text


def document(timeout: float) -> tuple[str, list[Fault]]:
    """Return the document of `-q -x`, and what nvidia-smi complains of beside a whole one.

    Raises:
        CheckError: as `ask`, or there is no whole document.
    """
    output = _run(timeout, "-q", "-x")
    found = re.search(r"(?s)(?:<\?xml|<!DOCTYPE|<nvidia_smi_log).*</nvidia_smi_log>", output.text)
    if not found:
        raise CheckError(_failure(output.code, output.text))
    lines = found.group().splitlines()
    inside = [line for line in lines if COMPLAINT.match(line)]
    beside = " ".join([output.text[: found.start()], *inside, output.text[found.end() :]]).strip()
    text = "\n".join(line for line in lines if line not in inside)
    if not beside and output.code == 0:
        return text, []
    fault = _failure(output.code, beside)
    unharmed = fault.remedy in (INFOROM, KERNEL_LOG) or output.code in UNHARMED
    told = shorten(beside, 200) or MEANINGS.get(output.code, say("no message"))
    words = say(
        "nvidia-smi gave a whole document, and ended with {code}: {told}", code=output.code, told=told
    )
    return text, [Fault(words, fault.remedy, State.WARNING if unharmed else State.CRITICAL)]


def _run(timeout: float, *arguments: str) -> command.Output:
    try:
        return command.run(("nvidia-smi", *arguments), timeout)
    except TimeoutError as error:
        remedy = say(
            "the driver hangs: {kernel_log}; what is in state D cannot be killed: reboot the host",
            kernel_log=KERNEL_LOG,
        )
        raise CheckError(Fault(say("{error}; it was killed", error=error), remedy)) from error
    except OSError as error:
        raise CheckError(
            Fault(say("nvidia-smi cannot be run: {strerror}", strerror=error.strerror), DRIVER)
        ) from error


def _failure(code: int, text: str) -> Fault:
    """Return what a failure of nvidia-smi means: by its words, else by its exit code."""
    words = shorten(text, 200) or MEANINGS.get(code, say("no message"))
    known = next((advice for pattern, advice in FAILURES if re.search(pattern, text, re.IGNORECASE)), "")
    head = say("nvidia-smi failed with {code}", code=code) if code else say("nvidia-smi -q -x gave no XML")
    return Fault(say("{head}: {words}", head=head, words=words), known or CODES.get(code, KERNEL_LOG))


def capabilities(text: str) -> dict[int, tuple[int, int]]:
    """Read `--query-gpu=index,compute_cap --format=csv,noheader`; what is no figure is left out."""
    rows = re.findall(r"(?m)^(\d+), (\d+)\.(\d+)\s*$", text)
    return {int(index): (int(major), int(minor)) for index, major, minor in rows}


def peers(text: str) -> dict[tuple[int, int], str]:
    """Read the matrix of `topo -p2p`: pair of indices, the lower first -> OK, or why not (CNS, GNS, TNS, NS).

    The heading begins with GPU0 too; the row of that name comes behind it and counts. No table gives nothing.
    """
    rows = [line.split() for line in text.splitlines()]
    cells = {int(row[0][3:]): row[1:] for row in rows if row and re.fullmatch(r"GPU\d+", row[0])}
    return {
        (one, two): cells[one][two] for one, two in combinations(sorted(cells), 2) if two < len(cells[one])
    }
