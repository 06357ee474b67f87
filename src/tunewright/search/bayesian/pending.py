"""Trials under way: their results are imagined, so that the next trial goes elsewhere."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from tunewright.search.arrays import Floats
from tunewright.search.bayesian.posterior import Posterior, cholesky

FANTASIES = 16


def imagine(posterior: Posterior, features: Floats, rng: np.random.Generator, *, categorical: bool) -> Posterior:
    """The posterior with the results of pending trials imagined, features (p, F).

    Believing is as good as fantasies in numeric spaces and cheaper; with categoricals it commits too soon.
    """
    return fantasise(posterior, features, rng) if categorical else kriging_believer(posterior, features)


def kriging_believer(posterior: Posterior, features: Floats) -> Posterior:
    """Take the posterior mean for the result of every pending trial (Ginsbourger et al. 2010, "kriging believer")."""
    mean, _, _ = posterior.joint(features)
    return posterior.condition_on(features, mean[:, None])


def fantasise(posterior: Posterior, features: Floats, rng: np.random.Generator) -> Posterior:
    """Draw results of all pending trials together, several times (Snoek et al. 2012, sec. 3.2).

    Args:
        features: of the pending trials, shape (p, F).
    """
    mean, covariance, _ = posterior.joint(features)
    covariance.flat[:: len(mean) + 1] += 1e-8
    lower = cholesky(covariance)
    # One draw from each of equally likely slices of every coordinate keeps 16 versions representative.
    slices = rng.permuted(np.tile(np.arange(FANTASIES), (len(mean), 1)), axis=1)
    normal = ndtri((slices + rng.random(slices.shape)) / FANTASIES)
    return posterior.condition_on(features, mean[:, None] + lower @ normal)
