"""What is in a repository at a revision: facts, tree, paths."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
