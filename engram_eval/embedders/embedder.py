"""The interface of an embedder: texts in, vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


class Embedder(Protocol):
    name: str
    dimensions: int

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Rows of unit length in the order of `texts`, shape (len(texts), dimensions); all zeros for an empty text."""
        ...
