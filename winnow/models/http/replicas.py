"""The addresses that serve one model: a call goes where the least work is under way, and sick ones are left out.

A passive circuit breaker for each address, as the outlier detection of proxies such as Envoy has it: an address whose
call failed gets no more for a while, twice as long with every failure in a row. Then one call tries it, and its answer
closes the circuit. If all are sick, calls go on all the same, to the one that is due first: with nowhere else to go,
holding back would only lengthen the outage.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from winnow.core.errors import UpstreamUnavailable
from winnow.core.retry import Clock

_FIRST_REST: Final = 0.5  # seconds
_LONGEST_REST: Final = 30.0
_SILENCE: Final = 1.0  # seconds without any answer from an address, after which a caller's leaving is held against it


@dataclass(slots=True, eq=False)
class Replica:
    """One address.

    Attributes:
        url: as it is configured.
        work: bytes of the requests under way.
        failures: in a row; 0: it is well.
        due: when a sick one is tried again, by the clock.
        complaint: the last failure, as a message.
        chosen: the number of the last call that it got.
        answered: when it last answered.
    """

    url: str
    work: int = 0
    failures: int = 0
    due: float = 0.0
    complaint: str = ""
    chosen: int = 0
    answered: float = 0.0


class Replicas:
    """Chooses the address of each call.

    Args:
        urls: one at least. A single one is never left out.
        clock: in seconds, monotonic.
    """

    def __init__(self, urls: Sequence[str], clock: Clock = time.monotonic) -> None:
        self._replicas = [Replica(url) for url in urls]
        self._clock = clock
        self._calls = 0

    def __iter__(self) -> Iterator[Replica]:
        return iter(self._replicas)

    def __len__(self) -> int:
        return len(self._replicas)

    @property
    def well(self) -> int:
        """The number of addresses that get calls now; 1 if all are sick."""
        return sum(not replica.failures for replica in self._replicas) or 1

    def choose(self, tried: Collection[Replica] = ()) -> Replica | None:
        """The address for a call that failed at those ``tried``; ``None`` if there is no other to try at once.

        A sick one whose time has come is chosen for one call.
        """
        if len(self._replicas) == 1:
            return None if tried else self._replicas[0]
        now = self._clock()
        found = self._due(now) if not tried else None
        if found is None:
            well = [each for each in self._replicas if not each.failures and each not in tried]
            found = min(well, key=lambda each: (each.work, each.chosen), default=None)
        if found is None and not tried:
            found = min(self._replicas, key=lambda each: each.due)
        if found is not None:
            self._calls += 1
            found.chosen = self._calls
            if found.failures:
                found.due = now + _rest(found.failures)  # meanwhile nothing else tries it
        return found

    @contextmanager
    def calling(self, replica: Replica, work: int) -> Iterator[None]:
        """Count a call's ``work`` while it is under way, and learn from how it ends.

        Any answer, a refusal too, shows that the address is well; ``UpstreamUnavailable`` that it is not.
        """
        replica.work += work
        began = self._clock()
        try:
            yield
        except UpstreamUnavailable as error:
            self._failed(replica, error.message)
            raise
        except Exception:
            self._answered(replica)
            raise
        except BaseException:  # the caller left
            silent = self._clock() - max(began, replica.answered)
            if silent >= _SILENCE:
                self._failed(replica, f"{replica.url} did not answer for {silent:.1f} s")
            raise
        else:
            self._answered(replica)
        finally:
            replica.work -= work

    @property
    def complaints(self) -> str:
        """The last failures of all addresses, in a line; empty unless there are several and all are sick."""
        if len(self._replicas) == 1 or not all(replica.failures for replica in self._replicas):
            return ""
        return "; ".join(replica.complaint for replica in self._replicas)

    def _due(self, now: float) -> Replica | None:
        """A sick address whose time has come, unless all are sick."""
        if all(replica.failures for replica in self._replicas):
            return None
        return next((each for each in self._replicas if each.failures and each.due <= now), None)

    def _failed(self, replica: Replica, complaint: str) -> None:
        replica.failures += 1
        replica.complaint = complaint
        replica.due = self._clock() + _rest(replica.failures)

    def _answered(self, replica: Replica) -> None:
        replica.failures = 0
        replica.answered = self._clock()


def _rest(failures: int) -> float:
    """Seconds for which an address is left out; spread, so that not all processes come back at one moment."""
    longest = min(_LONGEST_REST, _FIRST_REST * 2.0 ** min(failures - 1, 10))
    return longest * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
