"""From records to figures: one small file per measure, the statistics, and the summary of a run."""
