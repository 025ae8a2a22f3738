"""Scikit-learn estimators that train the same networks, for pipelines and grid searches."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from core.data.prepare.pipeline import Standardizer
from core.data.split.split import split
from core.family import members
from core.nn.layer import Layer, Scope
from core.nn.loss import Loss
from core.nn.network import BoundNetwork
from core.spec import TrainingSpec
from core.training import checkpoint
from core.training.dataset_types import Dataset, Part, in_units
from core.training.run import Run
from core.training.trainer import Trainer

ROWS = 8192
"""Rows predicted at a time."""
PATIENCE = 10
"""The epochs of early stopping by default: chosen by `make bench-quality`."""
FEWEST_ROWS = 100
"""Fewer rows are all trained on by default."""
_LOSSES = cast("Any", Loss)


class _NetworkEstimator(BaseEstimator):  # type: ignore[misc]
    """Base of classifier and regressor: hyperparameters, training and raw outputs."""

    def __init__(  # noqa: PLR0913 - scikit-learn reads hyperparameters from the signature
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
        early_stopping: int | Literal["auto"] | None = "auto",
        validation_fraction: float = 0.1,
        standardize_target: bool = True,
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
        self.standardize_target = standardize_target
        self.random_state = random_state

    def _patience(self, rows: int | None) -> int | None:
        """Return the epochs without a better loss after which `rows` end training, or None.

        None rows: they come in parts, of which none can be held out.
        """
        if self.early_stopping == "auto":
            return PATIENCE if rows is not None and rows >= FEWEST_ROWS else None
        return self.early_stopping

    def _spec(self, outputs: int, precision: str, rows: int | None = None) -> TrainingSpec:
        """Return the hyperparameters as a TrainingSpec for so many rows.

        Raises ValueError for a wrong one.
        """
        if not 0 < self.validation_fraction < 1:
            raise ValueError(
                f"validation_fraction must be between 0 and 1, not {self.validation_fraction}"
            )
        hidden: list[Any] = list(self.layers or ())
        if self.layers is None:
            for units in self.hidden:
                hidden += [{"kind": "dense", "units": int(units)}, {"kind": self.activation}]
        stop = None
        if (patience := self._patience(rows)) is not None:
            stop = {"metric": "valid/loss", "patience": patience}
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        return TrainingSpec.model_validate(
            {
                "network": [*hidden, {"kind": "dense", "units": outputs}],
                "loss": _kind(self.loss or self._default_loss),
                "optimizer": _kind(self.optimizer),
                "schedule": _kind(self.schedule),
                "batch_size": self.batch_size,
                "epochs": self.epochs,
                "early_stopping": stop,
                "seed": int(seed),
                "precision": precision,
            }
        )

    _default_loss = ""

    @property
    def _loss_kind(self) -> str:
        return str(_kind(self.loss or self._default_loss).get("kind"))

    @property
    def _target(self) -> str:
        """Return the kind of targets of the loss, or of the default loss if it is unknown."""
        known = members(_LOSSES)
        return str(
            known[self._loss_kind if self._loss_kind in known else self._default_loss].target
        )

    def _train(self, x: Any, y: Any, outputs: int, classes: Any = None) -> None:
        """Train from new weights for all epochs, with validation rows stratified by `classes`."""
        spec = self._spec(outputs, x.dtype.name, len(x))
        rows: dict[str, Any] = {"train": slice(None)}
        if spec.early_stopping is not None:
            if len(x) < 2:
                raise ValueError(
                    "early_stopping holds out samples for validation: 1 sample is too few"
                )
            shares = {"train": 1 - self.validation_fraction, "valid": self.validation_fraction}
            rows = split(len(x), shares, spec.seed, classes)
        self._target_standardizer = self._standardizer_of(y[rows["train"]])
        y = self._on_scale(y, x.dtype)
        parts = {name: Part(x[chosen], y[chosen]) for name, chosen in rows.items()}

        def keep(_: int, weights: Any, state: Any) -> Path:
            self.weights_, self.state_ = weights.copy(), state.copy()
            return Path()

        run = Run(Trainer([spec], Dataset(parts["train"], parts.get("valid"))), keep)
        for event in run.events():
            if event is not None and hasattr(event, "detail"):
                raise ValueError(event.detail)
        self.spec_, self.n_iter_ = spec, run.trainer.epoch
        self._snapshot: checkpoint.Snapshot | None = None

    def _train_on(self, x: Any, y: Any, outputs: int) -> None:
        """Train one more pass over these rows, from the state of the last call.

        The number of passes is unknown in advance: when the `epochs` of the schedule are used up,
        it is doubled.
        """
        known = getattr(self, "spec_", None)
        spec = known or self._spec(outputs, x.dtype.name)
        snapshot: checkpoint.Snapshot | None = getattr(self, "_snapshot", None)
        passes, epochs = 0 if snapshot is None else self.n_iter_, spec.epochs
        while epochs <= passes:
            epochs *= 2
        planned = spec.model_copy(update={"epochs": epochs})
        if known is None:
            self._target_standardizer = self._standardizer_of(y)
        x, y = x.astype(spec.precision, copy=False), self._on_scale(y, spec.precision)
        trainer = Trainer([planned], Dataset(Part(x, y)))
        if snapshot is not None:
            checkpoint.restore(trainer, *snapshot)
        elif known is not None:
            trainer.network.weights[...] = self.weights_
            trainer.network.state[...] = self.state_
        trainer.steps_total = trainer.step + (epochs - passes) * trainer.steps_an_epoch
        for _ in range(trainer.batches):
            trainer.advance()
            if trainer.failed.any():
                raise ValueError("the loss became NaN or infinite: lower the learning rate")
        trainer.end_epoch()
        self.spec_, self.n_iter_ = spec, trainer.epoch
        self._snapshot = checkpoint.capture(trainer, {}, None)
        self.weights_ = trainer.network.weights.copy()
        self.state_ = trainer.network.state.copy()

    def _outputs(self, X: Any) -> Any:
        """Return the outputs for the rows `X (rows, features)`: probabilities or numbers."""
        check_is_fitted(self)
        x = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        spec: TrainingSpec = self.spec_
        x = x.astype(spec.precision, copy=False)
        network = BoundNetwork(spec.network, x.shape[1:], stack=(), xp=np, dtype=spec.precision)
        network.weights[...] = self.weights_
        network.state[...] = self.state_
        scope = Scope(np, network.dtype, (), network.output_shape)
        blocks = []
        for start in range(0, len(x), ROWS):
            y, _ = network.forward(x[start : start + ROWS])
            blocks.append(np.array(spec.loss.prediction(y, scope)))
        outputs = in_units(getattr(self, "_target_standardizer", None), np.concatenate(blocks))
        return outputs.astype(spec.precision, copy=False)

    @property
    def _standardizes(self) -> bool:
        """Whether targets are standardized."""
        return False

    def _standardizer_of(self, y: Any) -> Standardizer | None:
        """Return the standardizer of targets that are trained on, or None to leave them alone."""
        return Standardizer.fit(y) if self._standardizes else None

    def _on_scale(self, y: Any, dtype: Any) -> Any:
        """Return targets as the network is trained on them, numbers as `dtype`."""
        standardizer: Standardizer | None = getattr(self, "_target_standardizer", None)
        return y if standardizer is None else standardizer.apply(y, dtype)


class NetworkClassifier(ClassifierMixin, _NetworkEstimator):  # type: ignore[misc]
    """A classifier trained by backpropagation.

    `layers` are the hidden layers as in a JobSpec (`{"kind": "dense", "units": 64}` ...). Without
    them the hidden layers have `hidden` units with `activation`. The output layer is added.
    `early_stopping` is the number of epochs without a better loss on `validation_fraction` of the
    rows, stratified by class, after which training ends with the best weights; None trains on all
    rows for all `epochs`. "auto" means 10 for 100 rows or more, else None. A binary loss, such as
    binary_cross_entropy, needs two classes. Methods raise ValueError for wrong hyperparameters.
    """

    _default_loss = "cross_entropy"

    def fit(self, X: Any, y: Any) -> Self:
        """Train on the rows `X (rows, features)` and their classes `y`, from new weights."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
        check_classification_targets(y)
        self.classes_ = unique_labels(y)
        codes = np.searchsorted(self.classes_, y)
        self._train(X, *self._encoded(codes, X.dtype), classes=codes)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Train one pass over more rows. The first call must name all `classes`."""
        first = not hasattr(self, "classes_")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        X, y = validate_data(self, X, y, reset=first, dtype=[np.float64, np.float32])
        if first:
            self.classes_ = unique_labels(np.asarray(classes))
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y holds {unknown[:5]}, which are not among the classes of the first call"
            )
        self._train_on(X, *self._encoded(np.searchsorted(self.classes_, y), X.dtype))
        return self

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class for each row, in the order of `classes_`."""
        outputs = self._outputs(X)
        if self._target == "binary":
            return np.concatenate([1 - outputs, outputs], axis=1)
        return outputs

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each row."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        return self.classes_[likeliest]

    def _encoded(self, codes: Any, dtype: Any) -> tuple[Any, int]:
        """Return class indices in the form that the loss compares, and the number of outputs.

        Raises ValueError for a loss with other targets, or with another number of classes.
        """
        count, target = len(self.classes_), self._target
        if target == "class":
            return codes, count
        if target == "distribution":
            return np.eye(count, dtype=dtype)[codes], count
        if target != "binary":
            raise ValueError(f"{self._loss_kind} is not a loss for a classifier: use cross_entropy")
        if count != 2:
            kind = "1 class" if count == 1 else f"multiclass: {count} classes"
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {kind}, and "
                f"{self._loss_kind} compares two"
            )
        return codes[:, None].astype(dtype), 1

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = self._target != "binary"
        return tags


class NetworkRegressor(RegressorMixin, _NetworkEstimator):  # type: ignore[misc]
    """A regressor trained by backpropagation, for one or several target numbers.

    Hyperparameters are those of NetworkClassifier. The default loss is the mean squared error. With
    `standardize_target`, the loss compares targets with mean 0 and standard deviation 1 on the rows
    that are trained on (those of the first call of partial_fit), except that of counts (poisson).
    Predictions are in the units of `y`.
    """

    _default_loss = "mean_squared_error"

    def fit(self, X: Any, y: Any) -> Self:
        """Train on the rows `X` and their numbers `y (rows,)` or `(rows, n)`, from new weights."""
        X, y = validate_data(
            self, X, y, multi_output=True, y_numeric=True, dtype=[np.float64, np.float32]
        )
        y = self._numbers(y, X.dtype)
        self._train(X, y, y.shape[1])
        return self

    def partial_fit(self, X: Any, y: Any) -> Self:
        """Train one pass over more rows."""
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
        y = self._numbers(y, X.dtype)
        self._train_on(X, y, y.shape[1])
        return self

    def _numbers(self, y: Any, dtype: Any) -> Any:
        """Return targets `(rows, n)`. Raises ValueError for a loss of classes."""
        if self._target != "number":
            raise ValueError(
                f"{self._loss_kind} is not a loss for a regressor: use mean_squared_error"
            )
        self._single = y.ndim == 1
        numbers = y.reshape(len(y), -1)
        return numbers.astype(np.float64 if self._standardizes else dtype, copy=False)

    @property
    def _standardizes(self) -> bool:
        return self.standardize_target and self._loss_kind != "poisson"

    def predict(self, X: Any) -> Any:
        """Return the predicted numbers, in the shape of the `y` of the training."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._single else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _kind(value: dict[str, Any] | str) -> dict[str, Any]:
    return {"kind": value} if isinstance(value, str) else value
