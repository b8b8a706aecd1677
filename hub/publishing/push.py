"""Pushing a model folder to a Hub: huggingface.co, or the one that HF_ENDPOINT names."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from medhub.errors import MedHubError, PublishError
from medhub.publishing.completeness import check_card

NEEDED = ("config.json", "model.safetensors", "processor.json", "README.md", "evaluation.json")
PATTERNS = (*NEEDED, "training.json", ".eval_results/*.yaml", "LICENSE*", "assets/*.png")
"""All that is ever pushed; whatever else lies in the folder, checkpoints for one, stays at home."""
PICKLES = {".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"}


def push(
    folder: str | os.PathLike[str], repo_id: str, *, private: bool = True, message: str = "Upload model with MedHub"
) -> str:
    """Push a model folder to the repository org/name, creating it where it does not exist, and return its address.

    Raises PublishError, with all that is wrong and the cures, for a folder that must not leave the house; and where the
    Hub cannot be reached, refuses, or holds a public repository of this name while `private` is asked for.
    """
    folder = Path(folder)
    if faults := find_faults(folder):
        raise PublishError(f"{folder} is not fit to be pushed:\n" + "\n".join(f"- {fault}" for fault in faults))
    return upload(folder, repo_id, files_to_push(folder), private=private, kind="model", message=message)


def upload(
    folder: str | os.PathLike[str], repo_id: str, files: Iterable[str], *, private: bool, kind: str, message: str
) -> str:
    """Send these files of a folder to the repository org/name of a kind, which is made where it does not exist.

    Returns its address. Raises PublishError where the Hub cannot be reached, refuses, or holds a public repository of
    this name while `private` is asked for.
    """
    from huggingface_hub import HfApi, get_token, is_offline_mode
    from huggingface_hub.utils import httpx

    from medhub.predictor import hub_endpoint

    place = hub_endpoint()
    if is_offline_mode():
        raise PublishError(f"HF_HUB_OFFLINE is set, so nothing is sent to {place}; unset it to push {folder}")
    if get_token() is None:
        raise PublishError(f"no token for {place}; log in with `hf auth login`, or set HF_TOKEN")
    hub = HfApi(endpoint=place)
    try:
        sdk = "gradio" if kind == "space" else None
        address = hub.create_repo(repo_id, repo_type=kind, space_sdk=sdk, private=private, exist_ok=True)
        if private and not hub.repo_info(address.repo_id, repo_type=kind).private:
            raise PublishError(
                f"{address} exists and everybody can read it; push with --public if they may, or to another name"
            )
        hub.upload_folder(
            repo_id=address.repo_id, repo_type=kind, folder_path=Path(folder), commit_message=message,
            allow_patterns=[glob.escape(name) for name in files],
        )  # fmt: skip
    except ValueError as error:  # of the name, or of the card's front matter
        raise PublishError(f"{place} does not accept {repo_id!r}: {error}; correct that, and push again") from error
    except (httpx.HTTPError, OSError) as error:
        raise PublishError(
            f"{place} did not take {repo_id!r}: {error}; check the token's rights, HF_ENDPOINT and the network"
        ) from error
    return str(address)


def files_to_push(folder: str | os.PathLike[str]) -> list[str]:
    """Return the paths, relative to the folder, of exactly the files that a push sends."""
    folder = Path(folder)
    found = {path for pattern in PATTERNS for path in folder.glob(pattern) if path.is_file()}
    return sorted(path.relative_to(folder).as_posix() for path in found)


def find_faults(folder: str | os.PathLike[str]) -> list[str]:
    """Return what forbids pushing a folder, a sentence with its cure each; an empty list where nothing does."""
    from medhub.predictor import from_pretrained

    folder = Path(folder)
    if not folder.is_dir():
        return ["there is no such folder; give the one that `medhub train` wrote"]
    files = files_to_push(folder)
    faults = [f"{name} is missing; write the folder with `medhub train`" for name in NEEDED if name not in files]
    inside = folder.resolve()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix.lower() in PICKLES:
            faults.append(f"{name} may be a pickle, which can run code when it is read; remove it")
        if path.is_symlink() and not path.resolve().is_relative_to(inside):
            faults.append(f"{name} is a link that leads out of the folder; replace it by a copy of the file")
    if faults:
        return faults
    try:
        from_pretrained(folder, device="cpu")
    except MedHubError as error:
        faults.append(f"it cannot be loaded: {error}")
    faults += [f"the card is incomplete: {fault}" for fault in check_card(folder)]
    if any(fault.startswith("the card") for fault in faults):
        faults.append("write the card anew with `medhub train`, or correct README.md by hand")
    return faults
