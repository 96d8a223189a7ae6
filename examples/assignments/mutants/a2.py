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

MUTANTS = [
    mutant("recursive", (SOLUTION, RECURSIVE),
           check="order: a chain", said=("topological_order raised RecursionError", "a list of your own")),
    mutant("every_path", ("elif x not in seen:", "else:"),
           check="order: a small graph", said=("a stands there", "once for every path")),
    mutant("preorder", (SOLUTION, PREORDER), check="order: a small graph",
           said=("stands after", "an input comes before")),
    mutant("users_first", ("    return order\n", "    return order[::-1]\n"),
           check="order: a small graph", said="a stands after d, which is computed from it"),
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
]
