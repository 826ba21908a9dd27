"""The notes under the tables: what a reader must know to interpret them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from engram_eval.language.tokens import tokens_in_words
from engram_eval.llm.model_names import is_same_model
from engram_eval.metrics.context_tokens import CONTEXT_TOKENS
from engram_eval.metrics.copied_golds import copied_golds_warning
from engram_eval.metrics.evidence import EVIDENCE_CLAIMED, EVIDENCE_RECALL
from engram_eval.results.manifest import Manifest
from engram_eval.results.summary import BackendSummary, Summary, VoteSummary
from engram_eval.tables.note import Note
from engram_eval.tables.numbers import share
from engram_eval.tables.text import plural


class NoteKind(StrEnum):
    """Stable keys. The report chooses by kind which notes it folds away, sorts and shows as badges."""

    MISMATCH = "mismatch"
    JUDGE_UNUSABLE = "judge_unusable"
    COPIED_GOLDS = "copied_golds"
    SKIPPED_RECORDS = "skipped_records"
    PAIRS = "pairs"
    UNSPACED = "unspaced"
    ROUGH_INTERVALS = "rough_intervals"
    ERROR_BOUNDS = "error_bounds"
    CATEGORY_MEAN = "category_mean"
    VARIANTS = "variants"
    OFFLINE_JUDGE = "offline_judge"
    BUDGET = "budget"
    PARAPHRASES = "paraphrases"
    SEES_EVIDENCE = "sees_evidence"
    ERRORS = "errors"
    INGEST_WARNINGS = "ingest_warnings"
    CUT_CONTEXTS = "cut_contexts"
    NAMES_NO_TURNS = "names_no_turns"
    SESSIONS = "sessions"
    SERVED_MODEL = "served_model"
    REASONING_REMOVED = "reasoning_removed"
    SERVER_CACHE = "server_cache"
    CONTENDED = "contended"
    VOTES = "votes"
    JUDGE_PROBE = "judge_probe"
    JUDGE_NOT_MEASURED = "judge_not_measured"
    OFFLINE_TIMES = "offline_times"
    UNFINISHED = "unfinished"
    PUBLISHED = "published"


EXPLANATORY = frozenset(
    (
        NoteKind.PAIRS,
        NoteKind.CATEGORY_MEAN,
        NoteKind.VARIANTS,
        NoteKind.BUDGET,
        NoteKind.SESSIONS,
        NoteKind.OFFLINE_TIMES,
    )
)
"""Notes that explain how figures are computed. A page may fold them away; all other notes stay visible."""


def run_notes(path: str, manifest: Manifest, summary: Summary) -> list[Note]:
    """The notes on one run."""
    notes = [
        *_unusable_judge_notes(manifest),
        *_copied_golds_notes(manifest, summary),
        *_skipped_notes(manifest),
        *_unspaced_notes(summary),
        *_judge_notes(summary),
        _budget_note(manifest),
    ]
    for label, backend in summary.backends.items():
        notes += _backend_notes(label, backend)
    if any(backend.category_mean is not None for backend in summary.backends.values()):
        notes.append(
            Note(
                NoteKind.CATEGORY_MEAN,
                "Accuracy counts each question alike; the mean of categories counts each category alike. They differ where "
                "categories differ in size: name which one you quote.",
            )
        )
    if has_session_table(summary):
        notes.append(
            Note(
                NoteKind.SESSIONS,
                "Sessions: a session has the rank of its best turn, and no rank if it is not in the context. Recall all@k "
                "(every evidence session is among the first k) and nDCG@k (ranks 1 and 2 count fully) are LongMemEval's "
                "official session-level formulas. Unanswerable questions are left out.",
            )
        )
    if votes := {label: backend.votes for label, backend in summary.backends.items() if backend.votes}:
        notes.append(Note(NoteKind.VOTES, _votes_text(votes)))
    notes += _model_notes(manifest)
    notes += _probe_notes(manifest)
    if summary.reader.name == "offline":
        notes.append(
            Note(
                NoteKind.OFFLINE_TIMES,
                "Answer times are those of the offline reader, not of a model: compare memories by retrieval and ingest time.",
            )
        )
    if not summary.complete:
        notes.append(
            Note(NoteKind.UNFINISHED, f"The run {path} is unfinished: the figures cover the questions so far.")
        )
    return notes


def _unusable_judge_notes(manifest: Manifest) -> Iterator[Note]:
    if manifest.probe and manifest.probe.accepts_too_much:
        wrong = manifest.probe.false_accept
        yield Note(
            NoteKind.JUDGE_UNUSABLE,
            f"THESE SCORES MEAN NOTHING: the judge {manifest.judge.model} accepted {wrong.count} of {wrong.n} wrong answers in "
            "the probe. Name a better one with --judge-model.",
        )


def _model_notes(manifest: Manifest) -> Iterator[Note]:
    """Models that answered under another name than the one that was asked for."""
    for role, info in manifest.models.items():
        if others := [name for name in info.served if not is_same_model(info.model, name)]:
            yield Note(
                NoteKind.SERVED_MODEL,
                f"The {role} asked {info.endpoint} for {info.model}, and it answered as {', '.join(others)}: check which model "
                "it runs.",
            )


def _probe_notes(manifest: Manifest) -> Iterator[Note]:
    if manifest.probe:
        yield Note(NoteKind.JUDGE_PROBE, manifest.probe.note)
    elif manifest.judge.name.partition(":")[0] == "llm":
        yield Note(
            NoteKind.JUDGE_NOT_MEASURED,
            "The LLM judge was not measured in this run; --probe measures it on up to 48 answers with a known verdict.",
        )


def has_session_table(summary: Summary) -> bool:
    """Whether the benchmark asks for the sessions table and a backend has figures for it."""
    return "sessions" in summary.dataset.tables and any(
        backend.mean("session_recall@5") is not None for backend in summary.backends.values()
    )


def _copied_golds_notes(manifest: Manifest, summary: Summary) -> Iterator[Note]:
    """For answers made elsewhere: no memory or reader of a run sees a gold answer."""
    if not manifest.has_recorded_answers:
        return
    for label, backend in summary.backends.items():
        warning = copied_golds_warning(backend.answers_that_repeat_gold, backend.answerable_answers)
        if warning:
            yield Note(NoteKind.COPIED_GOLDS, f"{label}: {warning}")


def _skipped_notes(manifest: Manifest) -> Iterator[Note]:
    if skipped := manifest.dataset.skipped_records:
        yield Note(
            NoteKind.SKIPPED_RECORDS,
            f"{plural(skipped, 'record')} of the dataset could not be read and no figure covers them (--skip-bad-records): "
            "'engram-eval datasets check' names each.",
        )


def _unspaced_notes(summary: Summary) -> Iterator[Note]:
    """What does not work as well in Chinese, Japanese or Thai as in English."""
    questions = max((backend.unspaced_questions for backend in summary.backends.values()), default=0)
    if not questions:
        return
    parts = [
        f"{plural(questions, 'question')} in a writing system without spaces: ranking, evidence and F1 count characters, not "
        "words (docs/tables.md)"
    ]
    if summary.reader.name == "offline":
        parts.append(
            "the offline reader knows no kinds of questions and no relative dates there and quotes whole sentences"
        )
    if summary.judge.name == "offline":
        parts.append(
            "the offline judge was fitted to English and recognises no abstentions, dates or numbers in words there"
        )
    parts.append("the embedders static and minilm were made for English")
    yield Note(NoteKind.UNSPACED, "; ".join(parts) + ".")


def _judge_notes(summary: Summary) -> Iterator[Note]:
    if summary.judge.name == "offline":
        answers = "the offline reader's answers" if summary.reader.name == "offline" else "these answers"
        yield Note(
            NoteKind.OFFLINE_JUDGE,
            f"The offline judge graded {answers}. Use these scores to compare memories; they are not LLM-judge scores and are "
            f"not comparable with published figures. The judge {summary.judge.agreement}.",
        )


def _budget_note(manifest: Manifest) -> Note:
    if manifest.budget is None:
        labels = ", ".join(manifest.backends)
        text = f"{labels}: the answers were made elsewhere, from contexts whose limit is unknown."
        return Note(NoteKind.BUDGET, text)
    window = manifest.reader.window
    limits = {
        "window": "is limited only by the reader's window" + (f" of {window:,} tokens" if window else ""),
        "none": "has no limit (it sees the evidence, so it shows the ceiling of reader, judge and answer key)",
    }
    model = manifest.models["reader"].model if "reader" in manifest.models else None
    counted = tokens_in_words(manifest.token_encoding, model, chosen=manifest.settings.get("encoding") is not None)
    parts = [f"Contexts are limited to {manifest.budget:,} {counted}"]
    parts += [
        f"{label} {limits[entry.context_limit]}"
        for label, entry in manifest.backends.items()
        if entry.context_limit in limits
    ]
    return Note(NoteKind.BUDGET, "; ".join(parts) + ".")


def _backend_notes(label: str, backend: BackendSummary) -> Iterator[Note]:
    if backend.paraphrases:
        claimed, contained = (share(backend.mean(m.name) or 0.0) for m in (EVIDENCE_CLAIMED, EVIDENCE_RECALL))
        yield Note(
            NoteKind.PARAPHRASES,
            f"{label} paraphrases: it names {claimed} of the evidence, and its text contains {contained}, which is its "
            "evidence recall.",
        )
    if backend.sees_evidence and label != "oracle":
        yield Note(NoteKind.SEES_EVIDENCE, f"{label} sees the evidence: it is a control, not a memory.")
    if backend.errors:
        yield Note(
            NoteKind.ERRORS,
            f"{label}: {backend.errors:,} of {plural(backend.expected, 'question')} ended in an error and count as neither "
            "right nor wrong; its figures cover the rest and are not comparable with those of the others.",
        )
    if backend.ingest_warnings:
        yield Note(
            NoteKind.INGEST_WARNINGS,
            f"{label}: {plural(backend.ingest_warnings, 'time')} the model returned nothing usable for a batch of turns; these "
            "turns are kept verbatim (see warnings.jsonl).",
        )
    if backend.reasoning_removed:
        yield Note(
            NoteKind.REASONING_REMOVED,
            f"{label}: {plural(backend.reasoning_removed, 'answer')} held the model's reasoning in the text, which was removed "
            "before they were graded.",
        )
    if backend.answers_from_server_cache:
        yield Note(
            NoteKind.SERVER_CACHE,
            f"{label}: for {plural(backend.answers_from_server_cache, 'answer')} the server had at least half of the prompt in "
            "its own cache, so their answer times are shorter than those of a first question.",
        )
    if backend.contended:
        yield Note(
            NoteKind.CONTENDED,
            f"{label}: {plural(backend.contended, 'retrieval')} waited while other work of the run went on in the process, "
            "which may have made them slower; --max-in-flight 1 measures them alone.",
        )
    if backend.cut:
        yield Note(
            NoteKind.CUT_CONTEXTS,
            f"{label} sent more than its budget for {plural(backend.cut, 'question')}: the end was cut off.",
        )
    names_some = backend.names_turns or backend.mean(EVIDENCE_CLAIMED.name)
    if not names_some and not backend.cut and backend.mean(CONTEXT_TOKENS.name):
        yield Note(
            NoteKind.NAMES_NO_TURNS,
            f"{label} names no turns: its evidence recall relies on its text alone, and it has no ranking.",
        )


def _votes_text(votes_of: Mapping[str, VoteSummary]) -> str:
    """How well several verdicts on the same answers agree."""
    parts = [
        f"{label} {100 * votes.mean:.2f} ± {100 * votes.sd:.2f} % ({100 * votes.split:.1f} % differ)"
        for label, votes in votes_of.items()
    ]
    count = len(next(iter(votes_of.values())).accuracy)
    return (
        f"Each answer has {count} verdicts, of which the majority counts. Accuracy of a single pass of the judge, mean ± "
        f"standard deviation over the {count} passes, and the share of answers on which the verdicts differ: "
        f"{', '.join(parts)}." + (_NEVER_DIFFER if not any(votes.split for votes in votes_of.values()) else "")
    )


_NEVER_DIFFER = (
    " They never differ: at temperature 0 a model repeats itself, so this says nothing about the judge's spread."
)
