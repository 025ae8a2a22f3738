"""The loop: from a JobSpec and a stored dataset version to a trained model, as events.

`loop` trains from files, `trainer` from arrays; neither is imported here, so that a caller loads no
more than it needs.
"""
