"""How a setting is declared: once, with all that loader, help and documentation need."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass(frozen=True)
class Declaration:
    """How one setting is read.

    `env` are the contract's variable names (first wins); `parse` turns what was given into the
    field's type and raises ValueError saying what is allowed ("must be …"); `minimum` and
    `maximum` are inclusive bounds; `secret` masks the value wherever it would be shown;
    `required` means that a host does not start while it is empty.
    """

    help: str
    env: Sequence[str] = ()
    parse: Callable[[Any], Any] | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: Sequence[str] = ()
    secret: bool = False
    required: bool = False


def setting(default: T, help: str, **options: Any) -> T:
    """A field of a settings section with its default, meaning and :class:`Declaration` options."""
    declaration = Declaration(help=help, **options)
    field: T = dataclasses.field(default=default, metadata={"setting": declaration})
    return field


@dataclass_transform(frozen_default=True)
def section(name: str) -> Callable[[type[T]], type[T]]:
    """Class decorator: makes a frozen dataclass the settings section `name` (its TOML table)."""

    def mark(cls: type[T]) -> type[T]:
        frozen: type[T] = dataclass(frozen=True)(cls)
        frozen.__section__ = name  # type: ignore[attr-defined]
        return frozen

    return mark


def section_name(cls: type) -> Any:
    """The TOML table of a section, empty for the general settings; None when it is no section."""
    return getattr(cls, "__section__", None)


def section_fields(cls: type) -> dict[str, Declaration]:
    """A section's settings by name, in their order."""
    return {field.name: field.metadata["setting"] for field in dataclasses.fields(cls)}
