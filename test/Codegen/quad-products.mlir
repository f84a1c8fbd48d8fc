// RUN: lnn-opt --lnn-fuse="lanes=16 quads=1" --canonicalize --cse %s | FileCheck %s

#id = affine_map<(i, j) -> (i, j)>
#s = affine_map<(i, j) -> ()>
#r = affine_map<(i, j) -> (i)>

// Bytes become words of four, and so do the weights; the zero point times the weights' sums is subtracted behind.
// CHECK-LABEL: func.func @unsigned
// CHECK-DAG: %[[W:.*]] = arith.constant dense<{{.*}}> : tensor<4x16xi32>
// CHECK-DAG: %[[SUMS:.*]] = arith.constant dense<{{.*}}> : tensor<16xi32>
// CHECK: %[[QUADS:.*]] = tensor.expand_shape %arg0 {{.*}} : tensor<?x16xi8> into tensor<?x4x4xi8>
// CHECK: %[[X:.*]] = linalg.generic
// CHECK-COUNT-4: arith.extui
// CHECK-NOT: arith.xori
// CHECK: %[[DOTS:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[W]] : tensor<?x4xi32>, tensor<4x16xi32>)
// CHECK: lnn.quad_dot %{{.*}}, %{{.*}}, %{{.*}} : i32
// CHECK: linalg.generic {{.*}} ins(%[[DOTS]], %arg1, %[[SUMS]]
// CHECK: arith.muli
// CHECK: arith.subi
func.func @unsigned(%x: tensor<?x16xi8>, %z: tensor<i32>, %init: tensor<?x16xi32>) -> tensor<?x16xi32> {
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x16xi8>
  %w = arith.constant dense<"0xF9C23D72A1867004F7E270734BCDF6CD4787A0D1951A8F0972465A4A63C43BB192C57DEF045F1A57453350F62C8E0FD327B5EC0811BFA07677AD30A252CD8A165A54BC969741290EF8921E83A7B790E5501506CF952D2038C641406B45B40A5CF91A5F041B2D8554218A40C49E2A6E34340E7A8B9F8A3D00691823DA3ADE203D071941B58DC31EF109FA27DF5EB1B4242AF260D6A82CEF660AF3BD91E121DD0E2EAB30C257150A6D31551456519253CFE682745EF19069132EF4A212BDFD9791E55C998676BDD719FA8A539BBA2EC001749F34F1E5BEBDD7FA0CC183794C990AFF09589A7225809CC097BF99A37790AC7A21D021A43345471B3807E1285BBFC1"> : tensor<16x16xi8>
  %ex = tensor.empty(%rows) : tensor<?x16xi32>
  %xc = linalg.generic {indexing_maps = [#id, #s, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %z : tensor<?x16xi8>, tensor<i32>) outs(%ex : tensor<?x16xi32>) {
  ^bb0(%a: i8, %b: i32, %o: i32):
    %e = arith.extui %a : i8 to i32
    %d = arith.subi %e, %b : i32
    linalg.yield %d : i32
  } -> tensor<?x16xi32>
  %ew = tensor.empty() : tensor<16x16xi32>
  %wc = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<16x16xi8>) outs(%ew : tensor<16x16xi32>) {
  ^bb0(%a: i8, %o: i32):
    %e = arith.extsi %a : i8 to i32
    linalg.yield %e : i32
  } -> tensor<16x16xi32>
  %y = linalg.matmul ins(%xc, %wc : tensor<?x16xi32>, tensor<16x16xi32>) outs(%init : tensor<?x16xi32>) -> tensor<?x16xi32>
  return %y : tensor<?x16xi32>
}

// No zero point: nothing is subtracted.
// CHECK-LABEL: func.func @plain
// CHECK: lnn.quad_dot
// CHECK-NOT: arith.subi
// CHECK: return
func.func @plain(%x: tensor<?x16xi8>, %init: tensor<?x16xi32>) -> tensor<?x16xi32> {
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x16xi8>
  %w = arith.constant dense<"0x8142A8DB953F6B42965C9B3E7E2157566B89FDEF0AA459F25AC28E263F06BE6DBF40B723B48272C9F84796AFB240DB8C2EBE8DBA761119AD92FAB6B39F26DCA7FBDCFF6849013C4B3356AA40F853D25477CF4DCCD3B17E7762DFC508E5CB21F6175308EF1D8B097543E6D838FA2477C95675E96F8E76A54C976FF5F8A3EF02FBE104C6DF9202D69720DD58AEABBCAF07159236672C838F2B295F4278A7EB7A48C023BD0CA75DB96000B13F3C661707B62DBA7C349E16DDCCDB3D68BFB7C8295719DF6A761FDAA3B6DC4837B3080A449BC595750AFE352A4E65A3347EB9CD0AB3B9B9DEE05548C1CA4BE3D7DBE7003D168F635044211E7E19778FE181B7F77BD8"> : tensor<16x16xi8>
  %ex = tensor.empty(%rows) : tensor<?x16xi32>
  %xc = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x16xi8>) outs(%ex : tensor<?x16xi32>) {
  ^bb0(%a: i8, %o: i32):
    %e = arith.extui %a : i8 to i32
    linalg.yield %e : i32
  } -> tensor<?x16xi32>
  %ew = tensor.empty() : tensor<16x16xi32>
  %wc = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<16x16xi8>) outs(%ew : tensor<16x16xi32>) {
  ^bb0(%a: i8, %o: i32):
    %e = arith.extsi %a : i8 to i32
    linalg.yield %e : i32
  } -> tensor<16x16xi32>
  %y = linalg.matmul ins(%xc, %wc : tensor<?x16xi32>, tensor<16x16xi32>) outs(%init : tensor<?x16xi32>) -> tensor<?x16xi32>
  return %y : tensor<?x16xi32>
}

// Signed bytes are unsigned ones with 128 added.
// CHECK-LABEL: func.func @signed
// CHECK: arith.constant -2139062144 : i32
// CHECK: arith.xori
// CHECK: lnn.quad_dot
// CHECK: arith.subi
func.func @signed(%x: tensor<?x16xi8>, %init: tensor<?x16xi32>) -> tensor<?x16xi32> {
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x16xi8>
  %w = arith.constant dense<"0x6BE5E3EC9263B911CEC56FAD998D38F7A77F892D252830C4A991A82FE9A0E65FF17821B79551A7E6D2487E72A258EA7A1B8B6D6A4D60DC6993033B3D65394DF281EB043DC96BE3D1EB8BD74ED68EC7B8D6627BDE9E8B4E652250909AFA4E944B7C8DF0FBB04772E1D42ABB31BF9A140C6E197AFF088F2C3022AF9D5EAD81B58FAE89D792769BE029E6742E753391431C49AC16DE53BA472B4ED94537DE395460F563763009D6467995CED78B6FAFB123F99C98666E2A3D80A4E34CB52D1FB866A9EBFB98CEC985B9F513EAF05623E06FDAA895B98CB3E602ABB76E4CF2B778314E64B8156342E9BB836D19A72E31E278A43A58A2EDFF339F2BF85C60AB00EF25"> : tensor<16x16xi8>
  %ex = tensor.empty(%rows) : tensor<?x16xi32>
  %xc = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x16xi8>) outs(%ex : tensor<?x16xi32>) {
  ^bb0(%a: i8, %o: i32):
    %e = arith.extsi %a : i8 to i32
    linalg.yield %e : i32
  } -> tensor<?x16xi32>
  %ew = tensor.empty() : tensor<16x16xi32>
  %wc = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<16x16xi8>) outs(%ew : tensor<16x16xi32>) {
  ^bb0(%a: i8, %o: i32):
    %e = arith.extsi %a : i8 to i32
    linalg.yield %e : i32
  } -> tensor<16x16xi32>
  %y = linalg.matmul ins(%xc, %wc : tensor<?x16xi32>, tensor<16x16xi32>) outs(%init : tensor<?x16xi32>) -> tensor<?x16xi32>
  return %y : tensor<?x16xi32>
}

// Unsigned weights that fit once their zero point is taken off.
// CHECK-LABEL: func.func @unsigned_weights
// CHECK: lnn.quad_dot
func.func @unsigned_weights(%x: tensor<?x16xi8>, %z: tensor<i32>, %init: tensor<?x16xi32>) -> tensor<?x16xi32> {
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x16xi8>
  %w = arith.constant dense<"0x54696FEDD6BC61D1F7D0F01195095E310E4D961FF114636A8DFBDD13B0EF64934934E399D2E327694EF991C0BE52DC9FEDF271B893920FEDBFB7987C0507434C0A54190068EEB5B911FA5E7A068DDDAD1A30E69F867EFFD685AD160FDB13547E45D3AC448F08561708F81EEBEFD4BD57965D254734D0B4E3E88E82E7904FA14713D2F876EA8B0FA23BF9408F8934DE26BE11F9E5639FB15CC4CBA1198A6D13A2A2C8901243D580D328FD7566283A3F029023DC89F7EC8994185978F956494C5BEFCB0448C81B5C5A9F61424B184D6DC336DDC75D0D8F35433A4A9740C4B4276203BD48F47D20B5F835A0F20AB0E2D0ED9CE24CE9C466975B9955A28867421B1D"> : tensor<16x16xi8>
  %ex = tensor.empty(%rows) : tensor<?x16xi32>
  %xc = linalg.generic {indexing_maps = [#id, #s, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %z : tensor<?x16xi8>, tensor<i32>) outs(%ex : tensor<?x16xi32>) {
  ^bb0(%a: i8, %b: i32, %o: i32):
    %e = arith.extui %a : i8 to i32
    %d = arith.subi %e, %b : i32
    linalg.yield %d : i32
  } -> tensor<?x16xi32>
  %ew = tensor.empty() : tensor<16x16xi32>
  %wc = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<16x16xi8>) outs(%ew : tensor<16x16xi32>) {
  ^bb0(%a: i8, %o: i32):
    %c = arith.constant 128 : i32
    %e = arith.extui %a : i8 to i32
    %d = arith.subi %e, %c : i32
    linalg.yield %d : i32
  } -> tensor<16x16xi32>
  %y = linalg.matmul ins(%xc, %wc : tensor<?x16xi32>, tensor<16x16xi32>) outs(%init : tensor<?x16xi32>) -> tensor<?x16xi32>
  return %y : tensor<?x16xi32>
}

// And such that don't.
// CHECK-LABEL: func.func @wide_weights
// CHECK-NOT: lnn.quad_dot
// CHECK: return
func.func @wide_weights(%x: tensor<?x16xi8>, %z: tensor<i32>, %init: tensor<?x16xi32>) -> tensor<?x16xi32> {
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x16xi8>
  %w = arith.constant dense<"0xD15B3A07503ECEBF8C2FEDE1A64A6FA5E9BFA2B7B0AE92988A5D3F71AE7F90DE88E742F4AB5AE21A23D5D9951E79C3C46C26BB6D1CFC3CDCC7B90699BEBDCCE0BE35FD4AA57000BD200047296BA4DE90640F0EA0E3BA6DE1AD3DC173F3479D92613C582BDC0EB3C303FA5EF28C47C768DD98DF92312A20E2A42104A6F5D830A9D673A567C82D1A0D7A2B5C76F0CA91B0E9746798AF44BAB5A168E41EDD9F63FC6E5E35E93DCB6CA15F13A7FF7EC41D79CDBBC7725A9180B0861BAE386A709BE258567DF76B6EBA7659C9D95A9AE2BF1C28EAFA095A89D6FD71C7F8B1CFF75B3AD6AD49A437B24B98F44DE4BFFC15B1672F9B93A5D29505D8B3D8F5BD5C7F9760"> : tensor<16x16xi8>
  %ex = tensor.empty(%rows) : tensor<?x16xi32>
  %xc = linalg.generic {indexing_maps = [#id, #s, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %z : tensor<?x16xi8>, tensor<i32>) outs(%ex : tensor<?x16xi32>) {
  ^bb0(%a: i8, %b: i32, %o: i32):
    %e = arith.extui %a : i8 to i32
    %d = arith.subi %e, %b : i32
    linalg.yield %d : i32
  } -> tensor<?x16xi32>
  %ew = tensor.empty() : tensor<16x16xi32>
  %wc = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<16x16xi8>) outs(%ew : tensor<16x16xi32>) {
  ^bb0(%a: i8, %o: i32):
    %c = arith.constant 100 : i32
    %e = arith.extui %a : i8 to i32
    %d = arith.subi %e, %c : i32
    linalg.yield %d : i32
  } -> tensor<16x16xi32>
  %y = linalg.matmul ins(%xc, %wc : tensor<?x16xi32>, tensor<16x16xi32>) outs(%init : tensor<?x16xi32>) -> tensor<?x16xi32>
  return %y : tensor<?x16xi32>
}

// A zero point for each row.
// CHECK-LABEL: func.func @rows
// CHECK-NOT: lnn.quad_dot
// CHECK: return
func.func @rows(%x: tensor<?x16xi8>, %z: tensor<?xi32>, %init: tensor<?x16xi32>) -> tensor<?x16xi32> {
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x16xi8>
  %w = arith.constant dense<"0x45B825D22378D8496EE4513BB69C76E7D4D5BDB3BC46214B0CA1750D20F505BCECB8743E5ECB063DDF07E6F2FE04312FB6B2C5AAF36A2ABA27C8D4957B09C43E615B5A5C03170B46CE9790D75C80ECC3EA3E039637E7BCD1EFA5785B13CCBB2CD204C6ACA8C6B083AA48696206DA81A31054D783902C2739B496EC46856327F26167F98230EEF5D05448B14A21BAFC14B18C4F8D2DF2E4680743EB5A1DA0DB67B311CB60C01DD6F33B17BEA57FA275FE548A858B72829D75869830171C717B191CC31EAD4F96BAE2F9AAD148C7D4AA1A837DA2397FAB572A485E6E2F8E251C76047203E937B106755774E72C9DFA984DFB45DC23B2DB67025C572E415C943A49"> : tensor<16x16xi8>
  %ex = tensor.empty(%rows) : tensor<?x16xi32>
  %xc = linalg.generic {indexing_maps = [#id, #r, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %z : tensor<?x16xi8>, tensor<?xi32>) outs(%ex : tensor<?x16xi32>) {
  ^bb0(%a: i8, %b: i32, %o: i32):
    %e = arith.extui %a : i8 to i32
    %d = arith.subi %e, %b : i32
    linalg.yield %d : i32
  } -> tensor<?x16xi32>
  %ew = tensor.empty() : tensor<16x16xi32>
  %wc = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<16x16xi8>) outs(%ew : tensor<16x16xi32>) {
  ^bb0(%a: i8, %o: i32):
    %e = arith.extsi %a : i8 to i32
    linalg.yield %e : i32
  } -> tensor<16x16xi32>
  %y = linalg.matmul ins(%xc, %wc : tensor<?x16xi32>, tensor<16x16xi32>) outs(%init : tensor<?x16xi32>) -> tensor<?x16xi32>
  return %y : tensor<?x16xi32>
}

// No multiple of four; few columns.
// CHECK-LABEL: func.func @ragged
// CHECK-NOT: lnn.quad_dot
// CHECK: return
func.func @ragged(%x: tensor<?x18xi8>, %z: tensor<i32>, %init: tensor<?x16xi32>) -> tensor<?x16xi32> {
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x18xi8>
  %w = arith.constant dense<"0x3A480BF0C6F4E48F53B54D7474415DE6724A9DD28BE3B1C64ABBBEB5ED16C1585ECAD0EE587E21628E02892F2245EDBE10E5ABE947FCF12AF5AF2A1BEEEA4B8018FACA0EA40030E814CF30EEE6BB685A009C4A0713E666E81F32ADB6574C30F900BFBE8CD82330D6F22798BA22A2502B148A796260D67780BDD73D750E43E56B4072393B8528757D678571A51CDFF7BAD8D90520A83982F12A879B42D4B6673278846B5EA9B7AEABE7B50FAA2A8EEB996193BFED27631B2487E287EF5EC132635271C51B10A7F7D42A6047FB22152C30D7173EA5DE451B694F5CEEB333833A619C6A007D7BE218ACA578624AD4E706C40680DBE6F968BC143CE2B38026611A7A962316DB6B7E1F732FFBA0E7923AA53183DB9372D027B0D73AFA739F85F523C8"> : tensor<18x16xi8>
  %ex = tensor.empty(%rows) : tensor<?x18xi32>
  %xc = linalg.generic {indexing_maps = [#id, #s, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %z : tensor<?x18xi8>, tensor<i32>) outs(%ex : tensor<?x18xi32>) {
  ^bb0(%a: i8, %b: i32, %o: i32):
    %e = arith.extui %a : i8 to i32
    %d = arith.subi %e, %b : i32
    linalg.yield %d : i32
  } -> tensor<?x18xi32>
  %ew = tensor.empty() : tensor<18x16xi32>
  %wc = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<18x16xi8>) outs(%ew : tensor<18x16xi32>) {
  ^bb0(%a: i8, %o: i32):
    %e = arith.extsi %a : i8 to i32
    linalg.yield %e : i32
  } -> tensor<18x16xi32>
  %y = linalg.matmul ins(%xc, %wc : tensor<?x18xi32>, tensor<18x16xi32>) outs(%init : tensor<?x16xi32>) -> tensor<?x16xi32>
  return %y : tensor<?x16xi32>
}

// CHECK-LABEL: func.func @narrow
// CHECK-NOT: lnn.quad_dot
// CHECK: return
func.func @narrow(%x: tensor<?x16xi8>, %z: tensor<i32>, %init: tensor<?x8xi32>) -> tensor<?x8xi32> {
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x16xi8>
  %w = arith.constant dense<"0x12FF323240CC685B4F9D6D4E8BA908561C3ABF84DCB050964A58FFA75E95073CDE5B32538AF736F7443D3513D1F43A80FDD07806E3C67262D44F024348AFE941B6EB3936041B415ECE30A612240EE3E24BEDEEF73F0665FEBCB88953901F1F36C0C303D8724505FAD275AAE33586799E575DBB4821521A354DA76DE3A40160BA"> : tensor<16x8xi8>
  %ex = tensor.empty(%rows) : tensor<?x16xi32>
  %xc = linalg.generic {indexing_maps = [#id, #s, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %z : tensor<?x16xi8>, tensor<i32>) outs(%ex : tensor<?x16xi32>) {
  ^bb0(%a: i8, %b: i32, %o: i32):
    %e = arith.extui %a : i8 to i32
    %d = arith.subi %e, %b : i32
    linalg.yield %d : i32
  } -> tensor<?x16xi32>
  %ew = tensor.empty() : tensor<16x8xi32>
  %wc = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<16x8xi8>) outs(%ew : tensor<16x8xi32>) {
  ^bb0(%a: i8, %o: i32):
    %e = arith.extsi %a : i8 to i32
    linalg.yield %e : i32
  } -> tensor<16x8xi32>
  %y = linalg.matmul ins(%xc, %wc : tensor<?x16xi32>, tensor<16x8xi32>) outs(%init : tensor<?x8xi32>) -> tensor<?x8xi32>
  return %y : tensor<?x8xi32>
}
