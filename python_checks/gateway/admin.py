"""HAProxy's admin socket: one command a connection, its answer bounded."""

import socket
from contextlib import closing
from pathlib import Path

from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import Said, say

WAIT = 5.0  # seconds for an answer
LARGEST = 16 * 2**20  # bytes of one


def ask(path: Path, command: str) -> str:
    """Return the answer to a command.

    Raises:
        FileNotFoundError, ConnectionRefusedError: no gateway runs there.
        CheckError: it gives no answer, or no end of one.
    """
    with closing(socket.socket(socket.AF_UNIX)) as channel:
        channel.settimeout(WAIT)
        try:
            channel.connect(str(path))
            channel.sendall(f"{command}\n".encode())
            channel.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := channel.recv(65536):
                answer += piece
                if len(answer) > LARGEST:
                    raise _silent(say("the gateway's socket {path} answers without an end", path=path))
        except (FileNotFoundError, ConnectionRefusedError):
            raise
        except OSError as error:
            raise _silent(
                say("the gateway's socket {path} gives no answer: {error}", path=path, error=error)
            ) from error
    return answer.decode("utf-8", "replace").strip()


def _silent(reason: Said) -> CheckError:
    return CheckError(
        Fault(reason, say("see its log, and systemctl status gateway; ask as root"), State.UNKNOWN)
    )
