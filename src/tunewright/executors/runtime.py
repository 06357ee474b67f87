"""How training programs are run on this machine, as the settings say it; travels to the fork server as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Runtime:
    """What all training jobs of an executor have in common.

    Args:
        opt_ml: `auto` gives each program a `/opt/ml` of its own where the kernel allows it; `rewrite` never does,
            and replaces the path in entry points and drivers' scripts.
    """

    opt_ml: str = "auto"

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Runtime:
        """What `text` was made of."""
        return cls(**json.loads(text))
