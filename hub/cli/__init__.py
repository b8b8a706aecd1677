"""The `medhub` command: twelve tasks from the shell. Commands import what they need when they run.

Exit codes: 0 done; 1 refused with a reason, or a check failed; 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import sys

import typer

from medhub.cli import data, hub, models, tasks
from medhub.cli.quickstart import quickstart
from medhub.cli.serve import serve
from medhub.errors import MedHubError

app = typer.Typer(
    name="medhub",
    help="A model hub for medicine: imaging, genomics, EHR and chemistry behind one from_pretrained.",
    epilog="Start with `medhub quickstart`. For research only; not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: it starts faster and pipes cleanly
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(quickstart)
for _command in (*tasks.COMMANDS, *models.COMMANDS):
    app.command()(_command)
app.command()(serve)
app.add_typer(data.app, name="data")
app.add_typer(hub.app, name="hub")


def main() -> None:
    """Run the command line; an error that MedHub raised on purpose is one line, not a traceback."""
    try:
        app()
    except MedHubError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept", file=sys.stderr)
        sys.exit(130)
