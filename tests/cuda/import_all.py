"""Import modules in the environment of the lock, and print as JSON what each that cannot be imported says.

    import_all.py MODULE…

Those that are named, the shared libraries of vLLM, and each module of another package of the environment that vLLM's sources import.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

IMPORT = re.compile(r"^\s*(?:from ([\w.]+) import |import ([\w.]+))", re.MULTILINE)


def of_others(vllm: Path) -> Iterator[str]:
    """Yield the modules of other packages of the environment that vLLM's sources import anywhere."""
    here = importlib.metadata.packages_distributions().keys() - {"vllm"}
    for path in vllm.rglob("*.py"):
        for match in IMPORT.finditer(path.read_text(errors="replace")):
            name = match[1] or match[2]
            if name.partition(".")[0] in here:
                yield name


def why_not(name: str) -> str:
    """Import a module and return what it says instead; empty also for one that another version of its package has."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        return "" if missing and f"{name}.".startswith(f"{missing}.") else f"{type(error).__name__}: {error}"
    except BaseException as error:  # what one of them raises is what is asked for
        return f"{type(error).__name__}: {error}"
    return ""


def main() -> None:
    """Import all of them and print the answers on standard output, which nothing that is imported gets."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    gc.disable()
    (vllm,) = importlib.util.find_spec("vllm").submodule_search_locations  # type: ignore[union-attr]  # it is installed
    native = [f"vllm.{path.name.partition('.')[0]}" for path in Path(vllm).glob("*.abi3.so")]
    names = [*sys.argv[1:], *sorted(native), *sorted(set(of_others(Path(vllm))))]
    failed = {name: words for name in names if (words := why_not(name))}
    json.dump({"imported": sorted(set(names) - failed.keys()), "failed": failed}, answers)
    answers.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
