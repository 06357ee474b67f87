"""The numbers of Bayesian search: slopes against differences, transforms, incumbents, the floor."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.stats import norm

from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Parameter, Space
from tunewright.search import Search
from tunewright.search.arrays import Floats
from tunewright.search.bayesian.acquisition import PRIOR_TRIALS, LogEI, OptimumPrior, log_h
from tunewright.search.bayesian.evidence import Evidence, Fits, Seen
from tunewright.search.bayesian.kernel import Matern, covariance, covariance_and_slope, squared_distances
from tunewright.search.bayesian.model import Data, Loss, fit
from tunewright.search.bayesian.posterior import Posterior, means
from tunewright.search.bayesian.priors import Layout, Prior
from tunewright.search.bayesian.transforms import half_rank, model_targets, unit_of
from tunewright.search.encode import Cube

SPACE = Space(
    {
        "x": ContinuousParameter(0, 1),
        "kind": CategoricalParameter(["a", "b", "c"]),
        "y": ContinuousParameter(1e-4, 1, "Logarithmic"),
        "n": IntegerParameter(1, 9),
    }
)


def sample(n: int, seed: int = 0, basis: int = 0) -> Data:
    cube, rng = Cube(SPACE), np.random.default_rng(seed)
    rows = cube.draw(rng.random((n, cube.d)))
    targets = np.sin(5 * rows[:, 0]) + rows[:, 1] + rows[:, 2] ** 2 + 0.1 * rng.standard_normal(n)
    features, targets = cube.features(rows), targets - targets.mean()
    told = means(parents(basis), features) if basis else None
    return Data(features, targets, Layout.of(cube, basis=basis), basis=told)


def ridge(n: int, *, angle: float, seed: int = 0, d: int = 2) -> Data:
    """A narrow valley of a smooth function, turned by an angle between its first two coordinates."""
    rng = np.random.default_rng(seed)
    rows = rng.random((n, d))
    x, y = rows[:, 0] - 0.5, rows[:, 1] - 0.5
    across, along = math.cos(angle) * x + math.sin(angle) * y, math.cos(angle) * y - math.sin(angle) * x
    targets = np.sin(12 * across) + along + 0.01 * rng.standard_normal(n)
    cube = Cube(Space({f"x{j}": ContinuousParameter(0, 1) for j in range(d)}))
    return Data(cube.features(rows), (targets - targets.mean()) / targets.std(), Layout.of(cube, coupled=True))


def parents(count: int) -> list[Posterior]:
    """Models of other objectives."""
    data = [sample(15, 50 + seed) for seed in range(count)]
    return [Posterior.of(one, fit(one, Prior.of(one.layout, 15))) for one in data]


@pytest.mark.parametrize("matern", list(Matern))
def test_kernel_slope_is_the_derivative(matern: Matern) -> None:
    r2 = np.array([0.01, 0.5, 3.0, 20.0])
    difference = covariance(r2 + 1e-6, 1.7, matern) - covariance(r2 - 1e-6, 1.7, matern)
    k, slope = covariance_and_slope(r2, 1.7, matern)
    assert slope == pytest.approx(difference / 2e-6, rel=1e-5)
    assert k == pytest.approx(covariance(r2, 1.7, matern))
    assert covariance(np.zeros(1), 1.7, matern)[0] == pytest.approx(1.7)


@pytest.mark.parametrize("used", [3, 200])
def test_columns_without_values_cost_no_distance(used: int) -> None:
    rng = np.random.default_rng(used)
    one, other = np.zeros((7, 240)), rng.random((5, 240))
    one[:, rng.permutation(240)[:used]] = rng.random((7, used))
    assert squared_distances(one, other) == pytest.approx(np.square(one[:, None] - other).sum(axis=2))


@pytest.mark.parametrize("basis", [0, 2])
@pytest.mark.parametrize("seed", range(2))
def test_loss_gradient_is_the_derivative(seed: int, basis: int) -> None:
    data = sample(25, seed, basis)
    prior = Prior.of(data.layout, 25)
    loss = Loss(data, prior)
    theta = prior.start + 0.5 * np.random.default_rng(seed).standard_normal(len(prior.start))
    differences = approx_fprime(theta, lambda t: loss(t)[0], 1e-6)
    assert loss(theta)[1] == pytest.approx(differences, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("seed", range(2))
def test_loss_gradient_is_the_derivative_where_features_are_coupled(seed: int) -> None:
    data = sample(25, seed)
    data = replace(data, layout=replace(data.layout, coupled=True))
    prior = Prior.of(data.layout, 25)
    loss = Loss(data, prior)
    theta = prior.start + 0.3 * np.random.default_rng(seed).standard_normal(len(prior.start))
    differences = approx_fprime(theta, lambda t: loss(t)[0], 1e-6)
    assert len(theta) == data.layout.groups + 2 + 3
    assert loss(theta)[1] == pytest.approx(differences, rel=1e-3, abs=1e-3)


def test_distances_where_features_are_coupled_are_those_of_a_full_metric() -> None:
    data = ridge(9, angle=0.5, d=3)
    theta = Prior.of(data.layout, 9).start + np.r_[0.1, 0.3, -0.2, 0.0, 0.0, 0.4, -0.3, 0.2]
    made = Posterior.of(data, theta)
    inverse = np.diag(np.exp(-theta[:3]))
    mixing = np.array([[1.0, 0.4, -0.3], [0.4, 1.0, 0.2], [-0.3, 0.2, 1.0]])
    away = data.features[3] - data.features[5]
    assert np.square(made.scaled[3] - made.scaled[5]).sum() == pytest.approx(
        away @ inverse @ mixing @ mixing @ inverse @ away
    )


@pytest.mark.parametrize("seed", range(3))
def test_couplings_are_used_where_the_results_show_them_and_predict_better_there(seed: int) -> None:
    def misses(angle: float, *, coupled: bool) -> tuple[float, Floats]:
        data, beside = ridge(30, angle=angle, seed=seed), ridge(200, angle=angle, seed=100 + seed)
        data = replace(data, layout=replace(data.layout, coupled=coupled))
        theta = Fits().theta(data, 30)
        away = Posterior.of(data, theta).predict(beside.features)[0] - beside.targets
        return float(np.square(away).mean()), theta[data.layout.couplings]

    turned, couplings = misses(math.pi / 4, coupled=True)
    assert couplings[0] > 0.3
    assert turned < 0.7 * misses(math.pi / 4, coupled=False)[0]
    along, none = misses(0.0, coupled=True)
    assert none.tolist() == [0.0]
    assert along == misses(0.0, coupled=False)[0]


def test_coupling_costs_what_noise_would_seem_to_gain_by_it() -> None:
    used = 0
    for seed in range(10):
        data = ridge(12, angle=0.0, seed=seed, d=4)
        data = replace(data, targets=np.random.default_rng(seed).standard_normal(12))
        straight = replace(data.layout, coupled=False)
        prior, small = Prior.of(data.layout, 12), Prior.of(straight, 12)
        free = fit(data, prior, np.r_[fit(replace(data, layout=straight), small), np.zeros(6)])
        used += bool(Fits().theta(data, 12)[data.layout.couplings].any())
        assert Loss(data, prior).occam(free) >= 0.0
    assert used <= 2


def test_which_spaces_have_couplings() -> None:
    def coupled(parameters: dict[str, Parameter], models: list[Posterior]) -> bool:
        cube = Cube(Space(parameters))
        rows = cube.draw(np.random.default_rng(0).random((5, cube.d)))
        seen = Seen(rows, np.arange(5.0), rows[:0], rows)
        return Evidence.of(cube, seen, 100, 0, models).data.layout.coupled

    def reals(count: int) -> dict[str, Parameter]:
        return {f"x{j}": ContinuousParameter(0, 1) for j in range(count)}

    assert not coupled(reals(1), [])
    assert coupled(reals(2), []) and coupled({**reals(5), "n": IntegerParameter(1, 9)}, [])
    assert not coupled(reals(7), [])
    assert not coupled({**reals(2), "kind": CategoricalParameter(["a", "b"])}, [])
    data = ridge(9, angle=0.5)
    assert not coupled(reals(2), [Posterior.of(data, fit(data, Prior.of(data.layout, 9)))])


def test_fit_does_not_depend_on_what_was_fitted_before() -> None:
    one, other = sample(30, 1), sample(40, 2)
    first = fit(one, Prior.of(one.layout, 30))
    fit(other, Prior.of(other.layout, 40))
    assert np.array_equal(first, fit(one, Prior.of(one.layout, 30)))


def test_length_scales_that_others_have_shown_are_where_a_fit_begins_and_what_few_data_leave() -> None:
    data, shown = sample(4, 3), np.log([0.1, 3.0, 0.5, 1.0])
    groups = data.layout.groups
    prior = Prior.of(data.layout, 4, shown)
    assert prior.start[:groups] == pytest.approx(shown)
    usual, theirs = fit(data, Prior.of(data.layout, 4))[:groups], fit(data, prior)[:groups]
    assert np.corrcoef(theirs, shown)[0, 1] > np.corrcoef(usual, shown)[0, 1]
    assert np.ptp(theirs) > 1.0 > np.ptp(usual)


def posterior(waiting: int = 0, basis: int = 0) -> Posterior:
    data = sample(20, basis=basis)
    made = Posterior.of(data, fit(data, Prior.of(data.layout, 20)), parents(basis))
    if waiting:
        cube = Cube(SPACE)
        made = made.believing(cube.features(cube.draw(np.random.default_rng(4).random((waiting, cube.d)))))
    return made


@pytest.mark.parametrize("prior", [None, OptimumPrior.after(10, np.array([0, 3]))])
@pytest.mark.parametrize("basis", [0, 2])
@pytest.mark.parametrize("waiting", [0, 3])
def test_acquisition_slope_is_the_derivative(waiting: int, basis: int, prior: OptimumPrior | None) -> None:
    acquire = LogEI(posterior(waiting, basis), prior)
    for features in sample(4, 7).features:
        steps = 1e-6 * np.eye(len(features))
        differences = (acquire(features + steps) - acquire(features - steps)) / 2e-6
        for columns in (np.arange(len(features)), np.array([1, 3])):
            values, slopes = acquire.along(features[None], columns)(features[None, columns])
            assert values == pytest.approx(acquire(features[None]))
            assert slopes[0] == pytest.approx(differences[columns], rel=1e-3, abs=1e-4)


def test_the_prior_over_the_optimum_is_flat_inside_falls_to_the_edges_and_fades() -> None:
    features = np.array([[0.5, 0.5, 1.0], [0.25, 0.75, 0.0], [0.0, 0.5, 1.0], [1.0, 0.0, 0.0]])
    early, late = (OptimumPrior.after(n, np.array([0, 1]))(features) for n in (5, 50))
    assert early * PRIOR_TRIALS / 5 == pytest.approx([0.0, -0.125, -1.0, -2.0])
    assert late == pytest.approx(early / 10)


def test_an_optimum_in_a_corner_is_found() -> None:
    space = {f"x{i}": ContinuousParameter(0.0, 1.0) for i in range(3)}
    search = Search(space, objective_type="Minimize", seed=4)
    for _ in range(25):
        trial = search.ask()
        search.tell(trial.number, sum((float(x) - 1.2) ** 2 for x in trial.values.values()))
    assert search.best is not None
    assert search.best.value < 0.12 + 0.02  # in the corner itself it is 0.12


def turned() -> Posterior:
    data = ridge(20, angle=0.5, d=4)
    theta = Prior.of(data.layout, 20).start
    theta[data.layout.couplings] = [0.5, -0.3, 0.2, 0.1, 0.0, -0.4]
    return Posterior.of(data, theta)


def test_acquisition_slope_is_the_derivative_where_features_are_coupled() -> None:
    acquire = LogEI(turned())
    for features in ridge(4, angle=0.1, seed=7, d=4).features:
        steps = 1e-6 * np.eye(4)
        differences = (acquire(features + steps) - acquire(features - steps)) / 2e-6
        for columns in (np.arange(4), np.array([1, 3])):
            values, slopes = acquire.along(features[None], columns)(features[None, columns])
            assert values == pytest.approx(acquire(features[None]))
            assert slopes[0] == pytest.approx(differences[columns], rel=1e-3, abs=1e-4)


def test_what_is_believed_where_features_are_coupled_leaves_little_doubt_there_and_changes_no_mean() -> None:
    made, places = turned(), ridge(6, angle=0.5, seed=9, d=4).features
    told = made.believing(places[:1])
    assert told.predict(places)[1][0] < 0.3 * made.predict(places)[1][0]
    assert told.predict(places)[0] == pytest.approx(made.predict(places)[0])
    assert told.incumbent == pytest.approx(min(made.incumbent, made.predict(places)[0][0]))


@pytest.mark.parametrize("basis", [0, 2])
def test_posterior_with_believed_results_is_that_of_more_data(basis: int) -> None:
    data, models = sample(20, basis=basis), parents(basis)
    theta = fit(data, Prior.of(data.layout, 20))
    more = sample(3, 9)
    before = Posterior.of(data, theta, models)
    made = before.believing(more.features)
    features = np.vstack([data.features, more.features])
    told = means(models, features) if basis else None
    together = Data(features, np.r_[data.targets, before.predict(more.features)[0]], data.layout, basis=told)
    direct = Posterior.of(together, theta, models)
    probe = sample(10, 11).features
    assert made.predict(probe)[0] == pytest.approx(before.predict(probe)[0])
    assert made.predict(probe)[1] == pytest.approx(direct.predict(probe)[1], rel=1e-6)
    # The constant mean is estimated from real data alone, hence the tolerance.
    assert made.predict(probe)[0] == pytest.approx(direct.predict(probe)[0], abs=0.05)


def test_log_h_agrees_with_its_definition_and_stays_finite_far_out() -> None:
    z = np.linspace(-8, 6, 57)
    assert np.exp(log_h(z)) == pytest.approx(norm.pdf(z) + z * norm.cdf(z), rel=1e-6, abs=1e-18)
    far = log_h(np.array([-1e2, -1e3, -1e5, -1e8]))
    assert np.isfinite(far).all() and (np.diff(far) < 0).all()


@example([0.0, 4.0, 1.2e-308])
@example([1.7e308, -1.7e308, 1.0])
@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.just(math.nan), min_size=1, max_size=40))
def test_targets_are_finite_and_keep_the_order(values: list[float]) -> None:
    given_values = np.array(values)
    good = np.isfinite(given_values)
    if not good.any():
        return
    targets = model_targets(given_values)
    assert np.isfinite(targets).all()
    order = np.argsort(given_values[good], kind="stable")
    assert (np.diff(targets[good][order]) >= -1e-9).all()
    assert (targets[~good] >= targets[good].max() - 1e-12).all()


def test_half_rank_keeps_the_good_half_and_flattens_the_bad() -> None:
    values = np.array([0.0, 1.0, 2.0, 3.0, 1e6])
    out = half_rank(values)
    assert out[:3].tolist() == [0.0, 1.0, 2.0]
    assert 2.0 < out[3] < out[4] < 10.0


def run(search: Search, count: int, value: object) -> list[dict[str, object]]:
    tried = []
    for _ in range(count):
        suggestion = search.ask()
        tried.append(dict(suggestion.values))
        search.tell(suggestion.number, value(suggestion.values))  # type: ignore[operator]
    return tried


@pytest.mark.parametrize("size", [1.0, 3.7, 1e6, 1.7e300])
def test_how_bad_a_bad_value_is_changes_not_a_digit(size: float) -> None:
    good = np.array([0.1, 0.7, 0.2, 0.45, 0.33])
    plain = model_targets(np.append(good, [0.9, 0.95, 1.0]))
    assert model_targets(np.append(good, [0.9, 0.95, size])).tolist() == plain.tolist()
    assert unit_of(np.append(good, [0.9, 0.95, size])) == unit_of(np.append(good, [0.9, 0.95, 1.0]))


def test_every_categorical_value_keeps_its_share() -> None:
    space = {"x": ContinuousParameter(0, 1), "kind": CategoricalParameter(["a", "b", "c", "d"])}
    tried = run(Search(space, seed=2), 48, lambda v: (v["x"] - 0.3) ** 2 + (0.0 if v["kind"] == "b" else 1.0))
    counts = Counter(t["kind"] for t in tried)
    assert min(counts.values()) >= 5
    assert counts["b"] == max(counts.values())


def test_a_wrong_first_impression_of_a_value_is_overcome() -> None:
    """`slow` is worse nearly everywhere, but holds the optimum in a narrow basin."""

    def value(v: dict[str, float]) -> float:
        if v["kind"] == "fast":
            return 0.5 + 0.1 * abs(v["x"] - 0.5)
        return 0.9 - math.exp(-(((v["x"] - 0.85) / 0.1) ** 2))

    space = {"x": ContinuousParameter(0, 1), "kind": CategoricalParameter(["fast", "slow"])}
    found = []
    for seed in range(4):
        search = Search(space, seed=seed)
        run(search, 40, value)
        assert search.best is not None
        found.append(search.best.values["kind"])
    assert found.count("slow") >= 3


def test_failures_are_avoided() -> None:
    def value(v: dict[str, float]) -> float | None:
        return None if v["x"] > 0.6 else (v["x"] - 0.5) ** 2 + (v["y"] - 0.2) ** 2

    tried = run(Search({"x": ContinuousParameter(0, 1), "y": ContinuousParameter(0, 1)}, seed=1), 40, value)
    assert sum(float(str(t["x"])) > 0.6 for t in tried[-20:]) <= 4


def test_the_optimum_of_a_smooth_function_is_found() -> None:
    space = {"x": ContinuousParameter(-5, 10), "y": ContinuousParameter(0, 15)}

    def branin(v: dict[str, float]) -> float:
        x, y = v["x"], v["y"]
        inner = y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6
        return float(inner**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)

    search = Search(space, seed=0)
    run(search, 35, branin)
    assert search.best is not None and search.best.value < 0.41


def test_maximising_is_minimising_the_negative() -> None:
    space = {"x": ContinuousParameter(0, 1), "y": ContinuousParameter(0, 1)}
    down = run(Search(space, seed=3), 15, lambda v: (v["x"] - 0.3) ** 2 + v["y"])
    up = run(Search(space, objective_type="Maximize", seed=3), 15, lambda v: -((v["x"] - 0.3) ** 2) - v["y"])
    assert down == up


def test_a_hundred_pending_trials_are_all_different() -> None:
    search = Search({"x": ContinuousParameter(0, 1), "kind": CategoricalParameter(["a", "b"])}, seed=0)
    run(search, 12, lambda v: v["x"])
    asked = [tuple(search.ask().values.values()) for _ in range(100)]
    assert len(set(asked)) == 100


def rows_of(search: Search) -> Floats:
    cube = Cube(search.history.spec.definitions[0].space)
    return np.array([cube.encode(record.point) for record in search.history.records.values()])


def test_long_histories_are_bounded_in_cost_by_subsets() -> None:
    search = Search({f"x{i}": ContinuousParameter(0, 1) for i in range(3)}, seed=0)
    rng = np.random.default_rng(0)
    for _ in range(1200):
        point = {f"x{i}": float(u) for i, u in enumerate(rng.random(3))}
        search.add(point, sum((v - 0.4) ** 2 for v in point.values()))
    run(search, 5, lambda v: sum((x - 0.4) ** 2 for x in v.values()))
    assert np.abs(rows_of(search)[-1] - 0.4).max() < 0.1
