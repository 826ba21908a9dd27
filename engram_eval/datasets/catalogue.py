"""The benchmarks by name, and which one a file belongs to."""

from __future__ import annotations

from pathlib import Path

from engram_eval import registry
from engram_eval.datasets.benchmark import Benchmark
from engram_eval.errors import UserError
from engram_eval.system.file_format import HEAD, refuse_other_formats
from engram_eval.system.json_input import unreadable

_HEAD = 1 << 20


def benchmark(name: str) -> Benchmark:
    """The benchmark with this name, or the object at `package.module:OBJECT`. Raises UserError if there is none."""
    value = registry.resolve("datasets", name)
    if not isinstance(value, Benchmark):
        raise UserError(
            f"dataset {name!r} is {type(value).__name__!r} and not a Benchmark; "
            "declare one as in engram_eval/datasets/locomo/benchmark.py"
        )
    return value


def benchmark_like(name: str) -> Benchmark:
    """The benchmark of that name, or the first one whose name begins with it: `longmemeval` is `longmemeval_s`.

    Case and `-` for `_` do not matter. Raises UserError if there is none. For names in data files: it imports registered
    names only, never a `package.module:OBJECT`.
    """
    plain = name.lower().replace("-", "_")
    names = registry.names("datasets")
    known = [known for known in names if known == plain] or [known for known in names if known.startswith(f"{plain}_")]
    if not known:
        raise UserError(f"there is no dataset {name[:80]!r}; name one of {', '.join(names)}")
    return benchmark(known[0])


def recognise(path: Path) -> Benchmark:
    """The benchmark whose format a file or folder is in.

    Built-in benchmarks are tried first, in the registry's order, then those of installed packages by name; the first
    that recognises the file wins. So an installed package cannot change what a known file is, and is imported only for
    files that are not. Raises UserError if the file cannot be read or no benchmark recognises it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except IsADirectoryError:
        head = b""
    except OSError as error:
        raise unreadable(path, error) from None
    for name in registry.names("datasets"):
        try:
            candidate = benchmark(name)
        except UserError:
            continue  # an installed package that cannot be imported must not keep others from being recognised
        if candidate.recognises(head, path):
            return candidate
    if not path.is_dir():
        refuse_other_formats(path, head[:HEAD])
    raise UserError(
        f"{path}: its format is not recognised; name the format with --dataset ({', '.join(registry.names('datasets'))})"
    )
