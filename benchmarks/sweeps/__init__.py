"""Sweeps of small networks: trials a minute, compared with Optuna and Ray Tune."""
