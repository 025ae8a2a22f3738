"""Use cases of jobs: submit, claim, renew, finish, control, dispatch, reap, metrics."""
