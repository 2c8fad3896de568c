"""Checking the options that a family of networks asks for beside the settings of a region."""

from collections.abc import Iterable, Mapping

from boneage_roi.configs.schema import RegionConfig
from boneage_roi.errors import InputError

Value = bool | int | float | str


def refuse_options(config: RegionConfig, known: Iterable[str] = ()) -> None:
    """For a family: do nothing unless the settings have options that it lacks.

    Raises:
        InputError: an unknown option; the message lists the known ones.
    """
    names = tuple(known)
    for name in config.options:
        if name not in names:
            allowed = f"known are {', '.join(names)}" if names else "it has none"
            raise InputError(f"the network {config.network} has no option {name!r}; {allowed}")


def chosen_options(config: RegionConfig, defaults: Mapping[str, Value], **choices: tuple[str, ...]) -> dict[str, Value]:
    """A family's options, those of the settings over its defaults.

    Args:
        choices: the words that an option may be, for those that are one of a few.

    Raises:
        InputError: an unknown option, one of another kind than its default, or an unknown word.
    """
    refuse_options(config, defaults)
    for name, value in config.options.items():
        default = defaults[name]
        number = type(default) in (int, float) and type(value) in (int, float)
        if type(value) is not type(default) and not number:
            kind = {bool: "true or false", str: "a word"}.get(type(default), "a number")
            raise InputError(f"the network {config.network}: the option {name} is {value!r}; {kind} is needed")
        if type(value) in (int, float) and not isinstance(value, (bool, str)) and value < 0:
            raise InputError(f"the network {config.network}: the option {name} is {value}; 0 or more is needed")
        if name in choices and value not in choices[name]:
            raise InputError(f"the network {config.network}: {name} is {value!r}; known are {', '.join(choices[name])}")
    return {**defaults, **config.options}
