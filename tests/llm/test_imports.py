"""What the package offers to other rooms, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import engram_eval.llm


def test_every_listed_name_can_be_imported() -> None:
    assert set(engram_eval.llm.__all__) == set(engram_eval.llm._MODULES)
    for name in engram_eval.llm.__all__:
        assert getattr(engram_eval.llm, name).__name__ == name


def test_an_offline_run_does_not_load_the_sdk() -> None:
    code = (
        "import sys; import engram_eval.embedders.cached, engram_eval.llm.cost.metering, engram_eval.llm.endpoint\n"
        "from engram_eval.llm import LLMError, LLMSettings\n"
        "assert 'openai' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
