"""The proof by kill -9: ``python -m tests.faults.soak --kills 1000 --setup both``.

Clients write, change and delete documents while processes are killed and paused at random moments. Every so often all
is left to finish, everything is killed once more, and acknowledgements, catalog, points and searches are compared.
The exit status is 1 if a single promise was broken; the evidence is kept then.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.faults.audit import Repeats, Violation, examine, repeats, unanswered
from tests.faults.editors import CHUNK_TOKENS, COLLECTION, Client, Editor, Journal, Reader, Walker
from tests.faults.houses import HOUSES, House
from tests.faults.processes import NotReached, polls

ROUND_KILLS: Final = 100  # kills of one house, then a new one is built
CHECK_KILLS: Final = 50
BACKLOG_SECONDS: Final = 60.0


@dataclass
class Report:
    """What a soak has done and found."""

    fates: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    unacknowledged: int = 0
    answers: int = 0
    checks: int = 0
    violations: list[Violation] = field(default_factory=list)
    repeats: Repeats = field(default_factory=lambda: Repeats(0, 0, 0))
    seconds: float = 0.0

    @property
    def kills(self) -> int:
        """Processes that were killed; pauses are no kills."""
        return sum(number for fate, number in self.fates.items() if fate not in ("pause", "nothing"))

    def add(self, other: Report) -> None:
        """Take in the report of another round."""
        mine, theirs = self.repeats, other.repeats
        self.fates += other.fates
        self.acknowledged += other.acknowledged
        self.unacknowledged += other.unacknowledged
        self.answers += other.answers
        self.checks += other.checks
        self.violations += other.violations
        self.seconds += other.seconds
        self.repeats = Repeats(
            mine.chunks + theirs.chunks, mine.repeated + theirs.repeated, max(mine.worst, theirs.worst)
        )

    def table(self) -> str:
        """As lines of text."""
        rows = {
            "kills": f"{self.kills}: " + ", ".join(f"{number} {fate}" for fate, number in self.fates.most_common()),
            "acknowledged changes": self.acknowledged,
            "changes without an answer": self.unacknowledged,
            "searches meanwhile": self.answers,
            "comparisons": self.checks,
            "chunks embedded": self.repeats.chunks,
            "embedded again": f"{self.repeats.repeated}, {self.repeats.worst} at most after one kill",
            "seconds": f"{self.seconds:.0f}",
            "violations": len(self.violations),
        }
        return "\n".join(f"  {name:<26} {value}" for name, value in rows.items())


class Soak:
    """One house, its clients, and what befalls them."""

    def __init__(self, house: House, folder: Path, seed: int, *, editors: int = 3, documents: int = 16) -> None:
        self._house = house
        self._folder = folder
        self._chance = random.Random(f"{seed}-fate")
        self._journal = Journal(folder)
        self._reader = Reader(house.port, self._journal, seed)
        self._walkers: list[Walker] = [
            self._reader,
            *(Editor(n, house.port, self._journal, seed, documents=documents) for n in range(editors)),
        ]
        self._faults: list[float] = []
        self.report = Report()

    def run(self, kills: int, *, check_kills: int = CHECK_KILLS) -> Report:
        """Go on until so many processes were killed and everything was compared, or a promise was broken."""
        begun = time.monotonic()
        self._house.start()
        status, answer = Client(self._house.port).call(
            "PUT", f"/v1/collections/{COLLECTION}", {"chunking": {"max_tokens": CHUNK_TOKENS, "overlap": 0}}
        )
        assert status == 201, answer
        for walker in self._walkers:
            walker.start()
        try:
            while self.report.kills < kills and not self.report.violations:
                self._rage(min(kills, self.report.kills + check_kills))
                self._compare()
        except NotReached as error:
            self.report.violations.append(Violation("unfinished", "all", str(error)))
        finally:
            for walker in self._walkers:
                walker.end()
            self._journal.close()
            self._sum_up(time.monotonic() - begun)
        return self.report

    def _rage(self, kills: int) -> None:
        for walker in self._walkers:
            walker.go()
        while self.report.kills < kills:
            time.sleep(self._chance.uniform(0.0, 0.3))
            fate = self._house.befall(self._chance)
            self._faults.append(time.monotonic())
            self.report.fates[fate] += 1

    def _compare(self) -> None:
        for walker in self._walkers:
            walker.rest()
        self._house.start()
        self._finish()
        self._house.kill()
        self._faults.append(time.monotonic())
        possible = self._journal.possible()
        found, stored = asyncio.run(examine(self._house.settings, possible))
        self._house.start()
        found += unanswered(Client(self._house.port), sorted(possible), stored)
        found += [Violation("refused", "seen by a client", what) for what in self._journal.seen]
        self.report.violations += found
        self.report.checks += 1

    def _finish(self) -> None:
        """Wait until nothing is left to do."""
        client = Client(self._house.port)
        for _ in polls("the backlog is empty", BACKLOG_SECONDS):
            try:
                status, answer = client.call("GET", f"/v1/collections/{COLLECTION}")
            except OSError:
                continue
            if status == 200 and not answer["counts"]["pending"] and not answer["counts"]["deleting"]:
                return

    def _sum_up(self, seconds: float) -> None:
        report, journal = self.report, self._journal
        report.seconds = seconds
        report.acknowledged = len(journal.acknowledged)
        report.unacknowledged = len(journal.operations) - len(journal.acknowledged) - len(journal.void)
        report.answers = self._reader.answers
        embeddings = self._folder / "embeddings.log"
        if embeddings.exists():
            report.repeats = repeats(embeddings, self._faults)


def soak(setup: str, *, kills: int, seed: int, folder: Path, round_kills: int = ROUND_KILLS) -> Report:
    """Build houses of one kind and burn them down until so many processes were killed, or a promise was broken."""
    total = Report()
    while total.kills < kills and not total.violations:
        home = folder / f"{setup}-{total.kills}"
        home.mkdir(parents=True)
        house = HOUSES[setup](home)
        try:
            left = min(round_kills, kills - total.kills)
            total.add(Soak(house, home, seed + total.kills).run(left))
        finally:
            house.close()
        if not total.violations:
            shutil.rmtree(home, ignore_errors=True)
        print(f"{setup}: {total.kills} of {kills} kills, {total.acknowledged} acknowledged", file=sys.stderr)
    return total


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="processes to kill in all (default: 1000)")
    parser.add_argument("--setup", choices=[*HOUSES, "both"], default="both")
    parser.add_argument("--seed", type=int, default=1, help="what befalls whom in which order; moments differ")
    asked = parser.parse_args()
    setups = list(HOUSES) if asked.setup == "both" else [asked.setup]
    folder = Path(tempfile.mkdtemp(prefix="winnow-soak-"))
    broken = False
    for setup in setups:
        report = soak(setup, kills=-(-asked.kills // len(setups)), seed=asked.seed, folder=folder)
        print(f"{setup}, seed {asked.seed}\n{report.table()}")
        for violation in report.violations:
            print(f"  {violation}")
        broken = broken or bool(report.violations)
    if broken:
        print(f"evidence: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
