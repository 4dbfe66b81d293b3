"""Where runs and inputs lie: local disks and object stores alike."""

from raybead.storage.files import Folder, absolute, fingerprint, found_files, open_input
from raybead.storage.run import JOB, MANIFEST, Role, Stage, StageName, is_current, stage_facts

__all__ = [
    "JOB",
    "MANIFEST",
    "Folder",
    "Role",
    "Stage",
    "StageName",
    "absolute",
    "fingerprint",
    "found_files",
    "is_current",
    "open_input",
    "stage_facts",
]
