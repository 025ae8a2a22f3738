"""Where a loss that is no number came from: the layer, the step, and the way out."""

from core.nn.array import Array
from core.training.trainer import Trainer


def diagnose(trainer: Trainer) -> str:
    """Name the first layer whose weights or outputs are not finite in the batch just tried."""
    xp, network = trainer.xp, trainer.network
    part = trainer.current_rows()
    where = f"step {trainer.step + 1} (epoch {trainer.epoch + 1})"
    remedy = "try a lower learning rate, clip the gradients, or standardize the features"

    def broken(array: Array) -> bool:
        return not xp.isfinite(array).all()

    if broken(part.x):
        return f"the rows of {where} hold numbers that are not finite"
    x = part.x
    for index, (layer, scope) in enumerate(
        zip(network.network.layers, network.scopes, strict=True)
    ):
        name = f"network[{index}] ({layer.kind})"
        if any(broken(weight) for weight in scope.weights.values()):
            return f"the weights of {name} are not finite at {where}: {remedy}"
        x, _ = layer.forward(x, scope)
        if broken(x):
            return f"the outputs of {name} are not finite at {where}: {remedy}"
    return f"the loss is not finite at {where} though all outputs are: {remedy}"
