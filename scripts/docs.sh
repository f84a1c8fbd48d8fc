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

# generate PAGE FLAGS TD...: one page of all that these files define.
generate() {
  local page=$1 flags=$2
  shift 2
  # shellcheck disable=SC2086 # flags are words
  printf 'include "%s"\n' "$@" | "$tblgen" $flags -I . -I dialects -I include -I "$include" -o "$out/$page" -
}

export LC_ALL=C # the order of files
for dialect in lnn ode onnx; do
  generate "$dialect-dialect.md" "-gen-dialect-doc -dialect=$dialect" dialects/$dialect/*.td
done
for td in $(git ls-files 'include/lnn/**/Passes.td'); do
  page=$(dirname "${td#include/lnn/}" | tr '/[:upper:]' '-[:lower:]')
  generate "$page-passes.md" -gen-pass-doc "$td"
done
if [ "${1:-}" = --check ]; then
  diff -ru docs/generated "$out" || { echo "docs/generated is out of date: run scripts/docs.sh"; exit 1; }
  echo "docs/generated is up to date"
fi
