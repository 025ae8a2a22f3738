"""The core as scikit-learn estimators: the same networks, in pipelines and grid searches."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from core.nn.layer import Layer, Scope
from core.nn.network import BoundNetwork
from core.spec import TrainingSpec
from core.training import checkpoint
from core.training.problem import Part, Problem
from core.training.run import Run
from core.training.trainer import Trainer

ROWS = 8192
"""Rows predicted at a time."""


class _NetworkEstimator(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor share: hyperparameters, training and raw outputs."""

    def __init__(
        self,
        layers: Sequence[Layer | dict[str, Any]] | None = None,
        *,
        hidden: Sequence[int] = (64,),
        activation: str = "relu",
        loss: dict[str, Any] | str | None = None,
        optimizer: dict[str, Any] | str = "adam",
        schedule: dict[str, Any] | str = "constant",
        batch_size: int | str = 32,
        epochs: int = 200,
        early_stopping: int | None = None,
        validation_fraction: float = 0.1,
        random_state: Any = None,
    ) -> None:
        self.layers = layers
        self.hidden = hidden
        self.activation = activation
        self.loss = loss
        self.optimizer = optimizer
        self.schedule = schedule
        self.batch_size = batch_size
        self.epochs = epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def _spec(self, outputs: int, rows: int, precision: str) -> TrainingSpec:
        """The hyperparameters as what the core trains. Raises ValueError naming a wrong one."""
        hidden: list[Any] = list(self.layers or ())
        if self.layers is None:
            for units in self.hidden:
                hidden += [{"kind": "dense", "units": int(units)}, {"kind": self.activation}]
        size = self.batch_size
        stop = None
        if self.early_stopping is not None:
            stop = {"metric": "valid/loss", "patience": self.early_stopping}
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        return TrainingSpec.model_validate(
            {
                "network": [*hidden, {"kind": "dense", "units": outputs}],
                "loss": _kind(self.loss or self._default_loss),
                "optimizer": _kind(self.optimizer),
                "schedule": _kind(self.schedule),
                "batch_size": size if isinstance(size, str) else min(size, rows),
                "epochs": self.epochs,
                "early_stopping": stop,
                "seed": int(seed),
                "precision": precision,
            }
        )

    _default_loss = ""

    def _train(self, x: Any, y: Any, outputs: int) -> None:
        """Train from new weights for all epochs."""
        spec = self._spec(outputs, len(x), x.dtype.name)
        train, valid = Part(x, y), None
        if self.early_stopping is not None:
            held = max(1, round(len(x) * self.validation_fraction))
            order = np.random.default_rng(spec.seed).permutation(len(x))
            valid = Part(x[order[:held]], y[order[:held]])
            train = Part(x[order[held:]], y[order[held:]])

        def keep(_: int, weights: Any, state: Any) -> Path:
            self.weights_, self.state_ = weights.copy(), state.copy()
            return Path()

        run = Run([spec], Problem(train, valid), keep)
        for event in run.events():
            if event is not None and hasattr(event, "detail"):
                raise ValueError(event.detail)
        self.spec_, self.n_iter_ = spec, run.trainer.epoch
        self._snapshot: checkpoint.Snapshot | None = None

    def _train_on(self, x: Any, y: Any, outputs: int) -> None:
        """One more pass over these rows, from where the last call left off."""
        known = getattr(self, "spec_", None)
        spec = known or self._spec(outputs, len(x), x.dtype.name)
        trainer = Trainer([spec], Problem(Part(x.astype(spec.precision, copy=False), y)))
        snapshot: checkpoint.Snapshot | None = getattr(self, "_snapshot", None)
        if snapshot is not None:
            checkpoint.restore(trainer, *snapshot)
        elif known is not None:
            trainer.network.weights[...] = self.weights_
            trainer.network.state[...] = self.state_
        for _ in range(trainer.batches):
            trainer.advance()
            if trainer.failed.any():
                raise ValueError("the loss is no number any more: try a lower learning rate")
        trainer.end_epoch()
        self.spec_, self.n_iter_ = spec, trainer.epoch
        self._snapshot = checkpoint.capture(trainer, {}, None)
        self.weights_ = trainer.network.weights.copy()
        self.state_ = trainer.network.state.copy()

    def _outputs(self, X: Any) -> Any:
        """What the network makes of rows `X (rows, features)`: probabilities or numbers."""
        check_is_fitted(self)
        x = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        spec: TrainingSpec = self.spec_
        x = x.astype(spec.precision, copy=False)
        network = BoundNetwork(spec.layers, x.shape[1:], stack=(), xp=np, dtype=spec.precision)
        network.weights[...] = self.weights_
        network.state[...] = self.state_
        scope = Scope(np, network.dtype, (), network.output_shape)
        found = []
        for start in range(0, len(x), ROWS):
            y, _ = network.forward(x[start : start + ROWS])
            found.append(np.array(spec.loss.prediction(y, scope)))
        return np.concatenate(found)


class NetworkClassifier(ClassifierMixin, _NetworkEstimator):  # type: ignore[misc]
    """A classifier trained by backpropagation.

    `layers` are the hidden layers as in a JobSpec (`{"kind": "dense", "units": 64}` ...); without
    them `hidden` units with `activation`. The output layer is added by itself. `early_stopping`
    is the number of epochs without a better loss on `validation_fraction` of the rows; without it
    all `epochs` run. Raises ValueError for a hyperparameter that is wrong.
    """

    _default_loss = "cross_entropy"

    def fit(self, X: Any, y: Any) -> Self:
        """Learn the classes `y` of the rows `X (rows, features)`, from new weights."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
        check_classification_targets(y)
        self.classes_ = unique_labels(y)
        self._train(X, np.searchsorted(self.classes_, y), len(self.classes_))
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """One pass over more rows. `classes` must name all classes the first time."""
        first = not hasattr(self, "classes_")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        X, y = validate_data(self, X, y, reset=first, dtype=[np.float64, np.float32])
        if first:
            self.classes_ = unique_labels(np.asarray(classes))
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y holds {unknown[:5]}, which the first call's classes do not name")
        self._train_on(X, np.searchsorted(self.classes_, y), len(self.classes_))
        return self

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class for each row, in the order of `classes_`."""
        return self._outputs(X)

    def predict(self, X: Any) -> Any:
        """The likeliest class of each row."""
        likeliest = self._outputs(X).argmax(axis=1)
        return self.classes_[likeliest]


class NetworkRegressor(RegressorMixin, _NetworkEstimator):  # type: ignore[misc]
    """A regressor trained by backpropagation, for one number or several.

    Hyperparameters as in NetworkClassifier; the loss is the mean squared error by default.
    """

    _default_loss = "mean_squared_error"

    def fit(self, X: Any, y: Any) -> Self:
        """Learn the numbers `y (rows,)` or `(rows, n)` of the rows `X`, from new weights."""
        X, y = validate_data(
            self, X, y, multi_output=True, y_numeric=True, dtype=[np.float64, np.float32]
        )
        self._single = y.ndim == 1
        y = y.reshape(len(y), -1).astype(X.dtype, copy=False)
        self._train(X, y, y.shape[1])
        return self

    def partial_fit(self, X: Any, y: Any) -> Self:
        """One pass over more rows."""
        first = not hasattr(self, "weights_")
        X, y = validate_data(
            self,
            X,
            y,
            reset=first,
            multi_output=True,
            y_numeric=True,
            dtype=[np.float64, np.float32],
        )
        self._single = y.ndim == 1
        y = y.reshape(len(y), -1).astype(X.dtype, copy=False)
        self._train_on(X, y, y.shape[1])
        return self

    def predict(self, X: Any) -> Any:
        """The numbers of each row, shaped like the `y` it learned from."""
        found = self._outputs(X)
        return found[:, 0] if self._single else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _kind(value: dict[str, Any] | str) -> dict[str, Any]:
    return {"kind": value} if isinstance(value, str) else value
