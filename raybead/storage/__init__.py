"""Where runs and inputs lie: local disks and object stores alike."""

from raybead.storage.download import RemoteFile, download, size_text
from raybead.storage.files import Folder, absolute, fingerprint, found_files, open_input
from raybead.storage.record import record_files
from raybead.storage.run import JOB, MANIFEST, Role, Stage, StageName, is_current, stage_facts

__all__ = [
    "JOB",
    "MANIFEST",
    "Folder",
    "RemoteFile",
    "Role",
    "Stage",
    "StageName",
    "absolute",
    "download",
    "fingerprint",
    "found_files",
    "is_current",
    "open_input",
    "record_files",
    "size_text",
    "stage_facts",
]
