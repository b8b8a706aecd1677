"""The Hub's pages for people: every router, those with fixed addresses before those that begin with a name."""

from __future__ import annotations

from fastapi import APIRouter

from medhub.server.web import (
    accounts,
    audit,
    catalogue,
    demos,
    discussions,
    files,
    history,
    login,
    profile,
    repository,
    settings,
    static,
    tokens,
)

FORM_SIZE = 256 * 1024
"""Bytes that a form may send; a comment has at most 64 KiB, which the encoding may triple."""

router = APIRouter(max_body_size=FORM_SIZE, include_in_schema=False)
TOPICS = (
    static,
    catalogue,
    login,
    profile,
    tokens,
    audit,
    repository,
    files,
    history,
    discussions,
    demos,
    settings,
    accounts,
)

for topic in TOPICS:
    router.include_router(topic.router)
