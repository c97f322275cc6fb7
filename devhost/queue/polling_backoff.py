"""How long a queue trigger waits between polls: randomised exponential back-off."""

import random
from collections.abc import Callable
from datetime import timedelta

SHORTEST_WAIT = timedelta(milliseconds=100)
_SPREAD = 0.2


class PollingBackoff:
    """100 ms at first, then longer and longer up to `longest`; a message found begins anew.

    The wait after the n-th poll in vain is 100 ms + 2^(n-2) x 100 ms, the second part varied by a fifth
    either way, so that many hosts do not ask at the same moments.
    """

    def __init__(
        self,
        longest: timedelta,
        *,
        chance: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._longest, self._chance = longest, chance
        self._exponent = 0
        self._at_longest = False

    def reset(self) -> None:
        """A message came: the next wait is the shortest."""
        self._exponent = 0
        self._at_longest = False

    def next_wait(self) -> timedelta:
        """How long to wait after one more poll that found nothing or failed."""
        if not self._at_longest:
            wait = SHORTEST_WAIT
            if self._exponent > 0:
                growth = self._chance(1 - _SPREAD, 1 + _SPREAD) * 2.0 ** (self._exponent - 1)
                wait += growth * SHORTEST_WAIT
            if wait < self._longest:
                self._exponent += 1
                return wait
            self._at_longest = True  # from here on it stays there
        return self._longest
