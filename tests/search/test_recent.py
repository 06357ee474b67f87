"""What is remembered of objects: by identity, a bounded number, the least recently used given up first."""

from __future__ import annotations

from tunewright.search.recent import Recent


def test_owners_are_told_apart_by_identity() -> None:
    memory: Recent[list[int], str] = Recent(8)
    one, other = [1], [1]
    memory.put(one, "one")
    assert (memory.get(one), memory.get(other)) == ("one", None)


def test_the_least_recently_used_gives_way() -> None:
    memory: Recent[list[int], int] = Recent(2)
    first, second, third = [1], [2], [3]
    memory.put(first, 1)
    memory.put(second, 2)
    assert memory.get(first) == 1
    memory.put(third, 3)
    assert [memory.get(each) for each in (first, second, third)] == [1, None, 3]


def test_a_value_is_made_once_and_replaced_when_put() -> None:
    memory: Recent[list[int], dict[str, int]] = Recent(2)
    owner = [1]
    made = memory.of(owner, dict)
    assert memory.of(owner, lambda: {"another": 1}) is made == {}
    memory.put(owner, {"new": 1})
    assert memory.get(owner) == {"new": 1}
