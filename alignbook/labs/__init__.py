"""One file a lab: the picture of the experiment of the same name. `show(LAB)` puts it into a chapter."""

import os
from typing import Any

from IPython.core.getipython import get_ipython

from alignbook.labs.lab import Lab
from alignbook.labs.live import LiveLab
from alignbook.labs.record import RecordedLab

_shown: dict[str, tuple[str, list[LiveLab]]] = {}  # the live labs of each cell, and the execution that made them


def show(lab: Lab) -> LiveLab | RecordedLab:
    """Return a lab for a cell to end in: live in a notebook, recorded where the book is built.

    In a notebook its parameters, `seed`, `engine` and `guess` are traits. Run the cell again, and the copy it
    showed before is closed.
    """
    if os.environ.get("ALIGNBOOK_RECORD") == "1":
        return RecordedLab(lab)
    live = LiveLab(lab)
    _keep_one_execution(live)
    return live


def _keep_one_execution(live: LiveLab) -> None:
    shell: Any = get_ipython()
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    cell = parent.get("metadata", {}).get("cellId")
    if cell is None:
        return
    execution = parent["header"]["msg_id"]
    before, labs = _shown.get(cell, (execution, []))
    if before != execution:
        for old in labs:
            old.close()
        labs = []
    _shown[cell] = (execution, [*labs, live])
