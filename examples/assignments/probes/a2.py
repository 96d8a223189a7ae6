"""How the functions of assignment 2 are called: graphs come as lists of [label, value, inputs, local derivatives].

Nodes go back as their numbers in these lists: a node is itself, whatever its name and its value.
"""

from typing import Any

Data = dict[str, Any]
GRAPHS = ("small", "ladder", "chain", "detour", "unnamed", "several", "leaf", "twice", "random")


class Form(Exception):
    """A result of another form than the text describes; the message says which, after the name of the function."""


def kind(value: Any) -> str:
    """Return the name of a value's type, with its article."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def built(student: Any, graph: Data) -> list[Any]:
    """Return the nodes, of the student's own Node class; inputs before users."""
    nodes: list[Any] = []
    for label, value, inputs, local in graph["rows"]:
        nodes.append(student.Node(value, [nodes[i] for i in inputs], local, label if graph["named"] else ""))
    return nodes


def made(student: Any, graph: Data) -> list[Any]:
    """Return the nodes, which hold what they were given."""
    nodes = built(student, graph)
    try:
        lost = changed(nodes, graph)
    except Exception:
        lost = ["value", "inputs", "local"]
    if lost:
        raise Form(f"can't be asked: Node doesn't keep its .{', .'.join(lost)} as given; leave that class as it is")
    return nodes


def number(value: Any) -> float:
    """Return a gradient as a float; text and arrays with dimensions are no numbers."""
    if value is None or isinstance(value, (str, bytes)) or getattr(value, "shape", ()) != ():
        raise Form(f"leaves {value!r:.60} in .grad; it must be a number")
    return float(value)


def changed(nodes: list[Any], graph: Data) -> list[str]:
    """Return the attributes that don't have their first value any more."""
    at = {id(node): i for i, node in enumerate(nodes)}
    rows = [[node.value, [at.get(id(x)) for x in node.inputs], list(node.local)] for node in nodes]
    return [what for k, what in enumerate(("value", "inputs", "local"))
            if any(mine[k] != row[k + 1] for mine, row in zip(rows, graph["rows"]))]


class Order:
    """The orders of each root in turn, and of the first one again."""

    def __init__(self, graph: str) -> None:
        self.graph = graph

    def __call__(self, student: Any, d: Data) -> Data:
        graph = d[self.graph]
        nodes, found = made(student, graph), []
        at = {id(node): i for i, node in enumerate(nodes)}
        for root in [*graph["roots"], graph["roots"][0]]:
            order = student.topological_order(nodes[root])
            if order is None:
                raise Form("returned None: is `return` missing?")
            if isinstance(order, (str, dict)) or not hasattr(order, "__iter__"):
                raise Form(f"returns {kind(order)}; it must be a list of nodes")
            order = list(order)
            strange = [node for node in order if id(node) not in at]
            if strange:
                raise Form(f"lists {kind(strange[0])} that is no node of the graph; list the nodes themselves")
            found.append([at[id(node)] for node in order])
        return {"orders": found, "changed": changed(nodes, graph)}


class Backward(Order):
    """The gradients after a backward pass from each root in turn, and from the first one again."""

    def __call__(self, student: Any, d: Data) -> Data:
        graph = d[self.graph]
        nodes, found = made(student, graph), []
        for root in [*graph["roots"], graph["roots"][0]]:
            student.backward(nodes[root])
            found.append([number(node.grad) for node in nodes])
        return {"grads": found, "changed": changed(nodes, graph)}


CALLS: Data = {f"topological_order:{graph}": Order(graph) for graph in GRAPHS}
CALLS |= {f"backward:{graph}": Backward(graph) for graph in GRAPHS}
NUMERIC: Data = {}
