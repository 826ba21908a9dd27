"""How well each sentence of a context matches a question.

A sentence's cover is the share of the question's stems, weighted by rarity, that are in it or near it. A stem in the
sentence itself counts fully; it counts less in the same turn, in the turn before (an answer follows a question), and in the
turn after or two turns away. Its score is higher if the person in the question says it, and if it replies to a question like
the one that is asked: "What did you bake?", "A lemon cake."
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from engram_eval.language.words import words
from engram_eval.readers.offline.base_stems import base_stem
from engram_eval.readers.offline.passages import Floats, Passages
from engram_eval.readers.offline.question_analysis import SCAFFOLD, QuestionAnalysis


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of a score.

    `turn_before` to `reply` are round numbers near the weights of a conditional logit that benchmarks/fit_offline_reader.py
    fits on the five development conversations: 0.58, 0.36, 0.33 and 0.44, where a stem in the turn itself counts 1.
    `same_turn` and `asks` were each chosen from four values there; the others were set before any measurement and then kept.
    """

    same_turn: float = 0.9  # a stem of the question in the sentence's turn; 1 is in the sentence itself
    turn_before: float = 0.6  # in the turn before
    nearby: float = 0.35  # in the turn after, in the turn before the turn before, or in the one after the turn after
    subject: float = 0.3  # the person in the question says it
    reply: float = 0.45  # the turn before is another person's and has a question with all of the stems
    alike: float = 0.6  # a stem that is nowhere in the context, matched by one with the same first letters
    scaffold: float = 0.25  # words of the question's form, such as "kind" and "mention"
    date: float = 0.5  # said at the time in the question; 1 is a word that is in only one sentence
    other_speaker: float = 0.6  # the other speaker, not about the person in the question
    addresses_listener: float = 0.85  # the other speaker, to or about the person in the question
    asks: float = 0.2  # a sentence that is a question
    caption: float = 0.6  # an image's caption, unless the question is about what is shown


@dataclass(frozen=True, slots=True)
class Match:
    """How well each sentence matches.

    `own`, from 0 to 1, counts only the sentence itself, `cover`, from 0 to 1, its neighbourhood too. `score` is `cover` with
    the bonus for speaker and reply, less for questions and captions. `about` is how much the sentence is about the person in
    the question. `shown`: the question is about something visible.
    """

    own: Floats
    cover: Floats
    score: Floats
    about: Floats
    shown: bool

    def best(self, k: int) -> list[int]:
        """Indices of the `k` sentences with the highest score above 0, best first; equal ones in their order."""
        order = np.argsort(-self.score, kind="stable")[:k]
        return [int(i) for i in order if self.score[i] > 0]


UNMATCHED = 0.01  # ranks the sentences that share no word with the question: by who says them, then in their order
_SHOWN = re.compile(
    r"\b(?:photos?|pictures?|pics?|images?|signs?|posters?|paint\w*|drawings?|look\w*|wear\w*|shown?|showed|posted)\b",
    re.IGNORECASE,
)


def match_sentences(question: QuestionAnalysis, context: Passages, weights: Weights) -> Match:
    sentences, passages = len(context.sentences), len(context.passages)
    own, cover = np.zeros(sentences), np.zeros(sentences)
    before, after = context.before, context.after
    two_before, two_after = before[before], after[after]
    total = 0.0
    for stem in question.stems:
        weight = context.rarity(stem) * (weights.scaffold if stem in SCAFFOLD else 1.0)
        total += weight
        places, credit = context.sentences_with(stem), 1.0
        if places is None:
            places, credit = context.sentences_like(stem), weights.alike
            if places is None:
                continue
        weight *= credit
        in_passage = np.zeros(passages, dtype=np.bool_)
        in_passage[context.passage_of[places]] = True
        near = np.where(in_passage[after] | in_passage[two_before] | in_passage[two_after], weights.nearby, 0.0)
        near = np.maximum(near, weights.turn_before * in_passage[before])
        here = np.maximum(near, weights.same_turn * in_passage)[context.passage_of]
        here[places] = 1.0
        cover += weight * here
        own[places] += weight
    if question.dates:
        at_that_time = weights.date * float(np.log1p(sentences))
        total += at_that_time
        cover += at_that_time * _said_then(question, context)[context.passage_of]
    if total:
        own /= total
        cover /= total
    about = _about(question, context, weights)
    shown = _SHOWN.search(question.text) is not None
    captions = np.where(context.captions, 1.0 if shown else weights.caption, 1.0)
    asked = np.zeros(passages)  # how well a question in the turn matches
    np.maximum.at(asked, context.passage_of, np.where(context.questions, own, 0.0))
    bonus = weights.reply * np.where(context.replies, asked[before], 0.0)[context.passage_of]
    if len(question.subjects) == 1:
        bonus += weights.subject * (about == 1.0)
    score = (cover + UNMATCHED + bonus) * np.where(context.questions, weights.asks, 1.0) * captions
    return Match(own, cover, score, about, shown)


def _about(question: QuestionAnalysis, context: Passages, weights: Weights) -> Floats:
    """How much each sentence is about the person in the question.

    1 for what the person says and for facts without a speaker, `addresses_listener` for what others say to or about the
    person, `other_speaker` for the rest. 1 for all sentences if the question names no person or more than one.
    """
    if not question.subjects or len(question.subjects) > 1:
        return np.ones(len(context.sentences))
    subject = question.subjects[0]
    about = np.where(context.addresses_listener, weights.addresses_listener, weights.other_speaker)
    named = context.sentences_with(base_stem(words(subject)[0]))
    if named is not None:
        about[named] = weights.addresses_listener
    by_subject = np.array([speaker is None or speaker == subject for speaker in context.speaker_of])
    about[by_subject[context.passage_of]] = 1.0
    return about


SAID_WITHIN = timedelta(days=10)  # people mention an event when they next talk, some days after it


def _said_then(question: QuestionAnalysis, context: Passages) -> Floats:
    """1 for passages said at a time in the question or soon after it, else 0."""
    return np.array(
        [
            float(
                passage.said_on is not None
                and any(
                    span.start <= passage.said_on and passage.said_on - span.end <= SAID_WITHIN
                    for span in question.dates
                )
            )
            for passage in context.passages
        ]
    )
