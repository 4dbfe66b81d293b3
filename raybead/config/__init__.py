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
from raybead.config.emd import Emd
from raybead.config.features import NAMES, Chain, FeatureSet, ScalingKind
from raybead.config.graph import Graph
from raybead.config.hunt import Calibrate, Hunt, Reach, SignalShape
from raybead.config.jets import Jets, Prepare, SoftDrop, Substructure
from raybead.config.job import Job, dump_job, load_job, parse_job
from raybead.config.loss import (
    ChamferLoss,
    DeepEmdLoss,
    DistanceLoss,
    EmdLoss,
    EmdNetworkLoss,
    KlLoss,
    Loss,
    Losses,
    MseLoss,
    SinkhornLoss,
    refuse_misfit,
)
from raybead.config.model import (
    MODEL_PRESETS,
    Autoencoder,
    JetBottleneckModel,
    MetaLayerModel,
    Model,
    NodeBottleneckModel,
)
from raybead.config.score import Combination, ComplexityKind, Score, Stored
from raybead.config.train import Train

__all__ = [
    "MODEL_PRESETS",
    "NAMES",
    "ZENODO_API",
    "Autoencoder",
    "BeadCsvSource",
    "Calibrate",
    "Chain",
    "ChamferLoss",
    "Columns",
    "Combination",
    "ComplexityKind",
    "Data",
    "DeepEmdLoss",
    "DistanceLoss",
    "Download",
    "Emd",
    "EmdLoss",
    "EmdNetworkLoss",
    "FeatureSet",
    "FileSource",
    "Graph",
    "Hunt",
    "JetBottleneckModel",
    "Jets",
    "Job",
    "KlLoss",
    "LhcoSource",
    "Loss",
    "Losses",
    "MetaLayerModel",
    "Model",
    "MseLoss",
    "NodeBottleneckModel",
    "ParquetSource",
    "Prepare",
    "PythiaSource",
    "Reach",
    "Resonance",
    "RootSource",
    "ScalingKind",
    "Score",
    "SignalShape",
    "SinkhornLoss",
    "SoftDrop",
    "Source",
    "Stored",
    "Substructure",
    "Train",
    "dump_job",
    "load_job",
    "parse_job",
    "refuse_misfit",
]
