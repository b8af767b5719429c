"""Judge of a GPU by the fields of `nvidia-smi -q -x`: those that are known, and any other that says itself that it is not well."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from python_checks.core.result import Fault, State, shorten
from python_checks.core.say import say
from python_checks.gpu.known_fields import ACTIONS, NOW, PCIE, RESET, ROWS
from python_checks.gpu.nvidia_smi import BUS, KERNEL_LOG

NOTHING = re.compile(r"\[?(?:N/A|Not Supported|Unknown Error|Requested functionality)|None$", re.IGNORECASE)
# A field that none of the rows knows: what it says, or that it is so.
SAYS = re.compile(
    r"\berr(?:or|ors|!)|degraded|unhealthy|\bfail|\bfault|\blost\b|corrupt|\binvalid|unrepairable|\bincorrect|\binsufficient"
    r"|requires? re(?:set|start|boot)",
    re.IGNORECASE,
)
IS = re.compile(r"pending|fail|required|exceeded|unhealthy|unrepairable|degraded|error|corrupt|lost")
HARMLESS = re.compile(r"no\b|none|\[?insufficient permissions", re.IGNORECASE)
NAMES = re.compile(r"name|serial|uuid|guid|version|part_number|board_id|_id$|bus|pagelist")  # of any text
LOST = re.compile(r"is lost|requires reset")
MOST = 3  # fields that are named


def judge(node: ElementTree.Element, index: int) -> list[Fault]:
    """Return the faults of a GPU, the element `gpu` with this index; their reasons do not name it."""
    looks = (_lost, _action, _rows, _changes, _link, _others)
    return [fault for look in looks for fault in look(node, index)]


def value(node: ElementTree.Element, path: str) -> str:
    """Return the text of a field, empty where the GPU or the driver does not have it."""
    words = (node.findtext(path) or "").strip()
    return "" if NOTHING.match(words) else words


def _lost(node: ElementTree.Element, index: int) -> list[Fault]:
    texts = {(part.text or "").strip() for part in node.iter()}
    return [
        Fault(
            say("the driver says: {words}", words=shorten(words)),
            BUS if "lost" in words else RESET.filled(index=index),
        )
        for words in sorted(words for words in texts if LOST.search(words))
    ]


def _action(node: ElementTree.Element, index: int) -> list[Fault]:
    action = value(node, "gpu_recovery_action")
    if not action or LOST.search(action):
        return []
    remedy = ACTIONS.get(action, say("do what the driver names; {kernel_log}", kernel_log=KERNEL_LOG)).filled(
        index=index
    )
    return [Fault(say("the driver asks for: {action}", action=shorten(action, 60)), remedy)]


def _rows(node: ElementTree.Element, index: int) -> Iterator[Fault]:
    state, virtual = value(node, "fabric/state"), value(node, "gpu_virtualization_mode/virtualization_mode")
    known: set[str] = set()
    for row in ROWS:
        found = value(node, row.path)
        if not found or re.fullmatch(row.well, found, re.IGNORECASE) or LOST.search(found):
            continue
        # The state says it already; bare metal needs no licence; the cause of a slowdown is told before.
        said = row.path == "fabric/status" and state not in ("", "Completed")
        if said or ("license" in row.path and virtual not in ("", "VGPU")):
            continue
        if row.path.endswith("_hw_slowdown") and any("_hw_" in path for path in known):
            continue
        known.add(row.path)
        critical = re.match(row.critical, found, re.IGNORECASE)
        words = row.words.filled(value=shorten(found, 60))
        yield Fault(words, row.remedy.filled(index=index), State.CRITICAL if critical else State.WARNING)


def _changes(node: ElementTree.Element, _: int) -> Iterator[Fault]:
    """Yield what a restart of the GPU will change."""
    for what, where in ((say("MIG mode"), "mig_mode/{}_mig"), ("ECC", "ecc_mode/{}_ecc")):
        now, then = (value(node, where.format(when)) for when in ("current", "pending"))
        if now and then and now != then:
            words = say("{what} is {now}, and will be {then} once it is reset", what=what, now=now, then=then)
            yield Fault(words, NOW, State.WARNING)


def _link(node: ElementTree.Element, _: int) -> Iterator[Fault]:
    """Yield a link to the host that is narrower or slower than it can be; a GPU at rest makes it slower to save power."""
    rests = int((re.fullmatch(r"P(\d+)", value(node, "performance_state")) or "00")[1]) > 3
    link = "pci/pci_gpu_link_info"
    for what, now, most in (
        (say("width"), f"{link}/link_widths/current_link_width", f"{link}/link_widths/max_link_width"),
        (say("generation"), f"{link}/pcie_gen/current_link_gen", f"{link}/pcie_gen/max_link_gen"),
    ):
        has, may = (re.match(r"\d+", value(node, path)) for path in (now, most))
        if has and may and int(has[0]) < int(may[0]) and not (rests and what == "generation"):
            words = say("its PCIe link has {what} {has} of {may}", what=what, has=has[0], may=may[0])
            yield Fault(words, PCIE, State.WARNING)


def _others(node: ElementTree.Element, index: int) -> list[Fault]:
    """Return what fields say that no row knows: an error is never silent."""
    known = {row.path for row in ROWS} | {"gpu_recovery_action", "fabric/state"}
    found = []
    for path, text in _leaves(node, ""):
        yes = text.lower() in ("yes", "true") and IS.search(path.rpartition("/")[2])
        told = SAYS.search(text) and not HARMLESS.match(text) and not LOST.search(text)
        # A row has read its field, but for an error, which it takes for a field that is not there.
        named = NAMES.search(path) and not NOTHING.match(text)
        if (yes or told) and (path not in known or NOTHING.match(text)) and not named:
            found.append(f"{path.replace('/', '.')}={shorten(text, 60)}")
    if not found:
        return []
    more = say(", and {number} more", number=len(found) - MOST) if len(found) > MOST else ""
    words = say(
        "fields of nvidia-smi tell of an error: {found}{more}", found=", ".join(found[:MOST]), more=more
    )
    remedy = say("see nvidia-smi -q -i {index}; {kernel_log}", index=index, kernel_log=KERNEL_LOG)
    return [Fault(words, remedy, State.WARNING)]


def _leaves(node: ElementTree.Element, path: str) -> Iterator[tuple[str, str]]:
    for part in node:
        here = f"{path}/{part.tag}" if path else part.tag
        if part.tag == "processes":
            continue
        if len(part):
            yield from _leaves(part, here)
        elif text := (part.text or "").strip():
            yield here, text
