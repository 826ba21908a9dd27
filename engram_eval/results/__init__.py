"""What is on disk and nothing else: records, manifests and summaries, typed, and the folder of a run."""
