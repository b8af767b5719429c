"""What a certificate says of itself."""

import re
import ssl

from python_checks.core import command
from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import say

WAIT = 10.0  # seconds for openssl


def end(pem: str) -> float:
    """Return when the first certificate of a text in PEM ends, in seconds since the epoch.

    Raises:
        CheckError: openssl does not say.
    """
    try:
        said = command.run(["openssl", "x509", "-noout", "-enddate"], WAIT, pem).text
    except OSError as error:  # it is not there, or gives no answer
        said = str(error)
    found = re.search(r"notAfter=(.+)", said)
    if not found:
        reason = say("openssl does not say when the certificate ends: {said}", said=said[:200])
        raise CheckError(Fault(reason, say("is it one, in PEM?"), State.UNKNOWN))
    return ssl.cert_time_to_seconds(found[1])
