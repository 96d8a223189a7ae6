"""Wrong answers, and wrong definitions of the loop."""

from . import Mutant, mutant

E, MEMORY, Y = "e[t] = x[t] - y[t-1]", "h[t] = np.tanh(W @ e[t] + U @ h[t-2])", "y[t] = V @ h[t]"
READS, VALUES = "the definition: who reads whom", "the definition: its values"
RETURN = "    return edges\n"
LOOP, EDGE = 'return ["p", "r", "s"]', 'return "s", "p"'
VANISHING, NAN = 'return 19, "tanh"', 'return 53, "log"'
LARGEST = "return 4, 1.837"
SECOND = "the definition: second call"
SIZED, CELL, TOP = "(H, D), cell = W.shape,", "    return cell\n", "VARIANT = 0\n"


def edges(name: str, change: str, said: str) -> Mutant:
    return mutant(name, (RETURN, f"    return {change}\n"), check="unrolled edges", said=said)


MUTANTS = [
    mutant("same_step", (E, "e[t] = x[t] - y[t]"), check=READS, said="e reads the output of its own step"),
    mutant("no_feedback", (E, "e[t] = x[t] - 0"), check=READS, said="the feedback is missing"),
    mutant("memory_of_one", (MEMORY, MEMORY.replace("t-2", "t-1")), check=READS, said="the memory's delay isn't"),
    mutant("no_memory", (MEMORY, "h[t] = np.tanh(W @ e[t])"), check=READS, said="it has no memory"),
    mutant("two_memories", (MEMORY, "h[t] = np.tanh(W @ e[t] + U @ h[t-1] + U @ h[t-2])"), check=READS,
           said="h reads two states"),
    mutant("into_the_future", (MEMORY, MEMORY.replace("t-2", "t+2")), check=READS, said="h reads the future"),
    mutant("past_the_error", (MEMORY, MEMORY.replace("e[t]", "x[t]")), check=READS, said="h reads x in place"),
    mutant("error_written_out", (MEMORY, MEMORY.replace("e[t]", "(x[t] - y[t-1])")), check=READS,
           said="the error is a signal of its own"),
    mutant("late_output", (Y, "y[t] = V @ h[t-1]"), check=READS, said="y reads an earlier state"),
    mutant("other_names", ('cell.signal("e", D)', 'cell.signal("error", D)'), check=READS,
           said="there is no signal named e; there are error, h, x, y"),
    mutant("sign", (E, "e[t] = y[t-1] - x[t]"), check=VALUES, said="its sign is reversed"),
    mutant("plus", (E, "e[t] = x[t] + y[t-1]"), check=VALUES, said="the text says minus"),
    mutant("no_tanh", (MEMORY, "h[t] = W @ e[t] + U @ h[t-2]"), check=VALUES, said="tanh is missing"),
    mutant("two_tanhs", (MEMORY, "h[t] = np.tanh(W @ e[t]) + np.tanh(U @ h[t-2])"), check=VALUES,
           said="a sum of two tanh"),
    mutant("transposed", (MEMORY, MEMORY.replace("U @", "U.T @")), check=VALUES, said="U is transposed"),
    mutant("squashed_output", (Y, "y[t] = np.tanh(V @ h[t])"), check=VALUES, said="a tanh around V"),
    mutant("arrays_for_parameters", (MEMORY, MEMORY.replace("U @", "U.data @")), check=VALUES,
           said="nothing is computed from U: .data, .numpy()"),
    mutant("no_equations", (E, "pass"), (MEMORY, "pass"), (Y, "pass"), check=READS,
           said="e doesn't read the signals that the text names"),
    mutant("no_signals", ("    return cell\n", '    return Cell("other")\n'), check=READS,
           said="there is no signal named x; there are none"),
    mutant("sizes_of_the_example", (SIZED, "(H, D), cell = (3, 2),"), check=SECOND,
           said="in a second call, definition raised ValueError"),
    mutant("made_once", (TOP, f"{TOP}CELLS = []\n"), (SIZED, f"if CELLS:\n        return CELLS[0]\n    {SIZED}"),
           (CELL, f"    CELLS.append(cell)\n{CELL}"), check=SECOND, said="in a second call, definition raised"),
    mutant("first_weights_kept", (TOP, f"{TOP}SEEN = []\n"),
           (SIZED, f"SEEN.append(U)\n    U = U if U.shape != SEEN[0].shape else SEEN[0]\n    {SIZED}"), check=SECOND,
           said="a second call of definition with other inputs gives a wrong h[3]"),
    mutant("not_returned", (CELL, "    cell\n"), check=READS, said="definition returned None: is `return` missing?"),
    mutant("class_returned", (CELL, "    return Cell\n"), check=READS,
           said="definition returns a type; it must be the definition: return cell"),
    mutant("output_returned", (CELL, "    return y[t]\n"), check=READS, said="it must be the definition"),
    mutant("no_edges_returned", (RETURN, "    edges\n"), check="unrolled edges", said="unrolled_edges returned None"),
    edges("as_a_dict", "dict(edges)", "unrolled_edges returns a dict; it must be a list of pairs of names"),
    edges("as_text", "str(edges)", "unrolled_edges returns a str; it must be a list of pairs of names"),
    mutant("an_operation_itself", (NAN, "return 53, np.log"), check="nan", said="returns an ufunc among the others"),
    mutant("only_the_step", (VANISHING, "return 19"), check="vanishing", said="vanishing returns an int; it must"),
    edges("delay_one", "[*{(a.replace('-1', str(int(b[2]) - 1)) if a[0] == b[0] else a, b) for a, b in edges} - "
          "{('h[0]', 'h[2]'), ('h[1]', 'h[3]')}, ('h[1]', 'h[2]'), ('h[2]', 'h[3]')]", "every delay is taken as 1"),
    edges("turned", "[(b, a) for a, b in edges]", "edges point backward"),
    edges("no_initial", "[(a, b) for a, b in edges if '[0]' not in a and '-' not in a]", "from initial values"),
    edges("no_minus_one", "[(a, b) for a, b in edges if '-' not in a]", "from step -1 are missing"),
    edges("no_inputs", "[(a, b) for a, b in edges if a[0] != 'x']", "edges from x are missing"),
    edges("within_steps", "[(a, b) for a, b in edges if a[1:] == b[1:]]", "each step is alone"),
    edges("two_steps", "edges[:10]", "the last step is missing"),
    edges("one_missing", "edges[:-1]", "the edges that end in y[3] are not right: which copies does it read?"),
    edges("one_too_many", "[*edges, ('y[1]', 'h[2]')]", "the edges that end in h[2] are not right"),
    edges("into_an_input", "[*edges, ('y[1]', 'x[2]')]", "an edge ends in x[2], which is given"),
    edges("into_an_initial_value", "[*edges, ('h[-1]', 'h[0]')]", "an edge ends in h[0], which isn't computed"),
    edges("twice", "[*edges, edges[0]]", "is there twice"),
    edges("numbers", "[(a, 1) for a, b in edges]", "is no edge; an edge is a pair of names"),
    mutant("loop_turned", (LOOP, 'return ["s", "r", "p"]'), check="a loop", said="in the other direction"),
    mutant("loop_with_delay", (LOOP, 'return ["p", "u", "q", "r", "s"]'), check="a loop",
           said="there is no edge from u to q"),
    mutant("delayed_loop", (LOOP, 'return ["p", "r"]'), check="a loop", said="p reads r of an earlier step"),
    mutant("loop_twice", (LOOP, 'return ["p", "r", "s", "p", "u", "s"]'), check="a loop", said="is there twice"),
    mutant("loop_of_nothing", (LOOP, "return []"), check="a loop", said="the list is empty"),
    mutant("loop_of_others", (LOOP, 'return ["h", "e"]'), check="a loop", said="there is no signal 'h'"),
    mutant("one_loop_left", (EDGE, 'return "p", "r"'), check="one more delay", said="there is still a loop without"),
    mutant("has_delay", (EDGE, 'return "r", "p"'), check="one more delay", said="has a delay already"),
    mutant("repair_turned", (EDGE, 'return "p", "s"'), check="one more delay", said="The edge in the other direction"),
    mutant("repair_by_three", (EDGE, 'return "s", "p", 1'), check="one more delay", said="must return two names"),
    mutant("vanishing_too_early", (VANISHING, 'return 14, "tanh"'), check="vanishing", said="go on to later steps"),
    mutant("vanishing_too_late", (VANISHING, 'return 24, "tanh"'), check="vanishing",
           said="its upstream gradient is zero already: go back to earlier steps"),
    mutant("vanishing_name", (VANISHING, 'return 19, "relu"'), check="vanishing", said="step 19 is right, but"),
    mutant("vanishing_nowhere", (VANISHING, 'return 190, "tanh"'), check="vanishing", said="the steps 1 to 43"),
    mutant("vanishing_text", (VANISHING, 'return "19", "tanh"'), check="vanishing", said="must return the number"),
    mutant("nan_after_the_first", (NAN, 'return 3, "log"'), check="nan",
           said=("its result has a NaN, but so has its input", "go on to later steps")),
    mutant("nan_beside", (NAN, 'return 8, "matvec"'), check="nan", said="go on to later steps"),
    mutant("nan_before", (NAN, 'return 54, "tanh"'), check="nan",
           said="its result has no NaN: go back to earlier steps"),
    mutant("nan_name", (NAN, 'return 53, "sqrt"'), check="nan", said="step 53 is right, but"),
    mutant("row", (LARGEST, "return 3, 1.837"), check="contributions", said="Row 0 of run.contributions belongs to"),
    mutant("largest_state", (LARGEST, "return 2, 1.837"), check="contributions", said="The largest at t = 2 is"),
    mutant("another_step", (LARGEST, "return 5, 1.234"), check="contributions", said="it isn't the largest"),
    mutant("no_such_time", (LARGEST, "return 9, 1.837"), check="contributions", said="the time steps are 1 to 8"),
    mutant("norm", (LARGEST, "return 4, 3.37"), check="contributions", said="t = 4 is right, but the norm"),
]
