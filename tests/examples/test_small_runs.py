"""Examples that print and draw all that they do with --small, too."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from painters import painting

from examples import common

PICTURES = {
    "images.captions": ["accuracy", "attention", "captions", "loss", "network"],
    "machines.counter_machine": ["counters", "machine"],
    "machines.stack_machine": ["limits", "machine", "stack", "tape"],
    "machines.turing_machine": ["machine", "tape"],
    "probability.hmm": ["learning", "posterior", "recurrence"],
    "probability.kalman": ["band", "filter", "learning", "track"],
    "probability.markov_chain": ["fixed_points", "rates", "recurrence", "walkers"],
    "signals.speech": ["alignment", "errors", "loss", "network", "posteriors"],
    "text.agreement": ["distance", "encoding", "gates", "listing", "loss", "network"],
    "text.answers": ["LSTM", "loss", "memory_network", "searches", "shares"],
    "text.sentiment": ["loss", "network", "shares", "words"],
    "text.summary": ["agreement", "decoder", "encoder", "loss", "report"],
    "text.translation": ["attention", "decoder", "digits", "encoder", "loss"],
}


@painting
@pytest.mark.parametrize("name", PICTURES)
def test_draws_its_pictures(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    importlib.import_module(f"examples.{name}").example(common.Options(seed=0, steps=3, small=True, out=tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{picture}.png" for picture in PICTURES[name]]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())
    assert "threshold: " in capsys.readouterr().out
