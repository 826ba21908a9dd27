"""The rule for any other text: how much of the gold is in the answer, how much else is, and how vague is the answer?"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from engram_eval.judges.offline.abstention import contains_abstention
from engram_eval.judges.offline.alignment import Alignment, align, likeness, substituted, swaps
from engram_eval.judges.offline.parsed_text import ParsedText, expand_acronyms, parse_text, share_found
from engram_eval.judges.offline.rule_result import RuleResult
from engram_eval.language.words import sentences, stem, words

_PART = re.compile(r",|;|\n|\b(?:and|or)\b")
_LISTED = re.compile(r"[,;+&]|\b(?:and|or)\b")
_QUOTED = re.compile(r"\W*[\"“'‘]")
_CAPITALISED = re.compile(r"[^\W\d_a-z][\w'’]+")

# Words that name nothing in particular: indefinite pronouns and quantifiers, words for kinds, relations and degrees, the
# most general nouns of English, and the nouns that Schmid ("English Abstract Nouns as Conceptual Shells", 2000) calls shells.
# "A creative activity", "something related to her work", "a new opportunity" fit almost any gold.
VAGUE = frozenset(
    """some something someone somebody somewhere sometime sometimes somehow several various certain different many few other
    another kind kinds type types sort sorts form forms variety range mix way ways manner thing things stuff item items object
    objects aspect aspects place places location area areas region spot setting person people individual individuals group
    member event events occasion activity activities time times period point related relating connected involving associated
    similar general generally particular specific around about approximately roughly nearly recently regularly often
    likely probably possibly experience experiences opportunity opportunities purpose purposes cause causes matter matters
    topic topics subject subjects issue issues element elements factor factors feature features idea ideas detail details
    field fields role roles task tasks situation situations position positions space spaces style styles quality qualities
    effort efforts process approach""".split()
)


LEAST_EVIDENCE = 0.5
"""An answer with none of the gold's new words, and with no word this close in meaning to one of them, is wrong."""


def compare_texts(question: ParsedText, gold: ParsedText, answer: ParsedText) -> RuleResult:
    answer = expand_acronyms(answer, gold)
    names = _names(gold, [s for s in gold.content if s not in question.known] or gold.content) - question.known
    aligned = align(question, gold, answer, names=frozenset(names))
    new, missing, foreign = aligned.new, aligned.missing, aligned.foreign
    name_recall = share_found(names, answer)
    vague_words = _vague_words(answer, question, gold)
    new_numbers = set(gold.numbers) - set(question.numbers)
    other_numbers = set(answer.numbers) - set(question.numbers) - new_numbers
    replaced = substituted(gold, answer, aligned)
    features = {
        "sentence_recall": max((share_found(new, part) for part in _sentences(answer)), default=0.0),
        "best_part": max((share_found(part, answer) for part in _list_parts(gold, question)), default=0.0),
        "missing": math.log1p(len(missing)),
        "short_missing": answer.is_short * math.log1p(len(missing)),
        "short_foreign": answer.is_short * math.log1p(len(foreign)),
        "pairs": _pairs(gold, answer),
        "trigram_precision": _trigram_precision(answer.text, gold.text),
        "names": name_recall,
        "no_name": float(bool(names) and not name_recall),
        "has_names": float(bool(names)),
        "other_name": float(bool(names) and not name_recall and _has_name(answer, foreign)),
        "length": math.log1p(len(answer.content)),
        "length_ratio": math.log((1 + len(aligned.added)) / (1 + len(new))),
        "vague": len(vague_words) / max(1, len(words(answer.text))),
        "vague_gold": float(not VAGUE.isdisjoint(words(gold.text))),
        "refuses": float(contains_abstention(answer.text) and not contains_abstention(gold.text)),
        "recall": aligned.recall,
        "soft_recall": aligned.soft_recall,
        "evidence": aligned.evidence,
        "nothing": float(len(missing) == len(new)),
        "unsupported": aligned.unsupported / max(1, len(new)),
        "precision": 1 - len(foreign) / len(aligned.added) if aligned.added else 0.0,
        "likeness": likeness(new, aligned.added),
        "substituted": replaced,
        "short_replaced": answer.is_short * min(len(missing), len(foreign)) / max(1, len(new)),
        "other_number": float(bool(new_numbers - set(answer.numbers)) and bool(other_numbers)),
        "other_date": float(_has_other_date(question, gold, answer)),
    }
    ruled_out = (
        aligned.evidence < LEAST_EVIDENCE
        or swaps(gold, answer)
        or (replaced >= 0.5 and not _LISTED.search(gold.text))  # of a list, a part may do
        or (replaced > 0 and bool(features["other_name"] or features["other_number"]))
    )
    return RuleResult(features, _reason(gold, aligned, vague_words if answer.is_short else []), ruled_out=ruled_out)


def _reason(gold: ParsedText, aligned: Alignment, vague_words: Sequence[str]) -> str:
    """How much of the gold was found, in words."""
    new, missing = aligned.new, aligned.missing
    reason = f"{len(new) - len(missing)} of the gold's {len(new)} content words found"
    missing_words = [word for word in dict.fromkeys(words(gold.text)) if stem(word) in missing]
    if missing_words:
        reason += f", not {', '.join(missing_words[:3])}"
    if vague_words:
        reason += f"; told vaguely: {', '.join(vague_words[:3])}"
    return reason


def _has_other_date(question: ParsedText, gold: ParsedText, answer: ParsedText) -> bool:
    """Does the answer give dates, and none that shares a day with a date of the gold?"""
    asked = {(span.start, span.end) for span in question.dates}
    given = [span for span in answer.dates if (span.start, span.end) not in asked]
    expected = [span for span in gold.dates if (span.start, span.end) not in asked]
    shared = any(a.start <= b.end and b.start <= a.end for a in expected for b in given)
    return bool(expected) and bool(given) and not shared


def _has_name(answer: ParsedText, stems: Iterable[str]) -> bool:
    """Is one of these stems a capitalised word of the answer, and not its first word?"""
    names = {stem(word) for match in _CAPITALISED.finditer(answer.text) if match.start() for word in words(match[0])}
    return not names.isdisjoint(stems)


def _vague_words(answer: ParsedText, question: ParsedText, gold: ParsedText) -> list[str]:
    """The answer's vague words, except those that are also in the question or the gold."""
    used = {*words(question.text), *words(gold.text)}
    return [word for word in words(answer.text) if word in VAGUE and word not in used]


def _sentences(answer: ParsedText) -> list[ParsedText]:
    parts = sentences(answer.text)
    return [parse_text(part, dated=False) for part in parts] if len(parts) > 1 else [answer]


def _list_parts(gold: ParsedText, question: ParsedText) -> list[Sequence[str]]:
    parts = [parse_text(part, dated=False).content for part in _PART.split(gold.text) if words(part)]
    return [[s for s in part if s not in question.known] or part for part in parts]


def _names(gold: ParsedText, new: Iterable[str]) -> set[str]:
    """Stems of the gold's names: its capitalised words except the first word of a phrase; all of `new` in a quoted gold."""
    names = {stem(word) for match in _CAPITALISED.finditer(gold.text) for word in words(match[0])}
    names = {name for name in names if name in gold.known}
    if _QUOTED.match(gold.text):
        return names | set(new)
    first = words(gold.text)[:1]
    return names - {stem(word) for word in first} if len(gold.content) > 2 else names


def _pairs(gold: ParsedText, answer: ParsedText) -> float:
    """The share of the gold's pairs of neighbouring words that are neighbours in the answer too."""
    expected = set(zip(gold.stems, gold.stems[1:], strict=False))
    given = set(zip(answer.stems, answer.stems[1:], strict=False))
    return len(expected & given) / len(expected) if expected else 0.0


def _trigram_precision(answer: str, gold: str) -> float:
    """The share of the answer's letter trigrams that the gold has too."""
    given, expected = _trigrams(answer), _trigrams(gold)
    return len(given & expected) / len(given) if given else 0.0


def _trigrams(text: str) -> set[str]:
    letters = "".join(words(text))
    return {letters[i : i + 3] for i in range(len(letters) - 2)}
