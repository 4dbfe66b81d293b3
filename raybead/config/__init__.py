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
from raybead.config.features import NAMES, Chain, FeatureSet, ScalingKind
from raybead.config.hunt import Combination, ComplexityKind, Hunt, Score, Stored
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
    "NAMES",
    "ZENODO_API",
    "BeadCsvSource",
    "Chain",
    "ChamferLoss",
    "Columns",
    "Combination",
    "ComplexityKind",
    "Data",
    "Download",
    "EdgeNetModel",
    "FeatureSet",
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
    "ScalingKind",
    "Score",
    "SoftDrop",
    "Source",
    "Stored",
    "Substructure",
    "Train",
    "dump_job",
    "load_job",
    "parse_job",
]
