"""An exchange as http.py makes it, without `requests`: to load that costs more than all else of a run each minute."""

import json
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from python_checks.api.http import Pending, pieces, reply


class Light(Pending):
    """A request under way; it asks no proxy, follows no redirect and asks for no packing either."""

    def _work(self, method: str, body: Any, *_: object) -> None:
        place = urlsplit(self.url)
        kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
        try:
            with closing(kind(place.hostname or "", place.port, timeout=self.timeout)) as connection:
                raw = None if body is None else json.dumps(body).encode()
                connection.request(method, place.path, raw, {"Content-Type": "application/json"} | self.key)
                response = connection.getresponse()
                text = b"".join(pieces(response.read1, response.headers, self.deadline))
                self._reply = reply(response.status, text)
        except Exception as error:  # handed over to the thread that waits
            self._error = error
