"""The base of every section of a job file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen part of a job file that refuses unknown keys and non-finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""What files and folders are called by names that come from elsewhere: no path, nothing hidden."""
