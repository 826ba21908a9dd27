"""From settings to records: a run is planned first, then one loop asks, answers, judges and records every question."""
