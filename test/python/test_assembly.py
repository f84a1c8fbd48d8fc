"""The generated code itself: what must not be in its innermost loops."""

import re
import subprocess

import pytest
from conftest import BUILD, ZOO

MODELS = [
    "cfc_cell",
    "cfc_seq_t16",
    "cfc_scan",
    "ctrnn_feedback_loop",
    "gru_op",
    "lstm_op",
    "ltc_cell_fc64",
    "ltc_ncp_seq_t16",
    "node_rk4_grid8",
    "rnn_tanh_op",
]
SCALAR_MATH = re.compile(r"\bv?f?n?(m?add|m?sub|mul|div|sqrt|max|min)\w*s[sd]\b")
STACK = r"(-?\d*\(%rsp\))"
STORE = re.compile(rf"v?mov(?:[au]p[sd]|dq[au]\d*)\s+%[xyz]mm\d+, {STACK}")


def innermost_loops(assembly):
    """The instructions between a label and a jump back to it that holds no other such pair."""
    lines = [line.split("#")[0].strip() for line in assembly.splitlines()]
    labels = {line[:-1]: i for i, line in enumerate(lines) if re.fullmatch(r"\.L\w+:", line)}
    loops = []
    for i, line in enumerate(lines):
        jump = re.fullmatch(r"j\w+\s+(\.L\w+)", line)
        if jump and labels.get(jump[1], i) < i:
            loops.append((labels[jump[1]], i))
    inner = [
        (begin, end)
        for begin, end in loops
        if not any((b, e) != (begin, end) and begin <= b and e <= end for b, e in loops)
    ]
    return [[line for line in lines[b + 1 : e + 1] if line] for b, e in inner]


def carried_in_memory(loop):
    """Places on the stack that an iteration reads first and then writes vectors to: accumulators
    that did not get a register.
    """
    first_read, written = set(), set()
    for line in loop:
        if store := STORE.fullmatch(line):
            written.add(store[1])
        else:
            first_read.update(set(re.findall(STACK, line)) - written)
    return first_read & written


def assembly_of(name, cpu, *options):
    path = ZOO / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"no {path}")
    lnnc_tool = subprocess.run(
        [BUILD / "bin/lnnc", path, "--emit=asm", f"--mcpu={cpu}", *options, "-o", "-"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return lnnc_tool.stdout


def test_the_reader_finds_what_it_looks_for():
    assembly = """
    .LBB0_1:
        vmovss (%rax), %xmm0
    .LBB0_2:  # inner
        vmovups 32(%rsp), %ymm2
        vfmadd231ps (%rdi), %ymm1, %ymm2
        vmulss %xmm0, %xmm1, %xmm2
        vmovups %ymm2, 32(%rsp)  # an accumulator
        vmovups %ymm3, 64(%rsp)  # something else
        vmovups 64(%rsp), %ymm3
        callq expf@PLT
        jne .LBB0_2
        jb .LBB0_1
    """
    (loop,) = innermost_loops(assembly)
    assert len(loop) == 8 and sum(map(bool, map(SCALAR_MATH.search, loop))) == 1
    assert carried_in_memory(loop) == {"32(%rsp)"}
    for line in ("vfnmadd231ss (%rax), %xmm1, %xmm2", "vaddsd %xmm0, %xmm1, %xmm2", "sqrtss a, b"):
        assert SCALAR_MATH.search(line)
    for line in (
        "vbroadcastss (%rax), %ymm0",
        "vmovss (%rax), %xmm0",
        "vmaxps %ymm0, %ymm1, %ymm2",
    ):
        assert not SCALAR_MATH.search(line)


@pytest.mark.parametrize("cpu", ["x86-64-v3", "x86-64-v4"])
@pytest.mark.parametrize("name", MODELS)
def test_inner_loops_are_vectors_in_registers(name, cpu):
    loops = innermost_loops(assembly_of(name, cpu))
    hot = [loop for loop in loops if any(re.match(r"vfn?m(add|sub)\w+p[sd]", i) for i in loop)]
    assert hot
    for loop in hot:
        text = "\n".join(loop)
        assert "call" not in text, text
        assert not carried_in_memory(loop), text
        assert not SCALAR_MATH.search(text), text


@pytest.mark.parametrize("name", ["cfc_cell", "gru_op", "lstm_op", "cfc_scan"])
def test_products_of_pairs_are_instructions_on_registers(name):
    loops = innermost_loops(assembly_of(name, "znver4", "--products=bf16"))
    hot = [loop for loop in loops if any(i.startswith("vdpbf16ps") for i in loop)]
    assert hot
    for loop in hot:
        text = "\n".join(loop)
        assert "call" not in text, text
        assert not carried_in_memory(loop), text
        assert not SCALAR_MATH.search(text), text
    # Where there are matrix tiles, and where the instruction is missing.
    for cpu, options in (
        ("sapphirerapids", ["--products=bf16"]),
        ("x86-64-v4", ["--products=bf16"]),
        ("znver4", []),
        ("znver4", ["--weights=bf16"]),
    ):
        assert "vdpbf16ps" not in assembly_of(name, cpu, *options)
