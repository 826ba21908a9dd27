"""The rule for any other text: how much of the gold is in the answer, how much else is, and how vague is the answer?"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from engram_eval.judges.offline.abstention import contains_abstention
from engram_eval.judges.offline.parsed_text import ParsedText, expand_acronyms, parse_text, share_found
from engram_eval.language.words import sentences, stem, words

_PART = re.compile(r",|;|\n|\b(?:and|or)\b")
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


def compare_texts(question: ParsedText, gold: ParsedText, answer: ParsedText) -> tuple[dict[str, float], str]:
    """The features of an answer whose gold is a text, and the reason in words."""
    answer = expand_acronyms(answer, gold)
    expected = list(dict.fromkeys(gold.content))
    new = [s for s in expected if s not in question.known] or expected  # what the question does not say already
    extra = [s for s in dict.fromkeys(answer.content) if s not in question.known]
    missing = [s for s in new if not answer.contains(s)]
    foreign = [s for s in extra if not gold.contains(s)]
    names = _names(gold, new) - question.known
    name_recall = share_found(names, answer)
    vague_words = _vague_words(answer, question, gold)
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
        "length": math.log1p(len(answer.content)),
        "length_ratio": math.log((1 + len(extra)) / (1 + len(new))),
        "vague": len(vague_words) / max(1, len(words(answer.text))),
        "vague_gold": float(not VAGUE.isdisjoint(words(gold.text))),
        "refuses": float(contains_abstention(answer.text) and not contains_abstention(gold.text)),
    }
    reason = f"{len(new) - len(missing)} of the gold's {len(new)} content words found"
    if missing:
        missing_words = [word for word in dict.fromkeys(words(gold.text)) if stem(word) in missing]
        reason += f", not {', '.join(missing_words[:3])}" if missing_words else ""
    if answer.is_short and vague_words:
        reason += f"; told vaguely: {', '.join(vague_words[:3])}"
    return features, reason


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
