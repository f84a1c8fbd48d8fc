#!/usr/bin/env bash
# Sets up, builds and runs every test; ends with how many passed and failed. The exit code is 0 only if none failed.
#
#   scripts/test.sh               as continuous integration runs it
#   scripts/test.sh --sanitize    a build of its own, with address and undefined-behaviour sanitizers, in build-sanitize
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
scripts/setup.sh --test || exit 1
source scripts/test_suites.sh
case ${1:-} in
'') build=build ;;
--sanitize) build=build-sanitize ;;
*)
  echo "test: error: unknown option '$1'; --sanitize is the one there is" >&2
  exit 2
  ;;
esac
passed=0
failed=0

# suite "Name" command...: counts the tests that its output reports, or the whole as one.
suite() {
  local name=$1 start=$SECONDS log counts ok bad code
  shift
  log=$build/test-${name// /-}.log
  printf '   ... %s\n' "$name"
  "$@" >"$log" 2>&1 </dev/null
  code=$?
  counts=$(count_tests "$log" "$code")
  ok=${counts% *}
  bad=${counts#* }
  passed=$((passed + ok))
  failed=$((failed + bad))
  if [ "$bad" != 0 ]; then tail -n 60 "$log"; fi
  printf '%4ds %s: %d passed, %d failed\n' $((SECONDS - start)) "$name" "$ok" "$bad"
}

if [ "$build" = build ]; then
  suite "C++ format" cpp_format
  suite "Python format" python_format
  suite "docs" scripts/docs.sh --check
else
  suite "build" build_sanitized
  sanitizer_environment
fi
suite "unit tests" ctest --test-dir "$build" --output-on-failure --exclude-regex '^lit$'
suite "lit" run_lit
suite "pytest" run_pytest
[ "$build" != build ] || suite "demo" .venv/bin/python examples/demo.py
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
