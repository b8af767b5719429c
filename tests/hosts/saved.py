"""Saved hosts: what a host changed, kept as a layer over the root file system, from which others boot."""

from __future__ import annotations

import subprocess
from pathlib import Path

import root
from waiting import HostsError

BELOW = "below"  # names the layers below the saved one


def layers(saved: Path | None, distribution: str) -> tuple[Path, ...]:
    """Return what lies below the own files of a new host of a distribution, the topmost first."""
    image = root.cached(distribution)
    if saved is None:
        return (image,)
    if not (saved / BELOW).exists():
        raise HostsError(f"no saved host is at {saved}")
    below = tuple(Path(line) for line in (saved / BELOW).read_text().splitlines())
    if below[-1] != image:
        raise HostsError(f"{saved} lies over {below[-1]}, and hosts boot from {image} now: save it anew")
    return (saved / "layer", *below)


def save(guest: Path, below: tuple[Path, ...], target: Path) -> None:
    """Move what a guest, which is off, has changed to ``target``."""
    if target.exists():
        raise HostsError(f"{target} exists")
    # Where layers cannot lie, all of its files are copies in root, which is a mount point otherwise and empty from here. (A file of the
    # root file system that it removed comes back in hosts that boot from such a copy.)
    source = next(path for path in (guest / "root", guest / "changes") if any(path.iterdir()))
    unfinished = target.with_name(f"{target.name}.partial")
    subprocess.run(["rm", "-rf", "--one-file-system", unfinished], timeout=120, check=True)
    unfinished.mkdir(parents=True)
    subprocess.run(["mv", source, unfinished / "layer"], timeout=600, check=True)
    (unfinished / BELOW).write_text("".join(f"{path}\n" for path in below))
    unfinished.rename(target)
