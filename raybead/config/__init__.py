"""What a job file may say."""

from raybead.config.data import (
    BeadCsvSource,
    Columns,
    Data,
    FileSource,
    LhcoSource,
    ParquetSource,
    PythiaSource,
    Resonance,
    RootSource,
    Source,
)
from raybead.config.download import ZENODO_API, Download
from raybead.config.hunt import Hunt, Score
from raybead.config.jets import Jets, Prepare, SoftDrop, Substructure
from raybead.config.job import Job, dump_job, load_job, parse_job
from raybead.config.model import (
    ChamferLoss,
    EdgeNetModel,
    Graph,
    JetBottleneckModel,
    Loss,
    Model,
    MseLoss,
)
from raybead.config.train import Train

__all__ = [
    "ZENODO_API",
    "BeadCsvSource",
    "ChamferLoss",
    "Columns",
    "Data",
    "Download",
    "EdgeNetModel",
    "FileSource",
    "Graph",
    "Hunt",
    "JetBottleneckModel",
    "Jets",
    "Job",
    "LhcoSource",
    "Loss",
    "Model",
    "MseLoss",
    "ParquetSource",
    "Prepare",
    "PythiaSource",
    "Resonance",
    "RootSource",
    "Score",
    "SoftDrop",
    "Source",
    "Substructure",
    "Train",
    "dump_job",
    "load_job",
    "parse_job",
]
