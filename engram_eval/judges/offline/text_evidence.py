"""Any other text: how much of the gold is there, how much else, and how vaguely it is told."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from engram_eval.judges.offline.abstention import refuses
from engram_eval.judges.offline.parsed_text import ParsedText, share, view, with_initials_of
from engram_eval.language.words import sentences, stem, words

_PART = re.compile(r",|;|\n|\b(?:and|or)\b")
_QUOTED = re.compile(r"\W*[\"“'‘]")
_CAPITALISED = re.compile(r"[^\W\d_a-z][\w'’]+")

# Words that stand for what is not named: indefinite pronouns and quantifiers, words for kinds, relations and degrees, the
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
    answer = with_initials_of(answer, gold)
    wanted = list(dict.fromkeys(gold.content))
    new = [s for s in wanted if s not in question.known] or wanted  # what the question does not tell already
    extra = [s for s in dict.fromkeys(answer.content) if s not in question.known]
    missing = [s for s in new if not answer.holds(s)]
    foreign = [s for s in extra if not gold.holds(s)]
    names = _names(gold, new) - question.known
    name_recall = share(names, answer)
    vague = _vague(answer, question, gold)
    features = {
        "sentence_recall": max((share(new, part) for part in _sentences(answer)), default=0.0),
        "best_part": max((share(part, answer) for part in _list_parts(gold, question)), default=0.0),
        "missing": math.log1p(len(missing)),
        "short_missing": answer.short * math.log1p(len(missing)),
        "short_foreign": answer.short * math.log1p(len(foreign)),
        "pairs": _pairs(gold, answer),
        "trigram_precision": _trigram_precision(answer.text, gold.text),
        "names": name_recall,
        "no_name": float(bool(names) and not name_recall),
        "has_names": float(bool(names)),
        "length": math.log1p(len(answer.content)),
        "length_ratio": math.log((1 + len(extra)) / (1 + len(new))),
        "vague": len(vague) / max(1, len(words(answer.text))),
        "vague_gold": float(not VAGUE.isdisjoint(words(gold.text))),
        "refuses": float(refuses(answer.text) and not refuses(gold.text)),
    }
    remark = f"{len(new) - len(missing)} of the gold's {len(new)} content words found"
    if missing:
        lost = [word for word in dict.fromkeys(words(gold.text)) if stem(word) in missing]
        remark += f", not {', '.join(lost[:3])}" if lost else ""
    return features, remark + (f"; told vaguely: {', '.join(vague[:3])}" if answer.short and vague else "")


def _vague(answer: ParsedText, question: ParsedText, gold: ParsedText) -> list[str]:
    """The answer's vague words, but for those that the question or the gold uses too."""
    used = {*words(question.text), *words(gold.text)}
    return [word for word in words(answer.text) if word in VAGUE and word not in used]


def _sentences(answer: ParsedText) -> list[ParsedText]:
    parts = sentences(answer.text)
    return [view(part, dated=False) for part in parts] if len(parts) > 1 else [answer]


def _list_parts(gold: ParsedText, question: ParsedText) -> list[Sequence[str]]:
    parts = [view(part, dated=False).content for part in _PART.split(gold.text) if words(part)]
    return [[s for s in part if s not in question.known] or part for part in parts]


def _names(gold: ParsedText, new: Iterable[str]) -> set[str]:
    """Stems of what the gold calls by name: its capitalised words but the first of a phrase, or all if it is quoted."""
    names = {stem(word) for match in _CAPITALISED.finditer(gold.text) for word in words(match[0])}
    names = {name for name in names if name in gold.known}
    if _QUOTED.match(gold.text):
        return names | set(new)
    first = words(gold.text)[:1]
    return names - {stem(word) for word in first} if len(gold.content) > 2 else names


def _pairs(gold: ParsedText, answer: ParsedText) -> float:
    """How many of the gold's neighbouring words are neighbours in the answer."""
    wanted = set(zip(gold.stems, gold.stems[1:], strict=False))
    return len(wanted & set(zip(answer.stems, answer.stems[1:], strict=False))) / len(wanted) if wanted else 0.0


def _trigram_precision(text: str, other: str) -> float:
    one, two = _trigrams(text), _trigrams(other)
    return len(one & two) / len(one) if one else 0.0


def _trigrams(text: str) -> set[str]:
    letters = "".join(words(text))
    return {letters[i : i + 3] for i in range(len(letters) - 2)}
