"""Wrong unrollers."""

from . import mutant

EDGES = "edges against"
RIGHT = "((source, t - delay), (target, t)) for t in range(1, T + 1) for source, target, delay in edges"
READY = "if not any(target == name and delay == 0 and source in left for source, target, delay in edges)"
LAST = "    return ways.get(end, 0)\n    ### END SOLUTION\n"
NAMES = "list(dict.fromkeys(name for source, target, _ in edges for name in (source, target)))"
READS = "any(b == name and not d for a, b, d in edges)"
COUNT = f"""
def count_paths(edges, T, start, end):
    ways, names = {{start: 1}}, {NAMES}
    for t in range(1, T + 1):
        for name in ORDER:
            if (name, t) != start:
                ways[name, t] = sum(ways.get((a, t - d), 0) for a, b, d in edges if b == name)
    return ways.get(end, 0)
"""
SEARCH = f"""
def order_in_a_step(edges):
    order, finished = [], set()

    def visit(name, way):
        if name in way:
            raise ValueError(name)
        if name in finished:
            return
        for source, target, delay in edges:
            if target == name and delay == 0:
                visit(source, way | {{name}})
        order.append(name)

    for name in {NAMES}:
        visit(name, frozenset())
        finished.add(name)
    return order
"""
LOOSE = f"""
def order_in_a_step(edges):
    order, finished = [], set()

    def visit(name, seen):
        if name in seen:
            raise ValueError(name)
        seen.add(name)
        for source, target, delay in edges:
            if target == name and delay == 0 and source not in finished:
                visit(source, seen)
        order.append(name)

    for name in {NAMES}:
        if name not in finished:
            seen = set()
            visit(name, seen)
            finished |= seen
    return order
"""
BY_LEVEL = f"""
_order = order_in_a_step
def order_in_a_step(edges):
    _order(edges)
    names = {NAMES}
    sources = {{name: [a for a, b, d in edges if b == name and not d] for name in names}}

    def level(name, deepest=DEEPEST):
        return 1 + WHICH(level(source, deepest - 1) for source in sources[name]) if sources[name] and deepest else 0

    return sorted(names, key=level)
"""


def anew(code: str) -> tuple[str, str]:
    """Return the edit that writes a function again, at the end of the file."""
    return LAST, LAST + code


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
           check="order in a step: two_delays", said="h comes before x, which it reads without delay"),
    mutant("loop_unnoticed", ('raise ValueError(f"a loop without delay among {\', \'.join(left)}")',
                              "return order + left"),
           check="loops", said="it must raise ValueError"),
    mutant("paths_found_not_counted", ("sum(ways.get(copy, 0) for copy in incoming)",
                                       "max([ways.get(copy, 0) for copy in incoming], default=0)"),
           check="paths: two_delays", said="paths are counted, not only found"),
    mutant("paths_delay_one", ("incoming = [(source, t - delay)", "incoming = [(source, t - min(delay, 1))"),
           check="paths: two_delays", said="every delay is taken as 1"),
    mutant("kept_by_length", ("Copy = tuple[str, int]  # signal, time step\n",
                              "Copy = tuple[str, int]  # signal, time step\nknown = {}\n"),
           (f"    return [{RIGHT}]", f"    if T not in known:\n        known[T] = [{RIGHT}]\n    return known[T]"),
           check="several definitions in turn: unroll", said="after others in the same process"),
    mutant("delayed_signals_left_out", ("for source, target, _ in edges for name in (source, target)",
                                        "for source, target, d in edges if not d for name in (source, target)"),
           check="several definitions in turn: order", said=("[(h, h, 1)]", "gives []")),
    mutant("edges_consumed", (f"    return [{RIGHT}]", f"    found = [{RIGHT}]\n    edges.pop()\n    return found"),
           check=EDGES, said=("unroll changes the caller's list of edges", "are left. Work on a copy")),
    mutant("order_sorts_the_callers_list", ("    order: list[str] = []\n",
           "    order: list[str] = []\n    edges.sort()\n"),
           check="order in a step: two_delays", said="order_in_a_step changes the caller's list of edges"),
    mutant("unroll_dict", (f"return [{RIGHT}]", "return {(target, t): (source, t - delay) for t in range(1, T + 1) "
                                                "for source, target, delay in edges}"), check=EDGES,
           said="unroll returns a dict; it must be a list of pairs"),
    mutant("unroll_forgets_return", (f"return [{RIGHT}]", f"[{RIGHT}]"), check=EDGES,
           said="unroll returned None: is `return` missing?"),
    mutant("unroll_triples", (RIGHT, RIGHT.replace("(target, t))", "(target, t), delay)")), check=EDGES,
           said="it must be a list of pairs"),
    mutant("initial_is_a_dict", ("return {copy for copy, _", "return {copy: 0 for copy, _"), check="initial values",
           said="initial_copies returns a dict; it must be a set of pairs"),
    mutant("loop_is_a_runtime_error", ("raise ValueError(f", "raise RuntimeError(f"), check="loops",
           said="raises RuntimeError"),
    mutant("loop_to_itself_unnoticed", (" and delay == 0 and source in left", " and delay == 0 and source in left and "
                                        "source != name"), check="loops",
           said=("[(s, s, 0)]", "must raise ValueError")),
    mutant("paths_start_not_counted", ("{start: 1}", "{}"), check="paths: two_delays", said="not 0"),
    mutant("paths_forget_return", ("    return ways.get(end, 0)", "    ways.get(end, 0)"), check="paths: two_delays",
           said="count_paths returned None: is `return` missing?"),
    mutant("paths_as_text", ("return ways.get(end, 0)", "return str(ways.get(end, 0))"), check="paths: two_delays",
           said="it must return a whole number"),
    mutant("paths_from_initial_copies_alone", ("for t in range(1, T + 1):\n        for name in order",
                                               "for t in range(0, T + 1):\n        for name in order"),
           check="paths: two_delays", said="from h[-1] to y[3]"),
    mutant("inputs_are_no_initial_values", ("copy[1] <= 0}", "copy[1] <= 0 and copy[0] != 'x'}"),
           check="several definitions in turn: initial",
           said=("[(x, h, 1)] with T = 3 gives []", "right is [['x', 0]]")),
    mutant("no_path_to_itself_at_zero", ("    ways: dict[Copy, int] = {start: 1}\n",
                                         "    if start[1] < 1 and end[1] < 1:\n        return 0\n"
                                         "    ways: dict[Copy, int] = {start: 1}\n"),
           check="paths: two_delays", said="1 path leads from h[0] to h[0], not 0"),
    mutant("duplicate_signals", ("list(dict.fromkeys(name for source, target, _ in edges "
                                 "for name in (source, target)))",
                                 "[name for source, target, _ in edges for name in (source, target)]"),
           check="order in a step: two_delays", said="is listed"),
    mutant("paths_by_the_alphabet", anew(COUNT.replace("ORDER", "sorted(names)")), check="paths: branches",
           said=("3 paths lead from g[2] to a[2]", "are counted before their sources", "in the order of the alphabet")),
    mutant("paths_by_first_mention", anew(COUNT.replace("ORDER", "names")), check="paths: branches",
           said="in the order in which the edges name them"),
    mutant("paths_by_targets", anew(COUNT.replace("ORDER", "dict.fromkeys(target for _, target, _ in edges)")),
           check="paths: branches", said="some copies are passed on before they are complete"),
    mutant("paths_edge_by_edge", anew("""
def count_paths(edges, T, start, end):
    ways = {start: 1}
    for t in range(1, T + 1):
        for source, name, delay in edges:
            if (name, t) != start:
                ways[name, t] = ways.get((name, t), 0) + ways.get((source, t - delay), 0)
    return ways.get(end, 0)
"""), check="paths: branches", said="each edge of a step is followed once, as they are listed"),
    mutant("paths_to_initial_values", ("range(1, T + 1):\n        for name in order",
                                       "range(start[1], T + 1):\n        for name in order"),
           check="paths: two_delays", said="it counts paths to copies at t ≤ 0, which are given"),
    mutant("paths_to_a_set_of_users", anew("""
def count_paths(edges, T, start, end):
    users, count, seen, left = {}, int(start == end), {start}, [start]
    for source, target in unroll(edges, T):
        users.setdefault(source, set()).add(target)
    while left:
        for copy in users.get(left.pop(), ()):
            count += copy == end
            left += [copy] if copy not in seen else []
            seen.add(copy)
    return count
"""), check="paths: two_delays", said="from h[1] to h[4], not"),
    mutant("order_by_swapping_once", anew("""
_order = order_in_a_step
def order_in_a_step(edges):
    _order(edges)
    names = """ + NAMES + """
    for source, target, delay in edges:
        if delay == 0 and names.index(source) > names.index(target):
            names.remove(source)
            names.insert(names.index(target), source)
    return names
"""), check="order in a step: branches", said="g comes before x, which it reads without delay"),
    mutant("order_of_those_that_read_nothing_first", anew(f"""
_order = order_in_a_step
def order_in_a_step(edges):
    _order(edges)
    names = {NAMES}
    return [name for name in names if not {READS}] + [name for name in names if {READS}]
"""), check="order in a step: branches", said="k comes before e, which it reads without delay"),
    mutant("order_by_the_alphabet", anew("""
_order = order_in_a_step
def order_in_a_step(edges):
    return sorted(_order(edges))
"""), check="order in a step: two_delays", said="h comes before x, which it reads without delay"),
    mutant("order_visits_twice", anew(SEARCH), check="order in a step: branches",
           said="e is listed 2 times, but should be once"),
    mutant("diamond_is_a_loop", anew(LOOSE), check="order in a step: branches",
           said=("sees a loop without delay where there is none", "to which two ways lead")),
    mutant("diamond_is_a_loop_forward", anew(LOOSE.replace("for source, target, delay", "for target, source, delay")
           .replace("return order", "return order[::-1]")), check="several definitions in turn: order_in_a_step",
           said="order_in_a_step raised ValueError"),
    mutant("order_by_number_of_sources", anew(f"""
def order_in_a_step(edges):
    names = {NAMES}
    count = {{name: sum(b == name and not d for a, b, d in edges) for name in names}}
    if names and min(count.values()) > 0 or any(a == b and not d for a, b, d in edges):
        raise ValueError("loop")
    return sorted(names, key=count.get)
"""), check="order in a step: branches", said="e comes before g, which it reads without delay"),
    mutant("loops_of_two_alone", anew("""
_order = order_in_a_step
def order_in_a_step(edges):
    direct = {(a, b) for a, b, delay in edges if delay == 0}
    if any((b, a) in direct for a, b in direct):
        raise ValueError("loop")
    try:
        return _order(edges)
    except ValueError:
        return []
"""), check="loops", said=("returns []", "it must raise ValueError")),
    mutant("loop_by_assert", ('raise ValueError(f"a loop without delay among {\', \'.join(left)}")',
                              'assert False, "loop"'), check="loops", said="raises AssertionError"),
    mutant("edges_by_pair", (f"    return [{RIGHT}]", "    delays = {(a, b): d for a, b, d in edges}\n"
           "    return [((a, t - d), (b, t)) for t in range(1, T + 1) for (a, b), d in delays.items()]"), check=EDGES,
           said="the edge ('h', 'h', 1) is missing at every step"),
    mutant("initial_copies_beyond_T", anew("""
def initial_copies(edges, T):
    return {(source, t) for source, _, delay in edges for t in range(1 - delay, 1)}
"""), check="initial values: feedback", said="c[0] is read by nothing"),
    mutant("initial_copies_of_the_first_step", anew("""
def initial_copies(edges, T):
    return {(source, 1 - delay) for source, _, delay in edges if delay}
"""), check="initial values: feedback", said="c[0] is missing: b[2] reads it"),
    mutant("order_by_swapping_twice", anew("""
_order = order_in_a_step
def order_in_a_step(edges):
    _order(edges)
    names = """ + NAMES + """
    for source, target, delay in 2 * edges:
        if delay == 0 and names.index(source) > names.index(target):
            names.remove(source)
            names.insert(names.index(target), source)
    return names
"""), check="several definitions in turn: order_in_a_step", said="with T = 1 gives ["),
    mutant("order_by_three_levels", anew(BY_LEVEL.replace("DEEPEST", "3").replace("WHICH", "max")),
           check="several definitions in turn: order_in_a_step", said="with T = 1 gives ["),
    mutant("order_by_the_shortest_way", anew(BY_LEVEL.replace("DEEPEST", "99").replace("WHICH", "min")),
           check="order in a step: branches", said="a comes before k, which it reads without delay"),
    mutant("paths_kept_by_ends", anew("""
known = {}
_paths = count_paths
def count_paths(edges, T, start, end):
    if (start, end) not in known:
        known[start, end] = _paths(edges, T, start, end)
    return known[start, end]
"""), check="several definitions in turn: count_paths", said="after others in the same process"),
]
