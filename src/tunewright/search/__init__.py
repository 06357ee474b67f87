"""Numbers: from a job's history to proposals and verdicts.

What lives here: the unit cube of a space, the strategies (Random, Grid, Bayesian, Hyperband), early stopping,
warm start, convergence, importance, and `Search`, the engine without a controller. All of it is a pure
function of a `core.history.History`; what is cached may be lost at any time. Imports core, numpy and scipy.
It must not know that processes, stores, AWS or terminals exist.
"""

from tunewright.search.advisor import Engine
from tunewright.search.asktell import Exhausted, Search, Suggestion

__all__ = ["Engine", "Exhausted", "Search", "Suggestion"]
