"""Retrieval, measured on the context as it was sent: is the evidence there, and is the answer there?"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache

from engram_eval.language.words import content_stems, stems
from engram_eval.types import Context, Question, Turn

# A turn that is cut may still hold the answer; one of which a fifth is missing is taken to be gone (DESIGN section 5).
_VERBATIM_SHARE = 0.8

_SESSION_CUTOFFS = (5, 10)
SESSION_SCORES = tuple(
    f"session_{name}@{k}" for k in _SESSION_CUTOFFS for name in ("recall", "recall_any", "recall_all", "ndcg")
)
"""What `session_scores` gives, in its order."""


def evidence_found(question: Question, turns: Mapping[str, Turn], context: Context, *, paraphrased: bool) -> list[str]:
    """The ids of the question's evidence turns that stand in the context.

    A turn counts if it is behind one of the context's items and at least 80 % of its content stems stand in the text.
    Of a memory that paraphrases, the first alone is asked; of one that names no turns, the second.
    """
    named = {turn_id for item in context.items for turn_id in item.turn_ids}
    found = []
    for turn_id in question.evidence:
        if named and turn_id not in named:
            continue
        if paraphrased:
            if turn_id in named:
                found.append(turn_id)
        elif contains_turn(turns[turn_id], context.text):
            found.append(turn_id)
    return found


def answer_in_context(gold: str, context: str) -> bool | None:
    """Do all content stems of the gold answer stand in the context? None if it has none ("Yes")."""
    return _share_present(gold, context) == 1.0 if content_stems(gold) else None


def ndcg(retrieved: Sequence[str], evidence: Sequence[str], cutoff: int = 10) -> float | None:
    """nDCG@cutoff with binary relevance and the discount log2(rank + 1) (Burges et al. 2005); None without evidence.

    Ids are distinct.
    """
    if not evidence:
        return None
    relevant = set(evidence)
    gain = sum(
        1 / math.log2(rank + 1) for rank, turn_id in enumerate(retrieved[:cutoff], start=1) if turn_id in relevant
    )
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(cutoff, len(relevant)) + 1))
    return gain / ideal


def session_scores(retrieved: Sequence[str], evidence: Collection[str]) -> dict[str, float]:
    """How well the evidence sessions rank among those retrieved, from 0 to 1; empty without evidence.

    `retrieved`: distinct sessions of the turns that stand in the context, a session where its best turn ranks. Of k = 5 and
    10: `session_recall@k` is the share of the evidence sessions among the first k; `session_recall_any@k` and
    `session_recall_all@k`, whether any or all are; `session_ndcg@k`, nDCG with binary gain and the discount of
    Järvelin & Kekäläinen (2002) with base 2: ranks 1 and 2 count whole, rank r beyond them 1 / log2 r.

    The last three are the session-level formulas of LongMemEval's retrieval script (xiaowu0162/LongMemEval,
    `evaluate_retrieval` of src/retrieval/eval_utils.py). What they are applied to differs from the script's, because here
    memories are measured and not indexes:

    - Nothing but the context is ranked. The script ranks the whole history; a context that is full before it holds k
      sessions has none at the ranks that are left.
    - Turns of both sides are ranked, and every session that the dataset names as evidence counts. The script indexes
      what the user said, and counts a session only if a turn of the user's is marked; a question of which the
      assistant alone gave the answer has no correct session there, which makes its recall_all 1 and the other two 0.
    - Ranks are those of sessions. From a ranking of turns the script takes as many turns as reach k sessions, and
      counts each marked turn of a correct session in nDCG.
    - Of means over questions (metrics.py) those are left out that cannot be answered, as by the script, and those that
      name no evidence session or ended in an error.
    """
    wanted = set(evidence)
    if not wanted:
        return {}
    scores = []
    for k in _SESSION_CUTOFFS:
        ranks = [rank for rank, session_id in enumerate(retrieved[:k], start=1) if session_id in wanted]
        share = len(ranks) / len(wanted)
        ideal = _discounted(range(1, min(k, len(wanted)) + 1))
        scores += [share, float(share > 0), float(share == 1), _discounted(ranks) / ideal]
    return dict(zip(SESSION_SCORES, scores, strict=True))


def _discounted(ranks: Iterable[int]) -> float:
    return sum(1 / math.log2(max(rank, 2)) for rank in ranks)


def contains_turn(turn: Turn, text: str) -> bool:
    """Does the turn stand in the text, whole or nearly so?"""
    return _share_present(turn.text, text) >= _VERBATIM_SHARE


def _share_present(part: str, whole: str) -> float:
    """The share of the distinct content stems of `part` that stand in `whole`; of all its stems if it has no content."""
    if wanted := set(content_stems(part)):
        return len(wanted & _stems_of(whole)) / len(wanted)
    if wanted := set(stems(part)):
        return len(wanted & set(stems(whole))) / len(wanted)
    return float(bool(part) and part in whole)


@lru_cache(maxsize=4)  # the full history is one context for all questions of its conversation
def _stems_of(text: str) -> frozenset[str]:
    return frozenset(content_stems(text))
