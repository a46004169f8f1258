"""The values of all controls of one figure, frozen: what is drawn, and the code that draws it, follow from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

from scatter_theory.plot._display import Display

S = TypeVar("S", bound="Settings")


@dataclass(frozen=True)
class Control:
    """What one setting may be.

    Parameters
    ----------
    label : str
        Words, and the letter of the formulas.
    values : tuple
        All that may be chosen, in the order of the slider: numbers, or strings for a menu.
    default : number or str
        One of the values.
    unit : str
        Unit of a number; "" for names, counts and pure numbers.
    """

    label: str
    values: tuple[Any, ...]
    default: Any
    unit: str = ""

    @property
    def title(self) -> str:
        """Label with unit."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label

    def check(self, argument: str, value: Any) -> None:
        """Raise unless the value is one of those that may be chosen."""
        if isinstance(value, bool) or value not in self.values:
            listed = ", ".join(map(repr, self.values))
            unit = f" (in {self.unit})" if self.unit else ""
            raise ValueError(f"`{argument}`: got {value!r}, expected one of {listed}{unit} beside the other settings.")


@dataclass(frozen=True)
class Settings(ABC):
    """Values of the controls of a figure.

    A subclass is a frozen dataclass. What a field may be depends on the fields before it: `control` says so. A field
    without a control is None; None for one with a control becomes the default.

    Attributes
    ----------
    name : str
        Function of `explore` that makes the figure.
    """

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def control(cls, field: str, before: Mapping[str, Any]) -> Control | None:
        """The control of a field beside the values of the fields before it; None where it has no meaning."""

    @abstractmethod
    def display(self) -> Display:
        """The display, computed and not drawn."""

    @abstractmethod
    def code(self) -> str:
        """Python lines that compute the same `display` and draw it."""

    def __post_init__(self) -> None:
        before: dict[str, Any] = {}
        for field in fields(self):
            control, value = self.control(field.name, before), getattr(self, field.name)
            argument = f"explore.{self.name}({field.name}=...)"
            if control is None:
                if value is not None:
                    first, chosen = next(iter(before.items()))
                    raise ValueError(
                        f"`{argument}`: got {value!r}, but with {first}={chosen!r} there is nothing that it could "
                        "set. Leave it out."
                    )
            elif value is None:
                object.__setattr__(self, field.name, control.default)
            else:
                control.check(argument, value)
            before[field.name] = getattr(self, field.name)

    @property
    def controls(self) -> dict[str, Control]:
        """Controls that have a meaning beside these values, by field."""
        values = self.values
        every = {name: self.control(name, values) for name in values}
        return {name: control for name, control in every.items() if control is not None}

    @property
    def values(self) -> dict[str, Any]:
        """Value by field."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def changed(self: S, name: str, value: Any) -> S:
        """With another value of one field; fields after it that cannot keep theirs take the default."""
        if name not in self.values:
            raise TypeError(f"`explore.{self.name}`: got a setting {name!r}, expected one of {', '.join(self.values)}.")
        before: dict[str, Any] = {}
        for field, old in self.values.items():
            control = self.control(field, before)
            if field == name:
                before[field] = value
            elif control is None:
                before[field] = None
            else:
                before[field] = old if old in control.values else control.default
            if field == name and control is not None:
                control.check(f"explore.{self.name}({field}=...)", value)
        return type(self)(**before)


def call(name: str, arguments: Mapping[str, Any]) -> str:
    """Source of a call."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
