"""Five ways to print results: one line a check, a table, a screen of aligned lines, JSON, JUnit's XML."""

import io
import json
import os
from collections.abc import Sequence
from typing import TextIO

from python_checks.core.result import Figure, Line, Result, State, one_line, plain, worst

PIPED_WIDTH = 80  # columns of what no terminal shows
WIDEST = 100  # columns, on any terminal: longer lines are hard to read
MARKS = {State.OK: "  ", State.WARNING: "! ", State.CRITICAL: "!!", State.UNKNOWN: "? "}
LEVELS = {State.OK: 6, State.WARNING: 4, State.CRITICAL: 3, State.UNKNOWN: 3}  # of syslog: info, warning, err
COLOURS = {State.OK: "green", State.WARNING: "yellow", State.CRITICAL: "bold red", State.UNKNOWN: "magenta"}


def text(results: Sequence[Result], stream: TextIO) -> None:
    """Print `CHECK STATE: reason | time=0.28s ttft=0.12s;2;10`, as monitoring plugins do, and a remedy line on failure."""
    journal = leads_to_journal(stream)
    for result in results:
        level = f"<{LEVELS[State.OK if result.repeated else result.state]}>" if journal else ""
        # A plugin's reader takes all after the first "|" for figures, and Harmony tokens hold one.
        reason = result.reason.replace("|", "¦")
        figures = " ".join([f"time={result.seconds:.2f}s", *map(perfdata, result.figures)])
        print(f"{level}{result.check} {result.state.name}: {reason} | {figures}", file=stream)
        if result.remedy:
            print(f"{level}remedy: {result.remedy}", file=stream)


def leads_to_journal(stream: TextIO) -> bool:
    """Tell whether systemd connected the stream to its journal, which takes a level in front of a line (sd-daemon(3))."""
    try:
        facts = os.fstat(stream.fileno())
    except (OSError, ValueError):  # no file at all
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{facts.st_dev}:{facts.st_ino}"


def perfdata(figure: Figure) -> str:
    """Return `label=value[unit][;warning[;critical]]`, as the guidelines of the monitoring plugins have it."""
    label = figure.name if figure.name.isidentifier() else f"'{figure.name}'"
    limits = ["" if limit is None else number(limit) for limit in (figure.warning, figure.critical)]
    return ";".join([f"{label}={number(figure.value)}{figure.unit}", *limits]).rstrip(";")


def number(value: float) -> str:
    """Return it with at most three decimals and without an exponent, which readers of figures do not know."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def width_of(stream: TextIO) -> int:
    """Return the columns for what is printed to a stream."""
    columns = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    return min(columns or PIPED_WIDTH, WIDEST)  # a terminal may not know its own


def table(results: Sequence[Result], stream: TextIO) -> None:
    """Print a table with one row a check, then the remedies; colours only on a terminal without NO_COLOR.

    The reason is the last column, so that a path or a command in it is never cut, however narrow the terminal is.
    """
    # Loaded here: most probes run often and print text.
    from rich.cells import cell_len
    from rich.console import Console
    from rich.text import Text

    from python_checks.report import columns

    console = Console(file=stream, force_terminal=stream.isatty())
    width = width_of(stream)
    names = max(map(cell_len, ["check", *(result.check for result in results)]))
    console.print(Text(f"{columns.pad('check', names)}  verdict       time  reason", "bold"), soft_wrap=True)
    for result in results:
        head = f"{columns.pad(result.check, names)}  "
        state = result.state.name.lower()
        start = f"{head}{state:<8}  {f'{result.seconds:.2f} s':>8}  "
        row = Text(columns.fill(result.reason, start, width))
        row.stylize(COLOURS[result.state], len(head), len(head) + len(state))
        console.print(row, soft_wrap=True)
        figures = ", ".join(
            f"{name} {number(value)} {unit}".rstrip() for name, value, unit, *_ in result.figures
        )
        if figures:
            blanks = " " * cell_len(start)
            console.print(Text(columns.fill(figures, blanks, width)), soft_wrap=True)
    for result in results:
        if result.remedy:
            head = f"remedy ({result.check}): "
            console.print(Text(columns.fill(result.remedy, head, width)), soft_wrap=True)


def as_json(results: Sequence[Result], stream: TextIO) -> None:
    """Print `{"state": ..., "results": [...]}`, the same shape for one check and for many."""
    state = worst([result.state for result in results]).name.lower()
    utf8 = (stream.encoding or "").lower().startswith("utf")
    document = {"state": state, "results": [result.as_dict() for result in results]}
    # JSON escapes what ASCII calls control characters; a terminal obeys others as well.
    written = json.dumps(document, ensure_ascii=not utf8, indent=2)
    print(
        "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in written),
        file=stream,
    )


def junit(results: Sequence[Result], stream: TextIO) -> None:
    """Print one `testsuite` of JUnit's XML: critical is a failure, unknown an error, and each case says what `text` says."""
    from xml.etree import ElementTree

    marks = {State.CRITICAL: "failure", State.UNKNOWN: "error"}
    states = [result.state for result in results]
    suite = ElementTree.Element("testsuite", name="python_checks", tests=str(len(results)))
    suite.set("failures", str(states.count(State.CRITICAL)))
    suite.set("errors", str(states.count(State.UNKNOWN)))
    suite.set("time", f"{sum(result.seconds for result in results):.3f}")
    for result in results:
        case = ElementTree.SubElement(
            suite, "testcase", classname="python_checks", name=result.check, time=f"{result.seconds:.3f}"
        )
        if result.state in marks:
            ElementTree.SubElement(case, marks[result.state], message=result.reason).text = result.remedy
        said = io.StringIO()
        text([result], said)
        ElementTree.SubElement(case, "system-out").text = said.getvalue()
    ElementTree.indent(suite)
    # Other characters as references: right in whatever encoding the stream has.
    print(ElementTree.tostring(suite, "us-ascii", xml_declaration=True).decode("ascii"), file=stream)


def screen(results: Sequence[Result], stream: TextIO) -> None:
    """Print the lines that a check made for a person (status, doctor), aligned, what is not well marked; else its one line."""
    from rich.cells import cell_len

    from python_checks.report import columns

    for result in results:
        shown = (Line(*line) for line in result.evidence.get("screen", ()))
        lines = [Line(plain(line.label), one_line(line.words), line.state) for line in shown]
        if not lines:
            text([result], stream)
        width = max((cell_len(line.label) for line in lines), default=0)
        for line in lines:
            head = f"{MARKS[State(line.state)]} {columns.pad(line.label, width)}  "
            print(columns.fill(line.words, head, width_of(stream)), file=stream)


FORMATS = {"text": text, "table": table, "screen": screen, "json": as_json, "junit": junit}
