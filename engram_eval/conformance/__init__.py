"""Tries a memory out on small synthetic dialogues, and says in plain sentences whether it does what a run relies on.

    from engram_eval.conformance import checks_of

    @pytest.mark.parametrize("check", checks_of("my_memory:MyBackend"), ids=str)
    def test_my_memory(check):
        check()

`check` and `checks/` declare what is checked, `trial` opens the memories, `worker` runs checks in a process of its own, and
`supervisor` ends that process if it hangs and starts another if it dies.
"""

from engram_eval.conformance.supervisor import Supervisor, checks_of

__all__ = ["Supervisor", "checks_of"]
