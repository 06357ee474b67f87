"""The way to this server's STS for clients that call AWS's by its full address.

Both SageMaker SDKs do, for `get_execution_role()`, `account_id()` and the name of a default bucket, and a full address
is above every endpoint variable. What botocore makes of an address is written in a rule set, though, which it looks
for in the directories of AWS_DATA_PATH before it takes its own.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

RULE_SET = Path("sts", "2011-06-15", "endpoint-rule-set-1.json")
_REGION = {"builtIn": "AWS::Region", "type": "string", "required": False, "documentation": "Not asked for."}


def lead(directory: Path, endpoint: str) -> str:
    """Write the rule set by which every call of STS goes to an endpoint.

    Args:
        directory: where it is put; made when missing.

    Returns:
        AWS_DATA_PATH with the directory in front of those that are there already.

    Raises:
        OSError: it cannot be written.
    """
    rule = {"type": "endpoint", "conditions": [], "endpoint": {"url": endpoint, "properties": {}, "headers": {}}}
    path = directory / RULE_SET
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"version": "1.0", "parameters": {"Region": _REGION}, "rules": [rule]}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
    known = [part for part in os.environ.get("AWS_DATA_PATH", "").split(os.pathsep) if part]
    return os.pathsep.join([str(directory), *(part for part in known if part != str(directory))])
