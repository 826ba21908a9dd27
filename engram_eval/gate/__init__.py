"""The regression gate: a run's scores against a baseline's, question by question, by rules with a margin.

    [[rule]]
    metric = "evidence_recall"  # one of metrics()
    backend = "engram"          # as the baseline names it; "*", the default: every backend of the baseline
    category = "multi-hop"      # default: the headline categories
    margin = 0.01               # how much worse still passes, in the metric's own unit, or "5%" of the baseline's mean

A rule fails if the difference and its whole 95 % interval are worse than the margin. What cannot be compared (an empty or
unfinished run, new errors, another experiment) raises UserError and never passes.
"""

from engram_eval.gate.baseline import baseline_json, read_baseline, write
from engram_eval.gate.rule_result import RuleResult, check_rules, notes
from engram_eval.gate.rules import default_rules, read_rules
from engram_eval.gate.scores import metrics, scores

__all__ = [
    "RuleResult",
    "baseline_json",
    "check_rules",
    "default_rules",
    "metrics",
    "notes",
    "read_baseline",
    "read_rules",
    "scores",
    "write",
]
