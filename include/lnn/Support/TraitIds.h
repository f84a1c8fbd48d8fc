//===- TraitIds.h - trait identities that agree with Clang's ----*- C++ -*-===//
//
// MLIR finds a trait by the name that the compiler prints for Trait<Empty>,
// where Empty is local to TypeID::get. The packaged libraries are built by
// Clang, which prints "mlir::OpTrait::IsTerminator<Empty>"; GCC spells the
// enclosing function out, so that no trait of ours would be seen by them, nor
// theirs by us. Included in front of every file where the compiler is GCC.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_SUPPORT_TRAITIDS_H
#define LNN_SUPPORT_TRAITIDS_H
#if defined(__cplusplus) && defined(__GNUC__) && !defined(__clang__)

#include "mlir/Support/TypeID.h"
#include <string>
#include <string_view>

namespace mlir::detail {

template <typename T> constexpr bool isLocalOfTypeIDGet() {
  return std::string_view(__PRETTY_FUNCTION__).find("T = mlir::TypeID::get") !=
         std::string_view::npos;
}

/// As Clang prints Trait<Empty>.
template <template <typename> class Trait> std::string traitIdentity() {
  std::string_view name = __PRETTY_FUNCTION__;
  constexpr std::string_view key = "Trait = ";
  name.remove_prefix(name.find(key) + key.size());
  name = name.substr(0, name.find_first_of(";]"));
  return std::string(name) + "<Empty>";
}

template <template <typename> class Trait, typename Local>
class TypeIDResolver<Trait<Local>,
                     std::enable_if_t<isLocalOfTypeIDGet<Local>()>>
    : public FallbackTypeIDResolver {
public:
  static TypeID resolveTypeID() {
    static const std::string name = traitIdentity<Trait>();
    static TypeID id = registerImplicitTypeID(name);
    return id;
  }
};

} // namespace mlir::detail

#endif
#endif // LNN_SUPPORT_TRAITIDS_H
