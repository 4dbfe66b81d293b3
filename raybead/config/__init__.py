"""What a job file may say."""

from raybead.config.data import Data, LhcoSource, PythiaSource, Resonance, Source
from raybead.config.features import NAMES, Chain, FeatureSet, ScalingKind
from raybead.config.hunt import Hunt, Score
from raybead.config.jets import Jets, Prepare
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
    "Chain",
    "ChamferLoss",
    "Data",
    "EdgeNetModel",
    "FeatureSet",
    "Graph",
    "Hunt",
    "JetBottleneckModel",
    "Jets",
    "Job",
    "LhcoSource",
    "Loss",
    "Model",
    "MseLoss",
    "Prepare",
    "PythiaSource",
    "Resonance",
    "ScalingKind",
    "Score",
    "Source",
    "Train",
    "dump_job",
    "load_job",
    "parse_job",
]
