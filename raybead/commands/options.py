"""Options that several verbs have: one name and one meaning each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from raybead.logline import LOG_FORM, LogForm

JobFile = Annotated[Path, Parameter(help="Job file (TOML).")]
Set = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set", help="section.key=value, instead of what the job file says.", negative=()
    ),
]
Address = Annotated[
    str | None, Parameter(help="Ray cluster to join; RAY_ADDRESS, or this machine, if not given.")
]
Cpus = Annotated[int | None, Parameter(help="CPUs of a Ray that is started on this machine.")]
Overwrite = Annotated[
    bool, Parameter(help="Replace a run of other data in the same place.", negative=())
]
FromSweep = Annotated[bool, Parameter(help="With what the job's sweep found best.", negative=())]
Log = Annotated[
    LogForm,
    Parameter(help="json: an object a line, for what reads logs.", env_var=LOG_FORM),
]
WithProfile = Annotated[
    bool,
    Parameter(name="--profile", help="Say where time went, and write profile.json.", negative=()),
]
