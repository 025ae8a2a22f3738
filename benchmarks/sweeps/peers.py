"""The same searches by others, on two cores: two processes or threads of one thread each."""

import multiprocessing
import time
import warnings
from typing import Any

import numpy as np

from benchmarks.sweeps.cases import CASES, HIGH, LOW, Case


def torch_accuracy(case: Case, rate: float, seed: int) -> float:
    """Train one network with PyTorch and give its accuracy on the validation rows."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    x, y, valid_x, valid_y = map(torch.from_numpy, case.halves())
    network = torch.nn.Sequential(
        torch.nn.Linear(case.inputs, case.hidden),
        torch.nn.ReLU(),
        torch.nn.Linear(case.hidden, case.classes),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    loss = torch.nn.CrossEntropyLoss()
    accuracy = 0.0
    for _ in range(case.epochs):
        order = torch.randperm(len(y))
        for start in range(0, len(y), case.batch):
            rows = order[start : start + case.batch]
            optimizer.zero_grad()
            loss(network(x[rows]), y[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = float((network(valid_x).argmax(1) == valid_y).float().mean())
    return accuracy


def sklearn_accuracy(case: Case, rate: float, seed: int) -> float:
    """Train one network with scikit-learn and give its accuracy on the validation rows."""
    from sklearn.neural_network import MLPClassifier

    x, y, valid_x, valid_y = case.halves()
    model = MLPClassifier(
        (case.hidden,),
        batch_size=case.batch,
        learning_rate_init=rate,
        max_iter=case.epochs,
        n_iter_no_change=case.epochs,
        alpha=0.0,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y)
    return float(model.score(valid_x, valid_y))


def _search(name: str, trials: int, seed: int, train: Any, jobs: int = 1) -> float:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    case = CASES[name]

    def objective(trial: Any) -> float:
        rate = trial.suggest_float("rate", LOW, HIGH, log=True)
        accuracy: float = train(case, rate, trial.suggest_int("seed", 0, 1_000_000))
        return accuracy

    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.RandomSampler(seed=seed)
    )
    study.optimize(objective, n_trials=2, n_jobs=jobs)  # warm
    begun = time.perf_counter()
    study.optimize(objective, n_trials=trials, n_jobs=jobs)
    return time.perf_counter() - begun


def _half(task: tuple[str, int, int]) -> float:
    return _search(*task, torch_accuracy)


def optuna_torch(case: Case, trials: int) -> float:
    """Seconds: two processes with a study each in memory, half of the trials in each."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        return max(pool.map(_half, [(case.name, trials // 2, seed) for seed in (1, 2)]))


def optuna_sklearn(case: Case, trials: int) -> float:
    """Seconds: one study, `n_jobs=2`."""
    return _search(case.name, trials, 1, sklearn_accuracy, jobs=2)


def _ray_trial(config: dict[str, Any]) -> None:
    from ray import tune

    case = CASES[config["case"]]
    tune.report({"accuracy": torch_accuracy(case, config["rate"], config["seed"])})


def ray_torch(case: Case, trials: int) -> float:
    """Seconds: two trials at a time, a core each; Ray is started before."""
    import ray
    from ray import tune

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        space = {
            "case": case.name,
            "rate": tune.loguniform(LOW, HIGH),
            "seed": tune.randint(0, 1_000_000),
        }

        def run(count: int) -> float:
            config = tune.TuneConfig(
                num_samples=count,
                max_concurrent_trials=2,
                metric="accuracy",
                mode="max",
                reuse_actors=True,  # so that a trial need not import PyTorch
            )
            trainable = tune.with_resources(_ray_trial, {"cpu": 1})
            begun = time.perf_counter()
            results = tune.Tuner(
                trainable,
                param_space=space,
                tune_config=config,
                run_config=tune.RunConfig(verbose=0),
            ).fit()
            took = time.perf_counter() - begun
            best = results.get_best_result().metrics or {}
            if results.num_errors or not np.isfinite(best.get("accuracy", np.nan)):
                raise RuntimeError("Ray Tune lost trials")
            return took

        run(2)  # warm
        return run(trials)
    finally:
        ray.shutdown()


PEERS = {
    "Optuna + PyTorch": optuna_torch,
    "Optuna + scikit-learn": optuna_sklearn,
    "Ray Tune + PyTorch": ray_torch,
}
