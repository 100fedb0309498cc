"""Whatever a server's JSON holds, reading it gives an answer or one of our errors."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comfyvn_store.errors import ComfyvnError
from comfyvn_store.remotes.lfs import batch, failures
from comfyvn_store.remotes.lfs.api import Reply
from comfyvn_store.remotes.lfs.parsing import Action, is_web_url, parse_action, parse_json

OIDS = ("a" * 64, "b" * 64)
# Nested JSON takes long to make up where the machine has other work.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
KEYS = ("objects", "oid", "size", "actions", "download", "verify", "href", "header", "expires_in", "expires_at",
        "error", "code", "message", "transfer", "hash_algo")  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        [*OIDS, "basic", "https://host/x", "http://host/x", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
    )
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=40,
)


class Listening:
    """What `batch` needs of an API that has answered."""

    name = "art"
    is_plain = False

    @staticmethod
    def clock() -> float:
        return 0.0

    wall = clock


def said(answer: Any) -> dict[str, batch.Answered]:
    wanted = [batch.Wanted(oid, 1) for oid in OIDS]
    return batch.read(Listening(), "download", wanted, Reply(200, answer, {}))  # type: ignore[arg-type]


@unhurried
@given(st.dictionaries(st.sampled_from(KEYS), JSON) | st.fixed_dictionaries({"objects": st.lists(JSON)}))
def test_any_answer(answer: Any) -> None:
    try:
        found = said(answer)
    except ComfyvnError:
        return
    assert set(found) == set(OIDS)
    for each in found.values():
        assert each.size is None or each.size >= 0
        for action in (each.transfer, each.verify):
            assert action is None or action.href.startswith("https://")


@unhurried
@given(st.fixed_dictionaries({"oid": st.sampled_from(OIDS), "size": JSON, "actions": JSON, "error": JSON}))
def test_any_object(each: Any) -> None:
    assert set(said({"objects": [each]})) == set(OIDS)


@unhurried
@given(JSON)
def test_any_action(value: Any) -> None:
    action = parse_action(value, is_plain=True, clock=lambda: 0.0, wall=lambda: 0.0)
    assert action is None or is_web_url(action.href, is_plain=True)


@unhurried
@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    parse_json(data)


@unhurried
@given(JSON, st.dictionaries(st.text(max_size=5), st.text(max_size=30), max_size=3))
def test_any_message(message: Any, sent: dict[str, str]) -> None:
    line = failures.without_secrets(message, sent)
    assert line.isprintable() and len(line) <= 200
    assert all(word not in line for value in sent.values() for word in value.split() if len(word) >= 4)


def test_what_is_secret_is_not_shown() -> None:
    action = Action("https://host/?Signature=sesame", {"Authorization": "Basic sesame"}, 1.0)
    assert "sesame" not in repr(action) and "sesame" not in repr(batch.Answered(1, action))


def test_times_of_expiry() -> None:
    def over(**said: Any) -> float | None:
        action = parse_action({"href": "https://x/", **said}, is_plain=False, clock=lambda: 100.0, wall=lambda: 1e9)
        assert action is not None
        return action.expires

    assert over() is None and over(expires_in=0) is None and over(expires_at="0001-01-01T00:00:00Z") is None
    assert over(expires_in=60) == 160 == over(expires_in=60, expires_at="2001-09-09T01:46:50Z")
    assert over(expires_at="2001-09-09T01:46:50Z") == 110 == over(expires_at="2001-09-09T03:46:50+02:00")
    assert over(expires_at="2001-09-09T01:46:50") == 110 and over(expires_at="soon") is None
    assert over(expires_in=True) is None and over(expires_in=-5) == 95
