"""Models that Octavo compiled, and the runtime that they share.

with load() as model:
    outputs = model.run({"x": array})
"""

from ._errors import CancelledError, ModelError
from ._model import Model, load
from ._models import MODELS, VERSION
from ._tensor_info import TensorInfo
from ._usage import Usage

__version__ = VERSION
__all__ = [
    "MODELS",
    "CancelledError",
    "Model",
    "ModelError",
    "TensorInfo",
    "Usage",
    "load",
]
