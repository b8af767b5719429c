"""What a fault leaves over on a host: processes beside the unit's, shared memory, temporary files."""

from __future__ import annotations

import re
from collections import Counter

from tests.systemd.deployed import Host

PLACES = "/dev/shm /tmp /var/tmp"
# Names that are another at each start: systemd's private directories; what lies in them, and in shared memory, is counted.
PRIVATE = re.compile(r"systemd-private-[0-9a-f]+-([\w.@-]+\.service)-\w{6}(/.*)?$")


def strays(host: Host) -> list[str]:
    """Return the processes of vLLM that do not belong to the unit."""
    ours = host.processes()
    lines = [line.split(maxsplit=1) for line in host.told("ps -ww -eo pid=,args=").splitlines()]
    return [
        f"{pid} {args}"
        for pid, args in lines
        if (args.startswith("VLLM::") or " vllm.entrypoints" in args) and int(pid) not in ours
    ]


class Left:
    """Compares a host that serves with the same host after a fault, when it serves again."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.before = self._things()

    def _things(self) -> Counter[str]:
        """Count what lies about."""
        files = self.host.told(f"find {PLACES} -mindepth 1 ! -path '*-canary.service-*'").splitlines()
        things = Counter(PRIVATE.sub(r"private directory of \1", file) for file in files)
        things["the service's /dev/shm"] = len(self.host.shared_memory())
        return things

    def words(self) -> str:
        """Say what there is more than before; "nothing" is what should be."""
        added = [f"{count} in {name}" for name, count in sorted((self._things() - self.before).items())]
        return "; ".join([*strays(self.host), *added]) or "nothing"
