"""Each engine on a case: its numbers against the naive interpreter's.

A check returns failures: (kind, what differs). A case that an engine refuses with a clear sentence is a
`Refused`; any other exception is a failure of the kind "crash".
"""

from __future__ import annotations

import contextlib
import linecache
import re
import signal as signals
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from description import Case, definition_text, draw
from naive import OPEN, NotComputable, Result, expected, refusal
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
FILE = "case.py"
TOLERANCES = {"float16": 0.05, "float32": 2e-3, "float64": 1e-8}
LIMIT = {"unroll": 60, "compile": 60, "numba": 120, "stream": 60, "jax": 300, "torch": 120, "onnx": 120}  # if busy


class Failure(NamedTuple):
    """One difference. `kind` is its class, e.g. "compile gradient"."""

    kind: str
    detail: str


class Refused(NamedTuple):
    """A refusal: by which engine, and the sentence without its names and numbers."""

    engine: str
    message: str


def problems(case: Case, engine: str) -> list[str]:
    """Return what is wrong with one engine on a case that has to be computed; a refusal is a problem, too."""
    outcome = run_case(case, (engine,))
    found = [f"{failure.kind}: {failure.detail}" for failure in outcome.failures]
    if outcome.skipped:
        return [*found, f"skipped: {outcome.skipped}"]
    return found if refusal(case) else [*found, *(f"refused: {x.message}" for x in outcome.refusals)]


class Hang(BaseException):
    """Raised by the alarm, past every `except Exception`."""


class Program:
    """The program of a case, run: its definition, data and options."""

    def __init__(self, case: Case) -> None:
        text = definition_text(case)
        linecache.cache[FILE] = len(text), None, text.splitlines(True), FILE
        self.names: dict[str, Any] = {"__name__": "case"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(text, FILE, "exec"), self.names)
        self.cell = self.names["cell"]
        self.data = self.names["data"]
        self.options = self.names["options"]

    def leaf(self, name: str) -> Any:
        """Return a learned Tensor by the name that the interpreter has for it."""
        return self.data[name] if name in self.data else self.names[name]


# ---- comparing -----------------------------------------------------------------------------


def tolerance(case: Case) -> float:
    """Return the relative tolerance: that of the narrowest float type."""
    types = {x.dtype for x in [*case.parameters.values(), *case.inputs.values()]} & set(TOLERANCES)
    texts = [*case.formulas.values(), *(x.text for x in [*case.equations, *case.boundaries])]
    types |= {name for name in TOLERANCES for text in texts if name in text}
    return max([TOLERANCES[x] for x in types], default=TOLERANCES["float64"])


def differing(found: Arrays, wanted: Arrays, accuracy: float) -> str:
    """Return a description of the first array that differs; "" if none does. NaN is wanted: anything."""
    for name, array in wanted.items():
        if name not in found or found[name] is None:
            if np.nan_to_num(array).any():
                return f"{name}: missing"
            continue
        got = np.asarray(found[name], float)
        if np.isnan(array).all():  # its shape, too, is open where no sequence has a step
            continue
        if got.shape != array.shape:
            return f"{name}: shape {got.shape}, not {array.shape}"
        open_ = np.isnan(array)
        scale = 1.0 + np.abs(np.where(open_, 0, array)).max(initial=0)
        error = np.abs(np.where(open_, 0, got - np.where(open_, 0, array)))
        if not (error <= accuracy * scale).all():
            place = np.unravel_index(np.argmax(np.nan_to_num(error, nan=np.inf)), error.shape)
            return f"{name}{[int(i) for i in place]}: {got[place]:.8g}, not {array[place]:.8g}"
    return ""


def upstream(case: Case, wanted: Result) -> Arrays:
    """Return random weights of all values; zero where a value is open."""
    return {name: np.where(np.isnan(values), 0, draw(case.seed, f"upstream {name}", *values.shape))
            for name, values in wanted.values.items()}


def loss_gradients(case: Case, wanted: Result) -> tuple[float, Arrays]:
    """Return the loss of compile(loss=...) and its gradients: the sum, or mean, over the steps that count."""
    from naive import mask_of

    mask = mask_of(case)
    values = wanted.values[case.loss]
    weights = np.ones(values.shape) if mask is None else 1.0 * mask
    if case.reduction == "mean":
        weights = weights / wanted.counted
    return float((np.nan_to_num(values) * weights).sum()), wanted.gradients({case.loss: weights})


# ---- engines -------------------------------------------------------------------------------


def check_unroll(case: Case, wanted: Result) -> Iterator[Failure]:
    """unroll, and backward from a weighted sum of all signals."""
    program = Program(case)
    run = program.cell.unroll(**program.data, **program.options)
    yield from _values("unroll", {e.signal: run[e.signal].stack().data for e in case.equations}, case, wanted)
    state = {f"state {name}[{k}]": x.data for name, steps in run.state.values.items() for k, x in steps.items()}
    yield from _compare("unroll state", state, _state(wanted), case)
    weights = upstream(case, wanted)
    total = sum((run[name].stack() * array).sum() for name, array in weights.items())
    if total.requires_grad:
        total.backward()
    yield from _gradients("unroll gradient", program, wanted.gradients(weights), case)


def check_compile(case: Case, wanted: Result, kind: str = "compile", backend: Any = "numpy") -> Iterator[Failure]:
    """compile: values, state, gradients from upstream ones, the loss, a second call."""
    program = Program(case)
    if "window" not in case.options:
        fast = program.cell.compile(backend=backend)
        outputs = fast(**program.data, **program.options)
        yield from _values(kind, {e.signal: outputs[e.signal] for e in case.equations}, case, wanted)
        state = {f"state {name}[{k}]": x.data for name, steps in outputs.state.values.items()
                 for k, x in steps.items()}
        yield from _compare(f"{kind} state", state, _state(wanted), case)
        weights = {e.signal: upstream(case, wanted)[e.signal] for e in case.equations if not e.lead}
        if weights:
            fast.backward(**weights)
            yield from _gradients(f"{kind} backward", program, wanted.gradients(weights), case)
    if case.loss:
        yield from _check_loss(case, wanted, kind, backend)


def check_numba(case: Case, wanted: Result) -> Iterator[Failure]:
    """The same by the backend "numba"."""
    yield from check_compile(case, wanted, "numba", "numba")


def _check_loss(case: Case, wanted: Result, kind: str, backend: Any) -> Iterator[Failure]:
    """compile(loss=...), called twice where the case says so."""
    program = Program(case)
    fast = program.cell.compile(loss=case.loss, reduction=case.reduction, backend=backend)
    result = fast(**program.data, **program.options)
    yield from _loss(f"{kind} loss", case, wanted, program, result)
    if not case.second or case.carried:
        return
    for name in wanted.leaves:
        program.leaf(name).grad = None
    scale, frozen = 1.0, ""
    if case.second == "scaled":
        scale = 0.5
        for name, p in case.parameters.items():  # formulas of frozen ones are constants
            if not p.frozen:
                program.names[name].data = program.names[name].data * scale
    else:
        frozen = case.second.split()[1]
        program.names[frozen].requires_grad = False
    again = expected(case, scale, frozen, 1)
    yield from _loss(f"{kind} second {case.second.split()[0]}", case, again, program,
                     fast(**program.data, **program.options))
    if frozen and program.names[frozen].grad is not None:
        yield Failure(f"{kind} second frozen", f"{frozen} has a gradient")


def _loss(kind: str, case: Case, wanted: Result, program: Program, result: Any) -> Iterator[Failure]:
    value, gradients = loss_gradients(case, wanted)
    yield from _compare(kind, {"loss": np.asarray(result.loss)}, {"loss": np.asarray(value)}, case)
    yield from _values(kind, {e.signal: result.outputs[e.signal] for e in case.equations}, case, wanted)
    yield from _gradients(f"{kind} gradient", program, gradients, case)


def check_stream(case: Case, wanted: Result) -> Iterator[Failure]:
    """compile().stream(): values and state, step by step."""
    program = Program(case)
    stream = program.cell.compile().stream(batch=case.batch or None, initial=program.options.get("initial"))
    data = {name: np.asarray(x.data if hasattr(x, "requires_grad") else x)
            for name, x in program.data.items() if name != "T"}
    for name, x in data.items():  # one sequence for all
        own = case.inputs[name].own
        full = x.reshape(case.T, *(1,) * len(case.batch), *own) if case.inputs[name].shared else x
        data[name] = np.broadcast_to(full, (case.T, *case.batch, *own))
    steps = [dict(stream(inputs={name: x[k] for name, x in data.items()})) for k in range(case.T)]
    found = {e.signal: np.stack([step[e.signal] for step in steps]) for e in case.equations}
    yield from _values("stream", found, case, wanted)
    state = {f"state {name}[{k}]": x.data for name, rows in stream.state.values.items() for k, x in rows.items()}
    yield from _compare("stream state", state, _state(wanted), case)


def check_jax(case: Case, wanted: Result) -> Iterator[Failure]:
    """to_jax: values, and jax.grad of a weighted sum."""
    import jax

    jax.config.update("jax_enable_x64", True)
    program = Program(case)
    function = program.cell.to_jax()
    weights = upstream(case, wanted)
    options = _exported_options(program)
    T = program.data.pop("T", None)
    draws = {"draws": function.draws(case.T, case.batch)} if case.generators else {}

    def total(parameters: Any, data: Any) -> Any:
        found = function(parameters, data, T=T, **draws, **options)
        return sum((found[name] * array).sum() for name, array in weights.items()), found

    data = {name: np.asarray(getattr(x, "data", x)) if case.inputs[name].learned else x
            for name, x in program.data.items()}
    learned = {name: x for name, x in data.items() if case.inputs[name].learned}
    rest = {name: x for name, x in data.items() if name not in learned}
    parameters = function.parameters
    (_, found), slopes = jax.value_and_grad(lambda p, x: total(p, {**x, **rest}), (0, 1), has_aux=True)(
        parameters, learned)
    yield from _values("jax", {e.signal: np.asarray(found[e.signal]) for e in case.equations}, case, wanted)
    gradients = wanted.gradients(weights)
    got = {**{k: np.asarray(x) for k, x in slopes[0].items()}, **{k: np.asarray(x) for k, x in slopes[1].items()}}
    yield from _compare("jax gradient", got, gradients, case)


def check_torch(case: Case, wanted: Result) -> Iterator[Failure]:
    """to_torch: values, and backward from a weighted sum."""
    import torch

    program = Program(case)
    module = program.cell.to_torch()
    if not case.parameters and "float32" not in repr(case.inputs):
        module = module.double()
    weights = upstream(case, wanted)
    options = _exported_options(program)
    data = {name: torch.tensor(np.asarray(x.data), requires_grad=True) if hasattr(x, "requires_grad") else x
            for name, x in program.data.items()}
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        found = module(**data, **options)
    finally:
        torch.set_default_dtype(default)
    values = {e.signal: found[e.signal].detach().numpy() for e in case.equations}
    yield from _values("torch", values, case, wanted)
    total = sum((found[name] * torch.tensor(array)).sum() for name, array in weights.items())
    if getattr(total, "requires_grad", False):
        total.backward()
    got = {name: x.grad.numpy() for name, x in [*module.named_parameters(), *data.items()]
           if getattr(x, "grad", None) is not None}
    yield from _compare("torch gradient", got, wanted.gradients(weights), case)


def _exported_options(program: Program) -> dict[str, Any]:
    """Return the options with arrays in the place of states."""
    options = dict(program.options)
    initial = options.get("initial")
    if initial is not None:
        steps = getattr(initial, "values", initial)
        steps = initial if isinstance(initial, dict) else steps
        options["initial"] = {name: {k: np.asarray(getattr(x, "data", x)) for k, x in rows.items()}
                              for name, rows in steps.items()}
    return options


def check_onnx(case: Case, wanted: Result) -> Iterator[Failure]:
    """to_onnx: values in ONNX Runtime."""
    import onnxruntime

    program = Program(case)
    with tempfile.TemporaryDirectory() as folder:
        path = program.cell.to_onnx(Path(folder) / "case.onnx", lengths="lengths" in case.options)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        settings.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    wanted_types = {x.name: x.type for x in session.get_inputs()}
    data = {}
    for name, x in {**program.data, **program.options}.items():
        array = np.atleast_1d(np.asarray(getattr(x, "data", x) if hasattr(x, "requires_grad") else x))
        kind = wanted_types.get(name, "")
        data[name] = array.astype({"tensor(double)": "float64", "tensor(float)": "float32", "tensor(float16)":
                                   "float16", "tensor(int64)": "int64"}.get(kind, array.dtype))
    names = [x.name for x in session.get_outputs()]
    found = dict(zip(names, session.run(None, {name: data[name] for name in wanted_types})))
    yield from _values("onnx", {e.signal: found[e.signal] for e in case.equations}, case, wanted)


def has_batch(case: Case) -> bool:
    """Return whether something in a case has axes for the batch."""
    return (any(not x.shared for x in case.inputs.values())
            or any("draw(" in b.text and not b.after and b.signal not in case.initial for b in case.boundaries)
            or any((len(shape) >= len(case.batch) and shape[:len(case.batch)] == case.batch
                   and case.signals[name] == (shape[len(case.batch):] or ())) or len(shape) > 1
                   for name, steps in case.initial.items() for shape, _ in steps.values()))


def fits(case: Case, engine: str, reason: str = "") -> bool:
    """Return whether a case can be asked of an engine; `reason` is why it has to be refused."""
    if (engine == "onnx" and not fits_onnx(case)) or (engine in ("jax", "torch") and not fits_export(case)):
        return False
    if engine in ("compile", "numba") and "window" in case.options and not case.loss:
        return False
    if engine == "stream" and not fits_stream(case, reason):
        return False
    return reason != "a vector as a loss" or engine in ("compile", "numba")


def fits_stream(case: Case, reason: str) -> bool:
    """Return whether a case can be computed one step at a time: forward in time, and without options but `initial`.

    Dropout of a parameter is drawn anew at each step there, not once.
    """
    text = " ".join([*(e.text for e in case.equations), *(f"{b.signal}[T" for b in case.boundaries if b.after)])
    return (not reason and not case.options and "t+" not in text and "[T" not in text
            and not any(e.lead < 0 for e in case.equations) and "dropout" not in " ".join(case.formulas.values()))


def fits_onnx(case: Case) -> bool:
    """Return whether an ONNX file takes these options: one batch axis, lengths alone."""
    return (len(case.batch) == 1 and not case.initial and not case.carried and not case.generators
            and set(case.options) <= {"lengths"} and not any(x.shared for x in case.inputs.values()))


def fits_export(case: Case) -> bool:
    """Return whether JAX and PyTorch get the same gradients: no learned values among the options."""
    learned = any(learned for steps in case.initial.values() for _, learned in steps.values())
    return case.carried != "connected" and not learned


# ---- comparing what an engine returns ------------------------------------------------------


def _values(kind: str, found: Arrays, case: Case, wanted: Result) -> Iterator[Failure]:
    yield from _compare(f"{kind} value", found, wanted.values, case)


def _state(wanted: Result) -> Arrays:
    return {f"state {name}[{k}]": value for name, steps in wanted.state.items() for k, (value, _) in steps.items()}


def _gradients(kind: str, program: Program, wanted: Arrays, case: Case) -> Iterator[Failure]:
    found = {}
    for name in wanted:
        tensor = program.leaf(name)
        found[name] = tensor.grad
        if tensor.grad is not None and tensor.grad.dtype != tensor.dtype:
            yield Failure(f"{kind} dtype", f"{name} is {tensor.dtype}, its gradient {tensor.grad.dtype}")
    yield from _compare(kind, found, wanted, case)


def _compare(kind: str, found: Arrays, wanted: Arrays, case: Case) -> Iterator[Failure]:
    text = differing(found, wanted, tolerance(case))
    if text:
        yield Failure(kind, text)


# ---- one case ------------------------------------------------------------------------------

ENGINES: dict[str, Callable[[Case, Result], Iterator[Failure]]] = {
    "unroll": check_unroll, "compile": check_compile, "numba": check_numba, "stream": check_stream, "jax": check_jax,
    "torch": check_torch, "onnx": check_onnx}


class Outcome(NamedTuple):
    """What became of a case: failures and refusals; `skipped` says why it wasn't run."""

    failures: list[Failure]
    refusals: list[Refused]
    skipped: str = ""


def run_case(case: Case, engines: tuple[str, ...] = ("unroll", "compile"), limit: float = 1.0) -> Outcome:
    """Run a case on engines; `limit` multiplies the time that each may take."""
    wanted, reason = None, ""
    if case.batch and not has_batch(case):
        return Outcome([], [], "nothing has axes for the batch")
    try:
        with np.errstate(all="ignore"):
            reason = refusal(case)
            wanted = expected(case)
    except (NotComputable, ValueError, IndexError, KeyError, TypeError, RecursionError) as error:
        if not reason:
            return Outcome([], [], f"{type(error).__name__}: {error}")
    numbers = [] if wanted is None else [*wanted.values.values(), *wanted.slopes.values()]
    if any(np.isinf(x).any() or np.abs(np.nan_to_num(x)).max(initial=0) > 1e3 for x in numbers):
        return Outcome([], [], "large numbers")
    failures: list[Failure] = []
    refusals: list[Refused] = []
    for engine in engines:
        if not fits(case, engine, reason):
            continue
        try:
            with np.errstate(all="ignore"), _alarm(LIMIT[engine] * limit):
                if reason and reason != OPEN:
                    _refused(case, engine)
                    failures.append(Failure(f"{engine} accepts {reason}", ""))
                    continue
                assert wanted is not None
                failures += [failure for failure in ENGINES[engine](case, wanted)
                             if reason != OPEN or "gradient" not in failure.kind]
        except Hang:
            failures.append(Failure(f"{engine} hangs", f"more than {LIMIT[engine] * limit:g} s"))
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            if is_clear(case, error) or (reason == OPEN and isinstance(error, ValueError)):
                refusals.append(Refused(engine, normalised(case, message)))
            else:
                failures.append(Failure(f"{engine} crash: {normalised(case, message)}", message))
    return Outcome(failures, refusals)


def _refused(case: Case, engine: str) -> None:
    """Call an engine that has to refuse; every exception is passed on."""
    program = Program(case)
    if engine == "unroll":
        program.cell.unroll(**program.data, **program.options)
    elif engine in ("compile", "numba"):
        fast = program.cell.compile(loss=case.loss or None, backend="numba" if engine == "numba" else "numpy")
        fast(**program.data, **program.options)
    elif engine == "jax":
        function = program.cell.to_jax()
        T = program.data.pop("T", None)
        function(function.parameters, program.data, T=T, **_exported_options(program))
    elif engine == "torch":
        program.cell.to_torch()(**program.data, **_exported_options(program))
    else:
        program.cell.to_onnx(Path(tempfile.mkdtemp()) / "case.onnx")


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise Hang after some time; without limit where the system has no alarms."""
    if not hasattr(signals, "SIGALRM"):
        yield
        return

    def expire(*_: Any) -> None:
        raise Hang

    before = signals.signal(signals.SIGALRM, expire)
    signals.setitimer(signals.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signals.setitimer(signals.ITIMER_REAL, 0)
        signals.signal(signals.SIGALRM, before)


def is_clear(case: Case, error: Exception) -> bool:
    """Return whether an error is a sentence that says where: a line of the program, and a name from it."""
    text = str(error)
    options = ["loss", "lengths", "mask", "last", "chunks", "window"]
    names = [*case.inputs, *case.signals, *case.parameters, "case", *options]
    named = any(re.search(rf"\b{re.escape(name)}\b", text) for name in names)
    failed = "\n  in " in text or ".backward gave " in text  # an operation that failed while it computed
    where = re.search(r"\w+\.py:\d+", text)
    return isinstance(error, (ValueError, TypeError)) and named and bool(where) and not failed


def normalised(case: Case, message: str) -> str:
    """Return the first line of a message without the names, shapes and numbers of one case."""
    text = message.split("\n")[0]
    names = "|".join(map(re.escape, [*case.inputs, *case.signals, *case.parameters]))
    text = re.sub(rf"(?<![\w.])({names})\b(?!=)", "S", text)
    text = re.sub(r"\S+\.py:\d+", "FILE:N", text)
    text = re.sub(r"'[^']*'", "'NAME'", text)
    text = re.sub(r"\b[a-zA-Z_]\w*\[[^\]]*\]", "S[K]", text)
    text = re.sub(r"<[^>]*>", "<...>", text)
    text = re.sub(r"\([\d, ]*\)", "(...)", text)
    return re.sub(r"(\(\.\.\.\) ?,? ?)+", "(...) ", re.sub(r"\d+", "N", text))[:110]
