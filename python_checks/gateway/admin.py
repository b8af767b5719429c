"""HAProxy's admin socket: one command a connection, its answer bounded."""

import socket
from contextlib import closing
from pathlib import Path

from python_checks.core.result import CheckError, Fault, State

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
                    raise _silent(path, "answers without an end")
        except (FileNotFoundError, ConnectionRefusedError):
            raise
        except OSError as error:
            raise _silent(path, f"gives no answer ({error})") from error
    return answer.decode("utf-8", "replace").strip()


def _silent(path: Path, why: str) -> CheckError:
    remedy = "see its log, and systemctl status gateway; ask as root"
    return CheckError(Fault(f"the gateway's socket {path} {why}", remedy, State.UNKNOWN))
