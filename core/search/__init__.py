"""Hyperparameter search; the only package that uses Optuna.

The database is the truth: an Optuna study is built in memory from the rows, asked and discarded.
"""
