"""Tune a Python function: ten lines, no server, nothing to configure."""

from tunewright import ContinuousParameter, FunctionEstimator, HyperparameterTuner, IntegerParameter


def bowl(x: float, n: int) -> dict[str, float]:
    return {"loss": (x - 0.3) ** 2 + 0.01 * (n - 4) ** 2}


if __name__ == "__main__":
    ranges = {"x": ContinuousParameter(0.0, 1.0), "n": IntegerParameter(1, 9)}
    tuner = HyperparameterTuner(
        FunctionEstimator(bowl), "loss", ranges, objective_type="Minimize", max_jobs=20, max_parallel_jobs=2
    )
    tuner.fit()
    print(tuner.best_params(), tuner.best_value())
