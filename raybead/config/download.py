"""How files are fetched from a record. No part of a job file: the command line says it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from raybead.config.section import Section

ZENODO_API = "https://zenodo.org/api/records"


class Download(Section):
    """Where records are looked up, and how patient a download is."""

    record_api: Annotated[str, Field(pattern=r"^https?://[^/]")] = ZENODO_API
    """``<record_api>/<record>`` answers with the record as Zenodo's API gives it."""
    tries: PositiveInt = 8
    """Tries in a row that bring nothing new; after them a file is given up."""
    wait: NonNegativeFloat = 1.0
    """Seconds before the second try; doubled before each further one."""
    longest_wait: NonNegativeFloat = 120.0
    """No wait is longer [s], even where the server asks for it."""
    timeout: PositiveFloat = 60.0
    """Seconds of silence after which a connection counts as cut."""
