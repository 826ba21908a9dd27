"""Prompts of the user's own: files with named places, such as {question}, that are filled for each question.

A text file is one user message. A TOML file may have a system message too and, for a judge, messages for each category and
for unanswerable questions. What is filled in is never read for places itself. All other braces stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from engram_eval.errors import UserError
from engram_eval.language.prompt import Prompt
from engram_eval.system.files import read_text
from engram_eval.system.validation import validate_toml

Role = Literal["reader", "judge"]
ReplyName = Literal["plain", "label", "verdict"]
"""How a judge's reply is read; see judges/reply.py."""

_PLACES: dict[Role, tuple[str, ...]] = {
    "reader": ("question", "context", "date"),
    "judge": ("question", "gold", "answer", "date"),
}
_OPTIONAL = {"date"}
_PLACE = re.compile(r"\{\{(\w*)\}\}|\{(\w*)\}")
"""A place in braces, or doubled braces, which stand for the place's own text."""
_FIX = "see docs/prompts.md for the form of a prompt file"


@dataclass(frozen=True, slots=True)
class Template:
    """A text with places: `texts` has one more element than `places`, which stand between them."""

    texts: tuple[str, ...]
    places: tuple[str, ...]

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with each place replaced by its value, which is inserted as it is."""
        filled = [self.texts[0]]
        for place, text in zip(self.places, self.texts[1:], strict=True):
            filled += [values[place], text]
        return "".join(filled)


def parse_template(text: str) -> Template:
    """`{name}` is a place, and `{{name}}` the text `{name}`; a name is any word, or empty."""
    texts, places, end = [""], [], 0
    for match in _PLACE.finditer(text):
        texts[-1] += text[end : match.start()]
        end = match.end()
        if match[2] is None:
            texts[-1] += f"{{{match[1]}}}"
        else:
            places.append(match[2])
            texts.append("")
    texts[-1] += text[end:]
    return Template(tuple(texts), tuple(places))


@dataclass(frozen=True, slots=True)
class Messages:
    """The messages of one call. `system` is None if there is only a user message. `reply`: of a judge."""

    system: Template | None
    user: Template
    reply: ReplyName

    def fill(self, values: Mapping[str, str]) -> list[dict[str, str]]:
        system = [{"role": "system", "content": self.system.fill(values)}] if self.system else []
        return [*system, {"role": "user", "content": self.user.fill(values)}]


@dataclass(frozen=True, slots=True)
class PromptFile:
    """A prompt file that was read. `default`: the messages for all that has none of its own; None if the file has none."""

    path: Path
    prompt: Prompt
    """The whole file, whose hash is in the manifest."""
    default: Messages | None
    by_category: Mapping[str, Messages] = field(default_factory=dict)
    unanswerable: Messages | None = None
    lines: Mapping[str, int] = field(default_factory=dict)
    """The line of each category's table."""

    def messages_for(self, category: str, *, unanswerable: bool) -> Messages:
        """Those for a question, once `require_categories` has found that there are some for each category."""
        chosen = (self.unanswerable if unanswerable else None) or self.by_category.get(category, self.default)
        assert chosen is not None, "every category has messages"
        return chosen

    def require_categories(self, benchmark: str, categories: Collection[str]) -> None:
        """Raises UserError for a table of a category that the benchmark lacks, and for a category without messages."""
        known = ", ".join(categories)
        for name in self.by_category:
            if name not in categories:
                raise UserError(
                    f"{self.path}: line {self.lines[name]}: {benchmark} has no category {name!r}; it has {known}"
                )
        missing = [name for name in categories if name not in self.by_category]
        if self.default is None and missing:
            raise UserError(
                f"{self.path}: line 1: has no messages for the category {missing[0]!r} of {benchmark}; add "
                f'[category."{missing[0]}"], or a user message for all categories at the top of the file'
            )


def date_in_words(date: datetime | None) -> str:
    """What fills {date}: such as 8 May 2023."""
    return f"{date.day} {date:%B} {date.year}" if date else "unknown"


# --- the form of a TOML file ------------------------------------------------------------------------------------


class _ReaderFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    system: str | None = None
    user: str


class _JudgeTable(BaseModel):
    """What it does not say is taken from the top of the file."""

    model_config = ConfigDict(extra="forbid")

    system: str | None = None
    user: str
    reply: ReplyName | None = None


class _JudgeFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    system: str | None = None
    user: str | None = None
    reply: ReplyName = "plain"
    category: dict[str, _JudgeTable] = Field(default_factory=dict)
    unanswerable: _JudgeTable | None = None


# --- reading ----------------------------------------------------------------------------------------------------


def read_prompt_file(path: Path, role: Role) -> PromptFile:
    """Raises UserError, with file and line, for a place that is unknown or missing."""
    content = read_text(path, fix="name a text or TOML file with a prompt").replace("\r\n", "\n")
    if not content.strip():
        raise UserError(f"{path}: line 1: the file is empty; write a prompt, {_FIX}")
    checker = _Checker(path, role, content)
    prompt = Prompt(f"{role}_own", content)
    if path.suffix != ".toml":
        return PromptFile(path, prompt, checker.messages(None, content.removesuffix("\n")))
    if role == "reader":
        reader = validate_toml(_ReaderFile, content.encode(), where=str(path), fix=_FIX)
        return PromptFile(path, prompt, checker.messages(reader.system, reader.user))
    judge = validate_toml(_JudgeFile, content.encode(), where=str(path), fix=_FIX)
    if judge.user is None and not judge.category:
        raise UserError(f"{path}: line 1: has no 'user' message and no category; {_FIX}")

    def of_table(table: _JudgeTable, name: str, *, gold: bool = True) -> Messages:
        system = judge.system if table.system is None else table.system
        return checker.messages(system, table.user, table.reply or judge.reply, table=name, needs_gold=gold)

    return PromptFile(
        path,
        prompt,
        None if judge.user is None else checker.messages(judge.system, judge.user, judge.reply),
        {name: of_table(table, name) for name, table in judge.category.items()},
        of_table(judge.unanswerable, "unanswerable", gold=False) if judge.unanswerable else None,
        {name: checker.line_of_table(name) for name in judge.category},
    )


@dataclass(frozen=True, slots=True)
class _Checker:
    path: Path
    role: Role
    content: str

    def messages(
        self, system: str | None, user: str, reply: ReplyName = "plain", *, table: str = "", needs_gold: bool = True
    ) -> Messages:
        """The messages of one table. An unanswerable question may have no gold, so its prompt needs no place for it."""
        templates = [parse_template(text) for text in (system, user) if text is not None]
        known = _PLACES[self.role]
        present = {place for template in templates for place in template.places}
        start = self.line_of_table(table) if table else 1
        for place in sorted(present):
            if place not in known:
                raise UserError(
                    f"{self.path}: line {self._line(f'{{{place}}}', start)}: {{{place}}} is not a place of a {self.role}'s "
                    f"prompt; its places are {_in_braces(known)}, and {{{{{place}}}}} stands for the text {{{place}}}"
                )
        for place in known:
            if place not in present and place not in _OPTIONAL and (needs_gold or place != "gold"):
                raise UserError(
                    f"{self.path}: line {start}: this prompt has no place {{{place}}}; write it where the {place} belongs"
                )
        return Messages(templates[0] if system is not None else None, templates[-1], reply)

    def line_of_table(self, name: str) -> int:
        """The line of [category.NAME] or [unanswerable]; 1 if the file writes its tables in another way."""
        header = re.compile(rf"""\s*\[\s*(category\s*\.\s*)?(["']?){re.escape(name)}\2\s*\]""")
        return next((n for n, line in enumerate(self.content.split("\n"), start=1) if header.match(line)), 1)

    def _line(self, text: str, start: int) -> int:
        """The first line from `start` on that holds the text; `start` if a TOML escape hides it."""
        lines = enumerate(self.content.split("\n"), start=1)
        return next((number for number, line in lines if number >= start and text in line), start)


def _in_braces(places: Collection[str]) -> str:
    return ", ".join(f"{{{place}}}" for place in places)
