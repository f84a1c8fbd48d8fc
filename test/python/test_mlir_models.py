"""Models written as MLIR text: what users write there runs, and sizes that disagree are errors."""

import lnnc
import numpy as np
import pytest


def vector(n, dtype="f4"):
    return np.arange(1, n + 1, dtype=dtype)


def refused(model, inputs, *words):
    with pytest.raises(lnnc.InputError) as caught:
        model.run(inputs)
    assert all(word in str(caught.value) for word in words), caught.value


def test_elementwise_operations_on_tensors():
    model = lnnc.compile("""
      func.func @main(%x: tensor<?x3xf32>, %z: tensor<?x3xf32>) -> tensor<?x3xf32> {
        %0 = arith.mulf %x, %z : tensor<?x3xf32>
        %1 = lnn.sigmoid %0 : tensor<?x3xf32>
        %2 = math.exp %1 : tensor<?x3xf32>
        %3 = arith.cmpf ogt, %x, %z : tensor<?x3xf32>
        %4 = arith.select %3, %2, %x : tensor<?x3xi1>, tensor<?x3xf32>
        return %4 : tensor<?x3xf32>
      }""")
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 5, 3)).astype("f4")
    want = np.where(x > z, np.exp(1 / (1 + np.exp(-x.astype("f8") * z))), x)
    np.testing.assert_allclose(model.run({"arg0": x, "arg1": z})["out0"], want, rtol=1e-6)
    refused(model, {"arg0": x, "arg1": z[:4]}, "arg0", "arg1", "dimension 0")
    np.testing.assert_allclose(model.run({"arg0": x, "arg1": z})["out0"], want, rtol=1e-6)


ADD = """
  func.func @main(%a: tensor<?xf32> {NAMES_A}, %b: tensor<?xf32> {NAMES_B}) -> tensor<?xf32> {
    %c0 = arith.constant 0 : index
    %n = tensor.dim %a, %c0 : tensor<?xf32>
    %e = tensor.empty(%n) : tensor<?xf32>
    %y = linalg.add ins(%a, %b : tensor<?xf32>, tensor<?xf32>) outs(%e : tensor<?xf32>)
      -> tensor<?xf32>
    return %y : tensor<?xf32>
  }"""


@pytest.mark.parametrize(
    "names",
    [("", ""), ('lnn.dims = ["n"]', 'lnn.dims = ["m"]'), ('lnn.dims = ["n"]', 'lnn.dims = ["n"]')],
)
def test_operands_of_different_sizes(names):
    text = ADD.replace("NAMES_A", names[0]).replace("NAMES_B", names[1])
    model = lnnc.compile(text)
    good = {"arg0": vector(9), "arg1": vector(9)}
    assert np.array_equal(model.run(good)["out0"], 2 * vector(9))
    for n, m in [(9, 8), (8, 9), (9, 0), (0, 9), (1_000_000, 1)]:
        refused(model, {"arg0": vector(n), "arg1": vector(m)})
    assert np.array_equal(model.run(good)["out0"], 2 * vector(9))
    assert model.run({"arg0": vector(0), "arg1": vector(0)})["out0"].shape == (0,)


def test_a_scan_over_inputs_of_different_lengths():
    model = lnnc.compile("""
      func.func @main(%x: tensor<?x?xf32>, %z: tensor<?x?xf32>, %h0: tensor<?xf32>)
          -> tensor<?xf32> {
        %c0 = arith.constant 0 : index
        %n = tensor.dim %x, %c0 : tensor<?x?xf32>
        %hn = lnn.scan %t of %n over (%xt = %x dim 0, %zt = %z dim 0) carrying (%h = %h0)
            : (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>) -> tensor<?xf32> {
          %s = arith.addf %xt, %zt : tensor<?xf32>
          %next = arith.addf %h, %s : tensor<?xf32>
          lnn.yield carrying %next : tensor<?xf32>
        }
        return %hn : tensor<?xf32>
      }""")
    x = np.ones((5, 3), "f4")
    good = {"arg0": x, "arg1": 2 * x, "arg2": vector(3)}
    assert np.array_equal(model.run(good)["out0"], vector(3) + 15)
    for name, bad in [("arg1", x[:4]), ("arg1", x[:, :2]), ("arg2", vector(2))]:
        refused(model, {**good, name: bad}, name)
    assert np.array_equal(model.run(good)["out0"], vector(3) + 15)


def test_a_cell_whose_batches_disagree():
    model = lnnc.compile("""
      func.func @main(%x: tensor<?x3xf32>, %h: tensor<?x2xf32>, %f: tensor<2x3xf32>)
          -> tensor<?x3xf32> {
        %u = lnn.feedback %x, %h through %f : tensor<?x3xf32>, tensor<?x2xf32>
        return %u : tensor<?x3xf32>
      }""")
    x, h, f = np.ones((4, 3), "f4"), np.ones((4, 2), "f4"), np.ones((2, 3), "f4")
    assert np.array_equal(model.run({"arg0": x, "arg1": h, "arg2": f})["out0"], 3 * x)
    refused(model, {"arg0": x, "arg1": h[:3], "arg2": f}, "arg1")


def test_a_cast_to_a_size_that_it_does_not_have():
    model = lnnc.compile("""
      func.func @main(%a: tensor<?xf32>) -> tensor<4xf32> {
        %0 = tensor.cast %a : tensor<?xf32> to tensor<4xf32>
        %1 = math.absf %0 : tensor<4xf32>
        return %1 : tensor<4xf32>
      }""")
    assert np.array_equal(model.run({"arg0": -vector(4)})["out0"], vector(4))
    refused(model, {"arg0": vector(3)}, "arg0", "4")


def test_a_slice_beyond_the_end():
    model = lnnc.compile("""
      func.func @main(%a: tensor<?xf32>, %b: tensor<?xf32>) -> tensor<?xf32> {
        %c0 = arith.constant 0 : index
        %m = tensor.dim %b, %c0 : tensor<?xf32>
        %0 = tensor.extract_slice %a[1] [%m] [1] : tensor<?xf32> to tensor<?xf32>
        return %0 : tensor<?xf32>
      }""")
    got = model.run({"arg0": vector(5), "arg1": vector(3)})["out0"]
    assert np.array_equal(got, [2, 3, 4])
    refused(model, {"arg0": vector(5), "arg1": vector(5)})


@pytest.mark.parametrize(
    "text, words",
    [
        ("func.func @other() { return }", ["@main"]),
        ("func.func @main(%x: f32) { return }", ["f32", "tensor"]),
        ("func.func @main(%x: tensor<*xf32>) { return }", ["rank"]),
        (
            "func.func @main(%x: i32) { "
            '%0 = onnx.node "Neg"(%x) opset 17 : (i32) -> i32\n return }',
            ["tensor", "i32"],
        ),
        (
            "func.func @main(%x: tensor<2xf32>) { "
            '"onnx.node"() <{op_type = "Loop", opset = 17 : i64, node_attrs = {}}> '
            '({"onnx.yield"() : () -> ()}) : () -> ()\n return }',
            ["region_names"],
        ),
    ],
)
def test_text_that_is_no_model(text, words):
    with pytest.raises(lnnc.CompileError) as caught:
        lnnc.compile(text)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("kind", ["f16", "bf16"])
def test_halves(kind):
    """Sums and products of halves are f32's, rounded when stored; no library call is needed."""
    import ml_dtypes

    dtype = {"f16": np.float16, "bf16": ml_dtypes.bfloat16}[kind]
    model = lnnc.compile(
        """
      func.func @main(%x: tensor<?xT>, %z: tensor<?xT>) -> (tensor<?xT>, tensor<?xf32>) {
        %0 = arith.addf %x, %z : tensor<?xT>
        %1 = arith.extf %0 : tensor<?xT> to tensor<?xf32>
        %2 = arith.maximumf %0, %x : tensor<?xT>
        return %2, %1 : tensor<?xT>, tensor<?xf32>
      }""".replace("xT", "x" + kind)
    )
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 37)).astype(dtype)
    got = model.run({"arg0": x, "arg1": z})
    total = (x.astype("f4") + z.astype("f4")).astype(dtype)
    assert np.array_equal(got["out1"], total.astype("f4"))
    assert got["out0"].tobytes() == np.maximum(total, x).tobytes()


@pytest.mark.parametrize("rows", ["1", "5", "17", "?"])
def test_sums_that_start_from_a_bias_or_from_what_a_loop_finds(rows):
    model = lnnc.compile("""
      func.func @main(
          %xs: STEPS, %h0: ROWST, %v: MATRIX, %w: MATRIX, %bias: tensor<9xf32>) -> ROWST {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %c5 = arith.constant 5 : index
        %n = tensor.dim %h0, %c0 : ROWST
        %e = tensor.empty(SIZE) : ROWST
        %y = scf.for %t = %c0 to %c5 step %c1 iter_args(%h = %h0) -> ROWST {
          %b = linalg.broadcast ins(%bias : tensor<9xf32>)
            outs(%e : ROWST) dimensions = [0]
          %p = linalg.matmul ins(%h, %v : ROWST, MATRIX)
            outs(%b : ROWST) -> ROWST
          %x = tensor.extract_slice %xs[%t, 0, 0] [1, ROWSIZE, 9] [1, 1, 1] : STEPS to ROWST
          %q = linalg.matmul ins(%h, %w : ROWST, MATRIX)
            outs(%x : ROWST) -> ROWST
          %s = linalg.matmul ins(%p, %w : ROWST, MATRIX)
            outs(%h : ROWST) -> ROWST
          %d = arith.addf %q, %s : ROWST
          scf.yield %d : ROWST
        }
        return %y : ROWST
      }""".replace("ROWSIZE", "%n" if rows == "?" else rows)
        .replace("SIZE", "%n" if rows == "?" else "")
        .replace("STEPS", f"tensor<5x{rows}x9xf32>")
        .replace("ROWST", f"tensor<{rows}x9xf32>")
        .replace("MATRIX", "tensor<9x9xf32>")
    )  # fmt: skip
    n = 7 if rows == "?" else int(rows)
    rng = np.random.default_rng(n)
    xs, h0, bias = (rng.uniform(-1, 1, s).astype("f4") for s in [(5, n, 9), (n, 9), (9,)])
    v, w = rng.uniform(-0.3, 0.3, (2, 9, 9)).astype("f4")
    h = h0.astype("f8")
    for x in xs:
        h = (x + h @ w) + (h + (bias + h @ v) @ w)
    for _ in range(2):  # nothing of one run is where the next begins
        y = model(arg0=xs, arg1=h0, arg2=v, arg3=w, arg4=bias)[0]
        np.testing.assert_allclose(y, h, rtol=2e-5, atol=2e-5)
