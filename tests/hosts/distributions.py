"""The distributions of the guests, and where each root file system comes from."""

from __future__ import annotations

from typing import NamedTuple


class Distribution(NamedTuple):
    """What a root file system is made of.

    Attributes:
        vendor: ``ID`` of its os-release, whose archive it comes from.
        release: the suite of that archive.
        python: version of its ``python3``.
    """

    vendor: str
    release: str
    python: str


class Vendor(NamedTuple):
    """What is alike in all releases of a vendor: parts of its archive, and what a merged /usr needs."""

    components: tuple[str, ...]
    packages: str = ""
    options: tuple[str, ...] = ()


VENDORS = {
    # Without the package usrmerge comes, and perl with it.
    "debian": Vendor(("main",), " usr-is-merged", ("--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",)),
    # Its base-files merges by itself, and python3-venv is in universe.
    "ubuntu": Vendor(("main", "universe")),
}
DISTRIBUTIONS = {
    "debian-12": Distribution("debian", "bookworm", "3.11"),
    "debian-13": Distribution("debian", "trixie", "3.13"),
    "ubuntu-24.04": Distribution("ubuntu", "noble", "3.12"),
}
DEFAULT = "debian-12"
