"""Log bytes in, observations out: streams as programs really write them."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.control import metrics
from tunewright.control.metrics import MAX_LINE, WHOLE, Scraper, split_lines, try_pattern
from tunewright.control.patterns import compile_pattern
from tunewright.core.spec import MetricDefinition


def scraper(regex: str, name: str = "acc") -> Scraper:
    return Scraper([MetricDefinition(name, regex)], name)


def values(reader: Scraper, data: bytes, *, final: bool = True) -> list[float]:
    return [o.value for o in reader.log(data, 1.0, final=final)[0]]


def test_a_lazy_group_that_captures_nothing_is_explained() -> None:
    reader = scraper("F1=(.*?)", "F1")
    assert values(reader, b"F1=0.83\n") == []
    assert reader.note() == "pattern matched 1 line, captured '' (not a number)"
    assert values(scraper("F1=(.*?);", "F1"), b"F1=0.83;\n") == [0.83]


def test_values_between_carriage_returns_are_lines_of_their_own() -> None:
    data = b"\rstep 1 val_loss=0.50;\rstep 2 val_loss=0.25;\n"
    assert values(scraper("val_loss=(.*?);"), data) == [0.5, 0.25]


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("-2.5E+10", -2.5e10), ("+7", 7.0), (" 0.5 ", 0.5), ("inf", math.inf), ("-Infinity", -math.inf)],
)
def test_numbers_as_programs_print_them(text: str, value: float) -> None:
    assert values(scraper("acc=(.*);"), f"acc={text};\n".encode()) == [value]


def test_nan_is_a_value_and_words_are_not() -> None:
    assert math.isnan(values(scraper("acc=(.*);"), b"acc=nan;\n")[0])
    reader = scraper("acc=(.*);")
    assert values(reader, b"acc=N/A;\n") == []
    assert "'N/A'" in reader.note()


def test_an_incomplete_line_waits_for_its_end() -> None:
    reader = scraper("acc=([0-9.]+)")
    assert reader.log(b"acc=0.1\nacc=0.", 1.0, final=False)[1] == len(b"acc=0.1\n")
    assert values(reader, b"acc=0.25\n", final=False) == [0.25]


@given(st.lists(st.integers(0, 999), min_size=1, max_size=20), st.integers(1, 17))
def test_the_cuts_between_reads_do_not_matter(numbers: list[int], size: int) -> None:
    data = b"".join(b"x acc=%d; y\r\n" % n for n in numbers)
    reader, seen, start, read = scraper("acc=([0-9]+);"), [], 0, 0
    while start < len(data):
        read = min(len(data), read + size)
        found, consumed = reader.log(data[start:read], 1.0, final=read == len(data))
        seen += [o.value for o in found]
        start += consumed
        if read == len(data):
            break
    assert seen == numbers


@given(st.binary(max_size=300))
def test_any_bytes_are_taken(data: bytes) -> None:
    _, consumed = scraper("acc=([0-9.]+)").log(data, 1.0, final=True)
    assert consumed == len(data)


def test_bytes_that_are_not_utf8_do_not_hide_the_value() -> None:
    assert values(scraper("acc=([0-9.]+)"), b"\xff\xfe caf\xe9 acc=0.5 \x80\n") == [0.5]


def test_a_line_of_megabytes_is_cut_at_both_ends_and_moves_on() -> None:
    filler = b"z" * (20 * MAX_LINE)
    assert values(scraper("acc=([0-9.]+);"), b"acc=0.5; " + filler + b" acc=0.7;\n") == [0.5]
    lines, consumed = split_lines(filler, final=False)
    assert consumed == len(filler) and len(lines) == 1


def test_a_pattern_that_backtracks_for_ever_is_given_up() -> None:
    reader = scraper(r"(?=.)(a|aa)+$")
    data = b"a" * 5000 + b"!\n"
    assert values(reader, data * 3) == []
    assert "took too long" in reader.note()


def test_linear_patterns_take_hostile_lines_in_their_stride() -> None:
    assert values(scraper(r"(a+)+$"), b"a" * 30000 + b"!\n") == []


def test_anchors_mean_a_line() -> None:
    assert values(scraper(r"^acc=([0-9.]+)$"), b"first\nacc=0.5\nnot acc=0.6\nacc=0.7\n") == [0.5, 0.7]


def test_lookbehind_runs_outside_the_linear_engine() -> None:
    assert values(scraper(r"(?<=val_)acc=([0-9.]+)"), b"acc=0.1\nval_acc=0.2\n") == [0.2]


def test_a_pattern_without_a_group_gives_its_whole_match() -> None:
    assert values(scraper(r"[0-9]\.[0-9]+"), b"now 0.25 of it\n") == [0.25]


TAB = r".*\[[0-9]+\].*#011validation-rmse:([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?).*"


@pytest.mark.parametrize("pattern", [TAB, TAB.replace("#011", r"\#011"), "(?<=x|)" + TAB])
@pytest.mark.parametrize("tab", [b"\t", b"#011"])
def test_a_tab_as_cloudwatch_shows_it_means_a_tab_too(pattern: str, tab: bytes) -> None:
    """As in AWS's own patterns for XGBoost, on both engines."""
    line = b"[12]%btrain-rmse:1.5%bvalidation-rmse:1.25e-1\n" % (tab, tab)
    assert values(scraper(pattern), line) == [0.125]


@pytest.mark.parametrize(
    "pattern", [r"a[#011]=([0-9]+)", r"a\[[^]#011]=([0-9]+)", r"a\Q#011\E=([0-9]+)", r"a[\]#011]=([0-9]+)"]
)
def test_a_class_and_quoted_text_keep_their_characters(pattern: str) -> None:
    assert values(scraper(pattern), b"a\t=1\na[\t=2\n") == ([2.0] if "^" in pattern else [])


def test_something_that_is_no_pattern_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="not a regular expression"):
        compile_pattern("acc=(")
    assert capfd.readouterr().err == "", "the matcher itself says nothing"


def test_every_definition_is_read() -> None:
    reader = Scraper([MetricDefinition("a", "a=([0-9]+)"), MetricDefinition("b", "b=([0-9]+)")], "a")
    found, _ = reader.log(b"a=1 b=2\nb=3\n", 5.0, final=True)
    assert [(o.metric, o.value, o.at) for o in found] == [("a", 1.0, 5.0), ("b", 2.0, 5.0), ("b", 3.0, 5.0)]


def test_the_line_that_came_closest_is_named() -> None:
    reader = scraper("validation accuracy: ([0-9.]+)", "validation:accuracy")
    reader.log(b"epoch 1\nvalidation accuracy = 0.93\n", 1.0, final=True)
    assert "validation accuracy = 0.93" in reader.note()


def test_lines_are_close_by_the_words_of_the_objectives_own_pattern() -> None:
    own, another = MetricDefinition("f1", "dev score: ([0-9.]+);"), MetricDefinition("loss", "train cost: ([0-9.]+);")
    reader = Scraper([another, own], "f1")
    reader.log(b"train cost: 0.5;\ndev score: 0.93\ntrain cost: 0.4;\n", 1.0, final=True)
    assert reader.note().endswith("the line that came closest: 'dev score: 0.93'")


def push(**entry: object) -> bytes:
    return json.dumps(entry).encode() + b"\n"


def test_pushed_values_carry_step_and_time() -> None:
    reader = Scraper([], "acc")
    data = push(at=7.0, step=3, values={"acc": 0.5, "loss": "NaN"}) + push(
        at=8.0, step=None, values={"acc": "Infinity"}
    )
    found, consumed = reader.pushed(data, 1.0, final=False)
    assert consumed == len(data)
    assert [(o.metric, o.step, o.at) for o in found] == [("acc", 3, 7.0), ("loss", 3, 7.0), ("acc", None, 8.0)]
    assert math.isnan(found[1].value) and found[2].value == math.inf
    assert reader.note() == ""


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0), (2**53 - 1, 2**53 - 1), (-1, None), (2**53, None), (True, None), (1.0, None), ("1", None)],
)
def test_steps_that_are_none_are_left_out(step: object, expected: int | None) -> None:
    [found], _ = Scraper([], "acc").pushed(push(step=step, values={"acc": 0.5}), 1.0, final=False)
    assert (found.value, found.step) == (0.5, expected)


@pytest.mark.parametrize(("at", "expected"), [(7, 7.0), (2**53, 1.0), (-(2**53), 1.0), ("7", 1.0), (None, 1.0)])
def test_a_moment_that_is_none_is_that_of_the_reading(at: object, expected: float) -> None:
    [found], _ = Scraper([], "acc").pushed(push(at=at, values={"acc": 0.5}), 1.0, final=False)
    assert found.at == expected


def test_an_incomplete_report_waits_for_its_end() -> None:
    whole = push(step=1, values={"acc": 0.5})
    reader = Scraper([], "acc")
    assert reader.pushed(whole[:-5], 1.0, final=False) == ([], 0)
    found, consumed = reader.pushed(whole + whole[:-5], 1.0, final=False)
    assert ([o.value for o in found], consumed) == ([0.5], len(whole))


@pytest.mark.parametrize(
    "line", [b"{}\n", b"[1]\n", b"nonsense\n", b'{"values": 3}\n', b'{"values": {"a": true}}\n', b"\n"]
)
def test_pushed_lines_of_other_kinds_are_passed_over(line: bytes) -> None:
    assert Scraper([], "acc").pushed(line, 1.0, final=False) == ([], len(line))


def test_a_name_that_differs_by_a_blank_is_shown_quoted() -> None:
    reader = Scraper([], "test_acc")
    reader.pushed(push(at=1.0, step=None, values={"test_acc ": 0.5}) * 3, 1.0, final=True)
    assert reader.note() == "'test_acc' never seen after 3 reports; seen: 'test_acc '"


def test_trying_a_pattern_gives_the_same_answers_as_a_job() -> None:
    found = try_pattern("F1=(.*?)", b"start\nF1=0.83\n")
    assert [(number, f.captured, f.value) for number, f in found] == [(2, "", None)]


@pytest.mark.parametrize(
    ("printed", "taken", "says"),
    [
        (b"acc=1.2e-05", 1.2, "took 1.2 of 1.2e-05; let its group take all of it, as in (nan|-?inf|[-+0-9.eE]+)"),
        (b"acc=7,064,940.40 rows", 7.0, "took 7 of 7,064,940.40; print numbers without commas"),
        (b"acc=0.5, 100 rows", 0.5, ""),
        (b"acc=0.5,100 rows", 0.5, ""),
        (b"acc=3,2", 3.0, ""),
        (b"acc=3 epochs", 3.0, ""),
        (b"acc=0.5else", 0.5, ""),
        (b"acc=1,234.5", 1.0, "took 1 of 1,234.5; print numbers without commas"),
        (b"acc=-1,234, loss=2", -1.0, "took -1 of -1,234; print numbers without commas"),
        (b"acc=12,345,678,901,234,567", 12.0, "took 12 of 12,345,678,901,234,567; print numbers without commas"),
        (b"acc=0.5,123,456", 0.5, ""),
        (b"acc=0,123,456", 0.0, ""),
        (b"acc=1234,567", 1234.0, ""),
        (b"acc=5,123,45", 5.0, ""),
        (b"acc=5,123,456,789,12.5", 5.0, ""),
        (b"acc=5,123.5,6", 5.0, ""),
    ],
)
def test_a_number_of_which_only_the_beginning_is_captured_is_remarked_upon(
    printed: bytes, taken: float, says: str
) -> None:
    reader = scraper("acc=(-?[0-9.]+)")
    assert values(reader, printed) == [taken]
    assert reader.note() == (f"the pattern of 'acc' {says}" if says else "")
    assert bool(try_pattern("acc=(-?[0-9.]+)", printed)[0][1].whole) == bool(says)


@pytest.mark.parametrize("lines", [[b"acc=0.5,123,456\n", b"acc=1,123,456\n"], [b"acc=1,123,456\n", b"acc=1,99,456\n"]])
def test_columns_that_look_like_thousands_in_some_lines_are_not_remarked_upon(lines: list[bytes]) -> None:
    reader = scraper("acc=([0-9.]+)")
    assert len([value for line in lines for value in values(reader, line)]) == 2
    assert reader.note() == ""
    assert not any(found.whole for _, found in try_pattern("acc=([0-9.]+)", b"".join(lines)))
    values(reader, b"acc=1.2e-05\n")
    assert "took 1.2 of 1.2e-05" in reader.note()


def test_a_group_that_leaves_out_the_fraction_is_remarked_upon() -> None:
    reader = scraper(r"acc=(\d+)")
    assert values(reader, b"acc=0.93") == [0.0] and "took 0 of 0.93" in reader.note()


@pytest.mark.parametrize("printed", [b"acc=7,064,940.4", b"acc=0,93"])
def test_commas_in_numbers_are_explained(printed: bytes) -> None:
    reader = scraper(r"acc=(\S+)")
    assert values(reader, printed) == []
    assert reader.note().endswith("(not a number); print numbers with a point, and without commas")


@pytest.mark.parametrize(
    "pattern",
    ["acc=([0-9.]+)", r"acc=(\S+)", "^INFO acc=([0-9.]+)$", r"(?<!x)acc=([0-9.]+)", "acc.*?([0-9.]+)"],
)
def test_colours_do_not_hide_a_value(pattern: str) -> None:
    line = b"\x1b[32m\x1b[1mINFO\x1b[0m acc=\x1b[31;1m0.5\x1b[0m\n"
    assert values(scraper(pattern), line) == [0.5]
    assert [found.value for _, found in try_pattern(pattern, line)] == [0.5]


def test_a_pattern_may_name_the_colours_themselves() -> None:
    assert values(scraper(r"acc=\x1b\[31m([0-9.]+)"), b"acc=\x1b[31m0.5\x1b[0m acc=0.7") == [0.5]
    assert values(scraper(r"acc=\x1b\[31m([0-9]+)"), b"acc=\x1b[31m5\x1b[0m acc=7") == [5.0]


def test_the_line_that_came_closest_is_named_without_colours() -> None:
    reader = scraper("accuracy=([0-9]+)", "accuracy")
    reader.log(b"\x1b[31maccuracy\x1b[0m: 0.5\n", 0.0, final=True)
    assert reader.note().endswith("came closest: 'accuracy: 0.5'")


@pytest.mark.parametrize("last", ["acc=nan", "acc=\x1b[31mNaN\x1b[0m", "epoch 2 acc=inf"])
def test_a_nan_that_a_pattern_passes_over_is_remarked_upon(last: str) -> None:
    reader = scraper("acc=([0-9.]+)")
    assert values(reader, b"acc=0.5\nINFO nan is not a number\n") == [0.5] and reader.note() == ""
    assert values(reader, last.encode()) == []
    assert reader.note().startswith("the pattern of 'acc' passed over '") and WHOLE in reader.note()
    fresh = scraper("acc=([0-9.]+)")
    assert values(fresh, last.encode()) == [] and "never appeared in the log; the pattern of 'acc'" in fresh.note()


@pytest.mark.parametrize("text", ["nan", "-inf", "inf", "-1.5e-3", "7"])
def test_the_group_that_is_recommended_takes_any_number(text: str) -> None:
    reader = scraper(f"acc={WHOLE}")
    assert str(values(reader, f"acc={text};".encode())[0]) == str(float(text)) and reader.note() == ""


BAR = b"".join(b"\r%d%% acc=0.5" % percent for percent in range(0, 100, 20)) + b"\r100% acc=0.6\n"


@pytest.mark.parametrize(
    ("data", "judged", "says"),
    [
        (BAR, True, True),
        (BAR, False, False),
        (BAR.replace(b"\r", b"\n"), True, False),
        (BAR.replace(b"\r", b"\r\n"), True, False),
        (b"".join(b"\rstep acc=0.%d" % step for step in range(1, 9)), True, False),
        (b"\r10%\r100%\nINFO acc=0.1\n" * 6, True, False),
        (b"acc=0.1\n" + BAR, True, True),
    ],
)
def test_a_progress_bar_whose_every_redraw_counts_as_an_epoch_is_remarked_upon(
    data: bytes, judged: bool, says: bool
) -> None:
    reader = Scraper([MetricDefinition("acc", "acc=([0-9.]+)")], "acc", judged=judged)
    assert len(values(reader, data)) >= 6
    assert ("print it once per epoch" in reader.note()) == says


def test_a_bar_that_is_read_bit_by_bit_is_remarked_upon_all_the_same() -> None:
    reader = Scraper([MetricDefinition("acc", "acc=([0-9.]+)")], "acc", judged=True)
    for part in BAR.split(b"\r")[1:-1]:
        reader.log(part + b"\r", 0.0, final=False)
    assert "print it once per epoch" in reader.note()


def test_the_same_value_in_lines_of_their_own_between_bars_is_none_read_off_a_bar() -> None:
    reader = Scraper([MetricDefinition("acc", "acc=([0-9.]+)")], "acc", judged=True)
    for part in [b"\r10%", b"\r100%\n", b"INFO acc=0.1\n\r10%\r"] * 6:
        reader.log(part, 0.0, final=False)
    assert reader.note() == ""


@pytest.mark.parametrize(("other", "says"), [("stderr", False), ("stdout", True)])
def test_a_line_of_one_stream_is_none_that_the_other_draws_again(other: str, says: bool) -> None:
    reader = Scraper([MetricDefinition("acc", "acc=([0-9.]+)")], "acc", judged=True)
    for _ in range(6):
        reader.log(b"acc=0.1\r", 0.0, final=False)
        reader.log(b"acc=0.2\r", 0.0, final=False, stream="stderr")
    assert "print it once per epoch" in reader.note(), "each stream has a bar of its own"
    reader = Scraper([MetricDefinition("acc", "acc=([0-9.]+)")], "acc", judged=True)
    for value in range(6):
        reader.log(b"acc=0.%d\r" % value, 0.0, final=False)
        reader.log(b"acc=0.%d" % value + (b"\r" if other == "stdout" else b"\n"), 0.0, final=False, stream=other)
    assert ("print it once per epoch" in reader.note()) == says


def test_a_nan_before_other_values_is_a_gap_and_not_remarked_upon() -> None:
    reader = scraper("acc=([0-9.]+)")
    assert values(reader, b"best acc=inf\n") == [] and "passed over" in reader.note()
    assert values(reader, b"acc=nan\nacc=0.5\n") == [0.5] and reader.note() == ""


def test_nan_is_looked_for_in_some_lines_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log with one in every line costs little."""
    monkeypatch.setattr(metrics, "MOST_SUSPECTS", 2)
    reader, data = scraper("acc=([0-9.]+)"), b"acc=0.5\n" + b"norm=nan\n" * 2 + b"acc=nan\n"
    values(reader, data)
    assert reader.note() == ""
    values(reader, b"acc=nan\n")
    assert "passed over" in reader.note()
