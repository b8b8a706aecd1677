"""What the Hub refuses, with the status and headers that the Hugging Face clients turn into their own exceptions.

Refusal
├── RepoNotFound       404, 401 for a stranger    missing, or not the caller's to see: one answer for both
├── RevisionNotFound   404                        no such branch, tag, commit or pull request
├── EntryNotFound      404                        no such path at that revision
├── GatedRepo          403, 401 for a stranger    the terms have not been accepted
├── Unauthenticated    401                        a token that is unknown, expired or missing
├── Forbidden          403                        known, but without the right
├── BadRequest         400                        input that cannot be used
├── NotFound           404                        anything else that is not there
├── Conflict           409                        exists already, or is in a state that does not allow it
├── Stale              412                        the branch moved since the caller looked
├── TooLarge           413
├── RangeNotSatisfiable 416
├── TooManyRequests    429
└── OutOfSpace         507                        the disk is full, nothing was changed
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medhub.errors import MedHubError


class Refusal(MedHubError):
    """A request that is refused: `status`, a one-line message, and what else the client reads.

    `body` is added to the JSON answer; `headers` to the response's headers.
    """

    status = 500
    code: str | None = None

    def __init__(self, message: str, *, headers: Mapping[str, str] | None = None, **body: Any) -> None:
        super().__init__(message)
        self.headers = dict(headers or {})
        self.body = body


class BadRequest(Refusal):
    """Input that cannot be used."""

    status = 400


class Unauthenticated(Refusal):
    """A token that is unknown or expired, or none where one is needed."""

    status = 401


class Forbidden(Refusal):
    """The caller is known, may see the thing, and may not do this."""

    status = 403


class NotFound(Refusal):
    """Something other than a repository, revision or path that is not there."""

    status = 404


class RepoNotFound(NotFound):
    """No such repository, or none that the caller may see; `stranger` is a caller without a token."""

    code = "RepoNotFound"

    def __init__(self, name: str, *, stranger: bool = False) -> None:
        super().__init__(f"Repository {name} not found, or you may not see it")
        if stranger:
            self.status = 401


class RevisionNotFound(NotFound):
    """No such branch, tag, commit or pull request."""

    code = "RevisionNotFound"

    def __init__(self, revision: str) -> None:
        super().__init__(f"Invalid rev id: {revision}")


class EntryNotFound(NotFound):
    """No such path at that revision; the commit travels along, so that clients can remember the miss."""

    code = "EntryNotFound"

    def __init__(self, message: str, *, commit: str | None = None) -> None:
        super().__init__(message, headers={"X-Repo-Commit": commit} if commit else None)


class GatedRepo(Forbidden):
    """The repository asks for its terms to be accepted first; `stranger` is a caller without a token."""

    code = "GatedRepo"

    def __init__(self, name: str, *, stranger: bool = False) -> None:
        super().__init__(f"Access to {name} is restricted; ask for access on its page, and wait for the answer")
        if stranger:
            self.status = 401


class Conflict(Refusal):
    """It exists already, or its state does not allow this."""

    status = 409


class Stale(Refusal):
    """The branch moved since the caller looked."""

    status = 412

    def __init__(
        self, message: str = "The branch was updated since you opened this page. Please refresh and try again."
    ) -> None:
        super().__init__(message)


class TooLarge(Refusal):
    """More bytes than this call takes."""

    status = 413


class RangeNotSatisfiable(Refusal):
    """A byte range that begins behind the end of a file of `size` bytes."""

    status = 416

    def __init__(self, size: int) -> None:
        super().__init__(f"the file has {size} bytes", headers={"Content-Range": f"bytes */{size}"})


class TooManyRequests(Refusal):
    """More requests than the Hub allows in one window."""

    status = 429


class OutOfSpace(Refusal):
    """The disk is full; nothing was changed."""

    status = 507
