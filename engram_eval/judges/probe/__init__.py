"""The judge probe: what the LLM judge of a run is worth, by answers whose right verdict is known.

`rewriting` rewrites golds, `altered_answers` makes the three answers, `sampling` chooses the questions, asks the judge
and counts.
"""

from engram_eval.judges.probe.sampling import (
    Probe,
    ProbeResult,
    make_probes,
    probe_judge,
    probe_note,
    run_probe,
    summarise_probe,
)

__all__ = ["Probe", "ProbeResult", "make_probes", "probe_judge", "probe_note", "run_probe", "summarise_probe"]
