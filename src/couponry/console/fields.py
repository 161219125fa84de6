"""Fields of forms that offer a few values by their labels."""

from collections.abc import Mapping, Sequence
from typing import Any

from wtforms import RadioField, SelectField, SelectMultipleField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined] # the stubs are of the version before
from wtforms.widgets import CheckboxInput, ListWidget


class Choice(SelectField):
    """One of a few, from a list."""

    def __init__(self, label: str, offered: Mapping[str, str], guards: Sequence[Any] = (), **more: Any) -> None:  # noqa: ANN401 - as WTForms has it
        super().__init__(label, [*guards], choices=_choices(offered), **more)

    def offer(self, offered: Mapping[str, str]) -> None:
        """Other values than the form's class could know."""
        self.choices = _choices(offered)


class Options(RadioField):
    """One of a few, all of which are seen."""

    def __init__(self, label: str, offered: Mapping[str, str], guards: Sequence[Any] = (), **more: Any) -> None:  # noqa: ANN401 - as WTForms has it
        super().__init__(label, [*guards], choices=_choices(offered), **more)


class Choices(SelectMultipleField):
    """Several of a few, each with a box to tick."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()

    def __init__(self, label: str, offered: Mapping[str, str], guards: Sequence[Any] = (), **more: Any) -> None:  # noqa: ANN401 - as WTForms has it
        super().__init__(label, [*guards], choices=_choices(offered), **more)


def _choices(offered: Mapping[str, str]) -> list[Any]:
    return [SelectChoice(value, text) for value, text in offered.items()]
