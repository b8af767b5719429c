"""What the kernel's log says of GPUs since boot: Xid errors, other lines of NVIDIA's module, SXid errors of NVSwitches.

The NVIDIA kernel module writes `NVRM: Xid (PCI:0000:1b:00): 79, ...`; what each asks for is by NVIDIA's Xid catalogue
(docs.nvidia.com/deploy/xid-errors, "Analyzing Xid Errors with the Xid Catalog", immediate action). Xid 154 names the action itself.
"""

import re
from collections.abc import Sequence

from python_checks.core import command
from python_checks.core.result import Fault, State, shorten
from python_checks.core.say import joined, say
from python_checks.gpu.inventory import Gpu
from python_checks.gpu.known_fields import ACTIONS, DRAIN, MANAGER, REBOOT, REPLACE, RESET
from python_checks.gpu.nvidia_smi import BUS, MODULE, POWER

# What a program does to itself (RESTART_APP), and what the catalogue has ignored: a fault of the code that ran, a channel that
# was ended or cleaned up, a row that was remapped, an error that was kept inside one program, corrected ones of a link.
HARMLESS = frozenset((8, 11, 13, 25, 31, 32, 43, 45, 63, 68, 69, 92, 94, 121, 137))
NVLINK = say(
    "see nvidia-smi nvlink -s, and the seats and bridges of the cards; stop what uses them and "
    "reset all (sudo nvidia-smi -r)"
)
FIRMWARE = say("update the driver, whose firmware stopped; {reset}", reset=RESET)
APART = {
    **{
        48: DRAIN,
        54: POWER,
        64: REPLACE,
        74: NVLINK,
        79: BUS,
        119: FIRMWARE,
        120: FIRMWARE,
        151: REBOOT,
        157: REPLACE,
    },
    **dict.fromkeys(range(144, 151), NVLINK),
}
ORDER = (REPLACE, BUS, POWER, REBOOT, NVLINK, FIRMWARE, DRAIN, RESET)  # the strongest first
MEANINGS = {
    **{
        48: say("uncorrectable memory error"),
        54: say("power cable"),
        62: say("microcontroller halted"),
        64: say("row remapping failed"),
        74: say("NVLink"),
    },
    **{
        79: say("fell off the bus"),
        95: say("uncontained memory error"),
        109: say("context switch timeout"),
        119: say("GSP timeout"),
        120: say("GSP error"),
    },
}
ACTION = 154
CHANGED = re.compile(r"to 0x[0-9a-f]+ \(([^)]*)\)", re.IGNORECASE)
PLACE = r"(?:PCI:)?(?:[0-9a-f]{4})?([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2})"
XID = re.compile(rf"NVRM: Xid \({PLACE}[^)]*\): (\d+)(.*)", re.IGNORECASE)
SXID = re.compile(r"SXid \(PCI:([^)]*)\): (\d+), (Fatal|Non-fatal)", re.IGNORECASE)
READ = say("read journalctl -k | grep -iE 'nvrm|xid'")
GONE = say("the log forgets at a reboot")
# Lines without an Xid. What says that it is fatal, or wants a reboot, is so whatever it is.
OPEN = say("install the driver's open kernel modules: this GPU works with no others")
SPACE = say(
    "switch on Above 4G Decoding in the BIOS, and resizable BARs: the GPU has no room for its memory there"
)
LINES = (
    (r"does not have the necessary power cables|power cables? (?:are )?not", POWER),
    (r"requires use of the NVIDIA open kernel modules", OPEN),
    (r"PCI I/O region assigned to your NVIDIA device is invalid|BAR\d is 0M", SPACE),
    (r"has fallen off the bus", BUS),
    (
        r"RmInitAdapter failed|rm_init_adapter failed",
        say("the driver could not start the GPU: {bus}", bus=BUS),
    ),
    (r"API mismatch", MODULE),
    (r"requir\w+ (?:an? )?(?:os |node |system )?reboot|(?<!non-)(?<!non)\bfatal\b", REBOOT),
)
MENDED = (MODULE,)  # it may be over: nvidia-smi says so itself where it is not
SOURCES = (("journalctl", "-k", "-b", "-q", "--no-pager", "-o", "cat"), ("dmesg",))


def kernel_log(timeout: float) -> str | None:
    """Return the kernel's log since boot; None when this user may not read it, or nothing here can."""
    for source in SOURCES:
        try:
            output = command.run(source, timeout)
        except (OSError, TimeoutError):
            continue
        if output.code == 0 and output.text.strip():
            return output.text
    return None


def judge(log: str, gpus: Sequence[Gpu], wanted: int) -> list[Fault]:
    """Fault what the log says of these GPUs, of their driver, and of the switches between them if `wanted` of them work together."""
    faults = []
    for gpu in gpus:
        faults += _of_gpu(
            gpu, [(int(code), words) for bus, code, words in XID.findall(log) if bus.lower() == gpu.bus]
        )
    return faults + _of_driver(log, gpus) + _of_switches(log, wanted)


def _of_gpu(gpu: Gpu, found: Sequence[tuple[int, str]]) -> list[Fault]:
    """Fault a GPU by its Xids, in the order of the log."""
    codes = [code for code in sorted({code for code, _ in found}) if code not in HARMLESS]
    if not codes or not gpu.bus:
        return []
    changes = [match[1] for code, words in found if code == ACTION and (match := CHANGED.search(words))]
    action = changes[-1] if changes else ""
    over = action == "None" and found[-1][0] == ACTION  # nothing came behind it
    meant = joined(
        "",
        (
            say("; Xid {code}: {meanings}", code=code, meanings=MEANINGS[code])
            for code in codes
            if code in MEANINGS
        ),
    )
    asked = (
        say("; Xid {xid} asks for: {action}", xid=ACTION, action=shorten(action, 60))
        if action and not over
        else ""
    )
    words = say(
        "GPU {index} ({name}): Xid {codes} since boot{meant}{asked}",
        index=gpu.index,
        name=gpu.name,
        codes=", ".join(map(str, codes)),
        meant=meant,
        asked=asked,
    )
    if over:
        return [
            Fault(
                say("{words}; the driver asks for nothing any more", words=words),
                say("{read}; {gone}", read=READ, gone=GONE),
                State.WARNING,
            )
        ]
    # A memory error alone is over with a reset; with a row that waits for its remapping the GPU is drained before.
    remapped = any(code in (63, 64) for code, _ in found)
    ways = [
        RESET if code == 48 and not remapped else APART.get(code, RESET) for code in codes if code != ACTION
    ]
    strongest = min(ways, key=ORDER.index, default=RESET)
    # The action that the driver names goes before those of the catalogue.
    way = ACTIONS.get(action, say("do what the driver names")) if action else strongest
    return [
        Fault(
            words, say("{read}; {remedy}; {gone}", read=READ, remedy=way.filled(index=gpu.index), gone=GONE)
        )
    ]


def _of_driver(log: str, gpus: Sequence[Gpu]) -> list[Fault]:
    """Fault lines of the module that are no Xid, each kind once."""
    buses = {gpu.bus for gpu in gpus}
    faults: dict[str, Fault] = {}
    for line in log.splitlines():
        if "NVRM" not in line and "nvidia" not in line:
            continue
        if XID.search(line) or SXID.search(line):
            continue
        remedy = next((advice for pattern, advice in LINES if re.search(pattern, line, re.IGNORECASE)), "")
        bus = re.search(rf"GPU (?:at )?{PLACE}", line, re.IGNORECASE)
        if remedy:
            # A GPU that nvidia-smi does not describe any more may be one that vLLM would have used.
            other = bool(bus) and bus is not None and bus[1].lower() not in buses
            state = State.WARNING if other or remedy in MENDED else State.CRITICAL
            words = say("the kernel's log says: {line}", line=shorten(line, 160))
            faults.setdefault(
                remedy,
                Fault(words, say("{read}; {remedy}; {gone}", read=READ, remedy=remedy, gone=GONE), state),
            )
    return list(faults.values())


def _of_switches(log: str, wanted: int) -> list[Fault]:
    """Fault NVSwitches: what goes through one that is broken does not arrive."""
    found = SXID.findall(log)
    fatal = [(place, code) for place, code, kind in found if kind.lower() == "fatal"]
    places = sorted(
        {f"{place} (SXid {code})" for place, code in fatal or [(place, code) for place, code, _ in found]}
    )
    if not places:
        return []
    kind, state = (
        (say("fatal"), State.CRITICAL if wanted > 1 else State.WARNING)
        if fatal
        else (say("non-fatal"), State.WARNING)
    )
    words = say(
        "an NVSwitch reports {kind} errors since boot: {places}", kind=kind, places=shorten(", ".join(places))
    )
    words += say("; GPUs that go through it may not reach each other") if fatal else ""
    return [Fault(words, say("{read}; {manager}; {gone}", read=READ, manager=MANAGER, gone=GONE), state)]
