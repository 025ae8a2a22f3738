-- MLflow and Chainrule both keep their migrations in a table alembic_version: one database each.
CREATE DATABASE mlflow;
