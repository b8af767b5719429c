"""Lookup ``content_id``: a short id of what files and folders hold, so that a path can be named by its content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError

from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: content_id
author: vllm-deploy
short_description: 12 hex digits of the SHA-256 over files and folders of the controller
description: Bytecode (C(__pycache__)) does not count; names inside a folder do.
options:
  _terms:
    description: Paths of files or folders, together one id.
    required: true
"""


def content_id(paths: list[Path]) -> str:
    """Return 12 hex digits over the relative names and bytes of all files below ``paths``."""
    digest = hashlib.sha256()
    for top in paths:
        files = (
            [top]
            if top.is_file()
            else sorted(p for p in top.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
        )
        if not files:
            raise AnsibleLookupError(f"content_id: there is no file at {top}")
        for path in files:
            data = path.read_bytes()
            digest.update(f"{path.relative_to(top)} {len(data)}\n".encode() + data)
    return digest.hexdigest()[:12]


class LookupModule(LookupBase):
    """Ansible's entry to ``content_id``."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return one id for all ``terms`` together."""
        return [content_id([Path(term) for term in terms])]
