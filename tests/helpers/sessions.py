"""Sessions that a page prints, compared with those that the programs print.

In the output, `...` matches any text, and decimal fractions are compared to 3 % (the last digit may
differ between machines).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRACTION = r"-?\d+\.\d*(?:e[-+]\d+)?"
PROMPT = re.compile(r"^\((grad|Pdb)\) (.*)\n", re.MULTILINE)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "MPLBACKEND": "Agg"}


def assert_prints(found: str, expected: str, where: str) -> None:
    """Compare what a program prints with what a page says that it prints."""
    parts = re.split(rf"(\.\.\.|{FRACTION})", expected.strip())
    pattern = "".join(".*?" if part == "..." else f"({FRACTION})" if re.fullmatch(FRACTION, part) else re.escape(part)
                      for part in parts)
    match = re.fullmatch(pattern, found.strip(), re.DOTALL)
    assert match, f"{where} should read:\n{found}"
    numbers = [float(part) for part in parts if re.fullmatch(FRACTION, part)]
    assert [float(number) for number in match.groups()] == pytest.approx(numbers, rel=0.03, abs=1e-12), where


def assert_session(text: str, folder: Path, where: str) -> None:
    """Run the command after `$` in a folder, type the input at its prompts, and compare the output."""
    command, session = text.split("\n", 1)
    done = subprocess.run([sys.executable, *shlex.split(command)[2:]], cwd=folder, env=ENVIRONMENT, timeout=120,
                          input="".join(f"{typed}\n" for _, typed in PROMPT.findall(session)), capture_output=True,
                          encoding="utf-8", check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    echoed = PROMPT.sub(lambda typed: typed[0] if typed[1] == "grad" else "(Pdb) ", session)  # pdb echoes nothing
    assert_prints(done.stdout, echoed, where)
