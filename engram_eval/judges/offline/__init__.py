"""The offline judge: no key, no network, the same verdict every time.

`judge` decides: first by rule (empty answers, `abstention`), then by a logistic model over the features of `features`. The
features of each kind of gold answer have a file: `date_rule`, `number_rule`, `yes_no_rule` and `text_rule`. They compare
texts that `cleaning` and `parsed_text` (with `spelling` and `numbers`) have prepared.
"""
