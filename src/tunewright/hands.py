"""`python -m tunewright.hands`: the process from which training jobs are forked.

Puts the object directory and the fork server together. It is started by `LocalExecutor` and imports neither
numpy nor anything of the store, the wire or the search: every training job begins as a copy of it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tunewright.executors.programs.forkserver import ForkServer, Lines
from tunewright.executors.runtime import Runtime
from tunewright.objects.choose import open_objects


def main(arguments: list[str]) -> None:
    """Serve until the controller is gone. Arguments: home, object directory, runtime, then three descriptors."""
    home, objects, text, *lines = arguments
    runtime = Runtime.of(text)
    ForkServer(Path(home), open_objects(objects, runtime.region), runtime, Lines(*map(int, lines))).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
