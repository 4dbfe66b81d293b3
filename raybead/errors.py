"""What can go wrong, as types. Each prints as one line at the command line."""

from __future__ import annotations


class RaybeadError(Exception):
    """Base of every error a user can cause or mend; its text is one clear line."""

    exit_code = 1


class JobError(RaybeadError):
    """The job file, or an override of it, says something that can't be done."""

    exit_code = 2


class UnknownKeyError(JobError):
    """A key that no job has."""


class InputError(RaybeadError):
    """An input file is missing, broken, or holds values that no event can have."""


class DamagedError(InputError):
    """Rows of an input can't be read at all; those around them may be whole."""


class StorageError(RaybeadError):
    """A run's storage can't be read or written."""


class DownloadError(RaybeadError):
    """A file can't be fetched, or isn't what its record says."""


class RunError(RaybeadError):
    """A run folder isn't in the state that a verb needs."""


class ResourcesError(RunError):
    """Processes ask for what no node of the cluster has, nor may have."""


class TrainingError(RaybeadError):
    """Training can't go on: non-finite loss, workers that don't fit the cluster."""


class WorkersLostError(TrainingError):
    """Workers that trained together were lost too often; another try may end well."""


class HuntError(RaybeadError):
    """The selected events don't allow the statistics that were asked for."""
