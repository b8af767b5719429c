"""Signs of a host for the tests of the doctor: recorded facts of its manager, and all else well."""

from pathlib import Path
from typing import Any

from python_checks import diagnosis, services, surroundings
from python_checks.finding import Finding
from python_checks.last_words import LastWords
from python_checks.result import Result, State
from python_checks.signs import Signs

FACTS = Path(__file__).parent / "facts"


def signs(name: str = "supervisor_running", **changes: Any) -> Signs:
    """Return the signs of a recorded host on which all else is well."""
    known = services.load((FACTS / f"{name}.json").read_text(encoding="utf-8"))
    given: dict[str, Any] = {
        "services": known,
        "refused": {each: "" if service.pid else "it does not run" for each, service in known.items()},
        "logs": dict.fromkeys(known, LastWords()),
        "disks": [surroundings.Disk(("/opt/vllm",), 2**36, 2**37)],
        "results": [Result("health", State.OK, "/health says 200")],
        "lacks": [],
        "strangers": [],
        "bound": {each: [service.host] for each, service in known.items() if service.pid},
        "now": known["vllm"].since + 60,
    }
    return Signs(**(given | changes))


def one(found: Signs) -> Finding:
    [finding] = diagnosis.findings(found)
    return finding
