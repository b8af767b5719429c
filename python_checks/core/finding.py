"""What the doctor says of one thing that is wrong."""

from dataclasses import dataclass

from python_checks.core.result import State


@dataclass(frozen=True)
class Finding:
    """Symptom, evidence, cause and remedy; what is not known is empty."""

    state: State
    symptom: str
    evidence: str = ""
    cause: str = ""
    remedy: str = ""
