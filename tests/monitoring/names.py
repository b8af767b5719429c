"""What of an expression of Prometheus no service has: metrics, labels, and values of labels, by scrapes of the real ones."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from python_checks.canary.liveness import Chat, Facts
from python_checks.canary.memory import Memory
from python_checks.canary.rules import Ruling
from python_checks.checks import canary
from python_checks.core.result import Result, State
from python_checks.report import textfile
from python_checks.service.registry import Row

RECORDED = Path(__file__).with_name("scrapes")
SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+")
LABEL = re.compile(r'(\w+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"')
# A name of a metric, with its matchers; what follows a name with a parenthesis is a function or a list of labels.
SELECTOR = re.compile(r"(?<![\w:.\"$])([a-zA-Z_:][\w:]*)(?:\{([^}]*)\})?(?!\s*\(|[\w:])")
LISTED = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
WORDS = {
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "inf",
    "nan",
}
# What the scrape list adds to every sample, and Prometheus itself makes.
OF_TARGETS = {"job": r"vllm|gateway|node", "instance": ".*", "service": ".*"}
OWN = {
    "up": [OF_TARGETS],
    "ALERTS": [
        {"alertname": "", "alertstate": "firing|pending", "severity": "critical|warning", **OF_TARGETS}
    ],
}

Labels = dict[str, str]


def samples(text: str) -> Iterator[tuple[str, Labels]]:
    """Yield the samples of a scrape: name, labels."""
    for line in text.splitlines():
        if found := SAMPLE.fullmatch(line):
            yield found[1], {name: value for name, _, value in LABEL.findall(found[2] or "")}


def textfiles() -> str:
    """Return what the canary and the deep probe write now, by the code that writes it."""
    watched = canary.report(
        Ruling("alive", State.OK, "alive", "", Memory()), Facts(chat=Chat("answered", "", 0.2)), Row("vllm")
    )
    deep = Result("chat-named-stream", State.OK, "as it should be", service="vllm")
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "canary.prom")
        textfile.write(
            file, [Result(**{**vars(watched), "service": "vllm"}), deep], {"vllm": "0.32.0-aaaaaaaaaaaa"}
        )
        return file.read_text()


@cache
def known() -> dict[str, list[Labels]]:
    """Return each metric with the labels of its samples."""
    found: dict[str, list[Labels]] = {name: list(labels) for name, labels in OWN.items()}
    for text in (*(path.read_text() for path in sorted(RECORDED.glob("*.prom"))), textfiles()):
        for name, labels in samples(text):
            found.setdefault(name, []).append(labels)
    return found


def strange(expression: str) -> list[str]:
    """Return a line for each name in an expression that no service has."""
    listed = {
        label.strip()
        for _, labels in LISTED.findall(expression)
        for label in labels.split(",")
        if label.strip()
    }
    bare = re.sub(r"\[[^\]]*\]", "", LISTED.sub("", expression))
    lines, labels = [], set(OF_TARGETS)
    for name, matchers in SELECTOR.findall(bare):
        if name in WORDS or re.fullmatch(r"\d.*|e\d+", name):
            continue
        if name not in known():
            lines.append(f"no service has {name}")
            continue
        labels |= {label for sample in known()[name] for label in sample}
        lines += [f"{name} has no {text}" for text in unmatched(name, matchers)]
    return lines + [f"no label {label} in {expression}" for label in sorted(listed - labels)]


def unmatched(name: str, matchers: str) -> Iterator[str]:
    """Yield the matchers that fit no recorded sample of a metric; what is asked not to be need only have the label."""
    for label, sign, value in LABEL.findall(matchers):
        there = [sample[label] for sample in known()[name] if label in sample]
        of_target = label in OF_TARGETS and not there
        form = {"=": re.escape(value), "=~": value}.get(sign, ".*")
        if not of_target and name not in OWN and not any(re.fullmatch(form, each) for each in there):
            yield f"{label}{sign}{value!r}"
