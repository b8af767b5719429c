"""What the libraries and programs of an environment ask of others."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def undefined(environment: Path) -> dict[Path, set[str]]:
    """Return the libraries and programs below a directory, each with the names that others must define."""
    paths = sorted(set(found(environment)))

    def names(path: Path) -> set[str]:
        done = subprocess.run(
            ["nm", "-D", "--undefined-only", path], capture_output=True, text=True, check=True
        )
        return {line.split()[-1].partition("@")[0] for line in done.stdout.splitlines()}

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(paths, pool.map(names, paths), strict=True))


def found(environment: Path) -> Iterator[Path]:
    """Yield each by its real path."""
    for path in environment.rglob("*"):
        if path.is_file() and (".so" in path.name or os.access(path, os.X_OK)):
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    yield path.resolve()


def needed(library: Path) -> set[str]:
    """Return the libraries that a library is linked with."""
    done = subprocess.run(["objdump", "-p", library], capture_output=True, text=True, check=True)
    return {line.split()[1] for line in done.stdout.splitlines() if line.strip().startswith("NEEDED ")}
