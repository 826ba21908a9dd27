"""Stems that undo irregular verbs: a question asks what somebody `did buy`, and the answer says what she `bought`."""

from __future__ import annotations

from functools import lru_cache

from engram_eval.language.words import STOPWORDS, stem, words

_IRREGULAR = {
    past: base
    for base, *forms in map(
        str.split,
        """beat beaten|become became|begin began begun|bend bent|bite bit bitten|blow blew blown|break broke broken|
        bring brought|build built|burn burnt|buy bought|catch caught|choose chose chosen|come came|dig dug|draw drew drawn|
        dream dreamt|drink drank drunk|drive drove driven|eat ate eaten|fall fell fallen|feed fed|feel felt|fight fought|
        find found|fly flew flown|forget forgot forgotten|forgive forgave forgiven|freeze froze frozen|get got gotten|
        give gave given|go went gone|grow grew grown|hang hung|hear heard|hide hid hidden|hold held|keep kept|
        know knew known|lay laid|lead led|learn learnt|leave left|lend lent|lie lain|lose lost|make made|mean meant|
        meet met|pay paid|ride rode ridden|ring rang rung|rise rose risen|run ran|say said|see saw seen|sell sold|
        send sent|shake shook shaken|shine shone|shoot shot|sing sang sung|sit sat|sleep slept|speak spoke spoken|
        spend spent|stand stood|steal stole stolen|stick stuck|strike struck|swear swore sworn|sweep swept|
        swim swam swum|take took taken|teach taught|tear torn|tell told|think thought|throw threw thrown|
        understand understood|wake woke woken|wear wore worn|win won|write wrote written""".replace("\n", "").split(
            "|"
        ),
    )
    for past in forms
}


@lru_cache(maxsize=100_000)
def base_stem(word: str) -> str:
    """The stem of a lower-case word; for an irregular past form, the stem of its verb."""
    return stem(_IRREGULAR.get(word, word))


@lru_cache(maxsize=20_000)
def base_stems(text: str) -> tuple[str, ...]:
    """Stems of the words that are not stop words, in order, with repeats."""
    return tuple(base_stem(word) for word in words(text) if word not in STOPWORDS)
