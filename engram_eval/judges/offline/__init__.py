"""The offline judge: no key, no network, the same verdict every time.

`judge` decides on every reading of an answer (`readings`, `commitment`): first by form (empty, `abstention`, `echo`,
`digression`), then by a logistic model over the features of `features`. The rule of each kind of gold answer has a file:
`date_rule`, `number_rule`, `yes_no_rule` and `text_rule` (with `alignment` and `word_vectors`); each returns a
`rule_result`. They compare texts that `cleaning` and `parsed_text` (with `spelling` and `numbers`) have prepared.
"""
