"""Bayesian optimisation with a Gaussian process, on numpy and scipy alone.

One file per idea: what is done to objectives (transforms), the covariance (kernel), what is believed before
data (priors), the fit (model), what the data say (posterior), what a trial is worth (acquisition), how the
best trial is found (optimise), the first trials (design), categorical values that must not be forgotten (floor),
and all of it in order (strategy). It must not know what a history is stored in.
"""
