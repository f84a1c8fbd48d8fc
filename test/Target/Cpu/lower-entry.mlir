// RUN: lnn-opt --lnn-lower-entry %s --split-input-file --verify-diagnostics | FileCheck %s

// CHECK: module attributes {{.*}}lnn.messages = ["data must be positive"]
// CHECK-LABEL: func.func @lnn_run(%{{.*}}: !llvm.ptr) -> i32
// The arguments out of the call's arrays of pointers and sizes.
// CHECK: llvm.getelementptr %arg0[0]
// CHECK: llvm.getelementptr %arg0[1]
// A buffer that the caller didn't give is asked for; without one the run ends with status 1.
// CHECK: cf.cond_br %{{.*}}, ^[[ASK:.*]], ^[[REST:.*]](%{{.*}} : !llvm.ptr)
// CHECK: ^[[ASK]]:
// CHECK: llvm.call %{{.*}} : !llvm.ptr, (!llvm.ptr, i32, !llvm.ptr) -> !llvm.ptr
// CHECK: return %{{.*}} : i32
// A check that fails reports its number, and ends the run.
// CHECK: cf.cond_br %{{.*}}, ^[[HOLDS:.*]], ^[[FAILS:.*]]
// CHECK: ^[[FAILS]]:
// CHECK: llvm.call %{{.*}} : !llvm.ptr, (!llvm.ptr, i32) -> ()
// CHECK: return %[[ONE:.*]] : i32
// CHECK: ^[[HOLDS]]:
// CHECK: return %{{.*}} : i32
module {
  func.func @main(%x: memref<?xf32>, %f: memref<i1>) attributes {lnn.inputs = [], lnn.symbols = [], lnn.messages = ["data must be positive"], lnn.outputs = [{dims = array<i64: -1>}]} {
    %c0 = arith.constant 0 : index
    %n = memref.dim %x, %c0 : memref<?xf32>
    %y = lnn.output 0(%n) : memref<?xf32>
    %ok = memref.load %f[] : memref<i1>
    lnn.check %ok, "data must be positive" {number = 0 : i32}
    return
  }
}

// -----

// A region's figures: its entry, the ticks of the time stamp counter, its operations and bytes. Where the caller wants none they go
// to memory of the function's own.
// CHECK: module attributes {lnn.inputs = [], {{.*}}lnn.regions = [{kind = "map"
// CHECK-LABEL: func.func @lnn_run(%arg0: !llvm.ptr)
// CHECK: %[[OWN:.*]] = llvm.alloca %{{.*}} x i64
// CHECK: %[[START:.*]] = llvm.call_intrinsic "llvm.readcyclecounter"() : () -> i64
// CHECK: %[[END:.*]] = llvm.call_intrinsic "llvm.readcyclecounter"() : () -> i64
// CHECK: %[[TICKS:.*]] = llvm.sub %[[END]], %[[START]]
// CHECK: llvm.getelementptr %arg0[7]
// CHECK: %[[ALL:.*]] = llvm.load
// CHECK: %[[REGION:.*]] = llvm.getelementptr %[[ALL]][1] : (!llvm.ptr) -> !llvm.ptr, !llvm.array<4 x i64>
// CHECK: %[[PLACE:.*]] = llvm.select %{{.*}}, %[[OWN]], %[[REGION]]
// CHECK: %[[TICKS_AT:.*]] = llvm.getelementptr %[[PLACE]][1]
// CHECK: %[[BEFORE:.*]] = llvm.load %[[TICKS_AT]]
// CHECK: %[[SUM:.*]] = llvm.add %[[BEFORE]], %[[TICKS]]
// CHECK: llvm.store %[[SUM]], %[[TICKS_AT]]
module attributes {lnn.triple = "x86_64-pc-linux-gnu"} {
  func.func @main() attributes {lnn.inputs = [], lnn.symbols = [], lnn.messages = [], lnn.outputs = [], lnn.regions = [{kind = "map", name = "a", nodes = "a", parent = -1}, {kind = "map", name = "b", nodes = "b", parent = 0}]} {
    %c8 = arith.constant 8 : index
    %start = lnn.enter_region
    lnn.leave_region 1 since %start counting %c8 operations, %c8 bytes
    return
  }
}

// -----

// Memory for what depends on data.
// CHECK-LABEL: func.func @lnn_run
// CHECK: llvm.call %{{.*}} : !llvm.ptr, (!llvm.ptr, i64) -> !llvm.ptr
module {
  func.func @main(%n: memref<index>) attributes {lnn.inputs = [], lnn.symbols = [], lnn.messages = [], lnn.outputs = []} {
    %k = memref.load %n[] : memref<index>
    %s = lnn.scratch(%k) : memref<?xf32>
    return
  }
}

// -----

// expected-error @+1 {{lnn-lower-entry needs a @main that lnn-outline-sizes has seen}}
module {
  func.func @main() { return }
}

// -----

module {
  // expected-error @+1 {{lnn-lower-entry needs arguments of identity layout, found 'memref<4xf32, strided<[2]>>'}}
  func.func @main(%x: memref<4xf32, strided<[2]>>) attributes {lnn.messages = [], lnn.outputs = []} { return }
}

// -----

module {
  func.func @main() attributes {lnn.messages = [], lnn.outputs = []} {
    // expected-error @+1 {{there is no result 0}}
    %y = lnn.output 0() : memref<4xf32>
    return
  }
}

// -----

// Parts of a loop: one is called, several are the runtime's to call. A buffer whose type says its sizes is its address.
// CHECK: module attributes {{.*}}lnn.threads
// CHECK-LABEL: func.func @lnn_run(%arg0: !llvm.ptr)
// CHECK: %[[DATA:.*]] = llvm.alloca %{{.*}} x !llvm.struct<(ptr, struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>, f32)>
// CHECK: llvm.getelementptr %arg0[8] : (!llvm.ptr) -> !llvm.ptr, i64
// CHECK: %[[SOME:.*]] = llvm.intr.smax
// CHECK: llvm.store %{{.*}} : !llvm.ptr, !llvm.ptr
// CHECK: llvm.store %{{.*}} : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>, !llvm.ptr
// CHECK: llvm.store %{{.*}} : f32, !llvm.ptr
// CHECK: %[[SEVERAL:.*]] = llvm.icmp "sgt"
// CHECK: cf.cond_br %[[SEVERAL]], ^[[TOGETHER:.*]], ^[[FEW:.*]]
// CHECK: ^[[FEW]]:
// CHECK: %[[ONE:.*]] = llvm.icmp "eq"
// CHECK: cf.cond_br %[[ONE]], ^[[ALONE:.*]], ^[[REST:.*]]
// CHECK: ^[[ALONE]]:
// CHECK: call @lnn_part_0(%[[DATA]], %{{.*}}) : (!llvm.ptr, i64) -> ()
// CHECK: ^[[TOGETHER]]:
// CHECK: %[[F:.*]] = constant @lnn_part_0
// CHECK: %[[PTR:.*]] = builtin.unrealized_conversion_cast %[[F]]
// CHECK: llvm.getelementptr %{{.*}}[3]
// CHECK: llvm.call %{{.*}}(%{{.*}}, %[[PTR]], %[[DATA]], %{{.*}}) : !llvm.ptr, (!llvm.ptr, !llvm.ptr, !llvm.ptr, i64) -> ()
// CHECK: func.func private @lnn_part_0(%[[D:.*]]: !llvm.ptr, %{{.*}}: i64) attributes {llvm.linkage = #llvm.linkage<internal>, passthrough = ["noinline"]}
// CHECK: llvm.getelementptr %[[D]][0, 2]
module {
  func.func @main(%x: memref<4xf32>, %y: memref<?xf32>) attributes {lnn.inputs = [], lnn.symbols = [], lnn.messages = [], lnn.outputs = []} {
    %a = arith.constant 1.0 : f32
    %n = lnn.threads
    lnn.run_parts @lnn_part_0(%x, %y, %a) in %n : memref<4xf32>, memref<?xf32>, f32
    return
  }
  func.func private @lnn_part_0(%p: index, %x: memref<4xf32>, %y: memref<?xf32>, %a: f32) {
    memref.store %a, %x[%p] : memref<4xf32>
    memref.store %a, %y[%p] : memref<?xf32>
    return
  }
}

// -----

module {
  func.func @main(%x: memref<4xf32>) attributes {lnn.inputs = [], lnn.symbols = [], lnn.messages = [], lnn.outputs = []} {
    %n = lnn.threads
    // expected-error @+1 {{'lnn_part_0' is no function of an index and the operands that returns nothing}}
    lnn.run_parts @lnn_part_0(%x) in %n : memref<4xf32>
    return
  }
  func.func private @lnn_part_0(%p: index, %x: memref<8xf32>) {
    return
  }
}
