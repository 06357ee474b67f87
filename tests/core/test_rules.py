"""Conditions and forbidden combinations of a space: what is active, how many points are left, what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tunewright.core import cells, counting
from tunewright.core.rules import Rules, compiled
from tunewright.core.space import (
    CategoricalParameter,
    ContinuousParameter,
    IntegerParameter,
    Parameter,
    Space,
    Value,
)
from tunewright.testing.strategy_suite import RULED, RULED_FINITE

OPT = CategoricalParameter(["adam", "sgd"])
LR = ContinuousParameter(1e-4, 1.0, "Logarithmic")


def all_points(space: Space) -> list[dict[str, Value]]:
    """Every legal point of a finite space, by trying them all, each active set alone."""
    choices: list[list[Value | None]] = []
    for name, parameter in space.parameters.items():
        values: list[Value | None] = list(listed(parameter))
        choices.append([*values, None] if name in space.conditions else values)
    found = []
    for values in itertools.product(*choices):
        point = {name: value for name, value in zip(space.parameters, values, strict=True) if value is not None}
        if space.contains(point):
            found.append(point)
    return found


def listed(parameter: Parameter) -> Iterator[Value]:
    if isinstance(parameter, CategoricalParameter):
        yield from parameter.values
        return
    lattice = parameter.lattice()
    assert lattice is not None
    yield from (lattice.value(index) for index in range(lattice.size))


def test_activity_nests() -> None:
    rules: Rules = RULED.rules
    assert rules.active({"opt": "adam"}) == {"lr", "batch", "drop", "only", "opt", "beta1"}
    assert "nesterov" in rules.active({"opt": "sgd", "momentum": 0.5})
    assert "nesterov" not in rules.active({"opt": "sgd", "momentum": 0.1})
    assert "nesterov" not in rules.active({"opt": "adam", "momentum": 0.5})
    order = rules.order
    assert order.index("opt") < order.index("momentum") < order.index("nesterov")


def test_counting_by_hand() -> None:
    assert RULED_FINITE.size() == len(all_points(RULED_FINITE)) == 17
    assert RULED.size() is None
    wide = Space({"n": IntegerParameter(1, 10**9), "k": OPT}, forbidden=("n > 5 and k == sgd", "n == 7"))
    assert wide.size() == 10**9 - 1 + 5
    only = Space({"lr": LR}, forbidden=("lr != 0.5",))
    assert only.size() == 1
    assert only.finder().find() == {"lr": 0.5}
    assert Space({"lr": LR, "k": OPT}, conditions={"lr": "k == sgd"}).size() is None


def test_many_independent_rules_are_counted() -> None:
    """Twelve groups that no rule connects multiply; the product of all values is far too large to walk."""
    parameters: dict[str, Parameter] = {}
    conditions, forbidden = {}, []
    for place in range(12):
        parameters |= {f"k{place}": CategoricalParameter(["on", "off"]), f"n{place}": IntegerParameter(1, 1000)}
        conditions[f"n{place}"] = f"k{place} == on"
        forbidden.append(f"n{place} == 500")
    assert Space(parameters, conditions, tuple(forbidden)).size() == 1000**12


def test_what_rules_cannot_tell_apart_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dozen parameters in a chain of rules: no walk through their combinations, of which there are many."""
    monkeypatch.setattr(counting, "MOST_WORK", 1500)

    def chain(size: int, values: int) -> Space:
        parameters = {f"p{i}": CategoricalParameter([f"v{j}" for j in range(values)]) for i in range(size)}
        return Space(parameters, forbidden=tuple(f"p{i} == v0 and p{i + 1} == v1" for i in range(size - 1)))

    assert chain(4, 3).size() == len(all_points(chain(4, 3))) == 55
    assert chain(12, 3).size() == 121_393
    assert chain(12, 10).size() == 894_416_697_901
    every = " and ".join(f"p{i} == v0" for i in range(12))
    assert Space(chain(12, 10).parameters, forbidden=(every,)).size() == 10**12 - 1
    nested = {f"p{i}": f"p{i - 1} != v0" for i in range(1, 12)}
    assert Space(chain(12, 3).parameters, nested).size() == 2**13 - 1
    star = {f"p{i}": f"p0 != v{i % 10}" for i in range(1, 12)}
    assert Space(chain(12, 10).parameters, star).problems(strict=False) == []


def pairs(size: int) -> tuple[dict[str, Parameter], str]:
    """Parameters, and a rule that speaks of each first half's parameter together with one of the second half."""
    names = [f"p{i}" for i in range(size)]
    text = " or ".join(f"{a} == v0 and {b} == v1" for a, b in zip(names[: size // 2], names[size // 2 :], strict=True))
    return {name: CategoricalParameter(["v0", "v1", "v2"]) for name in names}, text


def test_rules_too_dense_to_count_are_given_up_after_so_many_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    spent: list[int] = []
    spend = counting.Work.spend
    monkeypatch.setattr(counting.Work, "spend", lambda work, count: spent.append(count) or spend(work, count))
    parameters, text = pairs(100)
    dense = Space(parameters, forbidden=(text,))
    assert dense.problems(strict=False) == [] and dense.size() is None
    assert len(spent) < sum(spent) < 1.1 * counting.MOST_WORK
    parameters, text = pairs(12)
    assert Space(parameters, forbidden=(text,)).size() == 8**6


def test_whoever_looks_for_points_gives_up_once_and_for_all() -> None:
    """Nine holes for ten pigeons: nobody finds out, and no condition behind them is looked at for as long again."""
    holes = [f"v{j}" for j in range(9)]
    parameters: dict[str, Parameter] = {f"p{i}": CategoricalParameter(holes) for i in range(10)}
    apart = tuple(f"p{i} == p{j}" for i in range(10) for j in range(i))
    impossible = Space(parameters, forbidden=apart)
    finder = impossible.finder()
    with pytest.raises(counting.Uncounted):
        finder.find()
    with pytest.raises(counting.Uncounted):
        finder.find({f"p{i}": holes[i] for i in range(8)})
    assert impossible.finder().find({f"p{i}": holes[i] for i in range(8)}) is None, "it would have been found out"
    assert finder.possible() and impossible.problems(strict=False) == []


def test_a_thousand_parameters_that_hang_together_are_not_counted() -> None:
    parameters = {f"p{i}": OPT for i in range(1000)}
    nested = Space(parameters, {f"p{i}": f"p{i - 1} == sgd" for i in range(1, 1000)})
    chain = tuple(f"p{i} == sgd and p{i + 1} == sgd" for i in range(999))
    for space in (nested, Space(parameters, forbidden=chain)):
        assert space.problems(strict=False) == [] and space.size() is None
    assert Space(parameters, forbidden=chain[::2]).size() == 3**500


def test_a_space_with_few_points_among_many_dead_ends_is_not_counted() -> None:
    """Whoever knew of few points would walk through them."""
    apart = tuple(f"p{i} == p{j}" for i in range(10) for j in range(i))
    parameters = {f"p{i}": CategoricalParameter([f"v{j}" for j in range(9)]) for i in range(10)}
    assert Space(parameters, forbidden=apart).size() is None


def test_parameters_compared_with_one_another() -> None:
    space = Space({"a": IntegerParameter(1, 6), "b": IntegerParameter(1, 6)}, forbidden=("a > b",))
    assert space.size() == len(all_points(space)) == 21
    widest = IntegerParameter(1, cells.MOST_VALUES)
    assert Space({"a": widest, "b": widest}, forbidden=("a > b",)).size() == 512 * 513 // 2
    chain = {name: ContinuousParameter(0.0, 1.0) for name in "abcd"}
    ordered = Space(chain, forbidden=("a >= b", "b >= c", "c >= d"))
    found = ordered.finder().find()
    assert found is not None and ordered.contains(found)
    assert Space(chain, forbidden=("a >= b", "b >= a")).problems(strict=False)


ATOMS = st.sampled_from(
    ["k == x", "k != y", "k in [x, z]", "n > 2", "n <= 4", "n == 3", "s >= 0.5", "s == 0.25", "n > m", "m not in [1]"]
)
TEXTS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        inner.map(lambda text: f"not ({text})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
    ),
    max_leaves=4,
)
FINITE: Mapping[str, Parameter] = {
    "s": ContinuousParameter(0.0, 1.0, step=0.25),
    "n": IntegerParameter(0, 6, step=2),
    "m": IntegerParameter(1, 3),
    "k": CategoricalParameter(["x", "y", "z"]),
}


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(list(FINITE)), TEXTS, max_size=2), st.lists(TEXTS, max_size=2))
def test_counting_agrees_with_trying_all(conditions: dict[str, str], forbidden: list[str]) -> None:
    space = Space(FINITE, conditions, tuple(forbidden))
    circles = [p for p in space.problems(strict=False) if "circle" in p.message]
    assume(not circles)
    points = all_points(space)
    assert space.size() == len(points)
    found = space.finder().find()
    assert (found is None) == (not points)
    assert found is None or space.contains(found)
    for name in conditions:
        reached = space.finder().find(needed=(name,))
        assert (reached is not None) == any(name in point for point in points)


def refused(space: Space) -> dict[str, str]:
    return {problem.path: problem.message for problem in space.problems(strict=False)}


def test_every_problem_of_the_rules_is_named_at_once() -> None:
    space = Space(
        {"opt": OPT, "lr": LR, "n": IntegerParameter(0, 8, step=4)},
        conditions={"lrr": "opt == adam", "lr": "optt == adam", "n": "opt == adamm"},
        forbidden=("opt > 3", "lr == 7", "n == 3", "lr == adam", "opt === adam", "", "1 == 1", "`x y` == 1"),
    )
    found = refused(space)
    assert found["conditions.lrr"] == "'lrr' is not a tuned parameter. Did you mean 'lr'?"
    assert "'optt' is not a tuned parameter. Did you mean 'opt'?" in found["conditions.lr"]
    assert "'adamm' is none of the values of 'opt', which are adam, sgd. Did you mean 'adam'?" in found["conditions.n"]
    assert "> compares numbers, 'opt' is not one; use == or in." in found["forbidden[0]"]
    assert "'lr' never is 7" in found["forbidden[1]"]
    assert "'n' never is 3: it lies outside of the range, or between its steps." in found["forbidden[2]"]
    assert "'lr' is a number, which 'adam' is not." in found["forbidden[3]"]
    assert "at character 7, found '='" in found["forbidden[4]"]
    assert "must be a condition such as" in found["forbidden[5]"]
    assert "neither side is a tuned parameter. Tuned are opt, lr, n." in found["forbidden[6]"]
    assert "'x y' is not a tuned parameter." in found["forbidden[7]"]


def test_circles_are_told_with_their_way() -> None:
    parameters = {name: IntegerParameter(0, 3) for name in "abcd"}
    found = refused(Space(parameters, conditions={"a": "b > 0", "b": "c > 0", "c": "a > 0", "d": "a > 0"}))
    assert set(found) == {"conditions.a", "conditions.b", "conditions.c"}
    assert "a -> b -> c -> a" in found["conditions.a"]
    alone = refused(Space(parameters, conditions={"a": "a > 0"}))
    assert "a -> a" in alone["conditions.a"]
    with pytest.raises(ValueError, match="the conditions of a, b go round in a circle"):
        compiled(("a", "b"), (("a", "b > 0"), ("b", "a > 0")), ())


def test_categories_that_are_all_numbers_have_an_order() -> None:
    of = Space({"batch": CategoricalParameter(["16", "32", "64"]), "lr": LR}, forbidden=("batch > 32",))
    assert of.problems(strict=False) == []
    assert [of.contains({"batch": batch, "lr": 0.1}) for batch in ("16", "32", "64")] == [True, True, False]
    mixed = refused(Space({"batch": CategoricalParameter(["16", "auto"]), "lr": LR}, forbidden=("batch > 32",)))
    assert "> compares numbers, 'batch' is not one" in mixed["forbidden[0]"]


def test_rules_that_leave_nothing_are_refused() -> None:
    nothing = refused(Space({"opt": OPT, "lr": LR}, forbidden=("lr < 0.1", "lr >= 0.1 and opt == sgd", "opt == adam")))
    assert "leaves nothing" in nothing["forbidden"]
    never = refused(Space({"opt": OPT, "n": IntegerParameter(0, 3)}, {"n": "opt == adam"}, ("opt == adam",)))
    assert "can never hold" in never["conditions.n"]


@pytest.mark.parametrize(
    ("point", "path", "words"),
    [
        ({"lr": 0.5, "opt": "sgd"}, "", "is forbidden by \"opt == 'sgd' and lr > 0.1\""),
        ({"lr": 3}, "lr", "3 is not among its values; give a number from 1e-05 to 1.0"),
        ({"batch": 40}, "batch", "give a whole number from 16 to 256 in steps of 16"),
        ({"drop": 0.12}, "drop", "in steps of 0.05"),
        ({"opt": "adamw"}, "opt", "give one of 'adam', 'sgd', 'lion'"),
        (
            {"beta1": 0.9, "opt": "sgd"},
            "beta1",
            "is not active here: its condition is \"opt == 'adam'\"; leave it out.",
        ),
        ({"nesterov": True, "opt": "lion"}, "nesterov", "is not active here"),
        ({"bta1": 0.9}, "bta1", "is not a tuned parameter. Did you mean 'beta1'?"),
        ({"lr": [1]}, "lr", "is not among its values"),
    ],
)
def test_points_that_cannot_be_tried(point: dict[str, object], path: str, words: str) -> None:
    _, problems = RULED.read_point(point)
    assert [problem.path for problem in problems] == [path]
    assert words in problems[0].message


def test_points_are_read_with_their_types() -> None:
    wire = Space({"n": IntegerParameter(0, 9), "k": CategoricalParameter(["1", "x"]), "lr": LR})
    assert wire.read_point({"n": 3.0, "k": 1, "lr": "0.5"}) == ({"n": 3, "k": "1", "lr": 0.5}, [])
    assert RULED.read_point({"beta1": 0.9, "drop": 0.15}) == ({"beta1": 0.9, "drop": 0.15}, [])
