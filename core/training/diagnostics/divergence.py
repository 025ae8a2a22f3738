"""Explain a loss that became NaN or infinite: the layer, the step and a remedy."""

from typing import Any

from core.nn.array import Array
from core.training.trainer import Trainer

REMEDY = "try a lower learning rate, clip the gradients, or standardize the features"


def diagnose(trainer: Trainer, member: int = 0) -> str:
    """Name the first layer of a network whose weights or outputs are not finite, and the step."""
    network, step = trainer.network, trainer.failed_step
    where = f"at step {step} (epoch {trainer.epoch + 1}): {REMEDY}"
    chosen: Any = (member,) if trainer.stack else ()
    named = [
        (f"network[{index}] ({layer.kind})", layer, scope)
        for index, (layer, scope) in enumerate(
            zip(network.network.layers, network.scopes, strict=True)
        )
    ]

    def broken(array: Array) -> bool:
        return not trainer.xp.isfinite(array[chosen]).all()

    for name, _, scope in named:
        if any(broken(weight) for weight in scope.weights.values()):
            return f"the weights of {name} are not finite {where}"
    if trainer.batch >= trainer.batches:
        return f"the loss is not finite {where}"
    x = trainer.current_batch().x
    for name, layer, scope in named:
        scope.training = False
        x, _ = layer.forward(x, scope)
        if broken(x):
            return f"the outputs of {name} are not finite {where}"
    largest = float(trainer.xp.abs(x[chosen]).max())
    return f"the outputs of {name} reach {largest:.1e}, so the loss is not finite {where}"
