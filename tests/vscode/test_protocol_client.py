"""The debug adapter with the test client of VS Code's developers, which npm installs: testsupport.mjs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = os.environ.get("TESTSUPPORT", "")  # in which npm has installed @vscode/debugadapter-testsupport
PROGRAM = """\
import numpy as np
import minigrad as mg
from rnn import Cell, t

U = mg.Tensor(np.eye(2) / 2, requires_grad=True, name="U")
cell = Cell("elman")
x, h = cell.input("x", 2), cell.signal("h", 2)
h[t] = np.tanh(U @ h[t-1] + x[t])
print("before")
loss = cell.unroll(x=np.ones((4, 2)))["h"][4].sum()
loss.backward()
"""
EQUATION = 8


@pytest.mark.skipif(not FOLDER or not shutil.which("node"), reason="needs node, and TESTSUPPORT: the client's folder")
def test_the_client_of_vs_code_walks_a_pass(tmp_path: Path) -> None:
    program = tmp_path / "elman.py"
    program.write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run(
        ["node", Path(__file__).with_name("testsupport.mjs"), FOLDER, sys.executable, str(program), str(EQUATION)],
        capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("passed: ") == 2 and done.stderr == ""
