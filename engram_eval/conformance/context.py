"""What `retrieve` returned, as the context that a run would measure."""

from __future__ import annotations

from engram_eval.backends.packing import packed
from engram_eval.conformance.failed import Failed
from engram_eval.language.tokens import TokenCounter
from engram_eval.types import Context, Item


def as_context(returned: object, budget: int | None, tokens: TokenCounter) -> Context:
    """Hits are packed, as in a run. Raises Failed for what a run cannot measure."""
    try:
        returned = packed(returned, budget, tokens.count)
    except TypeError as error:
        raise Failed(f"{error}; return engram_eval.Hit(text, (turn_id, ...)) for each, or texts") from None
    if not isinstance(returned, Context):
        raise Failed(
            f"retrieve returned {type(returned).__name__} and not a Context; return engram_eval.Context(text, items)"
        )
    if not isinstance(returned.text, str):
        raise Failed(f"the text of the Context is {type(returned.text).__name__} and not str; put a str there")
    for item in returned.items:
        if not isinstance(item, Item) or not isinstance(item.turn_ids, tuple):
            raise Failed(
                f"an item of the Context is {item!r:.100}; make each an engram_eval.Item((turn_id, ...), score), "
                "with a tuple of turn ids even for a single one"
            )
    return returned
