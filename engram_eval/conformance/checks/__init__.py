"""All checks, in the order in which they run. To add one, add it to the list of its group, or a group to the list below."""

from engram_eval.conformance.check import Check
from engram_eval.conformance.checks import budget, embedding, ending, finding, interface, isolation, oddities, outside

ALL_CHECKS: tuple[Check, ...] = (
    *interface.CHECKS,
    *finding.CHECKS,
    *budget.CHECKS,
    *isolation.CHECKS,
    *oddities.CHECKS,
    *embedding.CHECKS,
    *outside.CHECKS,
    *ending.CHECKS,
)

__all__ = ["ALL_CHECKS"]
