// RUN: lnn-opt --lnn-lower-entry %s --split-input-file --verify-diagnostics | FileCheck %s

// CHECK: module attributes {{.*}}lnn.messages = ["data must be positive"]
// CHECK-LABEL: func.func @lnn_run(%{{.*}}: !llvm.ptr) -> i32
// The status, and the arguments out of the call's arrays of pointers and sizes.
// CHECK: %[[STATUS:.*]] = llvm.alloca
// CHECK: llvm.store %{{.*}}, %[[STATUS]]
// CHECK: llvm.getelementptr %arg0[0]
// CHECK: llvm.getelementptr %arg0[1]
// A buffer that the caller didn't give is asked for; without one the run ends with status 1.
// CHECK: cf.cond_br %{{.*}}, ^[[ASK:.*]], ^[[REST:.*]](%{{.*}} : !llvm.ptr)
// CHECK: ^[[ASK]]:
// CHECK: llvm.call %{{.*}} : !llvm.ptr, (!llvm.ptr, i32, !llvm.ptr) -> !llvm.ptr
// CHECK: return %{{.*}} : i32
// A check that fails reports its number, and goes on.
// CHECK: cf.cond_br %{{.*}}, ^[[HOLDS:.*]], ^[[FAILS:.*]]
// CHECK: ^[[FAILS]]:
// CHECK: llvm.call %{{.*}} : !llvm.ptr, (!llvm.ptr, i32) -> ()
// CHECK: llvm.store %{{.*}}, %[[STATUS]]
// CHECK: cf.br ^[[HOLDS]]
// CHECK: %[[END:.*]] = llvm.load %[[STATUS]]
// CHECK: return %[[END]] : i32
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
