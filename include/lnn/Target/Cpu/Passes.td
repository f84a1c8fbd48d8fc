// Passes of the CPU target.
#ifndef LNN_TARGET_CPU_PASSES
#define LNN_TARGET_CPU_PASSES

include "mlir/Pass/PassBase.td"

def LnnLowerEntryPass : Pass<"lnn-lower-entry", "::mlir::ModuleOp"> {
  let summary = "make @main the entry point that a run calls";
  let description = [{
    `@main` on buffers becomes `@lnn_run(!llvm.ptr) -> i32`, which takes an `lnn_abi_call` (lnn/runtime/artifact_abi.h): arguments are
    read from it, `lnn.output`, `lnn.arena`, `lnn.scratch`, `lnn.check`, `lnn.threads`, `lnn.run_parts` and `lnn.leave_region` go to its fields and
    services; what `lnn.run_parts` calls takes a pointer to its operands. Where there are operations on matrix tiles, these are given back at the end. The
    signature moves to the module, where `--emit-object` finds it. Control flow must be in the cf dialect already.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::cf::ControlFlowDialect", "::mlir::arith::ArithDialect",
                           "::mlir::func::FuncDialect"];
}

def LnnOutlinePartsPass : Pass<"lnn-outline-parts", "::mlir::ModuleOp"> {
  let summary = "make functions of loops that threads share";
  let description = [{
    An `scf.parallel` from 0 by ones with the attribute `lnn.shared` becomes a function of the iteration's number and what it reads from
    around, which `lnn.run_parts` calls. Constants and addresses of globals are made anew in it.

    ```mlir
    scf.parallel (%p) = (%c0) to (%n) step (%c1) { ... %x ... } {lnn.shared}
    // becomes
    lnn.run_parts @lnn_part_0(%x) in %n : memref<4xf32>
    func.func private @lnn_part_0(%p: index, %x: memref<4xf32>) { ... }
    ```
  }];
  let dependentDialects = ["::mlir::func::FuncDialect", "::lnn::LnnDialect"];
}

def LnnAttachCpuPass : Pass<"lnn-attach-cpu", "::mlir::ModuleOp"> {
  let summary = "say which processor the module is for";
  let description = [{
    Sets `lnn.triple`, `lnn.cpu` and `lnn.features` on the module; `native` is this machine's processor.
    `block` becomes `lnn.block`.
  }];
  let options = [
    Option<"triple", "triple", "std::string", "\"native\"", "the system, as -mtriple of llc">,
    Option<"cpu", "cpu", "std::string", "\"native\"", "the processor, as -mcpu of llc">,
    Option<"features", "features", "std::string", "\"\"", "its features, as -mattr of llc">,
    ListOption<"block", "block", "int64_t", "rows and vectors of a block of loops, for lnn-vectorize-loops; 0 leaves one to the cost">
  ];
}
#endif
