"""What the demo pages of the area tell a visitor about a record."""

from __future__ import annotations

GUIDE = (
    "One patient's events: a CSV with the columns `subject_id, time, code, value, unit`, one event a row; the same as "
    "Parquet; or a FHIR Bundle. A laboratory value keeps its own unit, such as mg/dL, in the last column. "
    "Take out names before you upload; the examples are patterns to follow."
)
"""As Markdown, above the components that take a record."""
