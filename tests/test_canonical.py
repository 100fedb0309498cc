"""JSON in exactly one form: what our writer gives is what Python's own gives."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfyvn_store.base import canonical

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(PLAIN, lambda each: st.lists(each, max_size=4) | st.dictionaries(TEXTS, each, max_size=4))


def pythons(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


@given(VALUES)
def test_the_pretty_form_is_that_of_the_json_module(value: Any) -> None:
    assert canonical.dump_pretty(value) == pythons(value)
    assert canonical.parse(canonical.dump_pretty(value)) == value


@pytest.mark.parametrize(
    "value",
    [{1: "a", None: [True]}, ("a", 1), {"a": (1, {})}, float("inf"), {"a": [float("nan")]}, type("S", (str,), {})("s")],
)
def test_what_json_does_not_give_is_written_as_the_json_module_does(value: Any) -> None:
    assert canonical.dump_pretty(value) == pythons(value)


def test_what_cannot_be_written_says_so() -> None:
    with pytest.raises(TypeError):
        canonical.dump_pretty({"a": b"bytes"})
    with pytest.raises(UnicodeEncodeError):
        canonical.dump_pretty({"a": "\ud800"})
