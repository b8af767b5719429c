"""Links of a folder that is copied with what they lead to."""

from __future__ import annotations

import os
from pathlib import Path

OUT = "out of the repository"


def astray(link: Path, tree: Path) -> str:
    """Return where a link leads that no copy can hold, empty when it leads to something of the tree."""
    target = Path(os.path.realpath(link))
    if not target.is_relative_to(os.path.realpath(tree)):
        return OUT
    try:
        os.stat(link)
    except OSError:
        return "nowhere, or in a circle"
    return "to a folder that leads back to it" if comes_back(link, frozenset()) else ""


def comes_back(folder: Path, above: frozenset[str]) -> bool:
    """Tell whether a way through folders and links ends in one that it came through."""
    real = os.path.realpath(folder)
    if not os.path.isdir(real):
        return False
    if any(f"{place}/".startswith(f"{real}/") for place in above):
        return True
    return any(comes_back(Path(real, name), above | {real}) for name in os.listdir(real))
