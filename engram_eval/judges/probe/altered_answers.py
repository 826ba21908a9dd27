"""The three answers to a question: its gold in another form, a vague one, and one that states another fact."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from engram_eval.judges.probe.rewriting import (
    ASKS,
    CHOICE,
    COUNTED,
    FIRST,
    MONTHS,
    SIDE,
    Pick,
    changed_count,
    core,
    is_date,
    moved_date,
    question_word,
    read_count,
    rewritten_count,
    rewritten_date,
    sentence,
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
    """The gold in another form: another date format, words for digits, a list in another order, a sentence around it."""
    gold = core(question.gold)
    if is_date(gold):
        return rewritten_date(gold, pick)
    if count := read_count(question.text, gold):
        return rewritten_count(count) or sentence(f"it came to {gold}")
    if side := SIDE.fullmatch(gold):
        likely = side[1] is not None
        return {
            ("yes", False): "Yes, that is so.",
            ("yes", True): "Probably, yes.",
            ("no", False): "No, that is not so.",
            ("no", True): "Probably not.",
        }[side[2].lower(), likely]
    first = FIRST.search(question.text)
    if first and _other_choice(question.text, gold):
        return sentence(f"{gold} {first[1].lower()} {first[2].lower()}")
    if listed := _reordered(question.text, gold):
        return sentence(listed)
    opening = words(gold)[0]
    small = gold[0].lower() + gold[1:] if opening in _OPENERS else gold
    if question_word(question.text) == "why":
        return f"The reason was this: {small}."
    noun = opening in _NOUN_OPENERS and ("," not in gold and ";" not in gold)
    if noun and question_word(question.text) in ("who", "where", "what", "which") and pick.number("frame") % 2:
        tense = "was" if re.search(r"\b(?:did|was|were|had)\b", question.text) else "is"
        return f"It {tense} {small}."
    return pick.of("frame", _FRAMES).format(small)


def _reordered(question: str, gold: str) -> str | None:
    """A list from its other end; None for what may be no list, or one whose order matters."""
    parts = _LISTED.split(gold)
    if not _PLURAL.search(question) or len(parts) < 2 or ("," not in gold and len(parts) > 2):
        return None
    if re.search(r"\border|\bthen\b|;|\bor\b|\"|,\S", f"{question} {gold}"):
        return None
    openings = [(words(part) or [""])[0] for part in parts]
    if any(not 1 <= len(words(part)) <= 6 for part in parts) or any(o in STOPWORDS - _NOUN_OPENERS for o in openings):
        return None
    if len({opening in _NOUN_OPENERS for opening in openings}) == 2:  # "his positivity and determination"
        return None
    if openings[0] in _NOUN_OPENERS or all(part[0].islower() for part in parts[1:]):
        parts[0] = parts[0][0].lower() + parts[0][1:]
    turned = parts[::-1]
    return ", ".join(turned[:-1]) + f" and {turned[-1]}"


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
    """An answer in shape alone. None where yes or no is asked, and where the topic cannot be named without the gold."""
    gold = core(question.gold)
    asked = question_word(question.text)
    if not asked or SIDE.match(gold):
        return None
    if asked in ("which", "what", "who") and CHOICE.search(question.text):
        return "Both of them came up."
    known = set(content_stems(gold))
    topic = _topic(question.text, known)
    if topic is None:
        names = [name for name in _NAME.findall(question.text) if stem(name.lower()) not in known]
        return f"That is something that {names[0]} talked about." if names else None
    if is_date(gold):
        asked = "when"
    elif COUNTED.fullmatch(asked) or read_count(question.text, gold):
        asked = "number"
    shape = {"whom": "who", "whose": "who", "which": "what"}.get(asked, asked)
    # A frame whose own words stand in the gold ("a place", of "the second-hand place") would not be vague.
    answers = [answer for frame in _VAGUE[shape] if not known & set(content_stems(answer := frame.format(topic)))]
    return pick.of("vague", answers) if answers else None


_NAME = re.compile(r"(?<=\s)[A-Z][a-z]+\b")
_POSSESSIVES = frozenset("his her their its my your our".split())
_DETERMINERS = _POSSESSIVES | {"the", "a", "an"}
# Behind these stands a subject and then a verb, and nothing here tells where the one ends and the other begins.
_AUXILIARIES = frozenset("did does do has have had will would could can might should was were".split())
_LATE = frozenset(
    """first best most last next now nowadays currently recently lately today yesterday ago together usually again sometime
    afterwards before after made called""".split()
)
_EMPTY = frozenset(
    """beginning end time times kind type sort way thing things name day days week weekend month year one person part place
    other conversation list front""".split()
)
_SWAPPED = {"my": "your", "i": "you", "me": "you", "our": "your", "we": "you", "us": "you"}
_DATED = re.compile(rf"\d|{'|'.join(MONTHS)}")


def _topic(question: str, known: set[str]) -> str | None:
    """What the question is about, in its own words: its first phrase that holds none of the gold's words."""
    tokens = question.rstrip(" ?.").split()
    for start, token in enumerate(tokens):
        owned = token.endswith(("'s", "’s", "s'")) and token[0].isupper()
        if start == 0 or not (token.lower() in _DETERMINERS or owned) or tokens[start - 1].lower() in _AUXILIARIES:
            continue
        phrase = _phrase(tokens[start:])
        text = " ".join(phrase)
        content = set(content_stems(text))
        known_or_none = not content or known & content
        alone = len(phrase) < 2 or (len(phrase) == 2 and phrase[1].endswith("ing"))
        empty = _EMPTY & {word.lower() for word in (*phrase[1:2], *phrase[-1:])}
        if known_or_none or alone or empty or _DATED.search(text) or re.search('["“”]', text):
            continue
        return " ".join(_SWAPPED.get(word.lower(), word) for word in phrase)
    if (found := _KIND.search(question)) and not (_EMPTY | STOPWORDS) & set(words(noun := found["noun"])):
        many = found["of"] or found["asks"].lower().startswith("how") or re.search(r"[^s]s$", noun)
        if not known & set(content_stems(noun)):
            return noun if many else f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
    named = _NAMED.search(question)
    if named and not _DATED.search(named[1]) and not known & set(content_stems(named[1])):
        return named[1]
    return None


# "What kind of art does …", "how many screenplays has …", "which outdoor spot did …"
_KIND = re.compile(
    r"\b(?i:(?P<asks>what|which|how many|how much))\s+(?:(?P<of>(?:kinds?|types?|sorts?)\s+of)\s+)?"
    r"(?P<noun>[a-z][a-z-]+(?:\s+[a-z][a-z-]+){0,2}?)\s+(?=(?:did|does|do|is|are|was|were|has|have|had|will)\b)",
)
_NAMED = re.compile(
    r"\b(?:in|at|to|of|for|from|with|about|visit|adopt|play|see)\s+([A-Z][\w-]+(?: [A-Z][\w-]+)*)(?!['’\w])"
)


def _phrase(tokens: Sequence[str]) -> list[str]:
    """A determiner and up to five words behind it, to the next word of grammar; "of" goes on where a determiner follows."""
    kept: list[str] = []
    for place, token in enumerate(tokens[:8]):
        word = token.lower().strip("\"'()")
        goes_on = word == "of" and tokens[place + 1 : place + 2] and tokens[place + 1].lower() in _DETERMINERS
        after_of = bool(kept) and kept[-1] == "of"
        grammar = not goes_on and not after_of and (word in STOPWORDS or word in _DETERMINERS)
        subject = len(kept) > 1 and token[0].isupper() and kept[-1].islower()  # "the challenges John faced"
        if kept and (grammar or subject):
            break
        kept.append(token.rstrip(",;:"))
        if token[-1] in ",;:" or len(kept) > 7:
            break
    while kept and (kept[-1].lower() in _LATE or kept[-1] == "of" or kept[-1].endswith("ed")):
        kept.pop()
    return kept


# Where two golds with no word in common may still say the same: of a feeling, an opinion, a reason.
_SOFT = re.compile(
    r"\b(?:feel|felt|feeling|feelings|emotions?|mood|think|thought|describe[ds]?|react\w*|respon\w+|opinion|attitude|"
    r"sentiment|impact|motivat\w+|inspir\w+|reason|purpose|goals?|hope\w*|say|said|personality|traits?|enjoy\w*|like[sd]?|"
    r"love[sd]?|help\w*|advice|share[sd]?|mean|important|why|would|might|could)\b",
    re.IGNORECASE,
)


def corrupted(question: Question, others: Iterable[Question], pick: Pick) -> str | None:
    """Another fact of the same kind. None if none is for certain another."""
    gold = core(question.gold)
    if is_date(gold):
        answer = moved_date(gold, pick)
    elif count := read_count(question.text, gold):
        answer = changed_count(count)
    elif side := SIDE.match(gold):
        answer = "No." if side[2].lower() == "yes" else "Yes."
    elif re.search(r"\s+or\s+", question.text):
        other = _other_choice(question.text, gold)
        if other is None:
            return None
        answer = sentence(other)
    else:
        borrowed = _borrowed(question, gold, others)
        if borrowed is None:
            return None
        answer = sentence(borrowed)
    return None if set(_said(gold)) <= set(_said(answer)) else answer


def _said(text: str) -> list[str]:
    return content_stems(text) or words(text)


def _other_choice(question: str, gold: str) -> str | None:
    """Of "…, this or that?" the one that the gold is not."""
    found = CHOICE.search(question)
    if found is None or re.search(r"\s+or\s+", f"{found[1]} # {found[2]}"):
        return None
    mine = [_said(_to_second_person(choice)) for choice in found.groups()]
    wanted = _said(_to_second_person(gold))
    if (wanted == mine[0]) == (wanted == mine[1]) or set(mine[0]) <= set(mine[1]) or set(mine[1]) <= set(mine[0]):
        return None
    return _to_second_person(found[2] if wanted == mine[0] else found[1])


def _to_second_person(text: str) -> str:
    return " ".join({"my": "your", "i": "you"}.get(word.lower(), word) for word in text.split())


def _borrowed(question: Question, gold: str, others: Iterable[Question]) -> str | None:
    """The gold of the first of `others` that asks alike in another conversation, of the same form and with no word in common.

    Within one conversation two answers may both be true of one person.
    """
    asked, form, count = question_word(question.text), _form(gold), len(words(gold))
    if asked in ("", "how", "when") or _SOFT.search(question.text):
        return None
    taken = {*_said(gold), *content_stems(question.text)}
    alike = None
    for other in others:
        theirs = core(other.gold)
        length = len(words(theirs))
        if (
            other.conversation_id == question.conversation_id
            or question_word(other.text) != asked
            or _form(theirs) != form
            or not (length <= 2 * count + 1 and count <= 2 * length + 1)
            or taken & set(_said(theirs))
            or _DATED.search(theirs)
            or read_count(other.text, theirs)
            or SIDE.match(theirs)
            or _SOFT.search(other.text)
            or CHOICE.search(other.text)
            or _names_people(theirs, other)
        ):
            continue
        if _head(other.text) == _head(question.text):
            return theirs
        if alike is None and asked in ("who", "where"):
            alike = theirs
    return alike


def _form(gold: str) -> str:
    """What sort of phrase it is, by its first word."""
    first = words(gold)[0]
    if first in ("a", "an", "some", "another"):
        return "a thing"
    if first in _NOUN_OPENERS:
        return "the thing"
    if first in STOPWORDS:
        return first
    return "doing" if first.endswith("ing") else "name" if gold.istitle() else "other"


def _head(question: str) -> tuple[str, ...]:
    """The question word and what follows it: "which weekday", "what job"."""
    found = ASKS.search(question)
    return tuple(words(question[found.start() :])[:2]) if found else ()


def _names_people(gold: str, question: Question) -> bool:
    """Whose it is would give it away as somebody else's answer."""
    names = {stem(name.lower()) for name in re.findall(r"(?<=\s)[A-Z][a-z]+", question.text)}
    return bool(names & set(content_stems(gold)))
