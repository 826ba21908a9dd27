"""How well each sentence of a context matches a question.

A sentence's score is the share of the question's stems, weighted by rarity, that stand in it or near it: fully counted in
the sentence itself, less in its turn, in the turn before (an answer follows a question) and in the turn after. It is then
weighted by whom the sentence is about.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from engram_eval.language.words import words
from engram_eval.readers.offline.passages import Floats, Passages
from engram_eval.readers.offline.question import SCAFFOLD, Asked
from engram_eval.readers.offline.stems import base_stem


@dataclass(frozen=True, slots=True)
class Weights:
    """What a score is made of.

    Set by judgement, in round numbers, before anything was measured, and then kept: with any one of them moved to a
    neighbouring value the share right on the development conversations changes by less than a point with the full history
    for context, but for `turn_before` (0.4: two and a half points less) and `same_turn` (0.85: one and a half less).
    """

    same_turn: float = 0.7  # a stem of the question in the sentence's turn, where 1 is in the sentence itself
    turn_before: float = 0.6  # in the turn before
    turn_after: float = 0.4  # in the turn after
    alike: float = 0.6  # a stem that stands nowhere, by one that begins with the same letters
    scaffold: float = 0.25  # words of the asking, such as "kind" and "mention"
    date: float = 0.5  # said when the question says, as against holding a word that stands in one sentence alone
    other_speaker: float = 0.6  # the other speaker, of something else than the one asked about
    to_you: float = 0.85  # the other speaker, to or of the one asked about
    asks: float = 0.7  # a sentence that is a question
    caption: float = 0.6  # an image's caption, unless the question is about what is shown


@dataclass(frozen=True, slots=True)
class Match:
    """All sentences' scores, 0 to 1: `cover` whoever they are about, `score` for the one asked about, `own` for the
    sentence by itself."""

    own: Floats
    cover: Floats
    score: Floats
    about: Floats
    shown: bool

    def best(self, k: int) -> list[int]:
        """Indices of the `k` best sentences by score that match at all, best first; of equals, the earlier."""
        order = np.argsort(-self.score, kind="stable")[:k]
        return [int(i) for i in order if self.score[i] > 0]


_SHOWN = re.compile(
    r"\b(?:photos?|pictures?|pics?|images?|signs?|posters?|paint\w*|drawings?|look\w*|wear\w*|shown?|showed|posted)\b",
    re.IGNORECASE,
)


def match(asked: Asked, context: Passages, weights: Weights) -> Match:
    sentences, passages = len(context.sentences), len(context.passages)
    own, cover = np.zeros(sentences), np.zeros(sentences)
    total = 0.0
    for wanted in asked.stems:
        weight = context.rarity(wanted) * (weights.scaffold if wanted in SCAFFOLD else 1.0)
        total += weight
        places, credit = context.sentences_with.get(wanted), 1.0
        if places is None:
            places, credit = context.sentences_like(wanted), weights.alike
            if places is None:
                continue
        weight *= credit
        in_passage = np.zeros(passages)
        in_passage[context.passage_of[places]] = 1.0
        near = np.maximum(
            weights.same_turn * in_passage,
            np.maximum(
                weights.turn_before * in_passage[context.before], weights.turn_after * in_passage[context.after]
            ),
        )
        here = near[context.passage_of]
        here[places] = 1.0
        cover += weight * here
        own[places] += weight
    if asked.dates:
        at_that_time = weights.date * float(np.log1p(sentences))
        total += at_that_time
        cover += at_that_time * _said_then(asked, context)[context.passage_of]
    if total:
        own /= total
        cover /= total
    about = _about(asked, context, weights)
    shown = _SHOWN.search(asked.text) is not None
    captions = np.where(context.captions, 1.0 if shown else weights.caption, 1.0)
    return Match(own, cover, cover * about * np.where(context.questions, weights.asks, 1.0) * captions, about, shown)


def _about(asked: Asked, context: Passages, weights: Weights) -> Floats:
    """1 for what the one asked about says and for facts that nobody says, `to_you` for what others say to or of them,
    `other_speaker` for the rest; 1 for all where the question names no one or more than one."""
    if not asked.subjects or len(asked.subjects) > 1:
        return np.ones(len(context.sentences))
    subject = asked.subjects[0]
    about = np.where(context.to_you, weights.to_you, weights.other_speaker)
    named = context.sentences_with.get(base_stem(words(subject)[0]))
    if named is not None:
        about[named] = weights.to_you
    theirs = np.array([speaker is None or speaker == subject for speaker in context.speaker_of])
    about[theirs[context.passage_of]] = 1.0
    return about


TOLD_WITHIN = timedelta(days=10)  # people tell of a thing when they next talk, some days after it


def _said_then(asked: Asked, context: Passages) -> Floats:
    """1 for the passages said at a time that the question names or soon after it, 0 for the others."""
    return np.array(
        [
            float(
                passage.said_on is not None
                and any(
                    span.start <= passage.said_on and passage.said_on - span.end <= TOLD_WITHIN for span in asked.dates
                )
            )
            for passage in context.passages
        ]
    )
