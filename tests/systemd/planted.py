"""What a user who wants to be root leaves on a host: modules named like Python's and ours, where that user may write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.systemd.deployed import Host

RAN = "/var/tmp/ran-as-root"
# Whose, and where: each is the working directory or the home of something that root starts.
PLACES = {
    "vrsoft": ["/home/vrsoft"],
    "vllm": ["/var/lib/vllm", "/var/cache/vllm"],
    "backend": ["/var/lib/backend"],
    "nobody": ["/tmp", "/var/tmp"],
}
# It tells when root runs it. Everyone else gets the module that is meant, for vLLM itself is no matter here.
MODULE = f"""
import os, sys
if os.geteuid() == 0:
    with open("{RAN}", "a") as file:
        file.write(f"{{__name__}} {{os.getcwd()}} {{sys.argv}}\\n")
here = os.path.dirname(__file__).removesuffix("/python_checks")
sys.path[:] = [path for path in sys.path if os.path.abspath(path or os.getcwd()) != here]
del sys.modules[__name__]
__import__(__name__)
"""
PLANT = """
import pathlib, sys
text = sys.stdin.read()
names = [*sys.stdlib_module_names, "usercustomize", "sitecustomize", "ansible", "yaml", "requests", "rich"]
for place in map(pathlib.Path, sys.argv[2:]):
    files = [place / f"{name}.py" for name in names] + [place / "python_checks/__init__.py", place / "python_checks/__main__.py"]
    for file in files:
        if sys.argv[1] == "plant":
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        else:
            file.unlink(missing_ok=True)
    if sys.argv[1] != "plant" and (place / "python_checks").exists():
        import shutil
        shutil.rmtree(place / "python_checks")
"""


def _all(host: Host, what: str) -> None:
    for user, places in PLACES.items():
        script = f"cat >/run/plant.py <<'E'\n{PLANT}\nE\nrunuser -u {user} -- python3 -I /run/plant.py {what} {' '.join(places)}"
        host.told(f"{script} <<'E'\n{MODULE}\nE")


@contextmanager
def planted(host: Host) -> Iterator[None]:
    """Plant them, and take them away in the end."""
    host.told(f"rm -f {RAN}")
    _all(host, "plant")
    try:
        # It does show: this is what root did before.
        host.told("cd /var/lib/vllm && python3 -c 'import colorsys'")
        assert ran(host).startswith("colorsys /var/lib/vllm"), "what is planted does not run"
        host.told(f"rm {RAN}")
        yield
    finally:
        _all(host, "remove")
        host.told(f"rm -f {RAN} /run/plant.py")


def ran(host: Host) -> str:
    """Return what root ran of it."""
    return host.ssh(f"cat {RAN}").stdout
