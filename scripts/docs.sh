#!/usr/bin/env bash
# Writes docs/generated from the TableGen files; with --check, says whether what is there is up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tblgen=$(sed -n 's/^LNN_MLIR_TBLGEN:[A-Z]*=//p' build/CMakeCache.txt 2>/dev/null || true)
include=$(sed -n 's/^MLIR_DIR:[A-Z]*=\(.*\)\/lib\/cmake\/mlir.*/\1\/include/p' build/CMakeCache.txt 2>/dev/null || true)
[ -n "$tblgen" ] && [ -n "$include" ] || { echo "docs: error: configure build/ first (scripts/setup.sh)" >&2; exit 1; }
out=docs/generated
if [ "${1:-}" = --check ]; then
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
fi
mkdir -p "$out"

# generate FILE TD FLAG...: one page.
generate() {
  local page=$1 td=$2
  shift 2
  "$tblgen" "$@" "$td" -I . -I dialects -I include -I "$include" -o "$out/$page"
}

for dialect in lnn ode onnx; do
  name=${dialect^}
  generate "$dialect-dialect.md" "dialects/$dialect/${name}Ops.td" -gen-dialect-doc "-dialect=$dialect"
done
for td in $(git ls-files 'include/lnn/**/Passes.td'); do
  page=$(dirname "${td#include/lnn/}" | tr '/[:upper:]' '-[:lower:]')
  generate "$page-passes.md" "$td" -gen-pass-doc
done
if [ "${1:-}" = --check ]; then
  diff -ru docs/generated "$out" || { echo "docs/generated is out of date: run scripts/docs.sh"; exit 1; }
  echo "docs/generated is up to date"
fi
