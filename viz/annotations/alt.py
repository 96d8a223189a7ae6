"""Pictures in words: their titles, and the text that stands for one where it can't be seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from minigrad import Tensor
from viz.layout.folding import Where
from viz.layout.step_graph import Edge, Part, StepGraph
from viz.layout.unrolled_layout import UnrolledSpec
from viz.render import palette
from viz.render.fonts import clean

from .heat import Scale

KINDS = {palette.INPUT: "input", palette.TARGET: "target", palette.STATE: "state",
         palette.REVERSED: "state that runs backward", palette.STATIC: "static", palette.HIDDEN: "hidden",
         palette.OUTPUT: "output", palette.LOSS: "number"}
MOST = 12  # parts of a list


def titled(name: str, rest: str) -> str:
    """Return the title of a picture, `Elman network, rolled`; without a name, `rolled`."""
    return f"{name}, {rest}" if name else rest


def run_title(spec: UnrolledSpec, folded: int = 0) -> str:
    """Return the title of an unrolled picture, in which so many steps are folded."""
    title = titled(clean(spec.name, 60), f"unrolled, T = {spec.T}")
    return f"{title}: {folded} steps folded" if folded else title


def definition_text(graph: StepGraph) -> str:
    """Return the signals of a definition, from bottom to top, and what each is computed from."""
    signals = sorted((part for part in graph.parts if part.node is None), key=lambda part: part.layer)
    text = f"From bottom to top: {listed(map(_signal, signals))}."
    operations = len(graph.parts) - len(signals)
    if operations:
        return f"{text} {operations} operation{'s' * (operations > 1)} between them."
    reads: dict[Part, list[str]] = {}
    for edge in graph.edges:
        reads.setdefault(edge.target, []).append(_read(edge))
    return text + "".join(f" {_at(part, part.lead)} is computed from {listed(reads[part])}."
                          for part in signals[:MOST] if part in reads)


def run_text(spec: UnrolledSpec, read: Iterable[Where], scale: Scale | None) -> str:
    """Return what an unrolled picture shows, besides its definition.

    Args:
        read: the signals that the loss reads, at their steps.
        scale: of the colours of gradients.
    """
    sentences = [f"{spec.T} time steps from left to right." if spec.T > 1 else "One time step."]
    if len(spec.steps) < spec.T:
        sentences.append(f"Drawn are {listed(map(str, spec.steps))}; the others are folded.")
    read = list(read)
    if spec.loss is not None and read:
        steps: dict[Part, list[int]] = {}
        for part, k in read:
            steps.setdefault(part, []).append(k)
        sources = listed(f"{part.label}[{_range(sorted(found))}]" for part, found in steps.items())
        sentences.append(f"At the top, {clean(spec.loss.name or 'loss')} is computed from {sources}.")
    if scale is not None:
        sentences.append(scale_text(scale))
    return " ".join([*sentences, definition_text(spec.graph)])


def runs_text(names: Sequence[str], specs: Sequence[UnrolledSpec], read: Sequence[Iterable[Where]],
              scale: Scale | None) -> str:
    """Return what a picture of several runs shows, one after the other."""
    found = [f"{clean(name)}: {run_text(spec, own, None)}" for name, spec, own in zip(names, specs, read)]
    return " ".join([*found, scale_text(scale)] if scale else found)


def scale_text(scale: Scale) -> str:
    """Return the range of a scale, and what is not on it."""
    rows = [meaning for _, pattern, meaning in scale.legend() if pattern is None]
    text = f"Colours show norms of gradients from {rows[-1]} to {rows[0]}"
    patterns = [meaning for _, pattern, meaning in scale.legend() if pattern is not None]
    return f"{text}, patterns: {listed(patterns)}." if patterns else f"{text}."


def graph_text(nodes: Sequence[Tensor]) -> str:
    """Return how large the graph of a tensor is, and which leaves it has."""
    leaves = [clean(node.label) for node in nodes if node.op is None and node.label]
    times = sorted({node.t for node in nodes if node.t is not None})
    steps = f" at the time steps {times[0]} … {times[-1]}" if len(times) > 1 else ""
    text = f"{len(nodes)} tensor{'s' * (len(nodes) > 1)}{steps}"
    return f"{text}, computed from {listed(leaves)}." if leaves else f"{text}."


def listed(words: Iterable[str]) -> str:
    """Return words one after another, of a long list the first."""
    found = list(words)
    more = len(found) - MOST
    return ", ".join(found if more <= 0 else [*found[:MOST], f"and {more} more"])


def _signal(part: Part) -> str:
    kind = KINDS.get(part.paint)
    return f"{part.label} ({kind})" if kind else part.label


def _read(edge: Edge) -> str:
    """Return what an edge reads: `h[t-1] (U)`."""
    place = _at(edge.source, edge.target.lead - edge.delay)
    return f"{place} ({', '.join(text for text, _ in edge.factors)})" if edge.factors else place


def _at(part: Part, offset: int) -> str:
    return part.label if part.once else f"{part.label}[t{offset:+d}]" if offset else f"{part.label}[t]"


def _range(steps: Sequence[int]) -> str:
    """Return `1 … 4` for steps without a gap."""
    whole = len(steps) > 2 and steps[-1] - steps[0] == len(steps) - 1
    return f"{steps[0]} … {steps[-1]}" if whole else listed(map(str, steps))
