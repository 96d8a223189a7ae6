"""examples/learning/outgrown.py: the same losses everywhere; and a process that dies is reported."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the examples are not installed
from examples.learning.outgrown import ProcessError, together  # noqa: E402


class TestProcesses:
    def test_one_that_dies_is_reported_and_the_others_are_ended(self) -> None:
        started = time.monotonic()
        with pytest.raises(ProcessError, match=r"process 1 of 2 ended with status 3: out of luck$"):
            together([[sys.executable, "-c", "import time; time.sleep(60)"],
                      [sys.executable, "-c", "import sys; print('out of luck', file=sys.stderr); sys.exit(3)"]], 60)
        assert time.monotonic() - started < 50

    def test_one_that_is_killed_is_reported(self) -> None:
        with pytest.raises(ProcessError, match=r"process 0 of 1 ended with status -9: no message"):
            together([[sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]], 60)

    def test_nobody_is_waited_for_for_ever(self) -> None:
        with pytest.raises(ProcessError, match=r"after 0\.5 s not all of 1 processes were done"):
            together([[sys.executable, "-c", "import time; time.sleep(60)"]], 0.5)


@pytest.mark.slow
def test_all_engines_have_the_same_losses(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.outgrown", "--steps", "4", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith(("NumPy", "JAX", "PyTorch"))]
    table = [line.split()[-4:] for line in rows if "back in" not in line and "not installed" not in line]
    assert table
    for _, first, last, apart in table:
        assert (first, last) == (table[0][1], table[0][2])
        assert np.float64(apart) < 1e-12
