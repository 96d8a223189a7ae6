"""Mutation campaign: change the packages in one place at a time, and see whether a test fails.

    python tests/mutation/campaign.py --count 200                  # half an hour on two cores
    python tests/mutation/campaign.py --show rnn/cells/classic.py  # list changes, change nothing

The work happens in copies of the repository in --folder; the work tree is never changed. One run of the tests under
coverage.py finds which tests execute each line; it is repeated when a file has changed. Then each mutant meets the
tests that execute its line: one case of each test function first, the fastest at the beginning; then the others. A
campaign that was stopped continues. Results: results.jsonl and table.md in the folder. equivalent.json lists the
mutants that no test can catch, each with the reason; the campaign prints those of its entries that no mutant has any
more, because the line has changed. Needs a system with os.fork.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from mutants import Mutant, all_sites

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EQUIVALENT = HERE / "equivalent.json"
TESTS_OF = {  # where nothing in this process executes the line: the mirrored folders
    "minigrad/debugger": "tests/debugger/", "minigrad": "tests/engine/", "rnn/language": "tests/language/",
    "rnn/unrolling": "tests/unrolling/", "rnn/ir": "tests/compiler/", "rnn/compiler": "tests/compiler/",
    "rnn/export": "tests/export/", "rnn": "tests/unrolling/", "viz": "tests/viz/",
}
Coverage = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", default=["minigrad", "rnn"],
                        help="folders or files (default: %(default)s)")
    parser.add_argument("--count", type=int, default=200, help="number of mutants (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of mutants (default: %(default)s)")
    parser.add_argument("--keys", nargs="+", help="run these mutants instead of a choice")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0,
                        help="time of the tests of one mutant; 0: all that execute the line (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "mutation", help="for copies and results")
    parser.add_argument("--tests", nargs="+", default=["tests"], help="passed to pytest (default: %(default)s)")
    parser.add_argument("--show", action="store_true", help="list the mutants only")
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # some tests interrupt programs; & in a script ignores it
    chosen = choose(options)
    if options.show:
        for mutant in chosen:
            print(f"{mutant.key}  {mutant.file}:{mutant.line}  {describe(mutant)}")
        return 0
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / ".gitignore").write_text("*\n")  # copies of the repository aren't part of it
    digests()
    copies = [copy_repository(options.folder / f"copy{i}") for i in range(options.jobs)]
    covered = contexts(options, copies)
    run(options, copies, covered, [mutant for mutant in chosen if mutant.key not in read_results(options.folder)])
    return report(options, chosen)


def choose(options: argparse.Namespace) -> list[Mutant]:
    """Return the mutants of this campaign: at each of --count sites, drawn at random, one change."""
    sites = list(all_sites(ROOT, options.packages))
    if options.keys:
        return [mutant for site in sites for mutant in site if mutant.key in options.keys]
    rng = random.Random(options.seed)
    rng.shuffle(sites)
    chosen = [rng.choice(site) for site in sites]
    return chosen if options.show and len(options.packages) == 1 else chosen[:options.count]


def stale(root: Path, entries: list[dict[str, str]]) -> list[str]:
    """Return a line for each entry of equivalent.json that no mutant has any more, and the mutants that resemble it."""
    files = sorted({entry["file"] for entry in entries if (root / entry["file"]).exists()})
    mutants = [mutant for site in all_sites(root, files) for mutant in site]
    keys = {mutant.key for mutant in mutants}
    lines = []
    for entry in entries:
        if entry["key"] not in keys:
            alike = [f"{m.key} (line {m.line})" for m in mutants
                     if (m.file, m.before, m.after) == (entry["file"], entry["before"], entry["after"])]
            lines.append(f"stale: {entry['key']}  {entry['file']} {entry['function']}  {entry['before']}  →  "
                         f"{entry['after']}; now {', '.join(alike) or 'gone'}")
    return lines


def describe(mutant: Mutant) -> str:
    return f"{mutant.kind}: `{mutant.before}` → `{mutant.after}`"


def repository_files() -> list[str]:
    """Return the files of the repository, those included that aren't committed yet."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(name for name in set(listed.stdout.splitlines()) if (ROOT / name).is_file())


def copy_repository(folder: Path) -> Path:
    """Copy the repository into a folder; files that are equal already keep their times."""
    names = repository_files()
    if folder.exists():
        for path in [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]:
            if path.relative_to(folder).as_posix() not in names:
                path.unlink()
    for name in names:
        old, new = ROOT / name, folder / name
        if not new.exists() or new.read_bytes() != old.read_bytes():
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(old, new)
    return folder


def start(copy: Path, order: dict[str, Any], number: int, options: argparse.Namespace, tests: list[str],
          **kwargs: Any) -> subprocess.Popen[bytes]:
    """Start pytest with the plugin mutation_runner.py in a copy."""
    file = options.folder / f"order{number}.json"
    file.write_text(json.dumps(order))
    paths = [str(copy), str(copy / "tests" / "mutation"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "MUTATION_ORDER": str(file), "OMP_NUM_THREADS": "1",
                   "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "mutation_runner", "-p", "no:cacheprovider",
               "-p", "no:xdist", f"--basetemp={options.folder / f'temporary{number}'}", "--hypothesis-seed=0", *tests]
    return subprocess.Popen(command, cwd=copy, env=environment, **kwargs)


# ---- which tests execute which lines --------------------------------------------------------


def digest(names: list[str]) -> str:
    """Return a short hash of files."""
    found = hashlib.sha256()
    for name in names:
        found.update(name.encode() + (ROOT / name).read_bytes())
    return found.hexdigest()[:12]


@cache
def digests() -> tuple[str, dict[str, str]]:
    """Return a hash of the code and of what tests read, and one of each file of tests, as they were at the start."""
    names = [name for name in repository_files() if name.endswith((".py", ".json", ".toml"))
             and not name.startswith(("docs/", "tests/mutation/", "tests/fuzz/"))]
    tests = [name for name in names if name.startswith("tests/") and Path(name).name.startswith("test_")]
    return digest([name for name in names if name not in tests]), {name: digest([name]) for name in tests}


def contexts(options: argparse.Namespace, copies: list[Path]) -> Coverage:
    """Return {"tests": [[name, seconds, failure]], "lines": {file: {line: [numbers of tests]}}}; -1: at import.

    If the packages are as they were, only new files of tests run.
    """
    code, tests = digests()
    file = options.folder / f"contexts-{code}-{hashlib.sha256(repr(options.tests).encode()).hexdigest()[:6]}.json"
    known = json.loads(file.read_text()) if file.exists() else {"tests": [], "lines": {}, "digests": {}}
    new = sorted(name for name, value in tests.items() if known["digests"].get(name) != value)
    if not new:
        return known
    print(f"running {len(new)} files of tests under coverage.py", flush=True)
    parts = [options.folder / f"part{i}.json" for i in range(len(copies))]
    started = []
    for i, (copy, part) in enumerate(zip(copies, parts)):
        part.unlink(missing_ok=True)
        data = options.folder / f"coverage{i}"
        data.unlink(missing_ok=True)
        order = {"job": "contexts", "data": str(data), "packages": ["minigrad", "rnn", "viz"],
                 "files": new[i::len(copies)], "result": str(part)}
        with open(options.folder / f"contexts{i}.log", "wb") as log:
            started.append(start(copy, order, i, options, options.tests, stdout=log, stderr=log))
    for i, process in enumerate(started):
        if process.wait() not in (0, 1, 5):  # passed, some failed, none in its files
            raise SystemExit(f"pytest could not run the tests: see {options.folder / f'contexts{i}.log'}")
    old = [name.partition("::")[0] not in new for name, _, _ in known["tests"]]
    known["lines"] = {f: {line: [n for n in numbers if n < 0 or old[n]] for line, numbers in lines.items()}
                      for f, lines in known["lines"].items()}
    found = merged([known, *(json.loads(part.read_text()) for part in parts)])
    file.write_text(json.dumps({**found, "digests": tests}))
    return {**found, "digests": tests}


def merged(parts: list[Coverage]) -> Coverage:
    """Return the contexts of several processes as one."""
    tests: list[Any] = []
    lines: dict[str, dict[str, list[int]]] = {}
    for part in parts:
        first = len(tests)
        tests += part["tests"]
        for file, numbers in part["lines"].items():
            mine = lines.setdefault(file, {})
            for line, found in numbers.items():
                mine[line] = sorted({*mine.get(line, []), *(-1 if n < 0 else n + first for n in found)})
    return {"tests": tests, "lines": lines}


def tests_for(mutant: Mutant, covered: Coverage) -> tuple[list[int], bool]:
    """Return the tests that execute the mutant's lines, in the order in which to run them; and whether it also
    runs outside of tests."""
    lines = covered["lines"].get(mutant.file, {})
    found = {n for line in range(mutant.line, mutant.last_line + 1) for n in lines.get(str(line), [])}
    at_import = -1 in found or mutant.outermost is None
    found.discard(-1)
    if not found and at_import:
        found = {n for numbers in lines.values() for n in numbers} - {-1}
    if not found:
        folder = max((name for name in TESTS_OF if mutant.file.startswith(name + "/")), key=len)
        found = {n for n, test in enumerate(covered["tests"]) if test[0].startswith(TESTS_OF[folder])}
    tests = covered["tests"]
    passing = [n for n in sorted(found) if not tests[n][2]]
    first: dict[str, int] = {}
    for n in sorted(passing, key=lambda n: tests[n][1]):
        first.setdefault(tests[n][0].partition("[")[0], n)
    return [*first.values(), *(n for n in passing if n not in set(first.values()))], at_import


def within(numbers: list[int], covered: Coverage, seconds: float) -> list[str]:
    """Return the names of the tests that fit into a time; 0 means all."""
    names, total = [], 0.0
    for n in numbers:
        name, took, _ = covered["tests"][n]
        if seconds and names and total + took > seconds:
            continue
        names.append(name)
        total += took
    return names


# ---- running --------------------------------------------------------------------------------


def run(options: argparse.Namespace, copies: list[Path], covered: Coverage, mutants: list[Mutant]) -> None:
    """Run mutants: first those whose function can be replaced in memory, then the others, each in a new process."""
    code, tests = digests()
    now = [code, state(tests)]
    usual = {name: took for name, took, _ in covered["tests"]}
    tasks, plain = [], []
    for mutant in mutants:
        numbers, at_import = tests_for(mutant, covered)
        names = within(numbers, covered, options.seconds)
        if mutant.outermost is None:
            plain.append((mutant, names))
        else:
            fields = {**mutant.__dict__, "text": mutant.text.decode()}
            tasks.append({"mutant": fields, "tests": names, "seconds": {n: usual[n] for n in names},
                          "at_import": at_import})
    files = [options.folder / f"results{i}.jsonl" for i in range(len(copies))]
    started = []
    for i, copy in enumerate(copies):
        if tasks[i::len(copies)]:
            order = {"job": "mutants", "tasks": tasks[i::len(copies)], "result": str(files[i]), "state": now}
            with open(options.folder / f"mutants{i}.log", "wb") as log:
                started.append(start(copy, order, i, options, options.tests, stdout=log, stderr=log))
    for process in started:
        process.wait()
    results = read_results(options.folder)
    for task in tasks:
        verdict = results.get(task["mutant"]["key"], {}).get("verdict")
        if verdict == "not replaced" or (verdict == "survived" and task["at_import"]):
            plain.append((Mutant(**{**task["mutant"], "text": task["mutant"]["text"].encode()}), task["tests"]))
    waiting = list(plain)
    running: dict[int, Any] = {}
    while waiting or running:
        for i in range(len(copies)):
            if i in running and running[i][0].poll() is not None:
                finish(running.pop(i), files[i], now)
            if i not in running and waiting:
                running[i] = begin(options, copies[i], i, *waiting.pop(0), usual)
        for process, *_ in list(running.values())[:1]:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1.0)


def begin(options: argparse.Namespace, copy: Path, i: int, mutant: Mutant, names: list[str],
          usual: dict[str, float]) -> tuple[Any, ...]:
    """Start the tests of one mutant in a new process, on a changed file."""
    path = copy / mutant.file
    original, times = path.read_bytes(), path.stat()
    path.write_bytes(mutant.apply(original))
    log = options.folder / f"plain{i}.log"
    order = {"job": "plain", "tests": names}
    files = sorted({name.partition("::")[0] for name in names})
    limit = 60 + 4 * sum(usual[name] for name in names)
    with open(log, "wb") as out:
        command = start(copy, order, i, options, ["-x", "-rfE", "--tb=line", *files], stdout=out, stderr=out,
                        start_new_session=True)
    return TimedProcess(command, limit), mutant, names, path, original, times, log


class TimedProcess:
    """A process with a time limit."""

    def __init__(self, process: subprocess.Popen[bytes], limit: float) -> None:
        self.process, self.left, self.hangs = process, limit, False

    def poll(self) -> int | None:
        return self.process.poll()

    def wait(self, seconds: float) -> None:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.left -= seconds
            if self.left > 0:
                raise
            self.hangs = True
            os.killpg(self.process.pid, 9)
            self.process.wait()


def finish(run: tuple[Any, ...], results: Path, now: list[str]) -> None:
    """Note the verdict on a mutant that ran in a new process, and restore the file."""
    process, mutant, names, path, original, times, log = run
    path.write_bytes(original)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    text = log.read_text(errors="replace")
    failed = next((line for line in text.splitlines() if line.startswith(("FAILED ", "ERROR "))), "")
    test, _, reason = failed.partition(" ")[2].partition(" - ")
    code = process.poll()
    verdict = "survived" if code in (0, 5) and not process.hangs else "caught"
    reason = "hangs" if process.hangs else reason[:200] if test else text.strip().rpartition("\n")[2][:200]
    row = {"key": mutant.key, "verdict": verdict, "test": test, "reason": reason if verdict == "caught" else "",
           "of": len(names), "ran": len(names) if verdict == "survived" else None, "new process": True, "state": now}
    with open(results, "a") as file:
        file.write(json.dumps(row) + "\n")


# ---- results --------------------------------------------------------------------------------


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the last verdict on each mutant of this code; a survivor counts as long as the tests are the same."""
    code, tests = digests()
    rows: dict[str, dict[str, Any]] = {}
    for file in sorted(folder.glob("results[0-9]*.jsonl")):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            if row["state"][0] == code and (row["verdict"] == "caught" or row["state"][1] == state(tests)):
                rows[row["key"]] = row
    return rows


def state(tests: dict[str, str]) -> str:
    return hashlib.sha256(repr(sorted(tests.items())).encode()).hexdigest()[:12]


def report(options: argparse.Namespace, chosen: list[Mutant]) -> int:
    """Write table.md and results.jsonl, print the count; return 1 if a survivor isn't explained."""
    entries = json.loads(EQUIVALENT.read_text())
    reasons = {entry["key"]: entry["reason"] for entry in entries}
    verdicts = read_results(options.folder)
    rows = []
    for mutant in sorted(chosen, key=lambda m: (m.file, m.line, m.key)):
        row = verdicts.get(mutant.key, {"key": mutant.key, "verdict": "not run", "test": "", "reason": ""})
        if row["verdict"] == "survived" and not row["of"]:
            row = {**row, "verdict": "no test", "reason": "no test of this run executes it or is in its folder"}
        if row["verdict"] == "survived" and mutant.key in reasons:
            row = {**row, "verdict": "equivalent", "reason": reasons[mutant.key]}
        row = {name: value for name, value in row.items() if name != "state"}
        rows.append({"file": mutant.file, "line": mutant.line, "function": mutant.function, "kind": mutant.kind,
                     "before": mutant.before, "after": mutant.after, **row})
    (options.folder / "results.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    counts = Counter(row["verdict"] for row in rows)
    total = counts["caught"] + counts["survived"]
    summary = (f"{len(rows)} mutants: {counts['caught']} caught, {counts['equivalent']} equivalent, "
               f"{counts['survived']} survived, {counts['no test']} without a test in this run, "
               f"{counts['not run'] + counts['not replaced']} not run; "
               f"caught of those that can be caught: {100 * counts['caught'] / max(total, 1):.1f} %")
    table = [f"# Mutation campaign\n\n{summary}\n\n| file:line | function | change | verdict | by |",
             "| --- | --- | --- | --- | --- |"]
    for row in rows:
        cells = [f"{row['file']}:{row['line']}", row["function"],
                 f"{row['kind']}: `{row['before']}` → `{row['after']}` ({row['key']})", row["verdict"],
                 row["test"] or row["reason"]]
        table.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    (options.folder / "table.md").write_text("\n".join(table) + "\n")
    for row in rows:
        if row["verdict"] in ("survived", "not run"):
            print(f"{row['verdict']}: {row['key']}  {row['file']}:{row['line']} {row['function']}  {row['kind']}: "
                  f"{row['before']}  →  {row['after']}")
    print(*stale(ROOT, entries), summary, sep="\n")
    return 1 if counts["survived"] else 0


if __name__ == "__main__":
    sys.exit(main())
