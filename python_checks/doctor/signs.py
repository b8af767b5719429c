"""All that the doctor saw, before anything is judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from python_checks.core.result import Fault, Line, Result
from python_checks.doctor.firewall import Wall
from python_checks.doctor.places import Place
from python_checks.doctor.stuck import Stuck
from python_checks.gpu.arithmetic import Budget
from python_checks.host.disks import Disk
from python_checks.incident.kept import Incident
from python_checks.service.condition import Condition, condition
from python_checks.service.facts import Service
from python_checks.service.last_words import LastWords
from python_checks.service.marks import Traces


@dataclass(frozen=True)
class Engine:
    """What explains a vLLM.

    Attributes:
        command: The words it runs with, or would be started with; `environment` that of its process.
        version: Its own; `model_type` its model's.
        lacks: What of a compiler is not there.
        budget: Memory of its GPUs, where a start ended over it.
    """

    command: Sequence[str] = ()
    version: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    model_type: str = ""
    lacks: Sequence[str] = ()
    budget: Budget | None = None


@dataclass(frozen=True)
class Signs:
    """What was seen, by the name of the service where it is about one.

    Attributes:
        services: What the manager knows; `refused` why one did not answer, `logs` how its log ends.
        disks: The file systems that vllm-deploy uses; `places` the directories on them that a service writes to.
        results: Of the checks that could be run.
        engines: What explains each vLLM.
        strangers: Engines of nobody.
        bound: Addresses on which a service listens at its port; `walls` what keeps other hosts from it.
        programs: What is wrong with the file that a service is started by.
        stuck: Processes that do not run; `incidents` what was kept of the last day's latest hang.
        watch: What the canary and the deep probe found last; `traces` those of deploys.
        now: In seconds since the epoch.
    """

    services: Mapping[str, Service]
    refused: Mapping[str, str]
    logs: Mapping[str, LastWords]
    disks: Sequence[Disk]
    results: Sequence[Result]
    strangers: Sequence[Fault]
    bound: Mapping[str, Sequence[str]]
    now: float
    walls: Mapping[str, Wall] = field(default_factory=dict)
    places: Mapping[str, Sequence[Place]] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)
    stuck: Mapping[str, Sequence[Stuck]] = field(default_factory=dict)
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    engines: Mapping[str, Engine] = field(default_factory=dict)
    watch: Sequence[Line] = ()
    traces: Traces = field(default_factory=Traces)

    def budget(self, name: str) -> Budget | None:
        """Return the memory of a service's GPUs, where a start ended over it."""
        return self.engines[name].budget if name in self.engines else None

    def condition(self, name: str) -> Condition:
        """Return how a service is."""
        return condition(self.services[name], self.refused[name], self.logs[name], self.now)
