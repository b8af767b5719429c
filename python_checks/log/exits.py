"""What an exit code or a signal says of the end of a process."""

import re

ASKED = (15, -15, 143, 2, -2, 130)  # SIGTERM and SIGINT: somebody ended it
NAMES = {"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "BUS": 7, "FPE": 8, "KILL": 9}
NAMES |= {"USR1": 10, "SEGV": 11, "USR2": 12, "PIPE": 13, "TERM": 15, "XCPU": 24, "XFSZ": 25, "SYS": 31}
_CODE = re.compile(
    r"(?:exit(?:ed with)? ?(?:code|status):?|'[\w-]+':|by signal|returned non-zero exit status|exited with) (-?\d+)"
)
_SIGNAL = re.compile(
    r"(?:killed by|terminated by|by signal|died with <Signals\.|status=\d+/) ?(?:SIG)?([A-Z]{3,4}\d?)\b"
)


def code(words: str) -> int:
    """Return the exit code in words such as `exit code: -9` or `terminated by SIGKILL`, 0 when there is none; signals are below 0."""
    found = _CODE.search(words)
    if found:
        return int(found[1])
    named = _SIGNAL.search(words)
    return -NAMES.get(named[1], 0) if named else 0


def of_signal(number: int) -> int:
    """Return the signal of an exit code, as Python (-9) and the shell (137) have it; 0 when it is none."""
    return -number if -64 < number < 0 else number - 128 if 128 < number < 160 else 0
