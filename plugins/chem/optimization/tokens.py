"""Molecules as SMILES, and runs of frequent SMILES symbols as tokens.

Merging frequent neighbours (byte pair encoding; Li and Fourches 2021) makes of a molecule's 33 symbols about eight
tokens: a recurrent network takes a quarter of the steps.

Not every text of tokens is a molecule, as it would be in SELFIES (Krenn et al. 2020). That is wanted: what a network
writes wrongly is mostly no SMILES and falls away, where SELFIES turns it into a molecule unlike those it has learnt
from (Skinnider 2024).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from medhub.errors import InputError
from medhub.plugins.chem.molecules import SMILES_TOKEN, canonical_smiles, parse_smiles

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PADDING, BOUND, UNKNOWN = 0, 1, 2
"""BOUND begins a text and ends it; UNKNOWN stands for symbols that training has not seen."""
SPECIAL = 3
FIRST_LETTER = 0x4E00
"""The tokeniser merges letters; symbol number n is this letter's nth successor, in a block of 20,000."""
UNKNOWN_LETTER = "?"


class Vocabulary:
    """What the tokens are: SMILES symbols, then pairs of earlier tokens, in the order of their frequency."""

    def __init__(self, symbols: Sequence[str], merges: Sequence[Sequence[int]]) -> None:
        self.symbols = [*symbols]
        self.merges = [(int(first), int(second)) for first, second in merges]

    @classmethod
    def learn(cls, texts: Iterable[Sequence[str]], *, size: int) -> Self:
        """Learn from molecules, each a list of symbols; `size` counts the special tokens too."""
        from tokenizers import Tokenizer, models, trainers

        texts = [*texts]
        symbols = sorted({symbol for text in texts for symbol in text})
        letter_of = _letters(symbols)
        tokenizer = Tokenizer(models.BPE())
        trainer: Any = trainers.BpeTrainer(
            vocab_size=max(size - SPECIAL, len(symbols)), initial_alphabet=[*letter_of.values()], show_progress=False
        )
        tokenizer.train_from_iterator(("".join(letter_of[symbol] for symbol in text) for text in texts), trainer)
        number_of = {letter: number for number, letter in enumerate(letter_of.values())}
        merges = []
        for first, second in json.loads(tokenizer.to_str())["model"]["merges"]:
            merges.append((number_of[first], number_of[second]))
            number_of.setdefault(first + second, len(number_of))
        return cls(symbols, merges)

    def __len__(self) -> int:
        return SPECIAL + len(self._pieces)

    def encode(self, symbols: Sequence[str]) -> list[int]:
        """Return the tokens of a molecule's symbols, with no bound."""
        text = "".join(self._letter_of.get(symbol, UNKNOWN_LETTER) for symbol in symbols)
        known = len(self._pieces)
        return [number + SPECIAL if number < known else UNKNOWN for number in self._tokenizer.encode(text).ids]

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the SMILES of tokens up to the first bound; what is special says nothing."""
        written = []
        for token in tokens:
            if token == BOUND:
                break
            if token >= SPECIAL:
                written.append(self._texts[token - SPECIAL])
        return "".join(written)

    @cached_property
    def _pieces(self) -> list[str]:
        """Each token's letters. Two merges can give the same piece; it then is one token."""
        pieces = [*self._letter_of.values()]
        numbers = {piece: number for number, piece in enumerate(pieces)}
        for first, second in self.merges:
            piece = pieces[first] + pieces[second]
            if piece not in numbers:
                numbers[piece] = len(pieces)
                pieces.append(piece)
        return pieces

    @cached_property
    def _texts(self) -> list[str]:
        return ["".join(self.symbols[ord(letter) - FIRST_LETTER] for letter in piece) for piece in self._pieces]

    @cached_property
    def _letter_of(self) -> dict[str, str]:
        return _letters(self.symbols)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer, models

        pieces = self._pieces
        numbers = {piece: number for number, piece in enumerate([*pieces, UNKNOWN_LETTER])}
        merges = [(pieces[first], pieces[second]) for first, second in self.merges]
        return Tokenizer(models.BPE(numbers, merges, unk_token=UNKNOWN_LETTER))


def _letters(symbols: Sequence[str]) -> dict[str, str]:
    return {symbol: chr(FIRST_LETTER + number) for number, symbol in enumerate(symbols)}


def spell(smiles: str) -> list[str]:
    """Return the symbols of a SMILES: atoms, bonds, branches and numbers of rings."""
    return SMILES_TOKEN.findall(smiles)


def write_smiles(text: str) -> str | None:
    """Return the canonical SMILES of what was written; None where it is no molecule, or several."""
    try:
        return canonical_smiles(parse_smiles(text)) if "." not in text else None
    except InputError:
        return None
