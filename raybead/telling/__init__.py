"""Who else is told of a run: its progress file, written and read; TensorBoard and MLflow."""
