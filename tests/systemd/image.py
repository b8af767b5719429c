#!/usr/bin/env python3
"""The image that test hosts boot from: a host with vLLM and the nano model, prepared from the offline bundle by our own roles.

    python tests/systemd/image.py    make it in .tox/images, unless it is there, and print its path

It is anew when a lock, the model's recipe or the root file system of the hosts is another one. What else a deploy needs, the deploy brings.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "ansible/plugins/module_utils"))
from content import content_id  # Ansible keeps plugins out of packages

REPOSITORY = Path(__file__).resolve().parents[2]
IMAGES, BUNDLE = REPOSITORY / ".tox/images", REPOSITORY / ".tox/bundle"
BUILDER = REPOSITORY / ".tox/hosts/image"
INVENTORY = REPOSITORY / "tests/systemd/inventory"
HOSTS = REPOSITORY / "tests/hosts/hosts.py"
PYTHON = "3.11"  # that of the root file system
INGREDIENTS = ("locks", "examples/nano_model", "examples/backend/src/data", "tests/hosts/root.py")


def run(seconds: float, title: str, *command: str | Path) -> None:
    """Run a command, its output on standard error, and say how long it took."""
    started = time.monotonic()
    subprocess.run(
        command,
        cwd=REPOSITORY,
        env=os.environ | {"HOSTS_DIRECTORY": str(BUILDER)},
        stdout=sys.stderr,
        timeout=seconds,
        check=True,
    )
    print(f"image: {title}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def playbook(seconds: float, title: str, *arguments: str | Path) -> None:
    """Run a playbook against the builder."""
    program = Path(sys.executable).with_name("ansible-playbook")
    run(seconds, title, program, "-i", INVENTORY, "-i", BUILDER / "hosts.yml", *arguments)


def hosts(*arguments: str | Path) -> None:
    """Run a subcommand of hosts.py."""
    run(3600, f"hosts.py {arguments[0]}", sys.executable, HOSTS, *arguments)


def clear(images: Path) -> None:
    """Remove old images, which are gigabytes and of no use: out of the way first, for on a busy machine the rest takes minutes."""
    leaving = images.with_name("images.leaving")
    leaving.mkdir(parents=True, exist_ok=True)
    if images.exists():
        images.rename(leaving / str(time.time_ns()))
    subprocess.run(["rm", "-rf", "--one-file-system", leaving], timeout=1800, check=True)


def main() -> None:
    """Make the image if need be."""
    if os.geteuid():
        print("image: left out, for test hosts need root", file=sys.stderr)
        return
    image = IMAGES / content_id([REPOSITORY / name for name in INGREDIENTS])
    if not image.exists():
        clear(IMAGES)
        hosts("install")
        hosts("up", "alpha")
        try:
            playbook(
                3600,
                "bundle",
                "ansible/bundle.yml",
                *("-e", f"bundle_directory={BUNDLE} bundle_python={PYTHON}"),
            )
            # Nothing is started there, so it may be made while another vLLM holds the memory.
            playbook(3600, "vLLM and the model", "tests/systemd/prepare.yml", "-e", "vllm_memory_gib=1")
            hosts("save", "alpha", image)
        finally:
            hosts("down")
    print(image)


if __name__ == "__main__":
    main()
