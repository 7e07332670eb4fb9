"""Who the agent is: from arguments, the environment, or a file."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from ._issuer import parse_issuer
from ._secret import Secret
from ._sign_in import Identity
from ._text import is_printable, one_line
from .errors import ConfigurationError

FILE_VARIABLE = "AUTH_AGENT_CREDENTIALS_FILE"

_VARIABLES = {
    "issuer": "AUTH_AGENT_ISSUER",
    "agent_id": "AUTH_AGENT_ID",
    "agent_secret": "AUTH_AGENT_SECRET",
    "model": "AUTH_AGENT_MODEL",
}


@dataclass(frozen=True)
class Unusable:
    """What is given, and is no text or says nothing. It does not hold it."""


Given = Secret | Unusable | None
"""A setting, kept like a secret: none is to be seen in a traceback's variables. None is not given."""


@dataclass(frozen=True)
class _Source:
    where: str
    """As an error names it."""
    settings: Mapping[str, Given]
    is_file: bool = False

    def has(self, name: str) -> bool:
        return self.settings.get(name) is not None


def hide(value: object) -> Given:
    """Takes a setting, whatever it is. It raises nothing, as a traceback would show the setting."""
    if value is None:
        return None
    return Secret(value) if isinstance(value, str) and value.strip() else Unusable()


def from_arguments(given: Mapping[str, Given]) -> Identity:
    """An agent of which all is given.

    Raises:
        ConfigurationError: it names the argument at fault.
    """
    source = _Source("an argument", given)
    return _identity({name: _text(source, name) for name in given if source.has(name)})


def from_environment(overrides: Mapping[str, Given]) -> Identity:
    """What is not overridden is taken from the environment, then from the file that it names.

    Raises:
        ConfigurationError: it says what is missing and where it is looked for.
    """
    path = os.environ.get(FILE_VARIABLE)
    files = [_read_file(Path(path))] if path else []
    return _first_of(_Source("an argument", overrides), _environment(), *files)


def from_file(path: str | os.PathLike[str], overrides: Mapping[str, Given]) -> Identity:
    """What is not overridden is taken from the file, then from the environment.

    Raises:
        ConfigurationError: it says what is missing and where it is looked for.
    """
    try:
        where = Path(path)
    except TypeError:
        raise ConfigurationError("path must be the path of a file") from None
    return _first_of(_Source("an argument", overrides), _read_file(where), _environment())


def _first_of(*sources: _Source) -> Identity:
    """Takes each setting from the first source that has it, and what belongs together from one."""
    found: dict[str, Secret] = {}
    origin: dict[str, _Source] = {}
    for name, variable in _VARIABLES.items():
        source = next((source for source in sources if source.has(name)), None)
        if source is None:
            raise ConfigurationError(
                f"{name} is missing: set {variable}, or {name} in the file that "
                f"{FILE_VARIABLE} names"
            )
        found[name], origin[name] = _text(source, name), source
    of_id, of_secret = origin["agent_id"], origin["agent_secret"]
    if of_id is not of_secret:
        raise ConfigurationError(
            f"agent_id is of {of_id.where} and agent_secret of {of_secret.where}: "
            "give both in the same place"
        )
    # A secret goes to no issuer that came with another agent's.
    if origin["issuer"].is_file and of_secret is not origin["issuer"]:
        raise ConfigurationError(
            f"issuer is of {origin['issuer'].where} and agent_secret of {of_secret.where}: "
            "give issuer there too"
        )
    return _identity(found)


def _text(source: _Source, name: str) -> Secret:
    value = source.settings[name]
    if isinstance(value, Secret):
        return value
    raise ConfigurationError(
        f"{name} must be text that is not empty, which that of {source.where} is not"
    )


def _identity(settings: Mapping[str, Secret]) -> Identity:
    issuer = parse_issuer(settings["issuer"].reveal() if "issuer" in settings else None)
    for name in _VARIABLES:
        if name not in settings:
            raise ConfigurationError(f"{name} is missing")
    model = settings["model"].reveal()
    if len(model) > 128 or not is_printable(model):
        raise ConfigurationError("model must be 1 to 128 printable characters")
    return Identity(issuer, settings["agent_id"].reveal(), settings["agent_secret"], model)


def _environment() -> _Source:
    # A variable that is set to nothing is one that is not set, as everywhere.
    given = {name: hide(os.environ.get(variable) or None) for name, variable in _VARIABLES.items()}
    return _Source("the environment", given)


def _read_file(path: Path) -> _Source:
    """Reads the JSON that `auth-agent agent create --json` prints, `issuer` and `model` added."""
    fields = _parse(_read(path))
    if fields is None:
        raise ConfigurationError(
            f"{path} is not a JSON object: give what agent create --json printed"
        )
    source = _Source(str(path), fields, is_file=True)
    if source.has("agent_secret") or not source.has("secret_file"):
        return source
    secret = _read(path.parent / _text(source, "secret_file").reveal())
    return replace(source, settings={**fields, "agent_secret": hide(secret.reveal().strip())})


def _parse(text: Secret) -> Mapping[str, Given] | None:
    try:
        value: object = json.loads(text.reveal())
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    return {name: hide(field) for name, field in cast(dict[str, object], value).items()}


def _read(path: Path) -> Secret:
    try:
        return Secret(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
    except ValueError:  # a NUL in it
        reason = "that is no path"
    # Beyond the handler: a decoding error holds the bytes that it failed on.
    raise ConfigurationError(f"{one_line(path)} cannot be read: {reason}")
