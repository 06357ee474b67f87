"""A training script as users have them: argparse, SageMaker's variables, metrics in the log, a model file."""

import argparse
import json
import math
import os
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, required=True)
parser.add_argument("--depth", type=int, default=3)
parser.add_argument("--optimizer", default="sgd", choices=["sgd", "adam"])
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--break", dest="broken", default="")
given = parser.parse_args()
if given.broken:
    sys.exit(f"broken on purpose: {given.broken}")
assert float(json.loads(os.environ["SM_HPS"])["learning_rate"]) == given.learning_rate
for channel in json.loads(os.environ["SM_CHANNELS"]):
    if channel in ("train", "validation"):
        assert os.listdir(os.environ[f"SM_CHANNEL_{channel.upper()}"]), channel
distance = (math.log10(given.learning_rate) + 2) ** 2 + 0.1 * (given.depth - 3) ** 2
for epoch in range(1, given.epochs + 1):
    print(f"epoch {epoch}: valid_loss={distance + 1 / epoch:.6f};", flush=True)
with open(os.path.join(os.environ["SM_MODEL_DIR"], "model.json"), "w") as file:
    json.dump({"learning_rate": given.learning_rate, "loss": round(distance + 1 / given.epochs, 6)}, file)
