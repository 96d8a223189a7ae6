"""Wrong orders and backward passes."""

from . import mutant

SOLUTION = """    order: list[Node] = []
    seen = {out}
    stack = [(out, iter(out.inputs))]
    while stack:
        node, left = stack[-1]
        x = next(left, None)
        if x is None:
            order.append(node)
            stack.pop()
        elif x not in seen:
            seen.add(x)
            stack.append((x, iter(x.inputs)))
    return order
"""
RECURSIVE = """    order: list[Node] = []
    seen: set[Node] = set()

    def visit(node: Node) -> None:
        if node not in seen:
            seen.add(node)
            for x in node.inputs:
                visit(x)
            order.append(node)

    visit(out)
    return order
"""
PREORDER = """    order, stack = [], [out]
    while stack:
        node = stack.pop()
        if node not in order:
            order.append(node)
            stack.extend(node.inputs)
    return order[::-1]
"""

BACK = """    for node in reversed(order):
        for x, slope in zip(node.inputs, node.local):
            x.grad += node.grad * slope
"""
BREADTH_FIRST = """    queue, seen = [out], {out}
    while queue:
        node = queue.pop(0)
        for x, slope in zip(node.inputs, node.local):
            x.grad += node.grad * slope
            if x not in seen:
                seen.add(x)
                queue.append(x)
"""
KAHN = """    found = [out]
    for node in found:
        found += [x for x in dict.fromkeys(node.inputs) if x not in found]
    users = dict.fromkeys(found, 0)
    for node in found:
        for x in set(node.inputs):
            users[x] += 1
    order, ready = [], [out]
    while ready:
        node = ready.pop(LAST)
        order.append(node)
        for x in node.inputs:
            users[x] -= 1
            if users[x] == 0:
                ready.append(x)
    return order[::-1]
"""
FROM_LEAVES = """    found = {out: []}
    stack = [out]
    while stack:
        node = stack.pop()
        for x in node.inputs:
            if x not in found:
                stack.append(x)
            found.setdefault(x, []).append(node)
    left = {node: len(set(node.inputs)) for node in found}
    order, ready = [], [node for node in found if not node.inputs]
    while ready:
        node = ready.pop(0)
        order.append(node)
        for user in found[node]:
            left[user] -= 1
            if left[user] == 0:
                ready.append(user)
    return order
"""

MUTANTS = [
    mutant("recursive", (SOLUTION, RECURSIVE),
           check="order: a chain", said=("topological_order raised RecursionError", "a list of your own")),
    mutant("every_path", ("elif x not in seen:", "else:"),
           check="order: a small graph", said=("a is listed", "once for every path")),
    mutant("preorder", (SOLUTION, PREORDER), check="order: a small graph",
           said=("comes after", "an input comes before")),
    mutant("users_first", ("    return order\n", "    return order[::-1]\n"),
           check="order: a small graph", said="a comes after d, which is computed from it"),
    mutant("leaves_missing", ("elif x not in seen:", "elif x not in seen and x.inputs:"),
           check="order: a small graph", said="a is missing"),
    mutant("assigned", ("x.grad += node.grad * slope", "x.grad = node.grad * slope"),
           check="gradients: a small graph", said=("g is wrong: h uses it 2 times", "= where += belongs")),
    mutant("stale", ("    for node in order:\n        node.grad = 0.0\n", ""),
           check="second call", said=("the second call of backward", "of the first call are still there")),
    mutant("forward_order", ("for node in reversed(order):", "for node in order:"),
           check="gradients: a small graph", said="the gradient of f is wrong: nothing arrives"),
    mutant("zero_seed", ("    out.grad = 1.0\n", ""),
           check="gradients: a small graph", said="the output's gradient is 1"),
    mutant("once_per_input", ("zip(node.inputs, node.local)", "dict(zip(node.inputs, node.local)).items()"),
           check="gradients: a small graph", said="h uses it 2 times, but one use alone counts"),
    mutant("last_user_alone", ("x.grad += node.grad * slope",
                               "x.grad = node.grad * slope + (x.grad if len(set(node.inputs)) < 2 else 0)"),
           check="gradients: a small graph", said=("the gradient of d is wrong",
                                                   "through e alone; that through f is missing")),
    # ---- wrong on some graphs alone
    mutant("breadth_first", (BACK, BREADTH_FIRST), check="gradients: other graphs", said="the gradient of"),
    mutant("done_marks_stay", ("    seen = {out}\n", "    out.done = True\n"),
           ("elif x not in seen:\n            seen.add(x)",
            "elif not getattr(x, 'done', False):\n            x.done = True"),
           check="order: a small graph", said="in a second call on the same graph"),
    mutant("done_already", ("    order = topological_order(out)\n    for", "    if out.grad:\n        return\n"
                            "    order = topological_order(out)\n    for"),
           check="gradients: other graphs", said="the gradient of"),
    mutant("told_apart_by_name", ("seen = {out}", "seen = {out.name}"),
           ("elif x not in seen:", "elif x.name not in seen:"),
           ("seen.add(x)", "seen.add(x.name)"), check="order: other graphs", said="is missing"),
    mutant("told_apart_by_value", ("seen = {out}", "seen = {out.value}"),
           ("elif x not in seen:", "elif x.value not in seen:"), ("seen.add(x)", "seen.add(x.value)"),
           check="order: 60 diamonds", said="is missing"),
    mutant("kept_from_call_to_call", ("class Node:", "_seen = set()\n\n\nclass Node:"), ("    seen = {out}\n",

           "    seen = _seen\n    seen.add(out)\n"),
           check="order: a small graph", said="in a second call on the same graph"),
    mutant("value_for_local", ("x.grad += node.grad * slope", "x.grad += node.grad * x.value"),
           check="gradients: a small graph",
           said="the factor is the value of the input, but should be the local derivative"),
    mutant("value_of_the_user", ("x.grad += node.grad * slope", "x.grad += node.grad * node.value"),
           check="gradients: a small graph", said="the factor is the value of the user"),
    mutant("local_missing", ("x.grad += node.grad * slope", "x.grad += node.grad"),
           check="gradients: a small graph", said="the local derivative is missing"),
    mutant("upstream_missing", ("x.grad += node.grad * slope", "x.grad += slope"),
           check="gradients: a small graph", said="the gradient of the user is missing"),
    mutant("local_reversed", ("zip(node.inputs, node.local)", "zip(node.inputs, node.local[::-1])"),
           check="gradients: a small graph", said="the local derivatives are in the wrong order"),
    mutant("subtracted", ("x.grad += node.grad * slope", "x.grad -= node.grad * slope"),
           check="gradients: a small graph", said="exactly the negative"),
    mutant("begins_at_one", ("        node.grad = 0.0\n", "        node.grad = 1.0\n"),
           check="gradients: a small graph", said="one too large: does it begin at 1?"),
    mutant("leaves_not_cleared", ("        node.grad = 0.0\n",
           "        if node.inputs:\n            node.grad = 0.0\n"),
           check="second call", said="the second call of backward"),
    mutant("inputs_consumed", ("    return order\n",
           "    for node in order:\n        node.inputs = ()\n    return order\n"),
           check="order: a small graph", said="topological_order changes .inputs of a node: the graph is the caller's"),
    mutant("order_forgets_return", ("    return order\n", ""), check="order: a small graph",
           said="topological_order returned None: is `return` missing?"),
    mutant("order_is_a_dict", ("    return order\n", "    return dict(enumerate(order))\n"),
           check="order: a small graph",
           said="returns a dict; it must be a list of nodes"),
    mutant("without_the_output", ("    return order\n", "    return order[:-1]\n"), check="order: a small graph",
           said="h is missing"),
    mutant("a_leaf_has_no_order", ("    order: list[Node] = []\n    seen",
           "    order: list[Node] = []\n    if not out.inputs:\n"
                                   "        return order\n    seen"), check="order: other graphs", said="a is missing"),
    mutant("gradients_as_text", ("            x.grad += node.grad * slope\n",
           "            x.grad += node.grad * slope\n"
                                 "    out.grad = None\n"), check="gradients: a small graph",
           said="it must be a number"),
    # ---- nodes that are used twice by one node
    mutant("a_user_counts_once_last", (SOLUTION, KAHN.replace("LAST", "")), check="order: other graphs",
           said="an input comes before all its users"),
    mutant("a_user_counts_once_first", (SOLUTION, KAHN.replace("LAST", "0")), check="order: other graphs",
           said="an input comes before all its users"),
    mutant("an_input_counts_once", (SOLUTION, FROM_LEAVES), check="order: other graphs",
           said="an input comes before all its users"),
    mutant("without_inputs_that_do_not_count", ("iter(x.inputs)",
           "iter([y for y, slope in zip(x.inputs, x.local) if slope])"),
           check="order: other graphs", said="z is missing"),
    # ---- other things than the graph's nodes
    mutant("order_of_names", ("    return order\n", "    return [node.name for node in order]\n"),
           check="order: a small graph", said="lists a str that is no node of the graph; list the nodes themselves"),
    mutant("order_of_pairs", ("    return order\n", "    return list(enumerate(order))\n"),
           check="order: a small graph", said="lists a tuple that is no node of the graph"),
    mutant("node_changed", ("self.inputs = tuple(inputs)", "self.inputs = set(inputs)"),
           check="order: a small graph", said="Node doesn't keep its .inputs as given; leave that class as it is"),
]
