"""Lookup ``cpu_groups``: the cores that this process may use, shared out over tensor-parallel ranks."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: cpu_groups
author: vllm-deploy
short_description: A value for VLLM_CPU_OMP_THREADS_BIND, such as C(0|1), from the controller's affinity mask
description: For hosts reached with the local connection. With fewer cores than ranks, ranks share cores.
options:
  _terms:
    description: The number of ranks.
    required: true
"""


def cpu_groups(cores: list[int], ranks: int) -> str:
    """Return the cores of each rank joined by commas, the ranks joined by ``|``."""
    share = max(1, len(cores) // ranks)
    starts = [(rank * share) % len(cores) for rank in range(ranks)]
    return "|".join(",".join(str(core) for core in cores[start : start + share]) for start in starts)


class LookupModule(LookupBase):
    """Ansible's entry to ``cpu_groups``."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return one value for the number of ranks in ``terms``."""
        return [cpu_groups(sorted(os.sched_getaffinity(0)), int(terms[0]))]
