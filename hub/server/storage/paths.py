"""Which paths a repository may hold: those that no client's file system or git can be tricked with."""

from __future__ import annotations

import re
from functools import lru_cache

from medhub.server.errors import BadRequest

LONGEST = 1024
"""Bytes of UTF-8 in a path."""
LONGEST_SEGMENT = 255
"""Bytes of UTF-8 between two slashes: the limit of nearly all file systems."""
DEEPEST = 64
"""Segments in a path."""

CONTROL = re.compile(r"[\\\x00-\x1f\x7f-\x9f]")
# What HFS+ leaves out when it compares names: `.g<ZWNJ>it` is .git there (CVE-2014-9390).
IGNORED_BY_HFS = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
# NTFS drops dots and spaces at the end and what follows a colon, and knows .git by its short name, too (CVE-2019-1352).
GIT_FOLDER = re.compile(r"(\.git|git~\d+)[ .]*(:.*)?", re.IGNORECASE | re.DOTALL)


def check_path(path: str) -> str:
    """Return `path` where a repository may hold it. Raises BadRequest (protocol, section 3.10).

    Names that differ only in case are allowed, as in git: on a disk that ignores case one of them hides the other.
    """
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        raise BadRequest(f"the path {path!a} is not valid UTF-8") from None
    segments = path.split("/")
    if len(encoded) > LONGEST or len(segments) > DEEPEST:
        raise BadRequest(
            f"a path of {len(encoded)} bytes in {len(segments)} segments is too long; "
            f"{LONGEST} bytes in {DEEPEST} segments are allowed: {path[:80]!a}..."
        )
    for segment in segments:
        if fault := _fault(segment):
            raise BadRequest(f"the path {path!a} {fault}")
    return path


@lru_cache(maxsize=4096)
def _fault(segment: str) -> str | None:
    if not segment:
        return "is empty, absolute, or has an empty segment"
    if segment in {".", ".."}:
        return f"has a segment {segment!r}; write it without"
    if CONTROL.search(segment):
        return "has a backslash or a control character in it"
    if len(segment.encode()) > LONGEST_SEGMENT:
        return f"has a segment of more than {LONGEST_SEGMENT} bytes"
    if GIT_FOLDER.fullmatch(IGNORED_BY_HFS.sub("", segment)):
        return "has a segment that stands for .git, git's own folder"
    return None
