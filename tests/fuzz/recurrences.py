"""The differential fuzzer for recurrences, from the command line.

    python tests/fuzz/recurrences.py --seconds 600 --seed 1 --engines unroll,compile

Random definitions with random options run on the engines (unroll, compile, numba, stream, jax, torch, onnx), and
every value, state, loss and gradient is compared with the naive interpreter's. Printed are, for each kind of failure,
a minimal program, and at the end failures per thousand cases by kind, and refusals by their sentence.

- description.py: a case as data, and as the text of a program.
- generator.py: random cases. naive.py: the interpreter, which imports NumPy only.
- engines.py: the comparison, and what counts as a refusal or as a failure. shrink.py: smaller cases.
- kept.py: one case for each kind of failure that was found; test_recurrences.py runs them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from description import Case, program_text
from engines import ENGINES, Failure, run_case
from generator import random_case
from shrink import shrink


class Tally:
    """Counts of what became of the cases."""

    def __init__(self) -> None:
        self.cases = self.failed = 0
        self.kinds: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.seeds: dict[str, list[int]] = {}

    def add(self, seed: int, case: Case, engines: tuple[str, ...]) -> list[Failure]:
        """Run a case and count; return failures of kinds that are new."""
        outcome = run_case(case, engines)
        self.cases += 1
        if outcome.skipped:
            self.skipped[outcome.skipped[:70]] += 1
        self.failed += bool(outcome.failures)
        self.refusals.update({f"{refused.engine}: {refused.message}" for refused in outcome.refusals})
        by_kind = {failure.kind: failure for failure in outcome.failures}
        new = [failure for kind, failure in by_kind.items() if kind not in self.kinds]
        self.kinds.update(list(by_kind))
        for kind in by_kind:
            self.seeds.setdefault(kind, []).append(seed)
        return new

    def text(self) -> str:
        """Return the table: failures per thousand cases by kind, then refusals and skipped cases."""
        thousand = 1000 / max(self.cases, 1)
        lines = [f"{self.cases} cases, {self.failed} with failures: {self.failed * thousand:.1f} per thousand"]
        lines += [f"  {count * thousand:7.2f}  {kind}   seeds {self.seeds[kind][:4]}"
                  for kind, count in self.kinds.most_common()]
        for title, counts in (("refused", self.refusals), ("skipped", self.skipped)):
            lines.append(f"{title}, per thousand:")
            lines += [f"  {count * thousand:7.2f}  {text}" for text, count in counts.most_common()]
        return "\n".join(lines)


def report(case: Case, failure: Failure, seconds: float) -> str:
    """Return a minimal program for a failure."""
    engine, *rest = failure.kind.split()
    small = shrink(case, failure.kind, seconds)
    loss = engine in ("compile", "numba") and {"loss", "second"} & set(rest)
    use = "unroll" if engine == "unroll" else "loss" if loss else "compile"
    return f"\n==== {failure.kind}: {failure.detail[:200]}\n{program_text(small, use)}\n# {small!r}"


def main() -> int:
    """Run until the time is over; return 1 if something failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--count", type=int, help="the number of cases, instead of a time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engines", default="unroll,compile", help=f"of {','.join(ENGINES)}")
    parser.add_argument("--shrink", type=float, default=10, help="seconds for each new kind; 0: print no programs")
    arguments = parser.parse_args()
    engines = tuple(arguments.engines.split(","))
    tally, seed, start = Tally(), arguments.seed, time.monotonic()
    while (tally.cases < arguments.count if arguments.count else time.monotonic() - start < arguments.seconds):
        case = random_case(seed)
        for failure in tally.add(seed, case, engines):
            if arguments.shrink:
                print(f"seed {seed}", report(case, failure, arguments.shrink), flush=True)
        seed += 1
    print(tally.text())
    return int(bool(tally.failed))


if __name__ == "__main__":
    sys.exit(main())
