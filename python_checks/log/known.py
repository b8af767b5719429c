"""The tables of known.toml: which line of a log has which remedy."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from python_checks.core.result import one_line
from python_checks.core.say import msg, say
from python_checks.log import exits

TABLES = Path(__file__).with_name("known.toml")
OLD = msg(
    "this host's system libraries are older than the build, which needs {version}: take a newer operating "
    "system, or a build for this one"
)
PACKAGE = msg("{library} is missing: sudo apt-get install -y {package}")
LIBRARY = msg(
    "{library} is missing: find the package that brings it (apt-file search, dnf provides) and install it"
)
_MISSING = re.compile(
    r"(lib[\w+.-]+?\.so(?:\.\d+)*)['\"]?: cannot open shared object|[Ll]ibrary not found: (\S+)|cannot find -l(\w+)"
)
_VERSION = re.compile(r"version [`'\"]((?:GLIBC|GLIBCXX|CXXABI|GCC|GOMP)_[\w.]+)['\"] not found")
_PYTHON = re.compile(r"libpython(3\.\d+)")
_ABOUT_CUDA = re.compile(r"(?i)cuda|nccl|driver|\bcu[A-Z]\w+")
_NUMBER = r"(?:[Ee]rror|[Ff]ailure|(?<!exit )code|failed(?: with)?|CUresult|cudaError_t|cuInit\S*)[ :=(]*(?:code )?{}\b"
_LEAST = 35  # lower numbers are those of anything
# Words of every library; CUDA's where it says so right before them.
_COMMON = re.compile(
    "invalid argument|operation not permitted|operation not supported|unknown error|initialization error"
)
_MEMORY = (
    r"CUDA out of memory|HIP out of memory|OutOfMemoryError|[Cc][Uu][Dd][Aa] (?:driver |runtime )?(?:error|failure)[^;]{0,12}out of memory"
    r"|CUDA_ERROR_OUT_OF__MEMORY|cudaErrorMemoryAllocation|No available memory for the cache blocks|Cannot auto-fit max_model_len"
    r"|less than desired (?:GPU|CPU) memory|larger than the available KV cache memory|Error in memory profiling"
    r"|exceed the desired GPU memory"
    r"|on kv cache allocation is less than|less than the engine's budget"
)
_AFTER_CUDA = r"(?i:cuda (?:driver |runtime )?(?:error|failure)\S*[: ]+(?:\d+ )?[`'\"]?{})"


@dataclass(frozen=True)
class Advice:
    """A remedy, and the expressions of which one is seen in a line."""

    seen: Sequence[re.Pattern[str]]
    remedy: str

    def fits(self, line: str) -> bool:
        """Tell whether the remedy is that of a line."""
        return any(pattern.search(line) for pattern in self.seen)


@dataclass(frozen=True)
class Tables:
    """All that is known."""

    clear: Sequence[Advice]
    libraries: Sequence[Advice]
    packages: dict[str, str]
    cuda: Sequence[Advice]
    rows: Sequence[Advice]
    weak: Sequence[Advice]
    signals: dict[int, str]


@cache
def tables() -> Tables:
    """Read the file."""
    given = tomllib.loads(TABLES.read_text(encoding="utf-8"))
    return Tables(
        _rows(given["clear"]),
        _rows(given["library"]),
        given["packages"],
        [
            Advice([re.compile(_cuda(*error)) for error in row["errors"]], row["remedy"])
            for row in given["cuda"]
        ],
        _rows(given["row"]),
        _rows([*given["weak"], *given["signal"]]),
        {row["number"]: row["remedy"] for row in given["signal"]},
    )


def over_memory(line: str) -> bool:
    """Tell whether a line says that a process ended over memory of a GPU."""
    return bool(re.search(_MEMORY, line))


def lines(text: str) -> list[str]:
    """Return the lines of a cause, and last all of it as one."""
    return list(dict.fromkeys([*map(one_line, text.split("\n")), one_line(text)]))


def is_known(text: str) -> bool:
    """Tell whether there is a remedy for a cause."""
    return any(over_memory(line) or strong(line) or weak(line) for line in lines(text))


def strong(line: str) -> str:
    """Return what to do about a line that names a cause; an empty string when it names none that is known."""
    known = tables()
    cuda = _first(known.cuda, line) if _ABOUT_CUDA.search(line) else ""
    return _first(known.clear, line) or library(line) or cuda or _first(known.rows, line)


def weak(line: str) -> str:
    """Return what to do about a line that says no more than what failed, or how a process ended."""
    return signal(exits.of_signal(exits.code(line))) or _first(tables().weak, line)


def signal(number: int) -> str:
    """Return what to do about a process that a signal ended; an empty string where that is not known."""
    remedy = tables().signals.get(number, "")
    return say(remedy) if remedy else ""


def library(line: str) -> str:
    """Return what to do about a shared library that a line names as missing or too old; an empty string when it names none."""
    if version := _VERSION.search(line):
        return say(OLD, version=version[1])
    found = _MISSING.search(line)
    if not found:
        return ""
    name = found[1] or found[2] or f"lib{found[3]}.so"
    if python := _PYTHON.match(name):
        package = f"libpython{python[1]}"
        return say(PACKAGE, library=name, package=package)
    known = tables()
    if brought := next(
        (row.remedy for row in known.libraries if any(each.match(name) for each in row.seen)), ""
    ):
        return say(brought, LIBRARY=name)
    package = next((package for begin, package in known.packages.items() if name.startswith(begin)), "")
    return say(PACKAGE, library=name, package=package) if package else say(LIBRARY, library=name)


def _first(rows: Sequence[Advice], line: str) -> str:
    return next((say(row.remedy) for row in rows if row.fits(line)), "")


def _rows(given: Sequence[dict[str, Any]]) -> list[Advice]:
    return [Advice(list(map(re.compile, row["seen"])), row["remedy"]) for row in given]


def _cuda(number: int, names: str, words: str) -> str:
    """Return the expression of an error of CUDA: by its names, by its words, and by its number."""
    ways = [rf"cudaError{name}\b|CUDA_ERROR_{name}\b" for name in names.split()]
    ways += [_AFTER_CUDA.format(words) if _COMMON.fullmatch(words) else words] if words else []
    ways += [_NUMBER.format(number)] if number >= _LEAST else []
    return "|".join(ways)
