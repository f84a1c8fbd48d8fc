"""lnnc compiles continuous-time networks (LTC, CfC, neural ODEs, GRU, LSTM ...) from ONNX to native
code.

    model = lnnc.compile("ltc.onnx")
    out = model(x=x, h0=h0, timespans=dt)     # NumPy in, NumPy out
    session = model.session(batch=4)          # streaming: states are carried
    y = session.step(x=x_t, timespans=dt_t)["y"]

The compiler is loaded when the first model is compiled: programs that only load artifacts never
    need it.
"""

from ._compile import compile, targets
from ._errors import CompileError, CompileWarning, Error, InputError, LoadError, UnsupportedError
from ._model import Model, Session, TensorInfo, ThreadPool, load
from ._ort import InferenceSession, NodeArg
from ._outputs import Outputs
from ._profile import Profile, Region
from ._runtime import version as _version

__version__: str = _version()

__all__ = [
    "CompileError",
    "CompileWarning",
    "Error",
    "InferenceSession",
    "InputError",
    "LoadError",
    "Model",
    "NodeArg",
    "Outputs",
    "Profile",
    "Region",
    "Session",
    "TensorInfo",
    "ThreadPool",
    "UnsupportedError",
    "__version__",
    "compile",
    "load",
    "targets",
]
