"""Which of the turns that a memory names are really in its text. A name alone does not count."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from engram_eval.language.words import content_stems, words
from engram_eval.metrics.evidence import contains_turn
from engram_eval.types import Context, Turn

PARAPHRASED_SHARE = 0.2
"""A passage holds a paraphrased turn if it has at least this share of the turn's content stems, weighted by their rarity.

Measured on LoCoMo's own observations, which a model wrote from named turns: 84 % of the turns pass with their own
observations, 50 % with all others of the conversation.
"""

WORDS_PER_TURN = 5
"""A passage of n words holds at most n / 5 paraphrased turns, the best ranked ones, and at least one."""

_PASSAGE_WORDS = 50


class NamedTurns:
    """Checks the names that a memory gives, for one conversation.

    A turn that is kept verbatim is in the text if most of its words are (`contains_turn`). A paraphrased turn is in it if one
    passage (a line, at most 50 words) has a fifth of the turn (`PARAPHRASED_SHARE`) and room for it (`WORDS_PER_TURN`).
    """

    def __init__(self, turns: Mapping[str, Turn], *, paraphrased: bool) -> None:
        self._turns = turns
        self._paraphrased = paraphrased
        self._stems = {turn.id: frozenset(content_stems(turn.text)) for turn in turns.values()} if paraphrased else {}
        self._count = Counter(stem for stems in self._stems.values() for stem in stems)
        self._last: tuple[Context, Context] | None = None  # the full history is the same context for all questions

    def held(self, context: Context) -> Context:
        """The context, its items without the turns that its text does not hold."""
        if self._last is None or self._last[0] != context:
            self._last = context, self._held(context)
        return self._last[1]

    def _held(self, context: Context) -> Context:
        if self._paraphrased:
            held = self._paraphrased_in(context.text, context.turn_ids)
        else:
            held = {turn_id for turn_id in context.turn_ids if contains_turn(self._turns[turn_id], context.text)}
        items = (replace(item, turn_ids=tuple(t for t in item.turn_ids if t in held)) for item in context.items)
        return replace(context, items=tuple(item for item in items if item.turn_ids))

    def _paraphrased_in(self, text: str, named: Sequence[str]) -> set[str]:
        held: set[str] = set()
        for passage in _passages(text):
            stems = frozenset(content_stems(" ".join(passage)))
            fitting = [turn_id for turn_id in named if self._share(turn_id, stems) >= PARAPHRASED_SHARE]
            held.update(fitting[: max(1, len(passage) // WORDS_PER_TURN)])
        return held

    def _share(self, turn_id: str, stems: frozenset[str]) -> float:
        whole = self._weight(self._stems[turn_id])
        return self._weight(self._stems[turn_id] & stems) / whole if whole else 0.0

    def _weight(self, stems: frozenset[str]) -> float:
        """The sum of the stems' inverse document frequencies among the turns."""
        return sum(math.log((len(self._turns) + 1) / (self._count[stem] + 0.5)) for stem in stems)


def _passages(text: str) -> Iterator[list[str]]:
    """The words of each passage."""
    for line in text.splitlines():
        line_words = words(line)
        for start in range(0, len(line_words), _PASSAGE_WORDS):
            yield line_words[start : start + _PASSAGE_WORDS]
