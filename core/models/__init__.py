"""Use cases of trained models: load, register, alias, evaluate, promote."""

from core.models.aliases import changes, remove_alias, roll_back, set_alias
from core.models.evaluation import evaluation_by, evaluations, latest_evaluation, record
from core.models.loader import ModelFile, Models, file_of, locate
from core.models.mirror_state import (
    ModelState,
    VersionState,
    behind,
    forget_models,
    is_registered,
    mirrored_models,
    model_state,
    record_mirrored,
)
from core.models.promotion import Decision, promote
from core.models.registry import (
    Registered,
    get_model,
    get_version,
    job_of,
    list_models,
    list_versions,
    register,
    resolve,
    summary,
)
