"""The tables. Each row is an object of one of these classes."""

from core.db.tables.attempts import Attempt, Checkpoint
from core.db.tables.base import Base
from core.db.tables.datasets import Alias, Dataset, DatasetVersion
from core.db.tables.experiments import Experiment
from core.db.tables.histories import JobEvent, LogLine, MetricChunk
from core.db.tables.idempotency import IdempotencyKey
from core.db.tables.jobs import Job
from core.db.tables.models import AliasChange, Evaluation, ModelAlias, ModelVersion, RegisteredModel
from core.db.tables.nodes import Node, Worker
from core.db.tables.runs import DeletedRun
from core.db.tables.sources import Source
from core.db.tables.sweeps import Fold, Sweep, Trial
from core.db.tables.webhooks import Delivery, Webhook
