"""`Search` for newcomers: odd arguments are taken as what they mean, or refused by name with the remedy."""

from __future__ import annotations

import copy
import math
import pickle
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tunewright.core import counting
from tunewright.core.errors import Invalid, TunewrightWarning
from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter
from tunewright.search import Search

SPACE = {"x": ContinuousParameter(0, 1), "n": IntegerParameter(1, 9), "k": CategoricalParameter(["a", "b"])}
POINT = {"x": 0.5, "n": 3, "k": "a"}
HYPERBAND = {"strategy": "Hyperband", "max_resource": 9}


@pytest.mark.parametrize(
    ("arguments", "path", "words"),
    [
        ({"strategy": "bayesian"}, "strategy", "Did you mean 'Bayesian'?"),
        ({"strategy": ["Random"]}, "strategy", "use Bayesian, Random, Grid or Hyperband"),
        ({"objective_type": "minimize"}, "objective_type", "neither Minimize nor Maximize. Did you mean 'Minimize'?"),
        ({"objective_type": [1]}, "objective_type", "[1] is neither"),
        ({"warm_start_type": "transfer"}, "warm_start_type", "Did you mean 'TransferLearning'?"),
        ({"seed": "1"}, "seed", "'1' is not a whole number >= 0"),
        ({"early_stopping": "Off"}, "early_stopping", "'Off' is neither True nor False; use True for the median rule"),
        ({**HYPERBAND, "early_stopping": True}, "early_stopping", "must be False with Hyperband"),
        ({**HYPERBAND, "max_resource": 0}, "max_resource", "0 is not a whole number >= 1"),
        ({**HYPERBAND, "max_resource": "9"}, "max_resource", "'9' is not a whole number >= 1"),
        ({**HYPERBAND, "min_resource": 10}, "min_resource", "10 is greater than max_resource 9; lower it"),
        ({"forbidden": "x > 0.5"}, "forbidden", "'x > 0.5' is not a list of conditions"),
        ({"conditions": ["x"]}, "conditions", "['x'] is not a dictionary of names to conditions"),
        ({"steps": 5}, "steps", "5 is not a dictionary of names to distances"),
        ({"initial_points": {"x": 0.5}}, "initial_points", "{'x': 0.5} is not a list of objects"),
        ({"options": 5}, "options", "5 is not a dictionary of names to JSON texts"),
        ({"options": {"hyperband_mod": '"x"'}}, "options.hyperband_mod", "Did you mean 'hyperband_mode'?"),
        ({"options": {"hyperband_mode": "promotion"}}, "options.hyperband_mode", 'not a JSON text; give "\\"promotion'),
        (
            {**HYPERBAND, "options": {"hyperband_mode": '"x"'}},
            "options.hyperband_mode",
            "neither stopping nor promotion",
        ),
        ({"options": {"hyperband_mode": '"promotion"'}}, "options.hyperband_mode", "is for the strategy Hyperband"),
        ({"parents": None}, "parents", "None is not a list of earlier searches"),
        ({"parents": [5]}, "parents[0]", "5 is neither a search nor a list of pairs"),
        ({"parents": [[(POINT, 1.0, 2)]]}, "parents[0][0]", "is not a pair of values and objective"),
        ({"parents": [[], [(POINT, 1.0), (POINT, "a")]]}, "parents[1][1]", "'a' is not a number"),
    ],
)
def test_what_cannot_be_meant_is_told_by_name(arguments: dict[str, Any], path: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        Search(SPACE, **arguments)
    assert [problem.path for problem in refused.value.problems] == [path]
    assert words in refused.value.problems[0].message


@pytest.mark.parametrize(
    ("space", "path", "words"),
    [
        ({5: ContinuousParameter(0, 1)}, "space", "5 is no name of a parameter; use text"),
        ({"x": ContinuousParameter("a", 1)}, "x", "bounds are numbers, got 'a'"),  # type: ignore[arg-type]  # odd
        ({"n": IntegerParameter(1, 1 << 20_000)}, "n", "got 1 and a number of thousands of digits"),
        ({"x": CategoricalParameter(None)}, "x", "categories are text, numbers or booleans, got None"),  # type: ignore[arg-type]  # odd
        ({"x": CategoricalParameter([[1]])}, "x", "categories are text, numbers or booleans, got [1]"),  # type: ignore[list-item]  # odd
        ({"x": CategoricalParameter([math.nan, 1])}, "x", "nan is no value that can be told from others"),
    ],
)
def test_what_is_no_space_is_told_by_name(space: Any, path: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        Search(space)
    assert [problem.path for problem in refused.value.problems] == [path]
    assert words in refused.value.problems[0].message


def test_numbers_of_all_kinds_are_taken_as_plain_ones() -> None:
    space = {
        "x": ContinuousParameter(np.float64(0.25), Decimal("0.5")),  # type: ignore[arg-type]  # other kinds of numbers
        "n": IntegerParameter(np.int64(2), np.int64(4)),  # type: ignore[arg-type]
        "k": CategoricalParameter(np.array([1, 2])),
    }
    search = Search(space, seed=np.int64(3))  # type: ignore[arg-type]
    plain = Search(
        {"x": ContinuousParameter(0.25, 0.5), "n": IntegerParameter(2, 4), "k": CategoricalParameter([1, 2])}, seed=3
    )
    for value in (np.float32(0.5), Decimal("0.25"), Fraction(1, 3), np.array(2.0), 3):
        suggestion = search.ask()
        assert suggestion.values == plain.ask().values
        assert [type(each) for each in suggestion.values.values()] == [float, int, int]
        search.tell(suggestion, value)  # type: ignore[arg-type]
        plain.tell(suggestion.number, float(value))
        assert type(search.history.records[suggestion.number].value) is float
    told = search.add({"x": np.float32(0.5), "n": np.int64(3), "k": np.int64(1)}, 1.0)  # type: ignore[dict-item]
    point = search.history.records[told].point
    assert point == {"x": 0.5, "n": 3, "k": 1} and [type(each) for each in point.values()] == [float, int, int]
    first = Search(SPACE, initial_points=[{"n": np.int64(3)}]).ask()  # type: ignore[dict-item]
    assert first.values["n"] == 3


def test_a_set_of_categories_has_one_order_in_all_processes() -> None:
    assert CategoricalParameter({"b", "c", "a"}).values == ("a", "b", "c")
    assert CategoricalParameter({"b": 1, "a": 2}.keys()).values == ("b", "a"), "keys have an order of their own"


@pytest.mark.parametrize("value", ["abc", 10**400, 1j, [1], np.array([1.0, 2.0]), object(), {}, b"1", lambda: 10**5000])
def test_what_is_no_objective_is_told_by_name(value: Any) -> None:
    value = value() if callable(value) else value  # more digits than Python writes out
    search = Search(SPACE)
    number = search.ask().number
    calls: list[Callable[[], object]] = [
        lambda: search.tell(number, value),
        lambda: search.report(number, 1, value),
        lambda: search.add(POINT, value),
    ]
    for call in calls:
        with pytest.raises(Invalid, match=r"^value: .*(give a number|tell infinity)"):
            call()
    with pytest.raises(Invalid, match="None is not a number; tell"):
        search.report(number, 1, None)  # type: ignore[arg-type]
    search.tell(number, 1.0)
    assert list(search.history.records) == [number]


@pytest.mark.parametrize("step", [-1, 1.5, "1", True, None, math.nan])
def test_what_is_no_epoch_is_told_by_name(step: Any) -> None:
    search = Search(SPACE)
    number = search.ask().number
    with pytest.raises(Invalid, match=r"^step: .* is not a whole number >= 0"):
        search.report(number, step, 1.0)
    search.report(number, 2.0, 1.0)  # type: ignore[arg-type]
    search.report(number, np.int64(3), 1.0)  # type: ignore[arg-type]
    assert list(search.history.records[number].curve) == [2, 3]
    with pytest.raises(Invalid, match="number: True is neither"):
        search.tell(True, 1.0)


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ([("x", 0.5)], {"values": "is not a dictionary of names to values"}),
        ({**POINT, "x": True}, {"x": "True is not a finite number; give a number from 0 to 1"}),
        ({**POINT, "n": 2.5}, {"n": "2.5 is not a whole number; give a whole number from 1 to 9"}),
        ({**POINT, "n": 10**400}, {"n": "is beyond 1.8e308"}),
        ({**POINT, "k": None}, {"k": "None is not among its values; give one of 'a', 'b'"}),
        ({**POINT, "kk": 1}, {"kk": "is not a parameter of this space; leave it out. Did you mean 'k'?"}),
        ({"x": 0.5}, {"n": "has no value; give a whole number from 1 to 9", "k": "has no value; give one of 'a', 'b'"}),
    ],
)
def test_results_from_elsewhere_are_refused_with_the_remedy(point: Any, said: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        Search(SPACE).add(point, 1.0)
    assert {problem.path for problem in refused.value.problems} == set(said)
    assert all(said[problem.path] in problem.message for problem in refused.value.problems)


def test_parents_given_as_results_are_read_like_results() -> None:
    pairs = [({"x": 0.1 * place, "n": place, "k": "a"}, float(place)) for place in range(1, 6)]
    texts = [({name: str(value) for name, value in values.items()}, value) for values, value in pairs]
    assert Search(SPACE, parents=[texts]).ask() == Search(SPACE, parents=[pairs]).ask()
    assert Search(SPACE, parents=[pairs]).ask() != Search(SPACE).ask()
    renamed = [({**values, "y": values["x"]}, value) for values, value in pairs]
    for values, _ in renamed:
        del values["x"]
    with pytest.warns(TunewrightWarning, match=r"parents\[1\]: none of its 5 results has a place .* x, n, k"):
        search = Search(SPACE, parents=[pairs, renamed])
    assert search.ask() == Search(SPACE, parents=[pairs]).ask()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda search: pickle.loads(pickle.dumps(search))])
def test_a_copy_goes_on_by_itself(copied: Callable[[Search], Search]) -> None:
    search = Search(SPACE, seed=3, parents=[[(POINT, 1.0), ({**POINT, "x": 0.1}, 2.0)]])
    for _ in range(9):
        suggestion = search.ask()
        search.tell(suggestion, float(suggestion.values["x"]))
    pending = search.ask()
    search.report(pending, 1, 0.5)
    other = copied(search)
    assert [other.ask() for _ in range(2)] == [search.ask() for _ in range(2)]
    other.report(pending, 2, 0.4)
    other.tell(pending, 0.3)
    assert search.history.records[pending.number].live and list(search.history.records[pending.number].curve) == [1]


def test_a_space_with_rules_is_counted_once_however_many_parents_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[object] = []
    count = counting.count
    monkeypatch.setattr(counting, "count", lambda *of: counted.append(of) or count(*of))
    Search(SPACE, parents=[[(POINT, 1.0)], [(POINT, 2.0)]], forbidden=["x > 0.5 and n < 3"]).ask()
    assert len(counted) == 1


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_threads_that_ask_at_once_get_suggestions_of_their_own(strategy: str) -> None:
    search = Search(SPACE, strategy, seed=1)
    numbers: list[int] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        for _ in range(6):
            suggestion = search.ask()
            numbers.append(suggestion.number)
            search.tell(suggestion, float(suggestion.values["x"]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 25)) == list(search.history.records)
    assert all(record.value is not None for record in search.history.records.values())


def child(search: Search) -> None:
    of = {"parents": [search], "warm_start_type": "IdenticalDataAndAlgorithm"}
    Search({"x": ContinuousParameter(0, 1)}, "Random", **of).ask()


@pytest.mark.parametrize("look", [lambda search: search.best, Search.importance, child])
def test_results_are_looked_at_while_other_threads_ask(look: Callable[[Search], object]) -> None:
    search = Search({"x": ContinuousParameter(0, 1)}, "Random", seed=1)
    for _ in range(300):
        search.tell(search.ask(), 0.5)
    asking = threading.Thread(target=lambda: [search.ask() for _ in range(400)])
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    asking.start()
    try:
        # A lock is not fair: one look may wait for any number of asks, so it is the asks that are counted.
        while asking.is_alive():
            look(search)
    finally:
        asking.join()
        sys.setswitchinterval(before)
