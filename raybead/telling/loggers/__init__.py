"""TensorBoard and MLflow: told of a run by its driver, if a job asks for it."""

from raybead.telling.loggers.available import loggers_of, refuse_missing
from raybead.telling.loggers.listening import logged
from raybead.telling.loggers.values import TRAINED, About

__all__ = ["TRAINED", "About", "logged", "loggers_of", "refuse_missing"]
