"""What is here: the `datasets`, `backends` and `doctor` commands."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from engram_eval import registry
from engram_eval.datasets import catalogue
from engram_eval.datasets.dataset import Notes
from engram_eval.errors import UserError
from engram_eval.run.plan import open_dataset
from engram_eval.run.settings import Settings
from engram_eval.system.network import require_network
from engram_eval.system.paths import cache_folder

# --- datasets ---------------------------------------------------------------------------------------------------


def list_datasets() -> None:
    for name in registry.names("datasets"):
        try:
            print(f"{name:22} {catalogue.benchmark(name).summary}")
        except UserError as error:  # one broken package must not hide the others
            print(f"{name:22} not usable: {error}")


def check_dataset(settings: Settings, *, examples: int) -> bool:
    """Reads every record and prints what is there and what was repaired. False if published facts do not hold."""
    dataset, why = open_dataset(settings)
    notes = Notes()
    questions: Counter[str] = Counter()
    conversations = []
    sessions = turns = evidence = 0
    for sample in dataset.samples(notes):
        conversations.append(sample.conversation.id)
        sessions += len(sample.conversation.sessions)
        turns += sum(len(session.turns) for session in sample.conversation.sessions)
        questions.update(question.category for question in sample.questions)
        evidence += sum(len(question.evidence) for question in sample.questions)
    print(f"{dataset.benchmark.name}: {why}\nsha256 {dataset.sha256}")
    print(f"{len(conversations):,} conversations, {sessions:,} sessions, {turns:,} turns")
    print(f"{questions.total():,} questions, {evidence:,} evidence turns")
    for category in dataset.benchmark.categories:
        print(f"  {category:26} {questions[category]:>6,}")
    if notes.places:
        print("Oddities, and what was done:")
        for rule, places in sorted(notes.places.items(), key=lambda item: -len(item[1])):
            more = f" and {len(places) - examples:,} more" if len(places) > examples else ""
            print(f"  {len(places):>6,}  {rule}  [{', '.join(places[:examples])}{more}]")
    differences = dataset.differences(dict(questions), frozenset(conversations))
    for difference in differences:
        print(f"Differs from the published file: {difference}")
    if dataset.published_sha256:
        same = dataset.sha256 == dataset.published_sha256
        print("This is the published file." if same else "This is not the published file: its sha256 is another.")
    return not differences


def generate(style: str, out: Path | None, seed: int, conversations: int | None) -> None:
    """Writes synthetic dialogues in a benchmark's official file format."""
    from engram_eval.datasets.synthetic import write_json_array

    if out is None:
        raise UserError("datasets generate: no file to write; name one with --out FILE")
    generators = {g.style: g for name in registry.names("datasets") if (g := catalogue.benchmark(name).generator)}
    if style not in generators:
        raise UserError(f"--style {style}: there is no such style; name one of {', '.join(generators)}")
    generator = generators[style]
    try:
        write_json_array(generator.records(conversations or generator.conversations, seed), out)
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); name another file with --out") from None
    print(f"{out}: written; run it with: engram-eval run --data {out}")


# --- backends ---------------------------------------------------------------------------------------------------


def list_backends() -> None:
    for name in registry.names("backends"):
        backend = registry.resolve("backends", name)
        print(f"{name:14} {(inspect.getdoc(backend) or '').partition(chr(10))[0]}")
        for key, value in registry.settings_of(backend()).items():
            print(f"{'':14}   --set {name}.{key}={_plain(value)}")
        for preset, settings in getattr(backend, "presets", {}).items():
            print(
                f"{'':14}   {name}:{preset} is {', '.join(f'{key}={_plain(value)}' for key, value in settings.items())}"
            )


def _plain(value: object) -> str:
    """As `--set` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- doctor -----------------------------------------------------------------------------------------------------


def doctor() -> bool:
    """Prints one line a check. False if something that the embedded default needs is missing."""
    good = [_tell(name, check, needed=True) for name, check in _NEEDED.items()]
    for name, check in _OPTIONAL.items():
        _tell(name, check, needed=False)
    return all(good)


def _tell(name: str, check: Callable[[], str], *, needed: bool) -> bool:
    try:
        print(f"ok       {name}: {check()}")
        return True
    except (UserError, OSError) as error:
        print(f"{'MISSING' if needed else 'absent':8} {name}: {error}")
        return False


def _embedder() -> str:
    embedder = registry.resolve("embedders", "static")()
    return f"static, {embedder.dimensions} dimensions"


def _tokenizer() -> str:
    from engram_eval.language.tokens import token_counter

    return f"{token_counter().encoding}, embedded"


def _cache() -> str:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / ".probe"
    probe.write_text("")
    probe.unlink()
    return f"{folder}, writable"


def _locomo() -> str:
    return catalogue.benchmark("locomo").open(None, {}).origin


def _hub() -> str:
    require_network("https://huggingface.co", instead="LongMemEval needs a local file (--data, ENGRAM_EVAL_DATA)")
    return "reachable, LongMemEval can be fetched"


def _models() -> str:
    from engram_eval.llm.endpoint import endpoint_url
    from engram_eval.run.models import served_models, why_models

    if not why_models():
        raise UserError("neither OPENAI_API_KEY nor OPENAI_BASE_URL is set: reader and judge are the offline ones")
    found = served_models(Settings())
    return (
        f"{endpoint_url(None)} serves {', '.join(found[:8])}{' …' if len(found) > 8 else ''}"
        if found
        else (f"{endpoint_url(None)} is there, and does not say what it serves")
    )


_NEEDED = {"embedder": _embedder, "tokenizer": _tokenizer, "cache": _cache}
_OPTIONAL = {"LoCoMo": _locomo, "Hugging Face": _hub, "models": _models}
