# shellcheck shell=bash
# Sourced by the scripts in .ci: runs checks and counts them. A script ends with the line of `counts`.

passed=0 failed=0 child=''
# A file that receives how long each check took.
times=/dev/null

pass() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)); printf '=== FAILED: %s\n' "$1"; }

# The last line of a script, and its exit code.
counts() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

# check NAME COMMAND [ARGUMENT]…: one check, in a shell of its own that ends at the first failure. Shows the output, and how long it took.
check() {
  local name=$1 began=$SECONDS code
  shift
  printf '\n=== %s\n' "$name"
  # In the background and waited for: a trap runs as soon as its signal comes. A process group of its own: it contains whatever the
  # check starts, and ends as a whole.
  set -m
  (set -e; "$@") </dev/null 2>&1 &
  child=$!
  set +m
  wait "$child"
  code=$?
  kill -TERM -- "-$child" 2>/dev/null
  child=''
  if [ "$code" -eq 0 ]; then pass; else fail "$name"; fi
  echo "took $((SECONDS - began)) s: $name" | tee -a "$times"
}

# For traps: ends the check that runs.
end_check() {
  if [ -n "$child" ]; then kill -TERM -- "-$child" 2>/dev/null && wait "$child"; fi
}
