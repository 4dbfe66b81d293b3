"""The LHC Olympics 2020 files by short names, and the Zenodo records that hold them.

Sizes and checksums are the record's to say, so they aren't here.

Source: arXiv:2101.08320; Zenodo 2629073, 4536624, 6466204.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from raybead.config import Download
from raybead.console import Console
from raybead.errors import JobError
from raybead.storage import download, record_files, size_text


@dataclass(frozen=True)
class RecordFile:
    """A file of a Zenodo record."""

    record: int
    key: str
    """Its name in the record, and on the disk."""
    holds: str


_RND, _BOXES = 6466204, 4536624

LHCO_FILES: Mapping[str, RecordFile] = MappingProxyType(
    {
        "background": RecordFile(
            _BOXES, "events_LHCO2020_backgroundMC_Pythia.h5", "1,000,000 QCD dijets, no label"
        ),
        "blackbox1": RecordFile(
            _BOXES, "events_LHCO2020_BlackBox1.h5", "1,000,000 events, no label"
        ),
        "blackbox1-key": RecordFile(
            _BOXES, "events_LHCO2020_BlackBox1.masterkey", "labels of blackbox1"
        ),
        "blackbox2": RecordFile(
            _BOXES, "events_LHCO2020_BlackBox2.h5", "1,000,000 events, no label"
        ),
        "blackbox3": RecordFile(
            _BOXES, "events_LHCO2020_BlackBox3.h5", "1,000,000 events, no label"
        ),
        "blackbox3-key": RecordFile(
            _BOXES, "events_LHCO2020_BlackBox3.masterkey", "labels of blackbox3: 0, 1, 2"
        ),
        "rnd": RecordFile(_RND, "events_anomalydetection_v2.h5", "1,100,000 events, labelled"),
        "rnd-features": RecordFile(
            _RND, "events_anomalydetection_v2.features.h5", "jet features of rnd, labelled"
        ),
        "rnd-qqq": RecordFile(
            _RND, "events_anomalydetection_Z_XY_qqq.h5", "100,000 three-prong signals"
        ),
        "rnd-qqq-features": RecordFile(
            _RND, "events_anomalydetection_Z_XY_qqq.features.h5", "jet features of rnd-qqq"
        ),
        "rnd-v1": RecordFile(2629073, "events_anomalydetection.h5", "first edition of rnd"),
    }
)


def find_file(name: str) -> RecordFile:
    """The file of a short name, or of its name in the record.

    Raises:
        JobError: no file has that name.
    """
    by_key = {file.key: file for file in LHCO_FILES.values()}
    known = {**by_key, **LHCO_FILES}
    if name in known:
        return known[name]
    written = {word.lower(): word for word in known}
    near = difflib.get_close_matches(name.lower(), written, n=1, cutoff=0.5)
    hint = f"did you mean {written[near[0]]!r}?" if near else f"there are {', '.join(LHCO_FILES)}"
    raise JobError(f"no file is called {name!r}; {hint}")


def download_files(names: Sequence[str], folder: str, how: Download, console: Console) -> None:
    """Fetch files by name into a local folder, in the order given.

    Records are asked before anything is fetched, so that a file that isn't there is said at
    once, and not hours later.

    Raises:
        JobError: a name is unknown, or the folder isn't local.
        DownloadError: a file can't be fetched; those before it are whole.
        StorageError: the folder can't be written.
    """
    if "://" in folder:
        raise JobError(f"{folder}: files are fetched into a local folder, not to a URI")
    wanted = {(file.record, file.key) for file in map(find_file, names)}
    remotes = {
        remote.name: remote
        for record in sorted({record for record, _ in wanted})
        for remote in record_files(
            record, [key for held, key in sorted(wanted) if held == record], how, console.say
        )
    }
    for key in dict.fromkeys(find_file(name).key for name in names):
        remote = remotes[key]
        with console.stage(key) as tick:
            fetched = download(remote, Path(folder), how, tick, console.say)
        kind = remote.checksum.partition(":")[0]
        console.say(
            f"{Path(folder) / key}: {size_text(remote.size)}, {kind} right"
            f"{'' if fetched else ', there already, kept'}"
        )


def show_files(console: Console) -> None:
    """Print the names that can be fetched."""
    console.table(
        "LHC Olympics 2020",
        ["name", "file", "holds", "Zenodo record"],
        [[name, file.key, file.holds, str(file.record)] for name, file in LHCO_FILES.items()],
    )
    console.say("Sizes and checksums are the record's, asked for when a file is fetched.")
