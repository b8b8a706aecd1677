"""Settings: their sources, their order, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from medhub.server.settings import Settings, SettingsError


def test_the_command_line_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text('port = 1\nhost = "10.0.0.1"\ncards = "refuse"\nanonymous = true\n')
    environment = {"MEDHUB_HUB_DATA": str(tmp_path), "MEDHUB_HUB_PORT": "2", "MEDHUB_HUB_HOST": "10.0.0.2", "HOME": "/"}
    settings = Settings.read(environment, port=3, host=None)
    assert (settings.port, settings.host, settings.cards, settings.anonymous) == (3, "10.0.0.2", "refuse", True)
    assert settings.data == tmp_path
    assert settings.database_url == f"sqlite:///{tmp_path}/hub.sqlite"


def test_defaults_keep_the_hub_to_this_machine_and_its_people() -> None:
    settings = Settings.read({})
    assert settings.host == "127.0.0.1"
    assert not settings.anonymous
    assert settings.pickles == "refuse"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"MEDHUB_HUB_PROT": "1"}, "did you mean 'port'"),
        ({"MEDHUB_HUB_PORT": "http"}, "port in the environment is 'http'; it has to be of type int"),
        ({"MEDHUB_HUB_CARDS": "ignore"}, "it can be warn or refuse"),
        ({"MEDHUB_HUB_ANONYMOUS": "yes"}, "of type bool"),
    ],
)
def test_a_wrong_setting_names_itself_and_the_cure(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.read(environment)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text("port = ")
    with pytest.raises(SettingsError, match=r"hub\.toml cannot be read as TOML"):
        Settings.read({}, data=tmp_path)
