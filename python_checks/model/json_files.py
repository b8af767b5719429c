"""The small files of a model: JSON, read whole, or a large one by its two ends."""

import json
from pathlib import Path
from typing import Any

from python_checks.core import regular_file
from python_checks.core.result import Fault
from python_checks.core.say import say
from python_checks.model.unreadable import COPY

END = 64  # bytes


def load(path: Path, faults: list[Fault]) -> Any:
    """Return the JSON in `path`, or None after noting why not."""
    try:
        return json.loads(regular_file.content(path))
    except FileNotFoundError:
        faults.append(Fault(say("{name} is missing", name=path.name), COPY))
    except (ValueError, RecursionError) as error:
        faults.append(Fault(say("{name} is no valid JSON: {error}", name=path.name, error=error), COPY))
    except OSError as error:
        if error.errno not in regular_file.OTHER:
            raise
        faults.append(Fault(say("{name} is no regular file, or too large", name=path.name), COPY))
    return None


def ends(path: Path, faults: list[Fault]) -> None:
    """Note that a file is missing, or is no JSON object by its first and its last character: most often it is cut."""
    try:
        with regular_file.opened(path) as file:
            first = file.read(END).lstrip()[:1]
            file.seek(max(0, path.stat().st_size - END))
            last = file.read().rstrip()[-1:]
    except FileNotFoundError:
        faults.append(Fault(say("{name} is missing", name=path.name), COPY))
    except OSError as error:
        if error.errno not in regular_file.OTHER:
            raise
        faults.append(Fault(say("{name} is no regular file, or too large", name=path.name), COPY))
    else:
        if (first, last) != (b"{", b"}"):
            faults.append(
                Fault(say("{name} is no valid JSON: it does not end as it begins", name=path.name), COPY)
            )
