"""Where a program keeps its values: which arrays there are, and which values share one.

A value of a loop that nobody needs afterwards is written over at each step. What is computed for all
steps only to be read by a loop is computed for some steps at a time, as many as the processor's cache
holds. What only the next operation reads is overwritten by its result. Knows nodes and their order,
and no text.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from minigrad import ops
from rnn.ir.adjoint import ELEMENTWISE, is_product
from rnn.ir.nodes import (
    AddN,
    Backward,
    BroadcastMul,
    Compare,
    Concat,
    GradientMask,
    Input,
    InputGrad,
    Node,
    Number,
    Shift,
    Slice,
    Weight,
)
from rnn.ir.schedule import Block

VIEWS = (Shift, GradientMask, Slice)


class Steps(IntEnum):
    """For how many steps an array has room."""

    ONE = 0
    SOME = 1
    ALL = 2


class Memory:
    """What is decided about the arrays of a program.

    Args:
        passes: the blocks of the forward pass, and of the backward pass.
        margins: node -> how many steps before the first and after the last have values from outside.
        outputs: the nodes whose values are asked for afterwards.

    Attributes:
        carried: reads of the step before that find the value where that step left it.
        homes: node -> the one whose array it is written into, and which then takes its place.
        within: node -> the lanes that it overwrites, since nothing else reads them.
        places: node -> the Pack whose part it is, and where in it.
        lanes: node -> how many vectors it joins, where these are kept apart, (lanes, batch, size).
        some: block of a loop -> what is computed for it for some steps at a time.
    """

    def __init__(self, passes: tuple[list[Block], ...], margins: dict[Node, tuple[int, int]],
                 outputs: Iterable[Node]) -> None:
        self.nodes = [node for blocks in passes for block in blocks for node in block.nodes]
        self.block: dict[Node, Block] = {node: block for blocks in passes for block in blocks for node in block.nodes}
        self.outputs = set(outputs)
        self.users: dict[Node, list[Node]] = {}
        for node in self.nodes:
            for x in node.inputs:
                self.users.setdefault(x, []).append(node)
        self.carried = {node for node in self.nodes if self._is_carried(node)}
        self.margins = dict(margins)
        for node in self.nodes:
            if isinstance(node.op, Shift) and node not in self.carried:
                before, after = self.margins.get(node.inputs[0], (0, 0))
                self.margins[node.inputs[0]] = max(before, node.op.delay), max(after, -node.op.delay)
        repeated = [(block, blocks) for blocks in passes for block in blocks if block.direction]
        self.some = {id(block): self._feeding(block, blocks) for block, blocks in repeated}
        self.fed = {node: block for block, _ in repeated for node in self.some[id(block)]}
        self.steps = {node: self._needed(node) for node in self.nodes if node.timed}
        self.places: dict[Node, tuple[Node, int]] = {}
        self.homes: dict[Node, Node] = {}
        self.within: dict[Node, Node] = {}
        self.lanes: dict[Node, int] = {}
        self._find_lanes()
        self._find_places()
        self._find_homes()
        self.room: dict[Node, Steps] = {}
        for node, steps in self.steps.items():
            root = self.source(node) if self.root(node) in self.within else self.root(node)
            self.room[root] = max(steps, self.room.get(root, Steps.ONE))

    def home(self, node: Node) -> Node:
        """The node that takes this one's place in the text."""
        while node in self.homes:
            node = self.homes[node]
        return node

    def root(self, node: Node) -> Node:
        """The node whose array a value is written into."""
        while node in self.homes or node in self.places:
            node = self.homes[node] if node in self.homes else self.places[node][0]
        return node

    def source(self, node: Node) -> Node:
        """The node whose array a value is in: of a view, what it is a view of."""
        while True:
            node = self.root(node)
            node = self.within.get(node, node)
            if not isinstance(node.op, VIEWS):
                return node
            node = node.inputs[0]

    def has(self, node: Node) -> Steps:
        """For how many steps a value is there."""
        return self.room.get(self.source(node), Steps.ALL)

    # ---- what has to be kept
    def _is_carried(self, shift: Node) -> bool:
        """Whether the step before leaves a value where this one finds it, and nobody writes there in between."""
        if not isinstance(shift.op, Shift) or shift.op.signal is not None:
            return False
        source, block = shift.inputs[0], self.block[shift]
        if block.skewed or self.block.get(source) is not block or shift.op.delay != block.direction \
                or source in self.outputs or isinstance(source.op, VIEWS):
            return False
        place = {node: number for number, node in enumerate(block.nodes)}
        early = all(reader in place and not isinstance(reader.op, VIEWS) and place[reader] <= place[source]
                    and (reader is not source or not is_product(reader)) for reader in self.users.get(shift, []))
        return early and all(user is shift or (self.block.get(user) is block and not isinstance(user.op, Shift))
                             for user in self.users.get(source, []))

    def _readers(self, node: Node) -> list[Node]:
        """What reads a node, also through views of it."""
        found: list[Node] = []
        waiting = list(self.users.get(node, []))
        for user in waiting:
            if isinstance(user.op, (Slice, GradientMask)) and user.timed:
                waiting.extend(self.users.get(user, []))
                if user in self.outputs:
                    found.append(user)
            else:
                found.append(user)
        return found

    def _shows(self, view: Node) -> bool:
        """Whether a view is asked for afterwards, and so what it is a view of."""
        return isinstance(view.op, VIEWS) and view in self.outputs

    def _feeding(self, loop: Block, blocks: list[Block]) -> list[Node]:
        """What is computed for all steps, and read by one loop alone, in order."""
        inside = set(loop.nodes)
        found: set[Node] = set()
        if loop.skewed:
            return []
        early = [node for block in blocks[:blocks.index(loop)] if block.direction == 0 for node in block.nodes]
        for node in reversed(early):
            if not node.timed or node in self.outputs or node in self.margins \
                    or isinstance(node.op, (Input, Backward, InputGrad, Shift)):
                continue
            readers = self._readers(node)
            if readers and all((x in inside or x in found) and not self._shows(x) for x in readers):
                found.add(node)
        return [node for node in early if node in found]

    def _needed(self, node: Node) -> Steps:
        """For how many steps a value has to stay."""
        if node in self.outputs or node in self.margins or isinstance(node.op, Input):
            return Steps.ALL
        block = self.block[node]
        if block.direction == 0:
            return Steps.SOME if node in self.fed else Steps.ALL
        if block.skewed or any(self.block.get(x) is not block or self._shows(x) for x in self._readers(node)):
            return Steps.ALL
        return Steps.ONE

    # ---- which values share an array
    def _find_lanes(self) -> None:
        """Vectors end to end, apart from each other where nothing needs them in one row."""
        for node in self.nodes:
            if node.lanes > 1 and node.timed and self._may_be_apart(node):
                self.lanes[node] = node.lanes
            elif isinstance(node.op, Slice) and node.timed and node.inputs[0] in self.lanes:
                size = node.inputs[0].shape[0] // self.lanes[node.inputs[0]]
                if node.shape[0] > size:
                    self.lanes[node] = node.shape[0] // size

    def _may_be_apart(self, node: Node) -> bool:
        size = node.shape[0] // node.lanes
        elementwise = isinstance(node.op, ELEMENTWISE) \
            and not isinstance(node.op, (ops.Identity, GradientMask, ops.Sub)) \
            and (not isinstance(node.op, ops.Add) or any(isinstance(x.op, Number) for x in node.inputs))
        packed = isinstance(node.op, Concat) and all(isinstance(x.op, BroadcastMul) for x in self.users.get(node, []))
        if not (elementwise or packed) or node in self.outputs or node in self.margins:
            return False
        fits = [isinstance(x.op, Number) or (x.timed and x.shape == node.shape) for x in node.inputs]
        if elementwise and not all(fits):
            return False
        return all(self._reads_lanes(user, size, node) for user in self.users.get(node, []))

    def _reads_lanes(self, user: Node, size: int, node: Node) -> bool:
        """Whether what reads a node can read its lanes apart from each other."""
        if isinstance(user.op, Slice):
            aligned = user.op.start % size == 0 and user.op.stop % size == 0
            whole_lane = user.shape[0] == size
            return aligned and (whole_lane or all(isinstance(x.op, ELEMENTWISE) and x.lanes == user.shape[0] // size
                                                  and self._may_be_apart(x) for x in self.users.get(user, [])))
        if isinstance(user.op, BroadcastMul):
            return user.inputs[1] is node
        return user.lanes == node.lanes and isinstance(user.op, ELEMENTWISE) and self._may_be_apart(user)

    def _find_places(self) -> None:
        """What is computed for a Pack alone is written where it belongs; nothing is copied."""
        for pack in self.nodes:
            start = 0
            for x in pack.inputs if isinstance(pack.op, Concat) and pack.timed else ():
                if self._together(x, pack) and x not in self.places and not isinstance(x.op, (*VIEWS, Input, Number)) \
                        and x not in self.margins and x not in self.outputs and x not in self.lanes:
                    self.places[x] = pack, start
                start += x.shape[0]

    def _together(self, x: Node, node: Node) -> bool:
        """Whether two values are computed in the same loop, or both for the same steps at once."""
        if x not in self.block:
            return False
        one, other = self.block[x], self.block[node]
        return one is other if one.direction or other.direction else self.fed.get(x) is self.fed.get(node)

    def _find_homes(self) -> None:
        """What only the next operation reads is overwritten by its result."""
        carriers = {node.inputs[0] for node in self.carried}
        for node in self.nodes:
            if not isinstance(node.op, (*ELEMENTWISE, AddN)) or not node.timed or node in carriers:
                continue
            part = next((x for x in node.inputs if self._only_lanes_for(x, node)), None)
            if part is not None and node not in self.places:
                self.within[node] = part
                continue
            fitting = [x for x in node.inputs if self._may_be_overwritten(x, node) and x not in carriers
                       and not (x in self.within and (node in self.margins or node in self.outputs))]
            early = [x for x in fitting if self.steps[x] > Steps.ONE]
            for x in [*early, *fitting][:1]:
                self.homes[x] = node
                if x in self.within:
                    self.within[node] = self.within.pop(x)

    def _may_be_overwritten(self, x: Node, node: Node) -> bool:
        if not x.timed or x.shape != node.shape or self.users[x] != [node] or x not in self.block:
            return False
        if isinstance(x.op, (*VIEWS, Input, Number, Weight, Compare, Concat, Backward)) or x in self.outputs:
            return False
        if x in self.margins or x in self.places or self.lanes.get(x) != self.lanes.get(node):
            return False
        return self.block[x] is self.block[node] or self._feeds(x, node)

    def _only_lanes_for(self, x: Node, node: Node) -> bool:
        """Whether x is lanes of a vector of the same loop, which nothing but `node` reads."""
        if not isinstance(x.op, Slice) or not x.timed or x.shape != node.shape or self.users[x] != [node]:
            return False
        whole = x.inputs[0]
        if whole not in self.lanes or self.block.get(whole) is not self.block[node] \
                or self.lanes.get(x) != self.lanes.get(node):
            return False
        start, stop = x.op.start, x.op.stop
        others = [user for user in self.users[whole] if user is not x]
        apart = all(isinstance(user.op, Slice) and (user.op.stop <= start or user.op.start >= stop) for user in others)
        return apart and not isinstance(whole.op, VIEWS) and not {whole, x, node}.intersection(self.outputs) \
            and whole not in self.margins and node not in self.margins

    def _feeds(self, x: Node, node: Node) -> bool:
        """Whether x is computed beforehand, for the loop of `node` or with it."""
        if self.block[x].direction:
            return False
        if self.block[node].direction:
            return x not in self.fed or self.fed[x] is self.block[node]
        return self.fed.get(x) is self.fed.get(node)
