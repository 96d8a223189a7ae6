"""How the functions of assignment 3 are called."""

from typing import Any

import numpy as np

PARAMETERS = [f"{what}_{k}" for k in "ifog" for what in "WUb"]
RESULTS = ("i", "f", "o", "g", "c", "h")
Data = dict[str, Any]


LARGE, ZEROS = "large numbers", "zeros"  # further sets of inputs: their names begin so


class NoKey(KeyError):
    """A KeyError that says which keys there are."""

    def __str__(self) -> str:
        return str(self.args[0])


NoKey.__name__ = "KeyError"  # as a report calls it


class Given(Data):
    """A dict of the caller's, by its name in the text."""

    def __init__(self, name: str, some: Data) -> None:
        super().__init__(some)
        self.name = name

    def __missing__(self, key: Any) -> Any:
        raise NoKey(f"{self.name} has no {key!r}, it has {', '.join(self)} alone")


class Form(Exception):
    """A mistake of another kind than a wrong result; the message says which, after the name of the function."""


def with_dicts(function: Any, *arguments: Any, **dicts: Data) -> Any:
    """Call a function whose last arguments are dicts; it must leave them as they are."""
    given = {name: Given(name, some) for name, some in dicts.items()}
    found = function(*arguments, *given.values())
    for name, some in dicts.items():
        if given[name].keys() != some.keys() or any(given[name][key] is not some[key] for key in some):
            raise Form(f"changes the caller's dict {name}: work on a copy")
    return found


def p(d: Data) -> Data:
    return {name: d[name] for name in PARAMETERS}


def step(d: Data) -> Data:
    """Return the results of the LSTM's step 2, or of its only one."""
    return {name: d[f"lstm_{name}"][:2][-1] for name in RESULTS}


def before(d: Data, name: str) -> Any:
    """Return the state before step 2, or before the only one."""
    states = d["hs"] if name == "h" else d[f"lstm_{name[-1]}"]
    return states[0] if len(states) > 1 else d[f"{name[-1]}0"]


def rnn_step_forward(student: Any, d: Data) -> Data:
    return {"h": student.rnn_step_forward(d["x"][0], d["h0"], d["W"], d["U"], d["b"])}


def rnn_step_backward(student: Any, d: Data) -> Any:
    return student.rnn_step_backward(d["dh_2"], d["x"][:2][-1], before(d, "h"), d["hs"][:2][-1], d["W"], d["U"])


def rnn_forward(student: Any, d: Data) -> Data:
    return {"h": student.rnn_forward(d["x"], d["h0"], d["W"], d["U"], d["b"])}


def rnn_backward(student: Any, d: Data) -> Any:
    return student.rnn_backward(d["dhs"], d["x"], d["h0"], d["hs"], d["W"], d["U"])


def lstm_step_forward(student: Any, d: Data) -> Any:
    return with_dicts(student.lstm_step_forward, d["x"][0], d["h0"], d["c0"], p=p(d))


def lstm_step_backward(student: Any, d: Data) -> Any:
    return with_dicts(student.lstm_step_backward, d["lstm_dh_2"], d["lstm_dc_2"], d["x"][:2][-1], before(d, "lstm h"),
                      before(d, "lstm c"), s=step(d), p=p(d))


def lstm_forward(student: Any, d: Data) -> Any:
    return with_dicts(student.lstm_forward, d["x"], d["h0"], d["c0"], p=p(d))


def lstm_backward(student: Any, d: Data) -> Any:
    results = {name: d[f"lstm_{name}"] for name in RESULTS}
    return with_dicts(student.lstm_backward, d["dhs"], d["x"], d["h0"], d["c0"], s=results, p=p(d))


class Of:
    """A call with a further set of inputs."""

    def __init__(self, call: Any, which: str) -> None:
        self.call, self.which = call, f"{which} "

    def __call__(self, student: Any, d: Data) -> Any:
        return self.call(student, {name.removeprefix(self.which): x for name, x in d.items()
                                   if name.startswith(self.which)})


def rnn_loss(student: Any, d: Data) -> float:
    return float(np.sum(student.rnn_forward(d["x"], d["h0"], d["W"], d["U"], d["b"]) * d["dhs"]))


def lstm_loss(student: Any, d: Data) -> float:
    return float(np.sum(student.lstm_forward(d["x"], d["h0"], d["c0"], p(d))["h"] * d["dhs"]))


CALLS: Data = {call.__name__: call for call in (
    rnn_step_forward, rnn_step_backward, rnn_forward, rnn_backward,
    lstm_step_forward, lstm_step_backward, lstm_forward, lstm_backward)}
CALLS |= {f"{name}:{which}": Of(call, which) for name, call in CALLS.items() for which in (LARGE, ZEROS)}
NUMERIC = {"rnn_forward:numeric": (rnn_loss, ("x", "h0", "W", "U", "b")),
           "lstm_forward:numeric": (lstm_loss, ("x", "h0", "c0", *PARAMETERS))}
