"""Signed statements: genuine ones pass, and nothing else."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medhub.server.errors import Forbidden
from medhub.server.signing import Signer

SIGNER = Signer(bytes(range(32)))
SIGNED = SIGNER.sign("put", {"oid": "ab", "size": 3}, seconds=24 * 3600)


def test_what_was_signed_comes_back() -> None:
    assert SIGNER.verify("put", SIGNED) == {"oid": "ab", "size": 3}


@pytest.mark.parametrize("signer", [SIGNER, Signer(bytes(32))])
def test_another_purpose_and_another_key_are_refused(signer: Signer) -> None:
    purpose = "get" if signer is SIGNER else "put"
    with pytest.raises(Forbidden, match="not one of this Hub's"):
        signer.verify(purpose, SIGNED)


def test_an_old_statement_is_refused() -> None:
    with pytest.raises(Forbidden, match="expired"):
        SIGNER.verify("put", SIGNER.sign("put", {}, seconds=-1))


@given(st.text(max_size=200))
def test_nothing_invented_passes(text: str) -> None:
    with pytest.raises(Forbidden):
        SIGNER.verify("put", text)


@given(st.integers(0, len(SIGNED) - 1), st.sampled_from("AZaz09-_.="))
def test_no_changed_letter_passes_with_another_meaning(place: int, letter: str) -> None:
    with contextlib.suppress(Forbidden):
        assert SIGNER.verify("put", SIGNED[:place] + letter + SIGNED[place + 1 :]) == {"oid": "ab", "size": 3}
