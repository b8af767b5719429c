"""A short id of what files and folders hold."""

from __future__ import annotations

import hashlib
from pathlib import Path


def content_id(paths: list[Path]) -> str:
    """Return 12 hex digits over the relative names and bytes of all files below ``paths``; bytecode does not count.

    Raises:
        FileNotFoundError: there is no file at one of them.
    """
    digest = hashlib.sha256()
    for top in paths:
        files = (
            [top]
            if top.is_file()
            else sorted(p for p in top.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
        )
        if not files:
            raise FileNotFoundError(f"there is no file at {top}")
        for path in files:
            data = path.read_bytes()
            digest.update(f"{path.relative_to(top)} {len(data)}\n".encode() + data)
    return digest.hexdigest()[:12]
