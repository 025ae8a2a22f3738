"""Names of metrics that have a meaning of their own, and of the best epoch."""

MACHINE = "system/"
"""The prefix of metrics of the machine, which differ between runs."""

GAUGES = ("train/batch_loss", "train/learning_rate", "train/gradient_norm", "train/update_ratio")
"""Metrics of single updates that do not measure how good the network is."""


def best_label(epoch: int | None, metric: str | None) -> str:
    """Say which epoch of a job was best: `epoch 12 by valid/loss`; empty if it is not known."""
    by = f" by {metric}" if metric else ""
    return f"epoch {epoch}{by}" if epoch else ""
