"""The judge probe: how reliable the LLM judge of a run is, measured on answers whose right verdict is known.

`rewriting` reads and rewrites dates and numbers, `altered_answers` and `adversarial` make the answers, `sampling` chooses the
questions, and `measuring` asks the judge and counts its errors.
"""

from engram_eval.judges.probe.measuring import probe_judge, run_probe, summarise_probe
from engram_eval.judges.probe.sampling import Probe, make_probes

__all__ = ["Probe", "make_probes", "probe_judge", "run_probe", "summarise_probe"]
