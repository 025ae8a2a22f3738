-- MLflow and Chainrule both have a table alembic_version, so each needs its own database.
CREATE DATABASE mlflow;
