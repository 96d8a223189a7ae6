"""Wrong unrollers."""

from . import mutant

EDGES = "edges against"
RIGHT = "((source, t - delay), (target, t)) for t in range(1, T + 1) for source, target, delay in edges"
READY = "if not any(target == name and delay == 0 and source in left for source, target, delay in edges)"

MUTANTS = [
    mutant("delay_always_one", ("((source, t - delay)", "((source, t - min(delay, 1))"),
           check=EDGES, said="every delay is taken as 1: (h, h, 2) reads t - 2"),
    mutant("delay_ignored", ("((source, t - delay)", "((source, t)"), check=EDGES, said="delays are ignored"),
    mutant("delay_forward", ("((source, t - delay)", "((source, t + delay)"), check=EDGES,
           said="delays go the wrong way"),
    mutant("from_zero", (RIGHT, RIGHT.replace("range(1, T + 1)", "range(T)")), check=EDGES,
           said="steps are counted from 0"),
    mutant("one_step_short", (RIGHT, RIGHT.replace("range(1, T + 1)", "range(1, T)")),
           check=EDGES, said="the last step is missing"),
    mutant("no_initial_edges", (RIGHT, RIGHT + " if t - delay >= 1"),
           check=EDGES, said="edges from initial values (t <= 0) are missing"),
    mutant("initial_clamped", ("((source, t - delay)", "((source, max(t - delay, 0))"),
           check=EDGES, said="initial values are all taken as t = 0"),
    mutant("reversed_edges", (RIGHT, RIGHT.replace("(source, t - delay), (target, t)",
                                                   "(target, t), (source, t - delay)")),
           check=EDGES, said="edges point backward"),
    mutant("duplicates", (f"return [{RIGHT}]", f"return 2 * [{RIGHT}]"), check=EDGES, said="is there twice"),
    mutant("self_loops_dropped", (RIGHT, RIGHT + " if (source, target, delay) != ('h', 'h', 2)"),
           check=EDGES, said="the edge ('h', 'h', 2) is missing at every step"),
    mutant("one_initial_value", ("if copy[1] <= 0}", "if copy[1] == 0}"),
           check="initial values: two_delays", said="h[-1] is missing: h[1] reads it"),
    mutant("initial_too_many", ("if copy[1] <= 0}", "if copy[1] <= 1}"),
           check="initial values: two_delays", said="is no initial value"),
    mutant("order_counts_delays", (" and delay == 0 and source in left", " and source in left"),
           check="order in a step: two_delays", said="sees a loop without delay where there is none"),
    mutant("order_as_listed", (READY, "if name != 'x'"),
           ("if not ready:", "if left == ['x']:\n            return [*order, 'x']\n        if not ready:"),
           check="order in a step: two_delays", said="h stands before x, which it reads without delay"),
    mutant("loop_unnoticed", ('raise ValueError(f"a loop without delay among {\', \'.join(left)}")',
                              "return order + left"),
           check="loops", said="it must raise ValueError"),
    mutant("paths_found_not_counted", ("sum(ways.get(copy, 0) for copy in incoming)",
                                       "max([ways.get(copy, 0) for copy in incoming], default=0)"),
           check="paths: two_delays", said="paths are counted, not only found"),
    mutant("paths_delay_one", ("incoming = [(source, t - delay)", "incoming = [(source, t - min(delay, 1))"),
           check="paths: two_delays", said="every delay is taken as 1"),
]
