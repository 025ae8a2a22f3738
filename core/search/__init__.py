"""The search for good hyperparameters: the one place that speaks to Optuna.

Our rows are the truth: a study is made anew in memory from what they say, asked, and forgotten.
"""
