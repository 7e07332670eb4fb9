"""Who the agent is: from arguments, the environment, or a file."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from ._issuer import parse_issuer
from ._secret import Secret
from ._sign_in import Identity
from ._text import is_printable
from .errors import ConfigurationError

FILE_VARIABLE = "AUTH_AGENT_CREDENTIALS_FILE"

_VARIABLES = {
    "issuer": "AUTH_AGENT_ISSUER",
    "agent_id": "AUTH_AGENT_ID",
    "agent_secret": "AUTH_AGENT_SECRET",
    "model": "AUTH_AGENT_MODEL",
}


_Settings = Mapping[str, Secret]
"""By name. All values are kept like secrets: none is to be seen in a traceback's variables."""


def from_arguments(given: Mapping[str, str | None]) -> Identity:
    """An agent of which all is given.

    Raises:
        ConfigurationError: it names the argument at fault.
    """
    return _identity(_hidden(given))


def from_environment(overrides: Mapping[str, str | None]) -> Identity:
    """What is not overridden is taken from the environment, then from the file that it names.

    Raises:
        ConfigurationError: it says what is missing and where it is looked for.
    """
    path = os.environ.get(FILE_VARIABLE)
    file: _Settings = _read_file(Path(path)) if path else {}
    return _first_of(_hidden(overrides), _environment(), file)


def from_file(path: Path, overrides: Mapping[str, str | None]) -> Identity:
    """What is not overridden is taken from the file, then from the environment.

    Raises:
        ConfigurationError: it says what is missing and where it is looked for.
    """
    return _first_of(_hidden(overrides), _read_file(path), _environment())


def _first_of(*sources: _Settings) -> Identity:
    found: dict[str, Secret] = {}
    for name, variable in _VARIABLES.items():
        value = next((source[name] for source in sources if name in source), None)
        if value is None:
            raise ConfigurationError(
                f"{name} is missing: set {variable}, or {name} in the file that "
                f"{FILE_VARIABLE} names"
            )
        found[name] = value
    return _identity(found)


def _identity(settings: _Settings) -> Identity:
    issuer = parse_issuer(settings["issuer"].reveal() if "issuer" in settings else None)
    for name in _VARIABLES:
        if name not in settings:
            raise ConfigurationError(f"{name} is missing")
    model = settings["model"].reveal()
    if len(model) > 128 or not is_printable(model):
        raise ConfigurationError("model must be 1 to 128 printable characters")
    return Identity(issuer, settings["agent_id"].reveal(), settings["agent_secret"], model)


def _environment() -> _Settings:
    return _hidden({name: os.environ.get(variable) for name, variable in _VARIABLES.items()})


def _hidden(given: Mapping[str, object]) -> _Settings:
    return {
        name: Secret(value)
        for name, value in given.items()
        if isinstance(value, str) and value.strip()
    }


def _read_file(path: Path) -> _Settings:
    """Reads the JSON that `auth-agent agent create --json` prints, `issuer` and `model` added."""
    fields = _parse(_read(path))
    if fields is None:
        raise ConfigurationError(
            f"{path} is not a JSON object: give what agent create --json printed"
        )
    if "agent_secret" not in fields and "secret_file" in fields:
        secret = _read(path.parent / fields["secret_file"].reveal())
        return {**fields, "agent_secret": Secret(secret.reveal().strip())}
    return fields


def _parse(text: Secret) -> _Settings | None:
    try:
        value: object = json.loads(text.reveal())
    except (ValueError, RecursionError):
        return None
    return _hidden(cast(dict[str, object], value)) if isinstance(value, dict) else None


def _read(path: Path) -> Secret:
    try:
        return Secret(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
    # Beyond the handler: a decoding error holds the bytes that it failed on.
    raise ConfigurationError(f"{path} cannot be read: {reason}")
