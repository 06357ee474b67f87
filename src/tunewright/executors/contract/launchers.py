"""Scripts that are to run as several processes on a host: by PyTorch's launcher, as SageMaker's PyTorch images do."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping

from tunewright.core.parameters import decode_json
from tunewright.core.ports import Task

TORCH = ("sagemaker_torch_distributed_enabled", "sagemaker_pytorch_ddp_enabled")
"""What SDK v2 sends for the distributions `torch_distributed` and `pytorchddp`."""
_FIRST_PORT, _PORTS = 20_000, 10_000


def launcher(task: Task, environment: Mapping[str, str]) -> tuple[str, ...]:
    """What stands between the interpreter and the script: a process for each GPU, at least one, on each host.

    All hosts are on this machine. They meet at a port that is the training job's own, as far as names can tell, while
    a single host finds a free one by itself.

    Args:
        environment: the program's variables, which say who and where it is.
    """
    if not any(decode_json(task.hyperparameters.get(name, "")) is True for name in TORCH):
        return ()
    hosts: list[str] = json.loads(environment["SM_HOSTS"])
    processes = max(1, int(environment["SM_NUM_GPUS"]))
    words = ("-m", "torch.distributed.run", f"--nnodes={len(hosts)}", f"--nproc_per_node={processes}")
    if len(hosts) == 1:
        return (*words, "--standalone")
    rank = hosts.index(environment["SM_CURRENT_HOST"])
    port = _FIRST_PORT + zlib.crc32(task.name.encode()) % _PORTS
    return (*words, f"--node_rank={rank}", "--master_addr=127.0.0.1", f"--master_port={port}")
