"""Strikes a small job with every fault, and prints what was lost. ``run.py [CASE...]``.

Exits with 1 if an event is lost or there twice, if a result differs from that of an undisturbed
run, or if a run doesn't end well.
"""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.cases import CASES, struck
from faults.compare import Compared
from faults.processes import Ended
from faults.runs import Failed, Runs

HEAD = ("fault", "struck", "seen", "lost", "twice", "result", "s")


def main(names: list[str]) -> int:
    unknown = set(names) - CASES.keys()
    if unknown:
        print(f"no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
        return 2
    rows, good = [HEAD], True
    with tempfile.TemporaryDirectory(prefix="faults", ignore_cleanup_errors=True) as root:
        runs = Runs.at(Path(root))
        for name in names or list(CASES):
            row, fine = _row(runs, name)
            print(" | ".join(row), flush=True)
            rows.append(row)
            good &= fine
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    print()
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    print(f"\n{len(rows) - 1} faults: {'nothing was lost' if good else 'NOT ALL IS WELL'}")
    return 0 if good else 1


def _row(runs: Runs, name: str) -> tuple[tuple[str, ...], bool]:
    began = time.monotonic()
    try:
        told = struck(CASES[name], runs, name)
    except (Ended, Failed) as error:
        where, seen, found = "?", "", Compared(differs=[str(error)])
    except Exception:  # noqa: BLE001  the others are still of interest
        traceback.print_exc()
        where, seen, found = "?", "", Compared(differs=["defect of the suite"])
    else:
        where, seen, found = told.struck, told.seen, told.compared
    seconds = f"{time.monotonic() - began:.0f}"
    counts = str(found.lost), str(found.twice)
    return (name, where, seen, *counts, found.told, seconds), found.same


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
