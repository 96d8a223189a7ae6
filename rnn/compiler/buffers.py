"""Buffer allocation: which arrays a program has, and which values share one.

- A value that one iteration of a loop computes and uses has an array of one step, overwritten by the next.
- A value that is computed for all steps at once and read by one loop alone is computed for a tile of steps at
  a time, as many as fit into the cache together (strip-mining): the loop then reads it from the cache, and
  not from memory. The cost is a few more calls per tile.
- A value with one reader is overwritten by the result, if that has the same shape (in-place operation).
- A value that is concatenated is written into its part of the result at once.

The plan depends on nodes and their order; no text is made here.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from minigrad import ops
from rnn.ir import nodes as ir
from rnn.ir.matrices import is_product
from rnn.ir.nodes import Node, users_of
from rnn.ir.schedule import Block, same_at_all_steps


class Extent(IntEnum):
    """For how many steps an array has space."""

    ONE = 0
    TILE = 1
    ALL = 2


class Lifetimes:
    """For how long each value is needed.

    Args:
        passes: the blocks of the forward pass, and of the backward pass.
        boundaries: nodes, and steps before the first (0 and less) or after the last (1 and more) that have values.
        outputs: the nodes whose values are read afterwards.

    Attributes:
        nodes, users, block: all nodes in the order of computation, their readers, and their blocks.
        margins: node -> how many rows its array has before the first step and after the last, for boundary values.
        carried: Shift nodes that need no array: the value of the previous iteration is still in its buffer.
        tiled: loop (by id) -> the nodes that are computed for it tile by tile; tile_loop: node -> this loop.
        static: the nodes that have one value for all steps.
        extents: node -> for how many steps its value is needed.
    """

    def __init__(self, passes: tuple[list[Block], ...], boundaries: Iterable[tuple[Node, int]],
                 outputs: Iterable[Node]) -> None:
        self.block = {node: block for blocks in passes for block in blocks for node in block.nodes}
        self.nodes = list(self.block)
        self.outputs = set(outputs)
        self.output_views = {node for node in self.outputs if isinstance(node.op, ir.View)}
        self.users = users_of(self.nodes)
        self.carried = {node for node in self.nodes if self._is_carried(node)}
        self.margins: dict[Node, tuple[int, int]] = {}
        rows = [(node, 1 - step, step) for node, step in boundaries]
        rows += [(node.inputs[0], node.op.delay, -node.op.delay) for node in self.nodes
                 if isinstance(node.op, ir.Shift) and node not in self.carried]
        for node, *needed in rows:
            before, after = self.margins.get(node, (0, 0))
            self.margins[node] = max(before, needed[0]), max(after, needed[1])
        self.static = same_at_all_steps(self.nodes, {*self.outputs, *self.margins})
        every_loop = [(block, blocks) for blocks in passes for block in blocks if block.direction]
        self.tiled = {id(loop): self._inputs_of(loop, blocks) for loop, blocks in every_loop}
        self.tile_loop = {node: loop for loop, _ in every_loop for node in self.tiled[id(loop)]}
        self.extents = {node: self._extent(node) for node in self.nodes if node.timed}

    def _is_carried(self, shift: Node) -> bool:
        """Return whether a read of the previous iteration finds the value still in the buffer.

        It does if all its readers come before the value is computed anew, and nothing else needs an array
        of all steps. A product can't read the buffer that it writes, so it must come before.
        """
        if not isinstance(shift.op, ir.Shift) or shift.op.signal is not None or shift in self.outputs:
            return False
        source, block = shift.inputs[0], self.block[shift]
        if block.skewed or self.block.get(source) is not block or shift.op.delay != block.direction \
                or source in self.outputs or isinstance(source.op, ir.View):
            return False
        place = {node: index for index, node in enumerate(block.nodes)}
        read_before = all(reader in place and not isinstance(reader.op, ir.View) and place[reader] <= place[source]
                          and (reader is not source or not is_product(reader)) for reader in self.users.get(shift, []))
        others = [user for user in self.readers(source) if user is not shift]  # through views, too
        inside = all(self.block.get(user) is block and not isinstance(user.op, ir.Shift)
                     and user not in self.output_views for user in others)
        return read_before and inside

    def readers(self, node: Node) -> list[Node]:
        """Return the nodes that read a value, directly or through views of it."""
        found: list[Node] = []
        stack = list(self.users.get(node, []))
        for user in stack:  # grows
            if isinstance(user.op, ir.View) and not isinstance(user.op, ir.Shift) and user.timed:
                stack.extend(self.users.get(user, []))
                if user in self.outputs:
                    found.append(user)
            else:
                found.append(user)
        return found

    def _inputs_of(self, loop: Block, blocks: list[Block]) -> list[Node]:
        """Return the values that are computed for all steps and read by one loop alone, in order."""
        if loop.skewed:
            return []
        inside, found = set(loop.nodes), set[Node]()
        earlier = [node for block in blocks[:blocks.index(loop)] if block.direction == 0 for node in block.nodes]
        for node in reversed(earlier):
            if not node.timed or node in self.outputs or node in self.margins or node in self.static \
                    or isinstance(node.op, (ir.Input, ir.Backward, ir.InputGrad, ir.Shift)):
                continue
            readers = self.readers(node)
            if readers and all((x in inside or x in found) and x not in self.output_views for x in readers):
                found.add(node)
        return [node for node in earlier if node in found]

    def _extent(self, node: Node) -> Extent:
        """Return for how many steps a value has to be kept."""
        if node in self.static:
            return Extent.ONE
        if node in self.outputs or node in self.margins or isinstance(node.op, ir.Input):
            return Extent.ALL
        block = self.block[node]
        if block.direction == 0:
            return Extent.TILE if node in self.tile_loop else Extent.ALL
        outside = any(self.block.get(x) is not block or x in self.output_views for x in self.readers(node))
        return Extent.ALL if block.skewed or outside else Extent.ONE

    def computed_together(self, x: Node, node: Node) -> bool:
        """Return whether two values are computed in the same loop, or both for the same steps at once."""
        if x not in self.block or (x in self.static) != (node in self.static):
            return False
        one, other = self.block[x], self.block[node]
        if one.direction or other.direction:
            return one is other
        return self.tile_loop.get(x) is self.tile_loop.get(node)


class BufferPlan:
    """The arrays of a program, and which values share one.

    The later steps of the constructor depend on the earlier ones: an array whose lanes are stored apart can't
    be a part of another.

    Attributes:
        lifetimes: for how long each value is needed.
        lanes: node -> how many vectors it concatenates, if they are stored apart: (lanes, batch, size).
        slot_in: node -> the concatenation into which it is written, and where it begins there.
        alias_of: node -> the node that overwrites it, in the same array.
        inplace_of: node -> the slice of another value that it overwrites.
        extents: node that owns an array -> for how many steps.
        carriers: the nodes whose value the next iteration reads from their buffer.
    """

    def __init__(self, lifetimes: Lifetimes) -> None:
        self.lifetimes = lifetimes
        self.lanes: dict[Node, int] = {}
        self.slot_in: dict[Node, tuple[Node, int]] = {}
        self.alias_of: dict[Node, Node] = {}
        self.inplace_of: dict[Node, Node] = {}
        self.fixed = {*lifetimes.margins, *lifetimes.outputs}  # values that need an array of their own
        self.carriers = {node.inputs[0] for node in lifetimes.carried}
        self._separate_lanes()
        self._place_operands()
        self._overwrite_operands()
        self._owners: dict[Node, tuple[Node, int]] = {}  # node -> the owner of its array, and views of views up to it
        self._names: dict[Node, Node] = {}
        self.extents: dict[Node, Extent] = {}
        for node, extent in lifetimes.extents.items():
            owner = self.owner(node)
            self.extents[owner] = max(extent, self.extents.get(owner, Extent.ONE))

    def representative(self, node: Node) -> Node:
        """Return the node whose name the array of a node has in the text: the last that overwrites it."""
        if node not in self.alias_of:
            return node
        chain = [node]
        while (last := chain[-1]) in self.alias_of and last not in self._names:
            chain.append(self.alias_of[last])
        found = self._names.get(chain[-1], chain[-1])
        self._names.update(dict.fromkeys(chain[:-1], found))
        return found

    def parent(self, node: Node) -> Node | None:
        """Return the node whose array contains the value of this node; None if it has an array of its own."""
        if node in self.alias_of:
            return self.alias_of[node]
        if node in self.slot_in:
            return self.slot_in[node][0]
        return self.inplace_of.get(node, node.inputs[0] if isinstance(node.op, ir.View) else None)

    def owner(self, node: Node) -> Node:
        """Return the node that owns the array which contains the value of a node."""
        return self._owner_and_depth(node)[0]

    def depth(self, node: Node) -> int:
        """Return how many views of views the value of a node is."""
        return self._owner_and_depth(node)[1]

    def _owner_and_depth(self, node: Node) -> tuple[Node, int]:
        chain = [node]
        while chain[-1] not in self._owners:
            above = self.parent(chain[-1])
            if above is None:
                self._owners[chain[-1]] = chain[-1], 0
            else:
                chain.append(above)
        owner, depth = self._owners[chain[-1]]
        self._owners.update((x, (owner, depth + count)) for count, x in enumerate(reversed(chain)))
        return self._owners[node]

    def extent(self, node: Node) -> Extent:
        """Return for how many steps the array of a value has space."""
        return self.extents.get(self.owner(node), Extent.ALL)

    # ---- lanes: gates as (4, batch, n), so that each gate is one contiguous array
    def _separate_lanes(self) -> None:
        """Store vectors that were fused apart from each other where nothing reads them as one row."""
        separable: set[Node] = set()
        for node in reversed(self.lifetimes.nodes):  # readers first
            if node.lanes > 1 and node.timed and self._is_separable(node, separable):
                separable.add(node)
        for node in self.lifetimes.nodes:
            if node in separable:
                self.lanes[node] = node.lanes
            elif isinstance(node.op, ir.Slice) and node.timed and node.inputs[0] in self.lanes:
                size = node.inputs[0].shape[0] // self.lanes[node.inputs[0]]
                if node.shape[0] > size:
                    self.lanes[node] = node.shape[0] // size

    def _is_separable(self, node: Node, separable: set[Node]) -> bool:
        """Return whether a value can be stored with its lanes apart.

        Sums aren't: one of their terms is a product, which writes the lanes of a sequence into one row.
        """
        users = self.lifetimes.users.get(node, [])
        never = ops.Identity, ops.Sub, ir.GradientMask, ir.AddN
        elementwise = node.op.elementwise and not isinstance(node.op, never) \
            and (not isinstance(node.op, ops.Add) or any(isinstance(x.op, ir.Number) for x in node.inputs))
        factors = isinstance(node.op, ir.Concat) and all(isinstance(x.op, ir.BroadcastMul) for x in users)
        if not (elementwise or factors) or node in self.fixed:
            return False
        if elementwise and not all(isinstance(x.op, ir.Number) or (x.timed and x.shape == node.shape)
                                   for x in node.inputs):
            return False
        return all(self._reads_lanes(user, node, separable) for user in users)

    def _reads_lanes(self, user: Node, node: Node, separable: set[Node]) -> bool:
        """Return whether a reader of a node works with lanes that are stored apart."""
        size = node.shape[0] // node.lanes
        if isinstance(user.op, ir.Slice):
            aligned = user.op.start % size == 0 and user.op.stop % size == 0
            return aligned and (user.shape[0] == size or all(
                x.op.elementwise and x.lanes == user.shape[0] // size and x in separable
                for x in self.lifetimes.users.get(user, [])))
        if isinstance(user.op, ir.BroadcastMul):
            return user.inputs[1] is node
        return user.lanes == node.lanes and user.op.elementwise and user in separable

    # ---- concatenations
    def _place_operands(self) -> None:
        """Compute the operands of a concatenation in their place: nothing is copied.

        But a value that the next iteration finds in its buffer stays there: a concatenation may exist for several
        steps, and one that is such a value is overwritten at once, after all have read it.
        """
        for concat in self.lifetimes.nodes:
            start = 0
            for x in concat.inputs if isinstance(concat.op, ir.Concat) and concat.timed else ():
                if self.lifetimes.computed_together(x, concat) and x not in self.slot_in and x not in self.lanes \
                        and x not in self.fixed and not isinstance(x.op, (ir.View, ir.Input, ir.Number)) \
                        and not self.carriers.intersection((x, concat)):
                    self.slot_in[x] = concat, start
                start += x.shape[0]

    # ---- in-place operations
    def _overwrite_operands(self) -> None:
        """Let the result of an elementwise operation overwrite an operand that nothing else reads."""
        for node in self.lifetimes.nodes:
            if not node.op.elementwise or not node.timed or node in self.carriers:
                continue
            part = next((x for x in node.inputs if self._is_unshared_slice(x, node)), None)
            if part is not None and node not in self.slot_in:
                self.inplace_of[node] = part
                continue
            fitting = [x for x in node.inputs if self._may_overwrite(x, node) and x not in self.carriers
                       and not (x in self.inplace_of and node in self.fixed)]
            # an operand that exists for several steps is preferred: the other one then takes one step only
            longer = [x for x in fitting if self.lifetimes.extents[x] > Extent.ONE]
            for x in [*longer, *fitting][:1]:
                self.alias_of[x] = node
                if x in self.inplace_of:
                    self.inplace_of[node] = self.inplace_of.pop(x)

    def _may_overwrite(self, x: Node, node: Node) -> bool:
        """Return whether `node` may overwrite its operand x."""
        if not x.timed or x.shape != node.shape or self.lifetimes.users[x] != [node] or x not in self.lifetimes.block:
            return False
        if (x in self.lifetimes.static) != (node in self.lifetimes.static):
            return False
        if x in self.fixed or isinstance(x.op, (ir.View, ir.Leaf, ops.Compare, ir.Concat, ir.Backward)):
            return False
        if isinstance(node.op, ops.Compare):  # its array holds bools
            return False
        if x in self.slot_in or self.lanes.get(x) != self.lanes.get(node):
            return False
        return self.lifetimes.block[x] is self.lifetimes.block[node] or self._prepares(x, node)

    def _is_unshared_slice(self, x: Node, node: Node) -> bool:
        """Return whether x is a slice of a vector of the same loop, and nothing but `node` reads these elements."""
        if not isinstance(x.op, ir.Slice) or not x.timed or x.shape != node.shape or self.lifetimes.users[x] != [node]:
            return False
        whole, start, stop = x.inputs[0], x.op.start, x.op.stop
        if whole not in self.lanes or self.lifetimes.block.get(whole) is not self.lifetimes.block[node] \
                or self.lanes.get(x) != self.lanes.get(node):
            return False
        disjoint = all(isinstance(user.op, ir.Slice) and (user.op.stop <= start or user.op.start >= stop)
                       for user in self.lifetimes.users[whole] if user is not x)
        return disjoint and not isinstance(whole.op, ir.View) and not {whole, node}.intersection(self.fixed) \
            and x not in self.lifetimes.outputs

    def _prepares(self, x: Node, node: Node) -> bool:
        """Return whether x is computed beforehand, for the loop of `node` or together with it."""
        block, loop = self.lifetimes.block[node], self.lifetimes.tile_loop.get(x)
        if self.lifetimes.block[x].direction:
            return False
        return loop in (None, block) if block.direction else loop is self.lifetimes.tile_loop.get(node)
