"""Alembic migrations; `versions/NNNN_what.py` in order."""
