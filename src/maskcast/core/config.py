"""Settings: frozen dataclasses, written as JSON and changed by ``NAME=VALUE``.

A setting has a dotted name, such as ``few_shot_learner.update_steps``; an ending of it is enough
where it is unique in the config. Types: bool, int, float, str, Path, Literal, Enum, ``X | None``,
tuples of these, and nested configs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from itertools import pairwise
from math import inf
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from maskcast.core.errors import ConfigError
from maskcast.core.field_docs import descriptions_of

Config = TypeVar("Config")

MOST_NAMES = 8
"""Settings that an error about an unknown one lists."""
EARLIER_NAME = "earlier_name"
"""Key in the metadata of a field; see ``called_before``."""


@dataclass(frozen=True)
class Setting:
    """One setting of a config, as a help text shows it."""

    name: str
    """Dotted name, starting at the outermost config."""
    type_name: str
    value: Any
    description: str


def config_to_dict(config: Any) -> dict[str, Any]:
    """Return the config as plain dictionaries, lists, numbers, strings and None, for JSON."""
    return {
        field.name: _plain(getattr(config, field.name))
        for field in dataclasses.fields(config)
        if field.init
    }


def config_from_dict(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """Rebuild a config from the output of ``config_to_dict``; missing settings take their defaults.

    Raises:
        ConfigError: a name is unknown, or a value does not fit its type or its range.
    """
    config: Config = _from_dict(kind, values, "")
    return config


def called_before(name: str) -> Mapping[str, str]:
    """Return metadata for the field of a setting that was renamed: files may have the old name."""
    return {EARLIER_NAME: name}


def require_range(
    config: Any,
    *names: str,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    prefix: str = "",
) -> None:
    """Check the range of numeric settings; None is accepted, and of a tuple every item is checked.

    Args:
        config: the object whose attributes are checked, usually ``self`` in ``__post_init__``.
        names: the attributes to check.
        least: smallest allowed value.
        above: value that must be exceeded.
        most: largest allowed value.
        below: value that must not be reached; ``math.inf`` requires finite numbers.
        prefix: text put before the name in the message, such as ``"crop."``.

    Raises:
        ConfigError: a value is outside the range, or not a number (NaN).
    """
    for name in names:
        value = getattr(config, name)
        for number in value if isinstance(value, tuple) else (value,):
            if number is None:
                continue
            low = (least is None or number >= least) and (above is None or number > above)
            high = (most is None or number <= most) and (below is None or number < below)
            if not (low and high):
                required = _range_in_words(least, above, most, below)
                raise ConfigError(
                    f"{prefix}{name} must be {required}, got {value}", options=(prefix + name,)
                )


def require_choice(config: Any, *names: str) -> None:
    """Check that settings have one of the values that their ``Literal`` type lists.

    Configs from text or JSON are checked when they are read; this check is for configs that are
    created in Python.

    Raises:
        ConfigError: a value is not listed.
    """
    hints = _hints(type(config))
    for name in names:
        value = getattr(config, name)
        if value not in get_args(hints[name]):
            raise ConfigError(
                f"{name} must be {_type_name(hints[name])}, got {value!r}", options=(name,)
            )


def require_rising(config: Any, *names: str, prefix: str = "") -> None:
    """Check that the values of tuple settings never decrease.

    Raises:
        ConfigError: a value is less than the one before it.
    """
    for name in names:
        value = getattr(config, name)
        if any(after < before for before, after in pairwise(value)):
            raise ConfigError(
                f"{prefix}{name} must go from low to high, got {value}", options=(prefix + name,)
            )


def _range_in_words(
    least: float | None, above: float | None, most: float | None, below: float | None
) -> str:
    if (above, below) == (-inf, inf):
        return "finite"
    lowest = f"[{least}" if least is not None else f"({above}"
    highest = f"{most}]" if most is not None else f"{below})"
    has_low, has_high = (least, above) != (None, None), (most, below) != (None, None)
    if has_low and has_high and below != inf:
        return f"in {lowest}, {highest}"
    finite = "finite and " if below == inf else ""
    if has_low:
        return finite + (f"at least {least}" if least is not None else f"greater than {above}")
    return f"at most {most}" if most is not None else f"less than {below}"


def in_words(value: Any) -> str:
    """Format a value of a config or run card in one line, such as ``end: 16, dtype: float32``."""
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_enclosed(inner)}" for name, inner in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(_enclosed(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _enclosed(value: Any) -> str:
    nested = isinstance(value, (Mapping, list, tuple)) and len(value) > 0
    return f"({in_words(value)})" if nested else in_words(value)


def with_options(config: Config, options: Mapping[str, str]) -> Config:
    """Return the config with some settings replaced by values given as text.

    Raises:
        ConfigError: a name is unknown or ambiguous, or a value does not fit its type or range.
    """
    for short_name, text in options.items():
        name = full_name(config, short_name)
        config = _replaced(config, name.split("."), text, name)
    return config


def options_from(texts: Iterable[str]) -> dict[str, str]:
    """Split texts of the form ``NAME=VALUE``; if a name occurs twice, the last value counts.

    Raises:
        ConfigError: there is no ``=``, or no name before it.
    """
    options: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"invalid setting {text!r}; write NAME=VALUE", options=("option",))
        options[name.strip()] = value.strip()
    return options


def settings_of(config: Any) -> Iterator[Setting]:
    """Yield every setting in order of declaration; nested ones have dotted names."""
    hints, descriptions = _hints(type(config)), descriptions_of(type(config))
    for field in dataclasses.fields(config):
        if not field.init:
            continue
        value = getattr(config, field.name)
        if _is_config(value):
            for inner in settings_of(value):
                yield dataclasses.replace(inner, name=f"{field.name}.{inner.name}")
        else:
            description = descriptions.get(field.name, "")
            yield Setting(field.name, _type_name(hints[field.name]), value, description)


def full_name(config: Any, short_name: str) -> str:
    """Return the dotted name of a setting that is given by its name or a unique ending.

    Raises:
        ConfigError: the name is unknown or means several settings.
    """
    known = [setting.name for setting in settings_of(config)]
    if short_name in known:
        return short_name
    endings = [name for name in known if name.endswith(f".{short_name}")]
    if len(endings) == 1:
        return endings[0]
    if endings:
        raise ConfigError(
            f"ambiguous setting {short_name!r}; give the full name: {' or '.join(endings)}",
            options=("option",),
        )
    close = get_close_matches(short_name, known, n=2)
    shown = [name for name in known if not name.startswith("network.")]  # the weights fix these
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    elif len(shown) <= MOST_NAMES:
        hint = f"available: {', '.join(shown) or 'none'}"
    else:
        hint = "no setting has a similar name; the information on the method lists all"
    raise ConfigError(
        f"unknown setting {short_name!r}; {hint}",
        options=("option",),
    )


def _replaced(config: Any, path: list[str], text: str, name: str) -> Any:
    first, *rest = path
    if rest:
        value = _replaced(getattr(config, first), rest, text, name)
    else:
        value = _parsed(_hints(type(config))[first], text, name)
    return dataclasses.replace(config, **{first: value})


def _parsed(hint: Any, text: str, name: str) -> Any:
    """Parse one value from text; the types of a union are tried in order."""
    text = text.strip()
    for kind in _alternatives(hint):
        try:
            return _parsed_as(kind, text)
        except (ValueError, KeyError):
            continue
    raise ConfigError(f"{name} must be {_type_name(hint)}, got {text!r}", options=(name,))


_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True} | {
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def _parsed_as(kind: Any, text: str) -> Any:  # noqa: PLR0911 - one line per type
    if kind is NoneType:
        return {"none": None}[text.lower()]
    if kind is bool:
        return _BOOLEANS[text.lower()]
    if kind is int:
        return int(text)
    if kind is float and not math.isnan(float(text)):
        return float(text)
    if kind in (str, Path):
        return kind(text)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(member for member in kind if text in (member.name, str(member.value)))
    if get_origin(kind) is Literal:
        return {str(choice): choice for choice in get_args(kind)}[text]
    if get_origin(kind) is tuple:
        parts = [part for part in text.strip("()[]").split(",") if part.strip()]
        kinds = _item_kinds(kind, len(parts))
        return tuple(_parsed(k, part, "") for k, part in zip(kinds, parts, strict=True))
    raise ValueError(f"no text form for {kind}")


def _from_dict(kind: Any, values: Mapping[str, Any], prefix: str) -> Any:
    hints = _hints(kind)
    known = {field.name for field in dataclasses.fields(kind) if field.init}
    renamed = {
        field.metadata[EARLIER_NAME]: field.name
        for field in dataclasses.fields(kind)
        if EARLIER_NAME in field.metadata
    }
    values = {renamed.get(name, name): value for name, value in values.items()}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(
            f"unknown settings in {kind.__name__}: {', '.join(prefix + name for name in unknown)}; "
            f"available: {', '.join(sorted(known))}"
        )
    return kind(**{n: _restored(hints[n], value, prefix + n) for n, value in values.items()})


def _restored(hint: Any, value: Any, name: str) -> Any:  # noqa: PLR0911 - one line per type
    for kind in _alternatives(hint):
        if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
            return _from_dict(kind, value, name + ".")
        if get_origin(kind) is tuple and isinstance(value, (list, tuple)):
            try:
                kinds = _item_kinds(kind, len(value))
            except ValueError as error:
                raise ConfigError(f"{name} {error}, got {value!r}") from error
            return tuple(_restored(k, v, name) for k, v in zip(kinds, value, strict=True))
        if get_origin(kind) is Literal and value in get_args(kind):
            return value
        if get_origin(kind) in (dict, Mapping) or _is_mapping(kind):
            return dict(value)
        if kind is float and _is_number(value):
            return float(value)
        if kind is Path and isinstance(value, str):
            return Path(value)
        if isinstance(kind, type) and issubclass(kind, Enum) and value in list(map(_plain, kind)):
            return kind(value)
        if isinstance(kind, type) and type(value) is kind and kind is not float:
            return value
    raise ConfigError(f"{name} must be {_type_name(hint)}, got {value!r}")


def _is_number(value: Any) -> bool:
    kinds = isinstance(value, (int, float)) and not isinstance(value, bool)
    return kinds and not math.isnan(value)


def _is_mapping(kind: Any) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the types of a union, None first, because it accepts the fewest texts."""
    if get_origin(hint) in (Union, UnionType):
        return tuple(sorted(get_args(hint), key=lambda kind: kind is not NoneType))
    return (hint,)


def _item_kinds(kind: Any, count: int) -> tuple[Any, ...]:
    kinds = get_args(kind)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return (kinds[0],) * count
    if len(kinds) != count:
        raise ValueError(f"must have {len(kinds)} values")
    return kinds


def _plain(value: Any) -> Any:
    if _is_config(value):
        return config_to_dict(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def _is_config(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _type_name(hint: Any) -> str:
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_type_name(kind) for kind in get_args(hint))
    if hint is NoneType:
        return "none"
    if get_origin(hint) is Literal:
        return " or ".join(str(choice) for choice in get_args(hint))
    if get_origin(hint) is tuple:
        kinds = [kind for kind in get_args(hint) if kind is not Ellipsis]
        return ", ".join(_type_name(kind) for kind in kinds) + (", …" if len(kinds) == 1 else "")
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " or ".join(str(member.value) for member in hint)
    names = {bool: "true or false", int: "an integer", float: "a number", str: "text"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)
