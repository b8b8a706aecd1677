"""Settings of the Hugging Face clients that keep data inside: what `medhub hub env` prints and docs/hub.md explains."""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """An environment variable of the clients, and what would happen without it."""

    name: str
    value: str
    reason: str


def client_settings(url: str) -> list[Variable]:
    """Return what to set on every machine that uses the Hub at `url` (protocol, appendix B)."""
    return [
        Variable("HF_ENDPOINT", url.rstrip("/"), "models and data sets are sought here, not at huggingface.co"),
        Variable("HF_HUB_DISABLE_TELEMETRY", "1", "no reports of what is used"),
        Variable("HF_HUB_DISABLE_UPDATE_CHECK", "1", "the hf command does not ask the package index for updates"),
        Variable("HF_UPDATE_DOWNLOAD_COUNTS", "0", "datasets does not tell s3.amazonaws.com what is loaded"),
        Variable(
            "DISABLE_SAFETENSORS_CONVERSION", "1",
            "transformers does not send name and token to safetensors-convert.hf.space",
        ),
        Variable("GRADIO_ANALYTICS_ENABLED", "False", "demos do not report to api.gradio.app"),
    ]  # fmt: skip


def shell_lines(url: str) -> str:
    """Return the settings as lines for a POSIX shell, each with its reason: `eval "$(medhub hub env)"`."""
    exports = [(f"export {found.name}={shlex.quote(found.value)}", found.reason) for found in client_settings(url)]
    width = max(len(export) for export, _ in exports)
    lines = [f"{export:{width}}  # {reason}" for export, reason in exports]
    if url.startswith("https:"):
        # the one variable that both huggingface_hub and hf_xet obey
        lines.append("# export SSL_CERT_FILE=/etc/ssl/ca.pem  # where your own authority signed the Hub's certificate")
    return "\n".join([*lines, "# then, once a machine: hf auth login"])
