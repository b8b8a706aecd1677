"""git push: what a client sent lies in quarantine until the Hub has looked at it.

git-receive-pack runs on its own, under the repository's lock. Before it moves a ref it starts our pre-receive hook, a
shell script that tells this process, through a pipe, where the new objects are and which refs are to move, and waits
for one line of verdict. Should this process have died, the hook reads the end of the file instead, and refuses.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import itemgetter
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, BinaryIO

import pygit2
from pygit2.enums import SortMode

from medhub.server.errors import BadRequest, Refusal, TooLarge
from medhub.server.storage.paths import check_path
from medhub.server.storage.process import LIMITED, command, environment
from medhub.server.storage.reader import GitReader
from medhub.server.storage.revisions import all_commits, check_ref
from medhub.server.storage.trees import FOLDER_MODES, SUBMODULE_MODE, Entry, RawEntry, find_pointer, raw_entries

ABSENT = "0" * 40
"""How git writes the commit of a ref that is not there."""
MOST_REFS = 1_000
"""Refs that one push may move."""
MOST_OBJECTS = 2_000_000
"""Objects that one push may bring."""
MOST_FILES = 200_000
"""Files and folders that one push may add: a few nested trees can stand for more than anybody could list."""
LARGEST_TREE = 32 << 20
"""Bytes of a commit, tag or folder; they are read into memory whole."""

HOOK = """#!/bin/sh
# Asks the Hub whether these refs may move; without an answer they may not.
{ printf '%s\\n' "$GIT_QUARANTINE_PATH"; cat; echo .; } >"/dev/fd/$MEDHUB_QUESTION"
IFS= read -r verdict <"/dev/fd/$MEDHUB_ANSWER" || verdict="the Hub stopped in the middle of this push; push again"
[ "$verdict" = ok ] && exit 0
printf '%s\\n' "$verdict" >&2
exit 1
"""


@dataclass(frozen=True)
class Update:
    """A ref that is to move; `old` or `new` is None where it is made or deleted. Tags may be annotated."""

    ref: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class Push:
    """What a client wants to push; `repository` sees the new objects besides the old."""

    updates: tuple[Update, ...]
    repository: GitReader

    def is_fast_forward(self, ref: str) -> bool:
        """Whether the ref keeps its history: it is new, or its new commit stands on the old one."""
        update = next(update for update in self.updates if update.ref == ref)
        if update.old is None or update.new is None:
            return update.old is None
        repository = self.repository.handle
        old, new = (_commit(repository, sha).id for sha in (update.old, update.new))
        return old == new or repository.descendant_of(new, old)

    def new_commits(self) -> Iterator[str]:
        """Yield the commits that no ref reached before."""
        repository = self.repository.handle
        walk = repository.walk(None, SortMode.NONE)
        for update in self.updates:
            if update.new:
                walk.push(_commit(repository, update.new).id)
        for sha in all_commits(repository):
            walk.hide(sha)
        for commit in walk:
            yield str(commit.id)

    def new_blobs(self) -> Iterator[Entry]:
        """Yield each file that a new commit has and none of its parents has, at that path with that content.

        `lfs` is set where it is a git-lfs pointer. Raises BadRequest for a path that may not be (see check_path) and
        for a submodule, TooLarge for more than MOST_FILES.
        """
        repository = self.repository.handle
        # A commit's trees are compared again with those of the commit that follows it.
        entries = lru_cache(maxsize=16)(partial(raw_entries, repository.odb))
        pointer_of = lru_cache(maxsize=1024)(partial(find_pointer, repository.odb))
        count = 0
        for sha in self.new_commits():
            commit = _commit(repository, sha)
            before = [parent.tree_id.raw for parent in commit.parents]
            for path, oid in _new_entries(entries, commit.tree_id.raw, before):
                count += 1
                if count > MOST_FILES:
                    raise TooLarge(f"a push may add {MOST_FILES} files and folders at most; push in parts")
                if oid is not None:
                    size, pointer = pointer_of(pygit2.Oid(raw=oid))
                    yield Entry(path, "file", oid.hex(), pointer.size if pointer else size, pointer)

    def new_pointers(self) -> Iterator[Entry]:
        """Yield those of new_blobs that are git-lfs pointers."""
        return (entry for entry in self.new_blobs() if entry.lfs)


def _new_entries(
    entries: Callable[[bytes], list[RawEntry]], tree: bytes, before: list[bytes], prefix: str = ""
) -> Iterator[tuple[str, bytes | None]]:
    """Yield (path, blob's id, or None for a folder) for what is in `tree` and in none of the trees `before`."""
    if tree in before:
        return
    old = [entries(oid) for oid in before]
    for mode, raw_name, oid in sorted(set(entries(tree)).difference(*old), key=itemgetter(1)):
        try:
            path = check_path(prefix + raw_name.decode())
        except UnicodeDecodeError:
            raise BadRequest(f"the path {prefix!a}{raw_name!a} is not valid UTF-8") from None
        if mode == SUBMODULE_MODE:
            raise BadRequest(f"{path!a} is a submodule; the Hub keeps files only")
        if mode not in FOLDER_MODES:
            yield path, oid
            continue
        yield path, None
        below = [child for each in old for mode, name, child in each if name == raw_name and mode in FOLDER_MODES]
        yield from _new_entries(entries, oid, below, path + "/")


def install_hook(folder: Path) -> None:
    """Write the pre-receive hook into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    hook = folder / "pre-receive"
    if not hook.is_file() or hook.read_text() != HOOK:
        with NamedTemporaryFile("w", dir=folder, delete=False) as file:
            file.write(HOOK)
            os.chmod(file.name, 0o700)
        os.replace(file.name, hook)


def receive_pack(
    repository: GitReader,
    request: BinaryIO,
    *,
    check: Callable[[Push], str | None],
    hooks: Path,
    lock: int,
    protocol: str | None,
) -> bytes:
    """Run git-receive-pack on a request, a real file, and return its answer. The caller holds the descriptor `lock`.

    Raises what `check` raises, but for a Refusal, which is a verdict; the push is refused in both cases.
    """
    if not os.access(hooks / "pre-receive", os.X_OK):
        # git goes on without a hook that it may not execute.
        raise PermissionError("the file system of the Hub's data does not allow programs (noexec); pushes need one")
    request.seek(0)
    question, ask = os.pipe()
    answer, tell = os.pipe()
    with os.fdopen(question, "rb") as questions, os.fdopen(tell, "wb", 0) as verdicts, TemporaryFile() as output:
        settings = {"core.hooksPath": str(hooks)}
        try:
            # The child keeps the lock: were this process killed, nobody else would write before git is done.
            process = subprocess.Popen(
                [*LIMITED, *command("receive-pack", "--stateless-rpc", repository.folder, configuration=settings)],
                stdin=request,
                stdout=output,
                stderr=subprocess.DEVNULL,
                pass_fds=(ask, answer, lock),
                env=environment(protocol, MEDHUB_QUESTION=str(ask), MEDHUB_ANSWER=str(answer)),
            )
        finally:
            os.close(ask)
            os.close(answer)
        try:
            _answer(repository, questions, verdicts, check)
        finally:
            verdicts.close()
            process.wait()
        output.seek(0)
        return output.read()


def _answer(
    repository: GitReader, questions: IO[bytes], verdicts: IO[bytes], check: Callable[[Push], str | None]
) -> None:
    quarantine = questions.readline()
    if not quarantine:
        return  # git refused the push by itself
    updates = _read_updates(questions)
    try:
        verdict = _check(repository, os.fsdecode(quarantine.rstrip(b"\n")), updates, check)
    except Refusal as refusal:
        verdict = str(refusal)
    line = " ".join(verdict.split()) if verdict else "ok"
    verdicts.write(line.encode(errors="replace") + b"\n")


def _read_updates(questions: IO[bytes]) -> list[Update]:
    updates: list[Update] = []
    while (line := questions.readline()) not in (b"", b".\n"):
        old, new, ref = line.decode(errors="replace").rstrip("\n").split(" ", 2)
        if len(updates) <= MOST_REFS:
            updates.append(Update(ref, None if old == ABSENT else old, None if new == ABSENT else new))
    return updates


def _check(
    repository: GitReader, quarantine: str, updates: list[Update], check: Callable[[Push], str | None]
) -> str | None:
    if len(updates) > MOST_REFS:
        raise TooLarge(f"a push may move {MOST_REFS} refs at most; push in parts")
    if quarantine:  # a push that only deletes brings no objects
        _check_objects(repository.folder, quarantine)
        repository = repository.with_objects(quarantine)
    for update in updates:
        check_ref(update.ref)
        if update.new:
            try:
                _commit(repository.handle, update.new)
            except (KeyError, ValueError, pygit2.GitError):
                raise BadRequest(f"{update.ref} would point at something other than a commit") from None
    return check(Push(tuple(updates), repository))


def _check_objects(folder: Path, quarantine: str) -> None:
    """Raise TooLarge for more or larger objects than can be looked at in bounded memory."""
    listing = command(
        "--git-dir",
        folder,
        "cat-file",
        "--batch-all-objects",
        "--unordered",
        "--batch-check=%(objecttype) %(objectsize)",
    )
    variables = environment(GIT_OBJECT_DIRECTORY=quarantine)
    with subprocess.Popen(listing, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=variables) as process:
        assert process.stdout is not None
        for count, line in enumerate(process.stdout):
            kind, size = line.split()
            if count >= MOST_OBJECTS:
                raise TooLarge(f"a push may bring {MOST_OBJECTS} objects at most; push in parts")
            if kind != b"blob" and int(size) > LARGEST_TREE:
                raise TooLarge(f"a {kind.decode()} of {size.decode()} bytes is too large; {LARGEST_TREE} are allowed")
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, listing)


def _commit(handle: pygit2.Repository, sha: str) -> pygit2.Commit:
    return handle[sha].peel(pygit2.Commit)
