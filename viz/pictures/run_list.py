"""A list of runs: its checks, the names of the runs, and the parameters that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from minigrad import Tensor
from rnn import Run
from rnn.unrolling.gradients import Find, gradient_sums, gradients_outside, stored
from viz.layout.folding import choose_steps
from viz.layout.links import Link
from viz.layout.unrolled_layout import UnrolledSpec
from viz.render.fonts import clean

from .arguments import wrong_type


def checked_runs(given: Any) -> list[Run]:
    """Return some runs as a list.

    Raises:
        TypeError: for anything else than runs.
        ValueError: for none, or one that is given twice.
    """
    wanted = "takes a run, cell.unroll(...), or a list of runs"
    if isinstance(given, (str, Tensor)) or not isinstance(given, Iterable):
        raise wrong_type(given, f"viz.unrolled() {wanted}")
    runs = list(given)
    for run in runs:
        if not isinstance(run, Run):
            raise TypeError(f"viz.unrolled() {wanted}; in this list is {type(run).__name__}: {run!r:.60}")
    if not runs:
        raise ValueError(f"viz.unrolled([]): it {wanted} with one run or more")
    twice = [run for run, count in Counter(runs).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} is in the list more than once: give each run once")
    return runs


def run_names(runs: Sequence[Run]) -> list[str]:
    """Return the names of the definitions; numbered where one is unrolled several times: "elman, run 2"."""
    return numbered([run.cell.name for run in runs])


def numbered(names: Sequence[str]) -> list[str]:
    """Return names, those that occur more than once with their number."""
    counts, seen = Counter(names), Counter[str]()
    found = []
    for name in names:
        seen[name] += 1
        found.append(f"{name}, run {seen[name]}" if counts[name] > 1 else name)
    return found


def runs_title(runs: Sequence[Run], folded: int, linked: Collection[tuple[int, int]]) -> str:
    """Return the title: the names of the definitions, and the numbers of steps.

    Args:
        linked: the numbers of two runs of which the second reads the first.
    """
    together = {(runs[i].cell.name, runs[j].cell.name) for i, j in linked}
    names = list(dict.fromkeys(run.cell.name for run in runs))
    ways = [" → " if pair in together else ", " for pair in pairwise(names)]
    title = "".join(clean(name, 30) + way for name, way in zip(names, [*ways, ""]))
    title += f", unrolled, T = {_listed([str(run.T) for run in runs])}"
    return f"{title}: {folded} steps folded" if folded else title


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def steps_of_runs(runs: Sequence[Run], fold: bool, steps: Any) -> list[list[int]]:
    """Return the steps of each run to draw one by one: `steps` are those of all runs, or a list for each run.

    Raises:
        ValueError: for a step that no run has, or a run without steps.
    """
    if steps is None:
        return [choose_steps(run.T, fold, None) for run in runs]
    chosen = list(steps)
    if chosen and all(isinstance(own, Iterable) for own in chosen):
        if len(chosen) != len(runs):
            raise ValueError(f"steps= has {len(chosen)} lists for {len(runs)} runs: give one list for each run, or one "
                             "for all of them")
        return [choose_steps(run.T, fold, own) for run, own in zip(runs, chosen)]
    longest = max(run.T for run in runs)
    choose_steps(longest, fold, chosen)
    return [choose_steps(run.T, fold, [k for k in chosen if k <= run.T] or chosen) for run in runs]


def check_order(runs: Sequence[Run], specs: Sequence[UnrolledSpec], links: Iterable[Link]) -> None:
    """Raise ValueError if a run is before another one that it is computed from."""
    number = {part: i for i, spec in enumerate(specs) for part in (*spec.graph.parts, *spec.beside)}
    for link in links:
        source, target = number[link.source[0]], number[link.target[0]]
        if source > target:
            part, k = link.source
            raise ValueError(f"{runs[target]!r} reads {part.signal}[{k}] of {runs[source]!r}, so it comes after it: "
                             "give the runs in the order in which they are computed")


def divide_highlight(wanted: Collection[Tensor], specs: Sequence[UnrolledSpec]) -> list[list[Tensor]]:
    """Return the tensors to highlight in each run; those that are in no run are left to the last one."""
    drawn = [{tensor for steps in spec.tensors.values() for tensor in steps.values()} | set(spec.beside.values())
             for spec in specs]
    own = [[tensor for tensor in wanted if tensor in tensors] for tensors in drawn]
    own[-1] += [tensor for tensor in wanted if not any(tensor in tensors for tensors in drawn)]
    return own


def all_parameters(runs: Sequence[Run], links: Iterable[Link]) -> dict[str, Tensor]:
    """Return the parameters of all runs and of what is computed between them, each once.

    Where two have one name, it is with that of the definition.
    """
    owners: dict[Tensor, tuple[str, str]] = {}
    for run in runs:
        for name, tensor in run.parameters.items():
            owners.setdefault(tensor, (name, f"{name} of {run.cell.name}"))
    for tensor in _leaves_between(links):
        name = tensor.label or f"p{len(owners) + 1}"
        owners.setdefault(tensor, (name, f"{name} between the runs"))
    counts = Counter(name for name, _ in owners.values())
    names = [longer if counts[name] > 1 else name for name, longer in owners.values()]
    return dict(zip(numbered(names), owners))


def layers_of_parameters(runs: Sequence[Run], specs: Sequence[UnrolledSpec],
                         parameters: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Return, by a layer's label, the names of the parameters that are listed together: those of no other layer."""
    names = {tensor: name for name, tensor in parameters.items()}
    found: dict[str, list[str]] = {}
    for title, run, spec in zip(run_names(runs), runs, specs):
        for label, own in spec.graph.shelf.items():
            listed = [names[run.parameters[name]] for name in own]
            if listed not in found.values():  # chunks have the same
                found[f"{label} of {title}" if label in found else label] = listed
    return found


def _leaves_between(links: Iterable[Link]) -> list[Tensor]:
    return [x for link in links for node in link.between for x in node.inputs if x.op is None and x.requires_grad]


def sum_of_sums(runs: Sequence[Run], parameters: Mapping[str, Tensor], links: Iterable[Link],
                of: Find = stored) -> dict[str, Any] | None:
    """Return what all runs, and what is between them, contributed to the gradient of each parameter.

    It is None before a backward pass; `of` finds the gradient of a tensor.
    """
    found: dict[Tensor, Any] = {}
    for run in runs:
        for name, total in (gradient_sums(run, of) or {}).items():
            tensor = run.parameters[name]
            found[tensor] = found[tensor] + total if tensor in found else total
    if not found:
        return None
    own = {run.key: set(run.parameters.values()) for run in runs}
    for result, key in {link.result: link.key for link in links if of(link.result) is not None}.items():
        for x, part in gradients_outside(result, of(result)).items():
            if x.op is None and (key is None or x not in own[key]):
                found[x] = found[x] + part if x in found else part
    return {name: found[tensor] for name, tensor in parameters.items() if tensor in found}
