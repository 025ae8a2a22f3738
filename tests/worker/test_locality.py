"""A slot leaves a job to a worker that has its data, and takes it when nobody else does."""

import threading
from pathlib import Path

from sqlalchemy import update

from chainrule.contract.status import JobStatus
from core import nodes
from core.data.storage.local_copy import held
from core.db.session import reading, transaction
from core.db.tables import DatasetVersion
from core.jobs.locality import HEAD_START_SECONDS, LEAST_BYTES
from tests.support.job_cases import pass_time
from tests.support.worker_cases import Bench, until
from worker.node.context import Equipment
from worker.node.heartbeat import Heartbeat
from worker.slot import Slot


def present(bench: Bench) -> bool:
    with reading(bench.engine) as session:
        return bool(nodes.list_nodes(session))


def test_data_draws_its_job(bench: Bench, tmp_path: Path) -> None:
    with transaction(bench.engine) as session:
        session.execute(update(DatasetVersion).values(bytes=LEAST_BYTES))
    settings = bench.settings.model_copy(
        update={
            "data_dir": tmp_path / "other",
            "store_url": bench.settings.resolved_store_url,
            "node_name": "holder",
        }
    )
    holder = Equipment(settings, bench.drain, "holder-1")
    with held(holder.cache, holder.store, bench.version.digest):
        pass
    assert holder.holdings.look() == [bench.version.digest]
    assert bench.equipment.holdings.look() == []
    presence = Heartbeat(holder)
    presence.start()
    try:
        until(lambda: present(bench))
        job_id = bench.submit(epochs=1)
        slot = threading.Thread(target=bench.slot.work, args=(job_id,))
        slot.start()
        Slot(holder).work(job_id)
        slot.join(60)
        (attempt,) = bench.attempts(job_id)
        assert (attempt.node, bench.job(job_id).status) == ("holder", JobStatus.FINISHED)
        # The holder takes no second one: it goes to who has to fetch the data first.
        job_id = bench.submit(epochs=1)
        pass_time(bench.engine, HEAD_START_SECONDS - 1)
        bench.slot.work(job_id)
        (attempt,) = bench.attempts(job_id)
        assert attempt.node == "bench"
    finally:
        presence.end()
        holder.close()
