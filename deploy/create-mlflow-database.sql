-- MLflow's role and database, for psql. It runs on the first start of a volume and may run again at
-- any time, as the superuser: existing tables then belong to the role, and its password is replaced.
-- MLflow and Chainrule both have a table alembic_version, so each needs its own database. The role
-- owns MLflow's and cannot connect to another.
\getenv password MLFLOW_POSTGRES_PASSWORD

SELECT 'CREATE ROLE mlflow' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mlflow') \gexec
ALTER ROLE mlflow LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
SELECT 'CREATE DATABASE mlflow' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'mlflow') \gexec
ALTER DATABASE mlflow OWNER TO mlflow;

-- Without this every role may connect to every database.
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_database WHERE datallowconn \gexec

-- Sequences of columns change their owner with their table, others by themselves.
\connect mlflow
SELECT format('ALTER TABLE %s OWNER TO mlflow', oid::regclass) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND relowner <> 'mlflow'::regrole \gexec
SELECT format('ALTER SEQUENCE %s OWNER TO mlflow', oid::regclass) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'S' AND relowner <> 'mlflow'::regrole \gexec
