"""Where runs and inputs lie: local disks and object stores alike."""

from raybead.storage.archive import LIMIT, Receiver, pack
from raybead.storage.download import RemoteFile, download, size_text
from raybead.storage.fetched import fetch, fetched_files, refuse_taken
from raybead.storage.files import (
    Folder,
    absolute,
    fingerprint,
    found_files,
    open_input,
    unfinished,
)
from raybead.storage.record import record_files
from raybead.storage.run import JOB, MANIFEST, Role, Stage, StageName, is_current, stage_facts

__all__ = [
    "JOB",
    "LIMIT",
    "MANIFEST",
    "Folder",
    "Receiver",
    "RemoteFile",
    "Role",
    "Stage",
    "StageName",
    "absolute",
    "download",
    "fetch",
    "fetched_files",
    "fingerprint",
    "found_files",
    "is_current",
    "open_input",
    "pack",
    "record_files",
    "refuse_taken",
    "size_text",
    "stage_facts",
    "unfinished",
]
