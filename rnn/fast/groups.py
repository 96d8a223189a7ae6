"""Which nodes of a loop are computed together: elementwise ones of equal shape in one nest of loops over the elements.

A value that only its own nest reads is a local variable, and never written into an array. Nests are ordered among the
other statements of a step, products and sums:

1. A value that elementwise nodes alone read is placed with its first reader, and any other in the order of the loop.
2. It joins the last nest for its shape that comes after all that it depends on; where there is none, it begins one.

Several vectors in one, such as the gates of an LSTM, are its *lanes*: one nest over the elements of a lane computes
all of them. (Loop fusion: Allen and Kennedy, Optimizing compilers for modern architectures, 2001, section 6.2.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from minigrad import ops
from rnn.compiler.buffers import BufferPlan
from rnn.ir import nodes as ir
from rnn.ir.nodes import Node, Shape, users_of

from .places import peeled

FUSED = ir.BroadcastMul, ir.SumOverTime, ops.BroadcastTo  # not elementwise by name, but computed element by element


@dataclass(eq=False)
class Group:
    """One statement of a step: a nest of loops over elements, or a node that is computed by itself.

    Attributes:
        shape: over whose elements the nest goes; None for a node by itself.
        members: the nodes that are computed here.
    """

    shape: Shape | None
    members: list[Node] = field(default_factory=list)


def is_fused(node: Node) -> bool:
    """Return whether a node is computed element by element."""
    if isinstance(node.op, ir.Concat):
        return len({x.shape for x in node.inputs}) == 1
    return isinstance(node.op, FUSED) or (node.op.elementwise and not isinstance(node.op, ir.View))


class Groups:
    """The statements of one iteration of a loop, in order.

    Args:
        nodes: of the loop, operands first, with what is computed for it alone.

    Attributes:
        statements: groups in their order.
        stored: the nodes whose values are written into arrays.
        lane: node -> the length of its lanes, along the first axis.
    """

    def __init__(self, nodes: list[Node], plan: BufferPlan) -> None:
        self.plan = plan
        self.nodes = [x for x in nodes if not isinstance(x.op, (ir.View, ir.Leaf))]
        self.order = {node: place for place, node in enumerate(nodes)}
        self.users = users_of(nodes)
        self.inside = set(nodes)
        self.lane: dict[Node, int] = {}
        for node in reversed(nodes):
            if node.shape:
                self.lane[node] = self._lane(node)
        self.statements: list[Group] = []
        self.group_of: dict[Node, Group] = {}
        self.stored = {x for x in self.nodes if self._is_forced(x)}
        self.pending: dict[Node, None] = {}
        for node in self.nodes:
            if node in self.stored or not self._can_wait(node):
                self._place(node)
            else:
                self.pending[node] = None
        for node in list(self.pending):  # read by nothing
            self._place(node)
        for group in self.statements:
            group.members.sort(key=self.order.__getitem__)
        self._store_what_others_read()

    # ---- lanes
    def _lane(self, node: Node) -> int:
        """Return the length of the lanes of a value: that of the lanes in which its readers read it."""
        length = node.shape[0]
        if isinstance(node.op, ir.BroadcastMul):
            return length // node.op.count
        if isinstance(node.op, ir.Concat):
            return self._common([node.inputs[0].shape[0]], length) if is_fused(node) else length
        wanted = [length // node.lanes] if node.lanes > 1 and length % node.lanes == 0 else []
        for user in self.users.get(node, ()):
            if isinstance(user.op, ir.Slice):
                wanted.append(self.lane[user] if user.op.start % self.lane[user] == 0 else length)
            elif isinstance(user.op, ir.BroadcastMul) or (is_fused(user) and user.shape == node.shape):
                wanted.append(self.lane[user])
        return self._common(wanted, length)

    @staticmethod
    def _common(wanted: list[int], length: int) -> int:
        """Return the shortest of some lengths, if it divides all of them."""
        shortest = min([*wanted, length])
        return shortest if shortest and all(x % shortest == 0 for x in [*wanted, length]) else length

    def shape(self, node: Node) -> Shape:
        """Return the shape of the nest that computes a node."""
        return (self.lane[node], *node.shape[1:]) if node.shape else ()

    def offsets(self, node: Node) -> range:
        """Return where the lanes of a node begin."""
        return range(0, node.shape[0], self.lane[node]) if node.shape and node.shape[0] else range(1)

    # ---- placing
    def _is_forced(self, node: Node) -> bool:
        """Return whether a value is read outside of the iteration that computes it."""
        life = self.plan.lifetimes
        if isinstance(node.op, ir.SumOverTime) or node in life.outputs or node in life.margins:
            return True
        return any(x not in self.inside or isinstance(x.op, ir.Shift) or x in life.output_views
                   for x in life.readers(node))

    def _can_wait(self, node: Node) -> bool:
        """Return whether elementwise nodes of this loop alone read a value, so that it is placed with the first."""
        return is_fused(node) and all(is_fused(user) for user in self._readers(node)) and bool(self._readers(node))

    def _readers(self, node: Node) -> list[Node]:
        """Return the nodes of the loop that read a value, directly or through views."""
        found: list[Node] = []
        stack = list(self.users.get(node, ()))
        for user in stack:  # grows
            if isinstance(user.op, ir.View):
                stack.extend(self.users.get(user, ()))
            else:
                found.append(user)
        return found

    def _operands(self, node: Node) -> list[tuple[Node, bool]]:
        """Return the nodes of this iteration that a node reads, and whether it reads each element at its own place."""
        found = []
        for x in node.inputs:
            aligned, source = True, x
            while isinstance(source.op, ir.View) and source in self.inside and not isinstance(source.op, ir.Shift):
                aligned = aligned and isinstance(source.op, (ir.Slice, ir.GradientMask))
                source = source.inputs[0]
            if source in self.inside and not isinstance(source.op, (ir.Shift, ir.Leaf)):
                found.append((source, aligned and self._aligned(x, source, node)))
        return found

    def _aligned(self, x: Node, source: Node, node: Node) -> bool:
        """Return whether an operand's elements are those of the same nest, lane by lane."""
        if not is_fused(source) or not is_fused(node) or self.shape(source) != self.shape(node):
            return False
        if not source.shape:
            return True
        _, offset = peeled(x)
        same = x.shape == node.shape or isinstance(node.op, (ir.BroadcastMul, ir.Concat))
        return same and offset % self.lane[source] == 0

    def _place(self, node: Node) -> None:
        """Place a node, and before it those that it depends on."""
        self.pending.pop(node, None)
        for reader in self._readers_of_old_value(node):
            if reader in self.pending:
                self._place(reader)
        waiting = self._waiting(node)
        for x in waiting:
            self.pending.pop(x, None)
        shape = self.shape(node) if is_fused(node) else None
        together = {x for x in waiting if is_fused(x) and self.shape(x) == shape}
        self._split(node, waiting, together)
        for x in waiting:
            if x not in together:
                self._add(x, {x})
        self._add(node, {*together, node})

    def _waiting(self, node: Node) -> list[Node]:
        """Return the pending nodes that a node depends on, in order."""
        found: dict[Node, None] = {}
        stack = [node]
        for x in stack:  # grows
            new = [y for y, _ in self._operands(x) if y in self.pending and y not in found]
            found.update(dict.fromkeys(new))
            stack.extend(new)
        return sorted(found, key=self.order.__getitem__)

    def _split(self, node: Node, waiting: list[Node], together: set[Node]) -> None:
        """Take out of `together` what a node of another nest or an unaligned read depends on."""
        apart = [y for x in (*waiting, node) for y, aligned in self._operands(x)
                 if y in together and ((x not in together and x is not node) or not aligned)]
        for y in apart:  # grows
            if y in together:
                together.discard(y)
                apart.extend(z for z, _ in self._operands(y) if z in together)

    def _readers_of_old_value(self, node: Node) -> list[Node]:
        """Return the nodes that read a value of the previous iteration from the buffer that a node overwrites."""
        carried = [x for x in self.users.get(node, ()) if x in self.plan.lifetimes.carried]
        return [reader for x in carried for reader in self._readers(x) if reader is not node]

    def _add(self, node: Node, members: set[Node]) -> None:
        """Add nodes of one shape to the last nest that comes after all that they depend on, or to a new one."""
        shape = self.shape(node) if is_fused(node) else None
        first = 0
        for x in members:
            for y, aligned in self._operands(x):
                if y in self.group_of:
                    found = self.statements.index(self.group_of[y])
                    first = max(first, found if aligned and self.group_of[y].shape == shape else found + 1)
            for reader in self._readers_of_old_value(x):
                if reader in self.group_of:
                    found = self.statements.index(self.group_of[reader])
                    first = max(first, found if self.group_of[reader].shape == shape is not None else found + 1)
        group = next((x for x in reversed(self.statements[first:]) if x.shape == shape is not None), None)
        if group is None:
            group = Group(shape)
            self.statements.append(group)
        group.members.extend(members)
        self.group_of.update(dict.fromkeys(members, group))

    def _store_what_others_read(self) -> None:
        for group in self.statements:
            for node in group.members:
                if group.shape is None:
                    self.stored.add(node)
                self.stored.update(x for x, aligned in self._operands(node)
                                   if self.group_of[x] is not group or not aligned or group.shape is None)


def sunk_nodes(tiled: Iterable[Node], loop: Iterable[Node], users: dict[Node, list[Node]]) -> list[Node]:
    """Return the values computed for a loop alone that are computed in it: those that need no other operation."""
    inside, found = set(loop), set[Node]()
    nodes = list(tiled)
    for node in reversed(nodes):
        movable = is_fused(node) or (isinstance(node.op, ir.View) and not isinstance(node.op, ir.Shift))
        if movable and all(user in inside or user in found for user in users.get(node, ())):
            found.add(node)
    return [node for node in nodes if node in found]
