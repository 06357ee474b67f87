"""Slots: counting in file locks, GPUs, fairness between controllers, and the bell."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from tunewright.core.errors import Invalid
from tunewright.executors.bell import Bell
from tunewright.executors.slots import WANT_SECONDS, Capacity, Held, Slots, capacity, detect_gpus


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("8", Capacity(8)),
        ("cpu=8,gpu=2", Capacity(8, ("0", "1"))),
        ("CPUs = 3 , gpus=0", Capacity(3)),
        ("gpu=1", Capacity(max(4, os.cpu_count() or 1), ("0",))),
        ("", Capacity(max(4, os.cpu_count() or 1))),
    ],
)
def test_settings(setting: str, expected: Capacity) -> None:
    assert capacity(setting, {"CUDA_VISIBLE_DEVICES": ""}) == expected


@pytest.mark.parametrize("setting", ["many", "cpu=", "8x", "cpu=1.5", "-1", "0", "cpu=0", "tpu=1", "²"])
def test_settings_that_are_refused(setting: str) -> None:
    with pytest.raises(Invalid, match="slots"):
        capacity(setting, {"CUDA_VISIBLE_DEVICES": ""})


@pytest.mark.parametrize(
    ("visible", "devices"),
    [("0,2", ("0", "2")), ("GPU-ab, GPU-cd", ("GPU-ab", "GPU-cd")), ("", ()), ("-1", ()), ("1,-1,2", ("1",))],
)
def test_visible_devices(visible: str, devices: tuple[str, ...]) -> None:
    assert detect_gpus({"CUDA_VISIBLE_DEVICES": visible}) == devices


def test_gpus_by_asking_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.path.exists("/proc/driver/nvidia/gpus"):
        pytest.skip("this host has NVIDIA GPUs")
    program = tmp_path / "nvidia-smi"
    program.write_text(
        f"#!{sys.executable}\nprint('GPU 0: one')\nprint('  MIG 1g.5gb')\nprint('GPU 1: two')\n", encoding="utf-8"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert detect_gpus({}) == ("0", "1")


def test_slots_are_counted(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots", "3")
    held = [slots.acquire(1) for _ in range(3)]
    assert all(held) and slots.acquire(1) is None
    first = held[0]
    assert isinstance(first, Held)
    first.close()
    first.close()
    again = slots.acquire(1)
    assert again is not None


def test_all_or_none(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots", "3")
    two = slots.acquire(2)
    assert two is not None and slots.acquire(2) is None
    one = slots.acquire(1)
    assert one is not None
    two.close()
    one.close()
    everything = slots.acquire(100)
    assert everything is not None and len(everything.fds) == 3


def test_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a/b,5")
    slots = Slots(tmp_path / "slots", "4")
    first, second = slots.acquire(1, 1), slots.acquire(1, 1)
    assert first is not None and second is not None
    assert (first.devices, second.devices) == (("GPU-a/b",), ("5",))
    assert slots.acquire(1, 1) is None
    plain = slots.acquire(1)
    assert plain is not None and plain.devices == ()
    assert slots.impossible(2) == "" and "3 GPUs" in slots.impossible(3)


def test_another_home_has_other_slots(tmp_path: Path) -> None:
    one, other = Slots(tmp_path / "a", "1"), Slots(tmp_path / "b", "1")
    assert one.acquire(1) is not None and other.acquire(1) is not None


def test_nobody_takes_more_than_a_fair_share_while_others_wait(tmp_path: Path) -> None:
    greedy, late = Slots(tmp_path / "slots", "4"), Slots(tmp_path / "slots", "4")
    held = [greedy.acquire(1) for _ in range(4)]
    assert late.acquire(1) is None
    for number in range(2):
        taken = held[number]
        assert taken is not None
        taken.close()
        assert greedy.acquire(1) is None, "it holds more than its share while another waits"
        assert late.acquire(1) is not None
        assert late.acquire(1) is None
    one, third = held[2], held[3]
    assert one is not None and third is not None
    one.close()
    assert late.acquire(1) is None, "its share is two"
    assert greedy.acquire(1) is not None


def test_ones_own_wish_is_not_anothers(tmp_path: Path) -> None:
    one, other = Slots(tmp_path / "slots", "4"), Slots(tmp_path / "slots", "4")
    kept, given_back, mine = other.acquire(1), other.acquire(1), one.acquire(1)
    assert kept is not None and given_back is not None and mine is not None
    assert one.acquire(2) is None
    given_back.close()
    assert one.acquire(2) is not None, "more than its share, which nobody else waits for"


def test_who_holds_nothing_may_always_take(tmp_path: Path) -> None:
    many = [Slots(tmp_path / "slots", "2") for _ in range(5)]
    assert [slots.acquire(1) is not None for slots in many] == [True, True, False, False, False]


def test_a_wish_is_forgotten_with_its_controller(tmp_path: Path) -> None:
    one, other = Slots(tmp_path / "slots", "2"), Slots(tmp_path / "slots", "2")
    first, second = one.acquire(1), one.acquire(1)
    assert first is not None and second is not None and other.acquire(1) is None
    other.close()
    first.close()
    assert one.acquire(1) is not None
    assert os.listdir(tmp_path / "slots" / "want") == []


def test_a_wish_grows_old(tmp_path: Path) -> None:
    one, other = Slots(tmp_path / "slots", "2"), Slots(tmp_path / "slots", "2")
    first, second = one.acquire(1), one.acquire(1)
    assert first is not None and second is not None and other.acquire(1) is None
    (wish,) = (tmp_path / "slots" / "want").iterdir()
    first.close()
    assert one.acquire(1) is None
    wish_of_other = wish.stat().st_mtime - 2 * WANT_SECONDS
    os.utime(wish, (wish_of_other, wish_of_other))
    assert one.acquire(1) is not None


# ---- the bell ----


def test_a_ring_before_the_wait_is_heard() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    assert bell.wait(60) and not bell.wait(0)


def test_a_ring_wakes_a_waiting_thread() -> None:
    bell, heard = Bell(), threading.Event()

    def wait() -> None:
        if bell.wait(60):
            heard.set()

    thread = threading.Thread(target=wait)
    thread.start()
    bell.ring()
    thread.join()
    assert heard.is_set()
