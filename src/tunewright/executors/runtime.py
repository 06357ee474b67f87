"""How training programs are run on this machine, as the settings say it; travels to the fork server as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from tunewright.executors.images import Image, find


@dataclass(frozen=True, slots=True)
class Runtime:
    """What all training jobs of an executor have in common.

    Args:
        opt_ml: `auto` gives each program a `/opt/ml` of its own where the kernel allows it; `rewrite` never does,
            and replaces the path in entry points and drivers' scripts.
        images: what training images stand for; the first that fits counts.
        requirements: `install` brings what a script's requirements.txt asks for; `ignore` does not.
        region: in which an S3 that holds the objects is asked.
    """

    opt_ml: str = "auto"
    images: tuple[Image, ...] = ()
    requirements: str = "ignore"
    region: str = "us-east-1"

    def image(self, name: str | None) -> Image | None:
        """What an image stands for, or None when the table does not say."""
        return find(self.images, name)

    def text(self) -> str:
        """All of it as JSON, for `of`."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Runtime:
        """What `text` was made of."""
        values = json.loads(text)
        images = tuple(Image(**{**image, "options": tuple(image["options"])}) for image in values["images"])
        return cls(**{**values, "images": images})
