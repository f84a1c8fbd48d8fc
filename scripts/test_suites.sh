# What scripts/test.sh runs that takes more than a line, and how it counts.

# count_tests LOG CODE: "PASSED FAILED", out of the closing lines of pytest, lit and ctest; else the suite is one test.
count_tests() {
  local log=$1 code=$2 ok=0 bad=0 summary
  if grep -aqE '^[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+' "$log"; then
    bad=$(sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests failed out of .*/\1/p' "$log" | tail -n 1)
    ok=$(($(sed -nE 's/^[0-9]+% tests passed, .* out of ([0-9]+).*/\1/p' "$log" | tail -n 1) - bad))
  elif grep -aqE '^Total Discovered Tests:' "$log"; then
    ok=$(sum_lines 's/^ +(Passed|Expectedly Failed) *: *([0-9]+).*/\2/p' "$log")
    bad=$(sum_lines 's/^ +(Failed|Timed Out|Unresolved|Unexpectedly Passed) *: *([0-9]+).*/\2/p' "$log")
  elif summary=$(grep -aE '^(=+ )?[0-9]+ [a-z]+.* in [0-9.]+s' "$log" | tail -n 1) && [ -n "$summary" ]; then
    ok=$(number_before passed "$summary")
    bad=$(($(number_before failed "$summary") + $(number_before error "$summary")))
  elif [ "$code" = 0 ]; then
    ok=1
  fi
  # A suite that failed without saying which test did has failed all the same.
  if [ "$code" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
  echo "$ok $bad"
}

# number_before WORD TEXT: 3 of "3 passed, 1 failed" for passed; 0 where it isn't there.
number_before() {
  local number
  number=$(grep -oE "[0-9]+ $1" <<<"$2" | grep -oE '^[0-9]+') || number=0
  echo "$number"
}

sum_lines() { sed -nE "$1" "$2" | awk '{ sum += $1 } END { print sum + 0 }'; }

cpp_format() {
  local tool
  tool=$(command -v clang-format-22 || echo clang-format)
  "$tool" --version | grep -q 'version 22\.' || { echo "clang-format 22 is needed; found $("$tool" --version)"; return 1; }
  git ls-files -z '*.cpp' '*.h' '*.c' | xargs -0 "$tool" --dry-run --Werror
}

python_format() {
  .venv/bin/ruff format --check . && .venv/bin/ruff check .
}

run_lit() {
  local tools
  tools=$(sed -n 's/^config.llvm_tools_dir = r"\(.*\)"$/\1/p' "$build/test/lit.site.cfg.py")
  "$tools/lit" -v "$build/test"
}

# Python is not built with sanitizers: the runtime comes first, and nothing is said of what Python itself leaks.
run_pytest() (
  export PYTHONPATH=$PWD/$build/python LNN_BUILD=$PWD/$build
  if [ -n "${preload:-}" ]; then
    export LD_PRELOAD=$preload ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0
  fi
  exec .venv/bin/python -m pytest -q -p no:cacheprovider test/python
)

build_sanitized() { cmake --preset sanitize && cmake --build --preset sanitize; }

# LLVM's own libraries are not instrumented, so what a container or an arena of theirs holds can't be told; they set
# alternate stacks of signals, which a sanitizer would take for its own; and MLIR leaves a flag of its passes' statistics
# as it finds it, which is no bool where memory is filled with something else than zeros.
sanitizer_environment() {
  local options=detect_container_overflow=0:allow_user_poisoning=0:use_sigaltstack=0
  export ASAN_OPTIONS=$options:max_malloc_fill_size=4096:malloc_fill_byte=0 UBSAN_OPTIONS=print_stacktrace=1
  preload=$(sed -n 's/^config.asan_runtime = r"\(.*\)"$/\1/p' "$build/test/lit.site.cfg.py"):libstdc++.so.6
}
