"""The base of all values on disk: they are typed, frozen, checked when they are read, and have a format version."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from engram_eval.errors import UserError
from engram_eval.system.validation import validate_json

FORMAT = 2
"""Of manifests, records, summaries and baselines. Raise it when a reader of the old form would misread the new one."""


def encodable(text: Any) -> Any:
    """Text that every UTF-8 consumer can take: half of a surrogate pair (as in a strange file name) becomes its escape."""
    if isinstance(text, str) and not text.isascii():
        return text.encode("utf-8", "backslashreplace").decode()
    return text


Text = Annotated[str, BeforeValidator(encodable)]

Interval = tuple[float, float]
"""The two ends of a 95 % interval."""


class Stored(BaseModel):
    """A value that is written to disk as JSON. Equal values are written as equal bytes."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", populate_by_name=True, protected_namespaces=())

    @classmethod
    def read(cls, content: bytes, where: str, fix: str) -> Self:
        """The value that is stored in `content`. Raises UserError, which names `where` and ends in `fix`."""
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            if format_fault := _describe_format(error, fix):
                raise UserError(f"{where}: {format_fault}") from None
        return validate_json(cls, content, where=where, fix=fix)  # which says what is wrong

    def write(self, *, indent: int | None = None) -> bytes:
        """As UTF-8 JSON."""
        return self.model_dump_json(indent=indent, by_alias=True).encode()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return self.model_dump(mode="json", by_alias=True)


def _describe_format(error: ValidationError, fix: str) -> str:
    """The fault of the format version and how to fix it; an empty text if the version is right."""
    for fault in error.errors(include_url=False):
        if fault["loc"] == ("format",):
            number = None if fault["type"] == "missing" else fault["input"]
            written = "an older format" if number is None else f"format {number!r:.20}"
            if isinstance(number, int) and number > FORMAT:
                fix = "install a newer engram_eval"
            return f"is in {written}, and this version of engram_eval reads format {FORMAT}; {fix}"
    return ""


def check_format(number: int) -> int:
    if number != FORMAT:
        raise ValueError(f"not format {FORMAT}")
    return number
