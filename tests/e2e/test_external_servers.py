"""The same processes on PostgreSQL and a broker that are not ours."""

from collections.abc import Callable

import psutil
import psycopg
import pytest

from tests.e2e.conftest import SPEC, Up
from tests.support.brokers import Broker
from tests.support.databases import PostgresServer

pytestmark = pytest.mark.e2e


def test_the_whole_way_on_postgresql_and_redis(
    up: Callable[..., Up], postgres: PostgresServer, broker: Broker
) -> None:
    postgres.execute("CREATE DATABASE whole_way")
    one = up(
        None,
        *("--database-url", postgres.url("whole_way"), "--broker-url", broker.url),
    )
    one.upload()
    job_id = one.submit(SPEC)
    job = one.reach(job_id, "finished")
    assert job["last_metrics"]["test/accuracy"] > 0.9
    one.run_in_mlflow(job_id, "FINISHED")
    names = [child.name() for child in psutil.Process(one.process.pid).children()]
    assert not any("valkey" in name or "redis" in name for name in names)
    address = f"host=127.0.0.1 port={postgres.port} user=postgres dbname=whole_way"
    with psycopg.connect(address) as connection:
        rows = connection.execute("SELECT id, status FROM jobs").fetchall()
    assert rows == [(job_id, "finished")]
    assert broker.client.dbsize() >= 0
    assert one.end() == 0
    assert one.left() == []
