"""Sweeps of small networks: trials a minute, beside Optuna and Ray Tune."""
