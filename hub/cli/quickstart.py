"""`medhub quickstart`: the main job on real data, through a Hub of one's own to a demo, in about two minutes."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medhub.cli.display import training_progress
from medhub.cli.models import _say, _show
from medhub.cli.serve import opened, read_settings, recover
from medhub.errors import MedHubError

if TYPE_CHECKING:
    from medhub.predictor import Predictor
    from medhub.server.hub import Hub

ZOO = "medhub"
"""The organisation that the models of the zoo go to."""


def quickstart(
    task: Annotated[str, typer.Option(help="The task to show.")] = "chem/toxicity",
    data: Annotated[str | None, typer.Option(help="Another data set than the task's default.")] = None,
    out: Annotated[Path, typer.Option(help="Where the model folder and the Hub's data go.")] = Path("runs/quickstart"),
    demo: Annotated[bool, typer.Option(help="Open the demo at the end.")] = True,
) -> None:
    """Train on real data, push to a Hub of your own, load back, predict, explain, and open the demo.

    Example: medhub quickstart --no-demo
    """
    from huggingface_hub import is_offline_mode

    if is_offline_mode():
        raise MedHubError("HF_HUB_OFFLINE forbids quickstart its own Hub on this machine; unset it for this command")
    from medhub.predictor import from_pretrained
    from medhub.publishing import push
    from medhub.recipe import Recipe, run
    from medhub.registry import get

    found = get(task)
    folder = out / task.replace("/", "-")
    _say(f"1/5 {found.id}: {found.summary}")
    with training_progress() as progress:
        report = run(Recipe(task=task, data=data), folder, say=_say, progress=progress)
    _show(report, as_json=False)

    _say(f"2/5 starting a Hub of your own, with its data in {out / 'hub'}")
    with _hub(out / "hub") as (url, user, token):
        # what a user types before working with this Hub
        os.environ.update(HF_ENDPOINT=url, HF_TOKEN=token)
        _say(f"    {url} has {', '.join(_seed())}")

        name = f"{user}/{folder.name}"
        _say(f"3/5 pushing {folder} to it, and loading it back by its name, {name}")
        page = push(folder, name)
        model = from_pretrained(name)
        _say(f"    {model!r}")

        _say("4/5 predicting, with an explanation")
        _predict(model, folder)
        if demo:
            from medhub.demo import build, launch

            print(f'from the Hub  medhub.from_pretrained("{name}"), after')
            print(f"              export HF_ENDPOINT={url} HF_TOKEN={token}")
            print(f"on its page   {page}, signed in with that token", flush=True)
            _say("5/5 opening the demo, beside the Hub")
            launch(build(model), say=_say)
    _say(f"the Hub is closed; to open it again: medhub serve --data {out / 'hub'}")


def _predict(model: Predictor, folder: Path) -> None:
    """Show a prediction of the task's first example, and how to make it again."""
    plugin = model.task.module("demo")
    raw = plugin.raw(*next(iter(plugin.examples().values())))
    result = model.predict(raw, explain=True)
    picture = folder / "prediction.png"
    result.to_picture().save(picture)
    print(result.title())
    print(f"model folder  {folder}\ncard          {folder / 'README.md'}\npicture       {picture}")
    written = repr(raw) if isinstance(raw, str) else '"your.file"'
    print(f'in code       import medhub; medhub.from_pretrained("{folder}").predict({written})')


@contextmanager
def _hub(data: Path) -> Iterator[tuple[str, str, str]]:
    """Run a Hub on a free port for the length of a `with` block, which gets its URL, a user's name and a token."""
    with opened(read_settings(environment={}, data=data, port=0)) as hub:
        from medhub.server.serve import running

        recover(hub)
        user, token = _sign_up(hub)
        with running(hub) as url:
            yield url, user, token


def _sign_up(hub: Hub) -> tuple[str, str]:
    """Make the caller a user of the Hub, who owns the zoo's organisation; return the name and a token for a day."""
    from medhub.server import accounts, audit
    from medhub.server.access import OPERATOR
    from medhub.server.errors import NotFound
    from medhub.server.tables import Account

    def account(name: str, kind: str) -> Account:
        try:
            return accounts.get_account(session, name, kind=kind)
        except NotFound:
            return accounts.create_account(session, name, kind=kind, admin=kind == "user")

    with hub.database.write() as session:
        user, zoo = account(_user_name(), "user"), account(ZOO, "org")
        accounts.set_role(session, zoo, user, "admin")
        _, token = accounts.create_token(session, user, "quickstart", role="write", lifetime=timedelta(days=1))
        audit.record(session, OPERATOR, "token.create", note=f"quickstart of {user.name}, write")
        return user.name, token


def _user_name() -> str:
    """Return the caller's name on this machine, in letters that the Hub takes."""
    from medhub.server.accounts import NAME, RESERVED

    try:
        name = re.sub("[^a-z0-9]+", "-", getpass.getuser().lower()).strip("-")
    except (OSError, KeyError):  # a container's user need not have a name
        name = ""
    return name if 2 <= len(name) <= 42 and NAME.fullmatch(name) and name not in {*RESERVED, ZOO} else "researcher"


def _seed() -> list[str]:
    """Put the models of the zoo on the Hub, for everybody to read; return their names there."""
    from huggingface_hub import HfApi
    from huggingface_hub.utils import disable_progress_bars

    from medhub.predictor import hub_endpoint
    from medhub.publishing import files_to_push
    from medhub.registry import zoo_models

    hub, models = HfApi(endpoint=hub_endpoint()), {f"{ZOO}/{name}": folder for name, folder in zoo_models().items()}
    with disable_progress_bars():
        for name, folder in models.items():
            hub.create_repo(name, private=False, exist_ok=True)
            hub.upload_folder(repo_id=name, folder_path=folder, allow_patterns=files_to_push(folder))
    return [*models]
