// Operations of the lnn dialect that measure a run.
#ifndef LNN_PROFILE
#define LNN_PROFILE

include "lnn/LnnDialect.td"

def Lnn_EnterRegionOp : Lnn_Op<"enter_region", []> {
  let summary = "read the clock where a measured region begins";
  let description = [{
    The result is the machine's time stamp, in ticks of its own. Nothing moves across it that has effects on memory.

    ```mlir
    %start = lnn.enter_region
    ```
  }];
  let results = (outs I64:$start);
  let assemblyFormat = "attr-dict";
}

def Lnn_LeaveRegionOp : Lnn_Op<"leave_region", []> {
  let summary = "account for a measured region";
  let description = [{
    Adds to the figures of region `number` of the run: one entry, the ticks since `start`, and the arithmetic operations and bytes that one
    pass through the region takes. Regions are described by the function's `lnn.regions`, in the order of their numbers.

    ```mlir
    lnn.leave_region 0 since %start counting %operations operations, %bytes bytes
    ```
  }];
  let arguments = (ins ConfinedAttr<I64Attr, [IntNonNegative]>:$number, I64:$start, Index:$operations, Index:$bytes);
  let assemblyFormat = "$number `since` $start `counting` $operations `operations` `,` $bytes `bytes` attr-dict";
}
#endif
