"""Retention: policies that delete what is old, run by the scheduler and by `chainrule gc`.

Registered models and datasets are never deleted here; jobs, their results and their models only if
a setting says so.
"""

from core.retention.policies import POLICIES, kept_days, policies
from core.retention.policy import Freed, Item, RetentionPolicy, Storage
from core.retention.runner import Retention, apply_now
from core.retention.runs import RunPolicy
from core.retention.sizes import database_bytes
from core.retention.usage import Usage, store_usage, table_usage
