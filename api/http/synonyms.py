"""What other libraries call our kinds and fields, for "did you mean"."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

SYNONYMS: dict[str, tuple[str, ...]] = {
    # losses and metrics
    "mse": ("mean_squared_error",),
    "mse_loss": ("mean_squared_error",),
    "l2": ("mean_squared_error", "weight_decay"),
    "mean_squared_error": ("mse",),
    "squared_error": ("mean_squared_error", "mse"),
    "mae": ("mean_absolute_error",),
    "l1": ("mean_absolute_error",),
    "l1_loss": ("mean_absolute_error",),
    "mean_absolute_error": ("mae",),
    "smooth_l1": ("huber",),
    "bce": ("binary_cross_entropy",),
    "bce_with_logits": ("binary_cross_entropy",),
    "ce": ("cross_entropy",),
    "nll": ("cross_entropy",),
    "softmax_cross_entropy": ("cross_entropy",),
    "sparse_categorical_crossentropy": ("cross_entropy",),
    "kl": ("kl_divergence",),
    "kld": ("kl_divergence",),
    "pinball": ("quantile",),
    "acc": ("accuracy",),
    "auc": ("roc_auc",),
    "auroc": ("roc_auc",),
    "average_precision": ("pr_auc",),
    "r2_score": ("r2",),
    "f1_score": ("f1",),
    "top_k": ("top_k_accuracy",),
    # layers
    "linear": ("dense", "identity"),
    "fully_connected": ("dense",),
    "fc": ("dense",),
    "conv": ("conv2d", "conv1d"),
    "convolution": ("conv2d", "conv1d"),
    "max_pool": ("max_pool2d", "max_pool1d"),
    "max_pooling2d": ("max_pool2d",),
    "avg_pool": ("average_pool2d", "average_pool1d"),
    "batch_normalization": ("batch_norm",),
    "batch_norm1d": ("batch_norm",),
    "layer_normalization": ("layer_norm",),
    "rnn": ("recurrent",),
    "swish": ("silu",),
    "logistic": ("sigmoid",),
    # optimizers, schedules and initializers
    "gd": ("sgd",),
    "momentum": ("sgd",),
    "cosine_annealing": ("cosine",),
    "step_lr": ("step",),
    "kaiming": ("he",),
    "glorot": ("xavier",),
    # preparation
    "standard_scaler": ("standardize",),
    "min_max_scaler": ("min_max",),
    "simple_imputer": ("impute",),
    "one_hot_encoder": ("one_hot",),
    "ordinal_encoder": ("ordinal",),
    "label_encoder": ("ordinal",),
    # fields
    "lr": ("learning_rate",),
    "eta": ("learning_rate",),
    "step_size": ("learning_rate",),
    "eps": ("epsilon",),
    "size": ("units",),
    "width": ("units",),
    "hidden": ("units",),
    "out_features": ("units",),
    "p": ("rate",),
    "max_iter": ("epochs",),
    "n_epochs": ("epochs",),
    "batch": ("batch_size",),
    "random_state": ("seed",),
    "criterion": ("loss",),
    "layers": ("network",),
    "model": ("network",),
    "solver": ("optimizer",),
    "scheduler": ("schedule",),
    "label": ("target",),
    "validation": ("valid",),
    "val": ("valid",),
}
"""Words of other libraries, and what they may be here, the likeliest first."""


def closest(word: str, known: Sequence[str]) -> str | None:
    """Return which of the `known` names a word means: by its synonyms, or by its spelling."""
    by_letters = {_letters(name): name for name in reversed(known)}
    for name in (word, *_BY_LETTERS.get(_letters(word), ())):
        if _letters(name) in by_letters:
            return by_letters[_letters(name)]
    alike = get_close_matches(word.lower(), known, n=1)
    return alike[0] if alike else None


def _letters(word: str) -> str:
    """Return a word without capitals and separators: `ReLU` is `relu`, `Batch Norm` `batchnorm`."""
    return re.sub(r"[\W_]+", "", word.lower())


_BY_LETTERS = {_letters(word): names for word, names in SYNONYMS.items()}
