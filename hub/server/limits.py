"""How often one may ask: requests of an account in five minutes, and attempts at a secret (protocol, section 1.1).

The counters are a cache of this process and nothing else is derived from them: after a restart, and in each of several
processes, everybody starts at zero.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from medhub.server.errors import Refusal, TooManyRequests

ATTEMPTS = 10
"""How often somebody at one address may be wrong about the secret of one name in five minutes."""


class Window:
    """Counts by key in a fixed window of time. What goes beyond `quota` is refused until the window ends.

    Of more than `keys` keys in one window the oldest are forgotten, so that memory is bounded whoever calls.
    """

    def __init__(self, quota: int, *, seconds: float = 300, keys: int = 100_000) -> None:
        self._quota, self._seconds, self._keys = quota, seconds, keys
        self._counts: dict[str, int] = {}
        self._end = time.monotonic() + seconds
        self._turn = threading.Lock()

    def count(self, key: str) -> None:
        """Count one more. Raises TooManyRequests, counting nothing, where the quota is used up."""
        with self._turn:
            if (now := time.monotonic()) >= self._end:
                self._counts, self._end = {}, now + self._seconds
            count = self._counts.get(key, 0)
            if count >= self._quota:
                raise self._refusal(self._end - now)
            if not count and len(self._counts) >= self._keys:
                del self._counts[next(iter(self._counts))]
            self._counts[key] = count + 1

    def uncount(self, key: str) -> None:
        """Take one back."""
        with self._turn:
            if self._counts.get(key):
                self._counts[key] -= 1

    def _refusal(self, left: float) -> TooManyRequests:
        wait = math.ceil(left)
        return TooManyRequests(
            f"more than {self._quota} in {self._seconds:g} seconds; go on in {wait} seconds",
            headers={
                "Retry-After": f"{wait}",
                "RateLimit": f'"api";r=0;t={wait}',
                "RateLimit-Policy": f'"fixed window";"api";q={self._quota};w={math.ceil(self._seconds)}',
            },
        )


class Limits:
    """What a Hub counts: `requests` of each account, or each address of strangers, and failed attempts at secrets."""

    def __init__(self, requests: int) -> None:
        self.requests = Window(requests)
        self._failures = Window(ATTEMPTS)

    @contextmanager
    def attempt(self, name: str, address: str) -> Iterator[None]:
        """A `with` block that tries what can be guessed, a password or a code, in the name of somebody at an address.

        A Refusal that leaves the block is a failure; after ATTEMPTS of them it is not run. Raises TooManyRequests.
        """
        key = _key(name, address)
        self._failures.count(key)  # before the try, so that many at once are no way around
        try:
            yield
        except Refusal:
            raise
        except BaseException:
            self._failures.uncount(key)
            raise
        self._failures.uncount(key)

    def fail(self, name: str, address: str) -> None:
        """Count a wrong token. Raises TooManyRequests after ATTEMPTS of them; tokens that are right are never held up,
        for they cannot be guessed, and a whole clinic may call from one address."""
        self._failures.count(_key(name, address))


def _key(name: str, address: str) -> str:
    return f"{name[:96].lower()} {address}"
