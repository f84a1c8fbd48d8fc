"""Arrays of other libraries, by DLPack: taken without a copy, or refused with a reason."""

import ctypes
import gc

import lnnc
import numpy as np
import pytest

MODEL = """
func.func @main(%x: tensor<?x3xf32> {lnn.name = "x"},
                %h: tensor<?x3xf32> {lnn.name = "h", lnn.role = "state", lnn.next = "h_next"})
    -> (tensor<?x3xf32> {lnn.name = "y"},
        tensor<?x3xf32> {lnn.name = "h_next", lnn.role = "state", lnn.prev = "h"}) {
  %n = arith.addf %x, %h : tensor<?x3xf32>
  %y = arith.addf %n, %n : tensor<?x3xf32>
  return %y, %n : tensor<?x3xf32>, tensor<?x3xf32>
}
"""


@pytest.fixture(scope="module")
def model():
    return lnnc.compile(MODEL)


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class Managed(ctypes.Structure):
    _fields_ = [
        ("tensor", DLTensor),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    ]


class Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("flags", ctypes.c_uint64),
        ("tensor", DLTensor),
    ]


new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}


class Array:
    """Another library's array: the memory of one of NumPy's, and a count of who has it."""

    def __init__(self, array, *, version=1, dense=False, **fields):
        self.array, self.version, self.dense, self.fields = array, version, dense, fields
        self.device = fields.pop("device", (1, 0))
        self.flags = fields.pop("flags", 0)
        self.held = self.taken = 0

    def __dlpack_device__(self):
        return self.device

    def _tensor(self):
        a = self.array
        self.shape = (ctypes.c_int64 * a.ndim)(*a.shape)
        self.strides = (ctypes.c_int64 * a.ndim)(*[s // a.itemsize for s in a.strides])
        strides = ctypes.POINTER(ctypes.c_int64)() if self.dense else self.strides
        tensor = DLTensor(
            a.ctypes.data - 12, *self.device, a.ndim, CODES[a.dtype.kind], 8 * a.itemsize, 1,
            self.shape, ctypes.cast(strides, ctypes.POINTER(ctypes.c_int64)), 12,
        )  # fmt: skip
        for name, value in self.fields.items():
            setattr(tensor, name, value)
        return tensor

    def __dlpack__(self, *, stream=None, **options):
        if not self.version and options:
            raise TypeError("unexpected keyword argument 'max_version'")
        self.taken += 1
        self.held += 1

        def release(_):
            self.held -= 1

        deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(release)
        if self.version:
            assert options["max_version"] == (1, 0)
            made = Versioned(self.version, 0, None, deleter, self.flags, self._tensor())
        else:
            made = Managed(self._tensor(), None, deleter)
        self.keep = made, deleter
        name = b"dltensor_versioned" if self.version else b"dltensor"
        return new_capsule(ctypes.addressof(made), name, None)


def example():
    x = np.arange(6, dtype="f4").reshape(2, 3)
    h = np.array([[1, 0, 2], [0, 1, 0]], "f4")
    return x, h, 2 * (x + h)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("dense", [False, True])
def test_inputs(model, version, dense):
    x, h, want = example()
    given = Array(x, version=version, dense=dense)
    assert np.array_equal(model(x=given, h=h)["y"], want)
    assert np.array_equal(model.run({"x": given, "h": Array(h)})["y"], want)
    assert given.taken == 2 and given.held == 0


def test_inputs_of_any_strides(model):
    x, h, want = example()
    wide = np.zeros((4, 6), "f4")
    wide[::2, ::2] = x
    for view in (wide[::2, ::2], np.asfortranarray(x), x[::-1].copy()[::-1]):
        assert np.array_equal(model(x=Array(view), h=h)["y"], want)
    row = np.broadcast_to(np.array([1, 2, 3], "f4"), (5, 3))
    y = model(x=Array(row), h=np.zeros((5, 3), "f4"))["y"]
    assert np.array_equal(y, 2 * row)


def test_read_only_inputs(model):
    x, h, want = example()
    x.flags.writeable = False
    assert np.array_equal(model(x=Array(x, flags=1), h=h)["y"], want)
    assert np.array_equal(model(x=x, h=h)["y"], want)


def test_no_copy(model):
    """The result is that of the memory as it is at the call."""
    x, h, want = example()
    given = Array(x)
    before = model(x=given, h=h)["y"]
    x += 1
    assert np.array_equal(before, want)
    assert np.array_equal(model(x=given, h=h)["y"], want + 2)


def test_empty(model):
    empty = np.zeros((0, 3), "f4")
    assert model(x=Array(empty, data=None, byte_offset=0), h=Array(empty))["y"].shape == (0, 3)


def test_sessions(model):
    x, h, want = example()
    session = model.session(batch=2, state={"h": Array(h)})
    given = Array(x)
    assert np.array_equal(session.step(x=given)["y"], want)
    session.state = {"h": Array(h, version=0)}
    assert np.array_equal(session.step(x=given)["y"], want)
    assert given.held == 0


def test_destinations(model):
    x, h, want = example()
    memory = np.zeros((2, 6), "f4")
    y, hn = Array(memory[:, ::2]), Array(np.zeros((2, 3), "f4"))
    out = model(x=x, h=h, out={"y": y, "h_next": hn})
    assert out["y"] is y and out["h_next"] is hn
    assert np.array_equal(memory[:, ::2], want) and not memory[:, 1::2].any()
    assert np.array_equal(hn.array, x + h)
    memory[:], hn.array[:] = 0, 0
    session = model.session(batch=2, state={"h": h})
    out = session.step(x=x, out={"y": y, "h_next": hn})
    assert out["y"] is y and out["h_next"] is hn and y.held == hn.held == 0
    assert np.array_equal(memory[:, ::2], want) and np.array_equal(hn.array, x + h)


def test_results_are_dlpack(model):
    x, h, want = example()
    y = model(x=x, h=h)["y"]
    assert y.__dlpack_device__() == (1, 0)
    assert np.array_equal(np.from_dlpack(y), want)
    assert np.shares_memory(np.from_dlpack(y), y)
    assert np.array_equal(model(x=Array(y), h=h)["y"], 2 * (y + h))


@pytest.mark.parametrize("device, name", [((2, 1), "cuda:1"), ((8, 0), "metal:0"), ((99, 0), "99")])
def test_other_devices(model, device, name):
    x, h, _ = example()
    given = Array(x, device=device)
    with pytest.raises(lnnc.InputError, match=f"input 'x' is on .*{name}.*runs on the CPU"):
        model(x=given, h=h)
    with pytest.raises(lnnc.InputError, match=rf"out\['y'\] is on .*{name}"):
        model(x=x, h=h, out={"y": given})
    assert given.taken == 0  # asking could copy


def test_memory_of_the_host_that_devices_see(model):
    x, h, want = example()
    assert np.array_equal(model(x=Array(x, device=(3, 0)), h=h)["y"], want)


@pytest.mark.parametrize(
    "array, fields, found",
    [
        (np.zeros((2, 3)), {}, "float64"),
        (np.zeros((2, 3), "i4"), {}, "int32"),
        (np.zeros((2, 3), "?"), {}, "bool"),
        (np.zeros((2, 3), "c8"), {}, "complex64"),
        (np.zeros((2, 3), "f4"), {"lanes": 4}, "4 lanes"),
        (np.zeros((2, 3), "u1"), {"code": 9}, "code 9"),
        (np.zeros((2, 3), "f2"), {"code": 4}, "bfloat16"),
    ],
)
def test_other_types(model, array, fields, found):
    given = Array(array, **fields)
    for take in (
        lambda: model(x=given, h=np.zeros((2, 3), "f4")),
        lambda: model.session(batch=2).step(x=given),
    ):
        with pytest.raises(lnnc.InputError, match=f"input 'x' is .*{found}.*expected float32"):
            take()
    assert given.held == 0


@pytest.mark.parametrize(
    "given, words",
    [
        (Array(np.zeros((2, 4), "f4")), r"has shape \[2, 4\]"),
        (Array(np.zeros(3, "f4")), "rank"),
        (Array(np.zeros((1,) * 40, "f4")), "no valid shape"),
        (Array(np.zeros((2, 3), "f4"), ndim=-1), "no valid shape"),
        (Array(np.zeros((2, 3), "f4"), data=None), "no data"),
        (Array(np.zeros((2, 3), "f4"), version=2), "version 2"),
    ],
)
def test_tensors_that_do_not_fit(model, given, words):
    with pytest.raises(lnnc.InputError, match=words):
        model(x=given, h=np.zeros((2, 3), "f4"))
    if given.version != 2:
        assert given.held == 0


def test_read_only_destinations(model):
    x, h, _ = example()
    for to in (Array(x.copy(), flags=1), Array(x.copy(), version=0), Array(np.zeros((2, 3)))):
        with pytest.raises(lnnc.InputError, match="writeable"):
            model(x=x, h=h, out={"y": to})
        assert to.held == 0


def test_what_only_looks_like_one(model):
    h = np.zeros((2, 3), "f4")

    class Raises(Array):
        def __dlpack__(self, **options):
            raise BufferError("tensors that need gradients are not exported")

    class NoCapsule(Array):
        def __dlpack__(self, **options):
            return 7

    class NoDevice(Array):
        def __dlpack_device__(self):
            return "cpu"

    x = np.zeros((2, 3), "f4")
    for given, words in (
        (Raises(x), "BufferError: tensors that need gradients"),
        (NoCapsule(x), "no capsule"),
        (NoDevice(x), "no pair of integers"),
        (Array, "is a type"),
    ):
        with pytest.raises(lnnc.InputError, match=f"'x'.*{words}"):
            model(x=given, h=h)


def test_a_call_that_fails_gives_back(model):
    x, _, _ = example()
    given, to = Array(x), Array(x.copy())
    with pytest.raises(lnnc.InputError, match="'h'"):
        model(x=given, h=np.zeros((5, 3), "f4"), out={"y": to})
    gc.collect()
    assert given.held == to.held == 0


def test_torch(model):
    torch = pytest.importorskip("torch")
    x, h, want = example()
    tx = torch.from_numpy(x)
    y = model(x=tx, h=torch.from_numpy(h))["y"]
    assert np.array_equal(torch.from_dlpack(y).numpy(), want)
    assert np.array_equal(model(x=tx.T.contiguous().T, h=h)["y"], want)
    with pytest.raises(lnnc.InputError, match="float64"):
        model(x=tx.double(), h=h)
    with pytest.raises(lnnc.InputError, match="grad"):
        model(x=tx.clone().requires_grad_(), h=h)
    half = lnnc.compile(MODEL.replace("f32", "bf16"))
    got = half(x=tx.bfloat16(), h=torch.from_numpy(h).bfloat16())["y"]
    assert np.array_equal(np.asarray(got).view("u2"), torch.from_numpy(want).bfloat16().view(
        torch.uint16).numpy())  # fmt: skip


def test_jax(model):
    jnp = pytest.importorskip("jax.numpy")
    x, h, want = example()
    assert np.array_equal(model(x=jnp.asarray(x), h=h)["y"], want)
