"""nvidia-smi: asked under a deadline; what its failures mean, and its small tables."""

import re
from itertools import combinations

from python_checks import command
from python_checks.result import CheckError, Fault, shorten

DRIVER = "install the NVIDIA driver, 580 or newer for CUDA 13"
KERNEL_LOG = "journalctl -k | grep -iE 'nvrm|xid'"
FAILURES = (
    (r"[Dd]river/library version mismatch", "the driver was updated under a loaded module: reboot the host"),
    (
        r"Unable to determine the device handle|is lost|fallen off the bus",
        f"a GPU fell off the bus (Xid 79): {KERNEL_LOG}; switch the host off and on, have the card looked at",
    ),
    (r"couldn't communicate|[Ff]ailed to initialize NVML", f"load it: sudo modprobe nvidia; or {DRIVER}"),
    (r"[Nn]o devices were found", f"the driver sees no GPU: lspci | grep -i nvidia; {KERNEL_LOG}"),
)


def ask(timeout: float, *arguments: str) -> str:
    """Return what nvidia-smi prints.

    Raises:
        CheckError: it is missing, hangs, or fails.
    """
    try:
        output = command.run(("nvidia-smi", *arguments), timeout)
    except TimeoutError as error:
        remedy = f"the driver hangs: {KERNEL_LOG}; what is in state D cannot be killed: reboot the host"
        raise CheckError(Fault(f"{error}; it was killed", remedy)) from error
    except OSError as error:
        raise CheckError(Fault(f"nvidia-smi cannot be run: {error.strerror}", DRIVER)) from error
    if output.code != 0:
        words = shorten(output.text, 200) or "no message"
        advice = next((text for pattern, text in FAILURES if re.search(pattern, output.text)), KERNEL_LOG)
        raise CheckError(Fault(f"nvidia-smi failed with {output.code}: {words}", advice))
    return output.text


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
