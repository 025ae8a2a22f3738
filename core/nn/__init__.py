"""Neural networks on arrays: layers, losses, metrics, optimizers, schedules; nothing else."""
