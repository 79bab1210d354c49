"""What each lab's record costs: runs, CPU seconds (a page's budget is 5), bytes."""

import importlib
import json
import pkgutil
import time

from alignbook import labs
from alignbook.labs.record import record


def main() -> None:
    """Print a line for each lab."""
    print("\nrecords of labs (budget: 250 runs, 5 s of CPU, 300 KB)")
    for module in pkgutil.iter_modules(labs.__path__):
        lab = getattr(importlib.import_module(f"alignbook.labs.{module.name}"), "LAB", None)
        if lab is not None:
            began = time.process_time()
            content = record(lab)
            spent = time.process_time() - began
            runs, kilobytes = len(content["runs"]), len(json.dumps(content, separators=(",", ":"))) / 1000
            print(f"  {lab.name:34} {runs:4} runs {spent:6.2f} s {kilobytes:7.1f} KB")


if __name__ == "__main__":
    main()
