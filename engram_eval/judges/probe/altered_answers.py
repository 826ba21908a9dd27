"""Makes the three answers to a question: the gold in another form, a vague answer, and an answer that states another fact."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from engram_eval.judges.probe.rewriting import (
    ALTERNATIVES,
    COUNT_QUESTION,
    MONTHS,
    QUESTION_WORD,
    WHICH_CAME_FIRST,
    YES_OR_NO,
    Pick,
    as_sentence,
    bare_gold,
    changed_count,
    is_date,
    question_word,
    read_count,
    rewritten_count,
    rewritten_date,
    shifted_date,
)
from engram_eval.language.words import STOPWORDS, content_stems, stem, words
from engram_eval.types import Question

_OPENERS = frozenset(
    """a an the his her their its my your our some another in on at from with by to for about because he she they it being
    having making getting""".split()
)
_NOUN_OPENERS = frozenset("a an the his her their its my your our some another".split())
_FRAMES = ("Going by the conversation: {}.", "What was said is this: {}.", "From what they said: {}.")
_LISTED = re.compile(r",\s+(?:and\s+)?|\s+and\s+")
_PLURAL = re.compile(
    r"\b(?:what|which)\s+are\b|"
    r"\b(?:what|which)\s+(?:\w+\s+){0,3}?(?!is\b|was\b|does\b|has\b)\w+s\s+(?:did|does|do|are|were|has|have|had)\b",
    re.IGNORECASE,
)


def paraphrase(question: Question, pick: Pick) -> str | None:
    """The same fact in another form: another date format, digits as words, a reordered list, a full sentence."""
    gold = bare_gold(question.gold)
    if is_date(gold):
        return rewritten_date(gold, pick)
    if count := read_count(question.text, gold):
        return rewritten_count(count) or as_sentence(f"it came to {gold}")
    if yes_or_no := YES_OR_NO.fullmatch(gold):
        likely = yes_or_no[1] is not None
        return {
            ("yes", False): "Yes, that is so.",
            ("yes", True): "Probably, yes.",
            ("no", False): "No, that is not so.",
            ("no", True): "Probably not.",
        }[yes_or_no[2].lower(), likely]
    came_first = WHICH_CAME_FIRST.search(question.text)
    if came_first and _other_alternative(question.text, gold):
        return as_sentence(f"{gold} {came_first[1].lower()} {came_first[2].lower()}")
    if reordered := _reordered(question.text, gold):
        return as_sentence(reordered)
    first_word = words(gold)[0]
    phrase = gold[0].lower() + gold[1:] if first_word in _OPENERS else gold
    if question_word(question.text) == "why":
        return f"The reason was this: {phrase}."
    is_noun = first_word in _NOUN_OPENERS and ("," not in gold and ";" not in gold)
    if is_noun and question_word(question.text) in ("who", "where", "what", "which") and pick.number("frame") % 2:
        tense = "was" if re.search(r"\b(?:did|was|were|had)\b", question.text) else "is"
        return f"It {tense} {phrase}."
    return pick.choose("frame", _FRAMES).format(phrase)


def _reordered(question: str, gold: str) -> str | None:
    """A list in reverse order; None if the gold may not be a list, or if its order matters."""
    parts = _LISTED.split(gold)
    if not _PLURAL.search(question) or len(parts) < 2 or ("," not in gold and len(parts) > 2):
        return None
    if re.search(r"\border|\bthen\b|;|\bor\b|\"|,\S", f"{question} {gold}"):
        return None
    first_words = [(words(part) or [""])[0] for part in parts]
    if any(not 1 <= len(words(part)) <= 6 for part in parts):
        return None
    if any(word in STOPWORDS - _NOUN_OPENERS for word in first_words):
        return None
    if len({word in _NOUN_OPENERS for word in first_words}) == 2:  # "his positivity and determination"
        return None
    if first_words[0] in _NOUN_OPENERS or all(part[0].islower() for part in parts[1:]):
        parts[0] = parts[0][0].lower() + parts[0][1:]
    reverse = parts[::-1]
    return ", ".join(reverse[:-1]) + f" and {reverse[-1]}"


_VAGUE = {
    "when": ("At some point, around the time when {} came up.", "It was at a time that had to do with {}."),
    "number": ("A certain number, as was said about {}.", "Some amount that has to do with {}."),
    "who": ("Somebody who has to do with {}.", "A person connected with {}."),
    "where": ("At a place that has to do with {}.", "Somewhere connected with {}."),
    "why": ("For reasons that have to do with {}.", "Because of things connected with {}."),
    "how": ("In a way that goes with {}.", "In a manner that has to do with {}."),
    "what": ("Something that has to do with {}.", "Something connected with {}, as was said."),
}


def vague(question: Question, pick: Pick) -> str | None:
    """An answer that states nothing. None for yes-or-no questions, and if every name of the topic has a word of the gold."""
    gold = bare_gold(question.gold)
    asks = question_word(question.text)
    if not asks or YES_OR_NO.match(gold):
        return None
    if asks in ("which", "what", "who") and ALTERNATIVES.search(question.text):
        return "Both of them came up."
    gold_stems = set(content_stems(gold))
    topic = _topic(question.text, gold_stems)
    if topic is None:
        names = [name for name in _NAME.findall(question.text) if stem(name.lower()) not in gold_stems]
        return f"That is something that {names[0]} talked about." if names else None
    if is_date(gold):
        asks = "when"
    elif COUNT_QUESTION.fullmatch(asks) or read_count(question.text, gold):
        asks = "number"
    templates = _VAGUE[{"whom": "who", "whose": "who", "which": "what"}.get(asks, asks)]
    # A template that shares a word with the gold would not be vague: "a place" for "the second-hand place".
    answers = [
        answer for template in templates if not gold_stems & set(content_stems(answer := template.format(topic)))
    ]
    return pick.choose("vague", answers) if answers else None


_NAME = re.compile(r"(?<=\s)[A-Z][a-z]+\b")
_POSSESSIVES = frozenset("his her their its my your our".split())
_DETERMINERS = _POSSESSIVES | {"the", "a", "an"}
# A subject and then a verb follow these words, and this module cannot tell where the subject ends.
_AUXILIARIES = frozenset("did does do has have had will would could can might should was were".split())
_TRAILING = frozenset(
    """first best most last next now nowadays currently recently lately today yesterday ago together usually again sometime
    afterwards before after made called""".split()
)
_UNSPECIFIC = frozenset(
    """beginning end time times kind type sort way thing things name day days week weekend month year one person part place
    other conversation list front""".split()
)
_SECOND_PERSON = {"my": "your", "i": "you", "me": "you", "our": "your", "we": "you", "us": "you"}
_DATED = re.compile(rf"\d|{'|'.join(MONTHS)}")


def _topic(question: str, gold_stems: set[str]) -> str | None:
    """The first phrase of the question that names what it is about and has no word of the gold."""
    tokens = question.rstrip(" ?.").split()
    for start, token in enumerate(tokens):
        is_possessive = token.endswith(("'s", "’s", "s'")) and token[0].isupper()
        starts_phrase = token.lower() in _DETERMINERS or is_possessive
        if start == 0 or not starts_phrase or tokens[start - 1].lower() in _AUXILIARIES:
            continue
        phrase = _phrase(tokens[start:])
        text = " ".join(phrase)
        stems = set(content_stems(text))
        too_short = len(phrase) < 2 or (len(phrase) == 2 and phrase[1].endswith("ing"))
        unspecific = _UNSPECIFIC & {word.lower() for word in (*phrase[1:2], *phrase[-1:])}
        if not stems or gold_stems & stems or too_short or unspecific:
            continue
        if _DATED.search(text) or re.search('["“”]', text):
            continue
        return " ".join(_SECOND_PERSON.get(word.lower(), word) for word in phrase)
    return _kind(question, gold_stems) or _name(question, gold_stems)


def _kind(question: str, gold_stems: set[str]) -> str | None:
    """What kind of thing the question asks for: "screenplays" of "how many screenplays has …"."""
    match = _KIND.search(question)
    if match is None:
        return None
    noun = match["noun"]
    if (_UNSPECIFIC | STOPWORDS) & set(words(noun)) or gold_stems & set(content_stems(noun)):
        return None
    plural = match["kind_of"] or match["asks"].lower().startswith("how") or re.search(r"[^s]s$", noun)
    return noun if plural else f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _name(question: str, gold_stems: set[str]) -> str | None:
    match = _NAMED.search(question)
    if match is None or _DATED.search(match[1]) or gold_stems & set(content_stems(match[1])):
        return None
    return match[1]


# "What kind of art does …", "how many screenplays has …", "which outdoor spot did …"
_KIND = re.compile(
    r"\b(?i:(?P<asks>what|which|how many|how much))\s+(?:(?P<kind_of>(?:kinds?|types?|sorts?)\s+of)\s+)?"
    r"(?P<noun>[a-z][a-z-]+(?:\s+[a-z][a-z-]+){0,2}?)\s+(?=(?:did|does|do|is|are|was|were|has|have|had|will)\b)",
)
_NAMED = re.compile(
    r"\b(?:in|at|to|of|for|from|with|about|visit|adopt|play|see)\s+([A-Z][\w-]+(?: [A-Z][\w-]+)*)(?!['’\w])"
)


def _phrase(tokens: Sequence[str]) -> list[str]:
    """The noun phrase that starts with the first token: at most eight words, up to the next function word.

    An "of" that is followed by a determiner continues the phrase.
    """
    phrase: list[str] = []
    for index, token in enumerate(tokens[:8]):
        word = token.lower().strip("\"'()")
        continues = word == "of" and tokens[index + 1 : index + 2] and tokens[index + 1].lower() in _DETERMINERS
        after_of = bool(phrase) and phrase[-1] == "of"
        function_word = not continues and not after_of and (word in STOPWORDS or word in _DETERMINERS)
        subject = len(phrase) > 1 and token[0].isupper() and phrase[-1].islower()  # "the challenges John faced"
        if phrase and (function_word or subject):
            break
        phrase.append(token.rstrip(",;:"))
        if token[-1] in ",;:" or len(phrase) > 7:
            break
    while phrase and (phrase[-1].lower() in _TRAILING or phrase[-1] == "of" or phrase[-1].endswith("ed")):
        phrase.pop()
    return phrase


# Questions about feelings, opinions and reasons: two golds with no word in common may still mean the same.
_SUBJECTIVE = re.compile(
    r"\b(?:feel|felt|feeling|feelings|emotions?|mood|think|thought|describe[ds]?|react\w*|respon\w+|opinion|attitude|"
    r"sentiment|impact|motivat\w+|inspir\w+|reason|purpose|goals?|hope\w*|say|said|personality|traits?|enjoy\w*|like[sd]?|"
    r"love[sd]?|help\w*|advice|share[sd]?|mean|important|why|would|might|could)\b",
    re.IGNORECASE,
)


def corrupted(question: Question, others: Iterable[Question], pick: Pick) -> str | None:
    """Another fact of the same kind. None if no other fact is certain to be wrong."""
    gold = bare_gold(question.gold)
    if is_date(gold):
        answer = shifted_date(gold, pick)
    elif count := read_count(question.text, gold):
        answer = changed_count(count)
    elif yes_or_no := YES_OR_NO.match(gold):
        answer = "No." if yes_or_no[2].lower() == "yes" else "Yes."
    elif re.search(r"\s+or\s+", question.text):
        alternative = _other_alternative(question.text, gold)
        if alternative is None:
            return None
        answer = as_sentence(alternative)
    else:
        borrowed = _borrowed(question, gold, others)
        if borrowed is None:
            return None
        answer = as_sentence(borrowed)
    return None if set(_stems(gold)) <= set(_stems(answer)) else answer


def _stems(text: str) -> list[str]:
    """Of the content words, or all words if the text has no content words."""
    return content_stems(text) or words(text)


def _other_alternative(question: str, gold: str) -> str | None:
    """The alternative of "…, this or that?" that is not the gold."""
    match = ALTERNATIVES.search(question)
    if match is None or re.search(r"\s+or\s+", f"{match[1]} # {match[2]}"):
        return None
    first, second = (_stems(_to_second_person(alternative)) for alternative in match.groups())
    gold_stems = _stems(_to_second_person(gold))
    if (gold_stems == first) == (gold_stems == second) or set(first) <= set(second) or set(second) <= set(first):
        return None
    return _to_second_person(match[2] if gold_stems == first else match[1])


def _to_second_person(text: str) -> str:
    return " ".join({"my": "your", "i": "you"}.get(word.lower(), word) for word in text.split())


def _borrowed(question: Question, gold: str, others: Iterable[Question]) -> str | None:
    """A gold from another conversation, to a question of the same kind. It has the same form and no word of this gold.

    It is not taken from the same conversation, where both answers may be true of one person.
    """
    asks, form, length = question_word(question.text), _form(gold), len(words(gold))
    if asks in ("", "how", "when") or _SUBJECTIVE.search(question.text):
        return None
    excluded = {*_stems(gold), *content_stems(question.text)}
    second_best = None
    for other in others:
        other_gold = bare_gold(other.gold)
        other_length = len(words(other_gold))
        if (
            other.conversation_id == question.conversation_id
            or question_word(other.text) != asks
            or _form(other_gold) != form
            or not (other_length <= 2 * length + 1 and length <= 2 * other_length + 1)
            or excluded & set(_stems(other_gold))
            or _DATED.search(other_gold)
            or read_count(other.text, other_gold)
            or YES_OR_NO.match(other_gold)
            or _SUBJECTIVE.search(other.text)
            or ALTERNATIVES.search(other.text)
            or _names_people(other_gold, other)
        ):
            continue
        if _first_two_words(other.text) == _first_two_words(question.text):
            return other_gold
        if second_best is None and asks in ("who", "where"):
            second_best = other_gold
    return second_best


def _form(gold: str) -> str:
    """The kind of phrase, by its first word."""
    first_word = words(gold)[0]
    if first_word in ("a", "an", "some", "another"):
        return "a thing"
    if first_word in _NOUN_OPENERS:
        return "the thing"
    if first_word in STOPWORDS:
        return first_word
    return "doing" if first_word.endswith("ing") else "name" if gold.istitle() else "other"


def _first_two_words(question: str) -> tuple[str, ...]:
    """The question word and the word behind it: "which weekday", "what job"."""
    match = QUESTION_WORD.search(question)
    return tuple(words(question[match.start() :])[:2]) if match else ()


def _names_people(gold: str, question: Question) -> bool:
    """Whether the gold names a person of the question, which would show that it answers another question."""
    names = {stem(name.lower()) for name in re.findall(r"(?<=\s)[A-Z][a-z]+", question.text)}
    return bool(names & set(content_stems(gold)))
