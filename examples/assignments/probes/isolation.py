"""What a student's process can reach: asked before any file is run, by isolation.py."""

import os
import sys
from typing import Any

import numpy as np

Data = dict[str, Any]


def reached(student: Any, d: Data) -> Data:
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file if ":" in line)
    signals = True
    try:
        os.kill(d["grader"], 0)
    except OSError:
        signals = False
    return {"readable": [path for path in d["closed"] if os.access(path, os.R_OK)],
            "uids": list(getattr(os, "getresuid", lambda: ())()), "signals": signals,
            "capabilities": sum(int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")),
            "no_new_privileges": int(status["NoNewPrivs"]),
            "python": all(os.access(path, os.R_OK) for path in (sys.executable, os.__file__, np.__file__))}


CALLS = {"reached": reached}
NUMERIC: Data = {}
