"""What `retrieve` returned, as the context that a run would measure."""

from __future__ import annotations

from engram_eval.conformance.failed import Failed
from engram_eval.types import Context, Item


def as_context(returned: object) -> Context:
    """Raises Failed for what a run cannot measure."""
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
