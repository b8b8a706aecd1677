"""What the operator decides, from a TOML file, the environment and the command line, the later winning."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from medhub.errors import MedHubError, suggest

PREFIX = "MEDHUB_HUB_"
FILE = "hub.toml"


class SettingsError(MedHubError):
    """A setting that is unknown, or has a value that it cannot have."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. Each is a key of DIR/hub.toml and an environment variable: `port`, MEDHUB_HUB_PORT."""

    data: Path = Path("hub-data")
    """The folder of everything the Hub keeps: database, repositories, large files."""
    host: str = "127.0.0.1"
    """The address to listen at; 0.0.0.0 for every interface."""
    port: int = 8000
    """The port to listen at; 0 takes a free one."""
    public_url: str = ""
    """The address that clients use, where a proxy stands in front; else it is taken from each request."""
    database: str = ""
    """SQLAlchemy URL of the database; SQLite in the data folder unless set."""
    certificate: str = ""
    """File of a TLS certificate chain; with `key`, the Hub speaks https itself."""
    key: str = ""
    """File of the certificate's private key."""
    anonymous: bool = False
    """Whether people without an account may read public repositories; else public means: everybody with an account."""
    cards: Literal["warn", "refuse"] = "warn"
    """What happens to a model card that lacks what medicine asks for: intended use, modality, licence, disclaimer."""
    pickles: Literal["refuse", "flag"] = "refuse"
    """What happens to files that can run code when they are loaded."""
    requests: int = 50_000
    """Requests that one account, or one address without an account, may make in five minutes."""
    demos: int = 2
    """Demos of models that run at once; 0 offers none."""
    demo_memory: int = 4096
    """MiB of memory that one demo may take."""
    demo_minutes: int = 15
    """Minutes after which a demo that nobody uses is stopped."""

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ, **given: Any) -> Settings:
        """Return the settings of DIR/hub.toml, overridden by the environment, overridden by what is `given` (not None).

        Raises SettingsError for an unknown key or a value of the wrong type, naming where it stands.
        """
        given = {name: value for name, value in given.items() if value is not None}
        from_environment = {
            name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)
        }
        data = Path(given.get("data") or from_environment.get("data") or cls.data)
        found: dict[str, Any] = {"data": data}
        file = data / FILE
        for place, values in ((str(file), _toml(file)), ("the environment", from_environment), ("the call", given)):
            found |= {name: _value(name, value, place) for name, value in values.items()}
        return cls(**found)

    @property
    def database_url(self) -> str:
        """The database's SQLAlchemy URL."""
        return self.database or f"sqlite:///{(self.data / 'hub.sqlite').resolve()}"


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read as TOML: {error}") from error


def _value(name: str, value: Any, place: object) -> Any:
    """Return a setting's value in its own type."""
    names = [field.name for field in fields(Settings)]
    if name not in names:
        raise SettingsError(
            f"{place} has no setting {name!r} to make{suggest(name, names)} Settings: {', '.join(names)}"
        )
    kind = get_type_hints(Settings)[name]
    if kind is bool:
        if str(value).lower() in {"true", "false"}:
            return str(value).lower() == "true"
    elif kind is int:
        if str(value).isdecimal():
            return int(value)
    elif choices := get_args(kind):
        if value in choices:
            return value
        raise SettingsError(f"{name} in {place} is {value!r}; it can be {' or '.join(choices)}")
    elif isinstance(value, str | Path):
        return kind(value)
    raise SettingsError(f"{name} in {place} is {value!r}; it has to be of type {kind.__name__}")
