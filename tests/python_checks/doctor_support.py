"""Signs of a host for the tests of the doctor: recorded facts of its manager, and all else well."""

import json
import os
import time
from pathlib import Path
from typing import Any

from python_checks.core.finding import Finding
from python_checks.core.result import Result, State
from python_checks.doctor import diagnosis
from python_checks.doctor.signs import Engine, Signs
from python_checks.host.disks import Disk
from python_checks.service import marks
from python_checks.service.facts import Service
from python_checks.service.last_words import LastWords

FACTS = Path(__file__).parent / "facts"


def known(name: str) -> dict[str, Service]:
    """Return the recorded facts of a host's manager, those of vLLM first."""
    given = json.loads((FACTS / f"{name}.json").read_text(encoding="utf-8"))["services"]
    kinds = {"vllm": "chat", "backend": "backend"}
    return {each: Service(each, kind, **given[each]) for each, kind in kinds.items()}


def signs(name: str = "supervisor_running", **changes: Any) -> Signs:
    """Return the signs of a recorded host on which all else is well."""
    services = known(name)
    explained = {key: changes.pop(key) for key in Engine.__dataclass_fields__ if key in changes}
    given: dict[str, Any] = {
        "services": services,
        "refused": {each: "" if service.pid else "it does not run" for each, service in services.items()},
        "logs": dict.fromkeys(services, LastWords()),
        "disks": [Disk(("/opt/vllm",), 2**36, 2**37)],
        "results": [Result("health", State.OK, "/health says 200")],
        "strangers": [],
        "bound": {each: [service.host] for each, service in services.items() if service.pid},
        "engines": {"vllm": Engine(**explained)},
        "now": services["vllm"].since + 60,
    }
    return Signs(**(given | changes))


def one(found: Signs) -> Finding:
    [finding] = diagnosis.findings(found)
    return finding


def deployed(home: Path, age: float | None = None, tried: float | None = None, **lock: Any) -> marks.Traces:
    """Return the traces of a host whose vLLM has release 1-b activated and 1-a proven.

    Args:
        home: Where they are kept.
        age: Seconds since the deploy that holds the lock gave a sign of life; without one there is no lock.
        tried: Seconds since 1-b was activated; without one no run noted it.
        lock: What the lock says besides.
    """
    folder = home / "releases/vllm"
    for release in ("1-a", "1-b"):
        (folder / release).mkdir(parents=True)
    (folder / "1-a/.good").touch()
    (folder / "current").symlink_to("1-b")
    if tried is not None:
        (folder / "trial").write_text(json.dumps({"release": "1-b", "since": time.time() - tried}))
    if age is not None:
        since = {"user": "kim", "host": "desk", "since": time.time() - 600}
        (home / "deploy.lock").write_text(json.dumps(since | lock))
        os.utime(home / "deploy.lock", (time.time() - age,) * 2)
    return marks.traces(home)
