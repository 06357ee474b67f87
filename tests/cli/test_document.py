"""Reading tuning files: YAML by the rules of 1.2, TOML, JSON, and where each field stands."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.cli.tunefile.document import Document, _yaml, dotted, read, scalar
from tunewright.core.errors import Invalid


def written(tmp_path: Path, text: str, suffix: str = ".yaml") -> Document:
    path = tmp_path / f"file{suffix}"
    path.write_text(text, encoding="utf-8")
    return read(path)


def refused(tmp_path: Path, text: str, suffix: str = ".yaml") -> str:
    with pytest.raises(Invalid) as caught:
        written(tmp_path, text, suffix)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("1.", 1.0),
        (".5", 0.5),
        ("-3", -3),
        ("+7", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("010", 10),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("12:30", "12:30"),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("true", True),
        ("FALSE", False),
        ("2020-01-01", "2020-01-01"),
        ("null", None),
        ("~", None),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("nan", "nan"),
        ("1e", "1e"),
    ],
)
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    found = scalar(text)
    assert found == value and type(found) is type(value)


def test_a_quoted_scalar_is_text_and_a_tag_is_obeyed(tmp_path: Path) -> None:
    document = written(tmp_path, "a: '1'\nb: \"true\"\nc: !!str 5\nd: |\n  7\n")
    assert document.data == {"a": "1", "b": "true", "c": "5", "d": "7\n"}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_written_by_python_reads_back(value: float) -> None:
    assert scalar(repr(value)) == value


_TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc", "Cs"]))


@settings(max_examples=40)
@given(st.recursive(st.none() | st.booleans() | st.integers(-(10**15), 10**15) | _TEXTS, st.lists, max_leaves=8))
def test_json_is_yaml(value: object) -> None:
    found, _ = _yaml(json.dumps({"key": value}))
    assert found == {"key": value}


def test_lines_of_fields_in_yaml(tmp_path: Path) -> None:
    document = written(tmp_path, "name: x\nparameters:\n  lr:\n    min: 1\n  opt: {values: [a,\n    b]}\n")
    assert document.line(("parameters", "lr", "min")) == 4
    assert document.line(("parameters", "opt", "values", 1)) == 6
    assert document.line(("parameters", "lr", "nowhere")) == 3
    assert document.line(("nowhere",)) is None
    assert document.place(("parameters", "lr", "min")) == "line 4, parameters.lr.min"


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_lines_of_fields_in_toml_and_json(tmp_path: Path, suffix: str) -> None:
    toml = 'name = "min"\n\n[parameters.lr]\ntype = "continuous"\nmin = 1\n'
    text = '{\n"name": "min",\n"parameters": {"lr":\n{"type": "continuous",\n"min": 1}}}'
    document = written(tmp_path, toml if suffix == ".toml" else text, suffix)
    assert document.data == {"name": "min", "parameters": {"lr": {"type": "continuous", "min": 1}}}
    assert document.line(("parameters", "lr", "min")) == 5


def test_merge_keys_and_anchors(tmp_path: Path) -> None:
    document = written(tmp_path, "base: &b {min: 1, max: 2}\nlr:\n  <<: *b\n  max: 3\n")
    assert document.data["lr"] == {"min": 1, "max": 3}


@pytest.mark.parametrize(
    ("text", "suffix", "says"),
    [
        ("a: 1\na: 2\n", ".yaml", "line 2, a: is given twice"),
        ("a: [1\n", ".yaml", "is not YAML"),
        ("- 1\n", ".yaml", "holds no fields"),
        ("", ".yaml", "holds no fields"),
        ("? [a, b]\n: 1\n", ".yaml", "a key must be text"),
        ("a = 1\na = 2\n", ".toml", "is not TOML"),
        ("a = \n", ".toml", "line 1"),
        ('{"a": 1, "a": 2}', ".json", "a: is given twice"),
        ('{"a": NaN}', ".json", "NaN is not JSON"),
        ('{\n"a": }', ".json", "line 2, column 6: is not JSON"),
        ("a: 1", ".ini", "the suffix '.ini' is not known"),
    ],
)
def test_what_is_not_of_its_format_is_refused(tmp_path: Path, text: str, suffix: str, says: str) -> None:
    assert says in refused(tmp_path, text, suffix)


def test_a_missing_file_a_directory_and_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no such file"):
        read(tmp_path / "none.yaml")
    (tmp_path / "d.yaml").mkdir()
    with pytest.raises(Invalid, match="cannot be read"):
        read(tmp_path / "d.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Invalid, match="UTF-8"):
        read(tmp_path / "b.yaml")


def test_aliases_that_multiply_or_turn_in_a_circle_are_refused(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    assert "nested too deeply" in refused(tmp_path, bomb)
    assert "nested too deeply" in refused(tmp_path, "a: &a [*a]\n")


@pytest.mark.parametrize(("suffix", "before"), [(".yaml", "a: "), (".toml", "a = "), (".json", '{"a": ')])
def test_a_file_that_is_nested_too_deeply_is_refused(tmp_path: Path, suffix: str, before: str) -> None:
    assert "nested too deeply" in refused(tmp_path, before + "[" * 50_000, suffix)


def test_no_object_is_ever_made(tmp_path: Path) -> None:
    document = written(tmp_path, "a: !!python/object/apply:os.system ['false']\n")
    assert document.data == {"a": ["false"]}


def test_dotted() -> None:
    assert dotted(("parameters", "opt", "values", 2)) == "parameters.opt.values[2]"
