// RUN: lnn-opt --onnx-reroll %s | FileCheck %s
// RUN: lnn-opt --onnx-reroll=remarks=true %s 2>&1 | FileCheck %s --check-prefix=REMARK
// REMARK: remark: {{.*}}7 iterations

// CHECK-LABEL: func.func @chain
// CHECK-SAME: (%[[H0:.*]]: tensor<4xf32>, %[[K:.*]]: tensor<4xf32>)
// CHECK-DAG: %[[SEVEN:.*]] = arith.constant dense<7> : tensor<i64>
// CHECK-DAG: %[[TRUE:.*]] = arith.constant dense<true> : tensor<i1>
// CHECK: %[[LAST:.*]] = onnx.node "Loop"(%[[SEVEN]], %[[TRUE]], %[[H0]]) opset {{.*}} bodies ["body"] {
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<i64>, %[[GO:.*]]: tensor<i1>, %[[H:.*]]: tensor<4xf32>):
// CHECK-NEXT: %[[A:.*]] = onnx.node "Tanh"(%[[H]])
// CHECK-NEXT: %[[B:.*]] = onnx.node "Mul"(%[[A]], %[[K]])
// CHECK-NEXT: %[[C:.*]] = onnx.node "Sub"(%[[B]], %[[H]])
// CHECK-NEXT: onnx.yield %[[GO]], %[[C]]
// CHECK-NEXT: }
// CHECK-NEXT: return %[[LAST]]
func.func @chain(%h0: tensor<4xf32>, %k: tensor<4xf32>) -> tensor<4xf32> {
  %a0 = onnx.node "Tanh"(%h0) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  %b0 = onnx.node "Mul"(%a0, %k) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %c0 = onnx.node "Sub"(%b0, %h0) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %a1 = onnx.node "Tanh"(%c0) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  %b1 = onnx.node "Mul"(%a1, %k) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %c1 = onnx.node "Sub"(%b1, %c0) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %a2 = onnx.node "Tanh"(%c1) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  %b2 = onnx.node "Mul"(%a2, %k) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %c2 = onnx.node "Sub"(%b2, %c1) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %a3 = onnx.node "Tanh"(%c2) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  %b3 = onnx.node "Mul"(%a3, %k) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %c3 = onnx.node "Sub"(%b3, %c2) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %a4 = onnx.node "Tanh"(%c3) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  %b4 = onnx.node "Mul"(%a4, %k) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %c4 = onnx.node "Sub"(%b4, %c3) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %a5 = onnx.node "Tanh"(%c4) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  %b5 = onnx.node "Mul"(%a5, %k) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %c5 = onnx.node "Sub"(%b5, %c4) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %a6 = onnx.node "Tanh"(%c5) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  %b6 = onnx.node "Mul"(%a6, %k) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %c6 = onnx.node "Sub"(%b6, %c5) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %c6 : tensor<4xf32>
}

// Steps that are not chained are no recurrence.
// CHECK-LABEL: func.func @not_chained
// CHECK-NOT: Loop
// CHECK-NOT: Scan
// CHECK: return
func.func @not_chained(%k: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %a0 = onnx.node "Tanh"(%k) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  %b0 = onnx.node "Neg"(%a0) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  %a1 = onnx.node "Tanh"(%k) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  %b1 = onnx.node "Abs"(%a1) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  %a2 = onnx.node "Tanh"(%k) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  %b2 = onnx.node "Exp"(%a2) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  %a3 = onnx.node "Tanh"(%k) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  %b3 = onnx.node "Tanh"(%a3) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  return %b0, %b1, %b2, %b3 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// Two steps: what there is to save is not worth a loop.
// CHECK-LABEL: func.func @too_few
// CHECK-NOT: Loop
// CHECK: return
func.func @too_few(%h0: tensor<4xf32>, %k: tensor<4xf32>) -> tensor<4xf32> {
  %a0 = onnx.node "Tanh"(%h0) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  %b0 = onnx.node "Mul"(%a0, %k) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %c0 = onnx.node "Sub"(%b0, %h0) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %a1 = onnx.node "Tanh"(%c0) opset 17 : (tensor<4xf32>) -> tensor<4xf32>
  %b1 = onnx.node "Mul"(%a1, %k) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %c1 = onnx.node "Sub"(%b1, %c0) opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %c1 : tensor<4xf32>
}
