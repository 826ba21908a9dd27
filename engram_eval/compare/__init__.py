"""Finished runs side by side: pairing, paired tests, result tables, notes, and published figures."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engram_eval.compare.comparison import Comparison


class _CallableModule(ModuleType):
    """Makes the package callable: `engram_eval.compare` is a function, and must stay one after this package is imported."""

    def __call__(self, *runs: Any, **options: Any) -> "Comparison":
        from engram_eval.compare.runs import compare

        return compare(*runs, **options)


sys.modules[__name__].__class__ = _CallableModule
