"""An exchange as http.py makes it, without `requests`: to load that costs more than all else of a run each minute."""

import json
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from python_checks.http import Pending, Reply, parse


class Light(Pending):
    """A request under way; it asks no proxy and follows no redirect either."""

    def _work(self, method: str, body: Any, *_: object) -> None:
        place = urlsplit(self.url)
        kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
        try:
            with closing(kind(place.hostname or "", place.port, timeout=self.timeout)) as connection:
                raw = None if body is None else json.dumps(body).encode()
                connection.request(method, place.path, raw, {"Content-Type": "application/json"} | self.key)
                response = connection.getresponse()
                text = response.read().decode("utf-8", "replace")
                self._reply = Reply(response.status, parse(text), text)
        except Exception as error:  # handed over to the thread that waits
            self._error = error
