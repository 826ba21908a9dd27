"""Addressing, gate and kernel of `conditional`, compared with an independent implementation of the published layer.

ONNX Runtime has the layer's parts as operators (`com.microsoft`: NGramHashMapping, EngramGate, CausalConvWithState).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from engram_eval.backends.conditional.addressing import HEADS, ORDERS, Ids, multipliers, ngrams, primes_above
from engram_eval.backends.conditional.scoring import Spread, gate, spread_scores
from engram_eval.backends.conditional.tables import Tables


@cache
def _operator(
    name: str, inputs: tuple[str, ...], kind: int, *more: str, **attributes: Any
) -> onnxruntime.InferenceSession:
    """A model of one operator. `inputs` and `out` have the tensor type `kind`; `more` are outputs that are not used."""
    node = helper.make_node(name, inputs, ["out", *more], domain="com.microsoft", **attributes)
    values = [helper.make_tensor_value_info(value, kind, None) for value in inputs]
    graph = helper.make_graph([node], name, values, [helper.make_tensor_value_info("out", kind, None)])
    domains = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=10)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def _published_hashes(text: list[int], odd: Ids, primes: Ids) -> npt.NDArray[Any]:
    """Shape (tokens, orders 2 and 3, heads). `primes` has shape (orders, heads)."""
    operator = _operator(
        "NGramHashMapping",
        ("ids", "odd", "primes"),
        TensorProto.INT64,
        max_ngram_size=3,
        n_head_per_ngram=HEADS,
        pad_id=0,
    )
    (hashes,) = operator.run(None, {"ids": np.array([text], np.int64), "odd": odd, "primes": primes.ravel()})
    return np.asarray(hashes).reshape(len(text), 2, HEADS)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=12), st.integers(0, 2**32))
def test_hashes_equal_those_of_the_published_layer(text: list[int], seed: int) -> None:
    odd = multipliers(seed)
    primes = np.array(primes_above((1 << 16, 1 << 20)))
    published = _published_hashes(text, odd, primes)
    for order, (mixes, _) in zip(ORDERS, ngrams([text], odd), strict=True):
        if order > 1:  # single words are our own addition
            ours = {tuple(row) for row in (mixes[:, None] % primes[order - 2]).tolist()}
            assert ours == {tuple(row) for row in published[order - 1 :, order - 2].tolist()}


def test_a_turn_is_in_the_buckets_that_the_published_layer_names(tmp_path: Path) -> None:
    text = [5, 2**32 - 1, 77, 123_456_789]
    tables = Tables(tmp_path / "tables", seed=3)
    tables.add([[9], text])  # turn 1
    tables.flush()
    sections = tables._sections[1:]
    published = _published_hashes(text, multipliers(3), np.array([section.primes for section in sections]))
    for order, section in zip(ORDERS[1:], sections, strict=True):
        holders = np.flatnonzero((section.rows[:, 2:] == 1 + 1).any(axis=1))  # turns are stored plus one
        expected = published[order - 1 :, order - 2] + section.starts
        assert holders.tolist() == sorted(expected.ravel().tolist())
    tables.close()


def test_prime_sizes_equal_those_of_the_published_demo() -> None:
    # what engram_demo_v1.py computes for its first layer: tables of 5 x 129,280 entries
    assert primes_above((646_400, 646_400)) == [
        [646403, 646411, 646421, 646423, 646433, 646453, 646519, 646523],
        [646537, 646543, 646549, 646571, 646573, 646577, 646609, 646619],
    ]


def test_the_gate_equals_that_of_the_published_layer() -> None:
    x = np.concatenate([[0.0, 1e-8, -1e-8], np.random.default_rng(0).normal(0, 3, 200)])
    heads = len(x)
    # With one number per head, which is 1, the norms are 1 and their product is the key's scale, x: the gate of x.
    one = np.ones((1, 1, heads, 1), np.float32)
    names = ("key", "query", "value", "key_norm_scale", "query_norm_scale")
    operator = _operator("EngramGate", names, TensorProto.FLOAT, epsilon=0.0)
    inputs = one, one, one[0, 0, :1][None], x[:, None].astype(np.float32), one[0, 0]
    (gates,) = operator.run(None, dict(zip(names, inputs, strict=True)))
    assert gate(x) == pytest.approx(np.asarray(gates).ravel(), abs=1e-6)


@given(st.lists(st.floats(0, 8, width=32), min_size=1, max_size=40), st.floats(0, 1))
def test_the_kernel_is_a_causal_convolution_of_the_published_width_and_dilation(
    scores: list[float], share: float
) -> None:
    turns = np.arange(len(scores))
    spread = spread_scores(turns, np.zeros_like(turns), np.array(scores), Spread(kernel=share, after=0, before=0))
    operator = _operator("CausalConvWithState", ("input", "weight"), TensorProto.FLOAT, "state", dilation=3)
    weight = np.array([[[share / 4, share / 3, share / 2, 1]]], np.float32)  # the last tap is the turn itself
    (expected,) = operator.run(None, {"input": np.array([[scores]], np.float32), "weight": weight})
    assert spread == pytest.approx(np.asarray(expected).ravel(), abs=1e-5)
