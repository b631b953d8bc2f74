# shellcheck shell=sh
# `break`, `repair`, and what a fault holds in the background. The catalogue is in the program: `fault plan NAME` prints the commands of
# a fault, one a line, and this script runs them as a person would type them.

# What is broken, one line each: NAME SINCE. Written before a fault is caused. One file for each project.
# shellcheck disable=SC2154  # the script `sandbox` sets it
broken_file() { printf '%s/broken-faults-%s' "$home" "$(project)"; }
broken() { cat "$(broken_file)" 2>/dev/null || true; }
is_broken() { broken | grep -q "^$1 "; }
add_broken() { mkdir -p "$home"; echo "$1 $(date -u +%Y-%m-%dT%H:%M:%SZ)" >>"$(broken_file)"; }
# A new file that is renamed: a killed command leaves the old one.
remove_broken() {
  broken | { grep -v "^$1 " || true; } >"$(broken_file).new"
  mv "$(broken_file).new" "$(broken_file)"
  [ -s "$(broken_file)" ] || rm -f "$(broken_file)"
}
forget_broken() { rm -f "$(broken_file)"; }

# Before `down`: what stopped containers and forgotten settings were is no fault any more. The others are in the data of the broker.
keep_broken_data() {
  for name in $(broken | cut -d ' ' -f 1); do
    if [ "$(part_of "$(inside fault plan "$name" 2>/dev/null)" outlives-down)" = false ]; then remove_broken "$name"; fi
  done
}

show_broken() {
  [ -n "$(broken)" ] || return 0
  printf 'Broken on purpose (until ./sandbox repair):\n'
  broken | sed 's/ / since /; s/^/  /'
  echo
}

# part_of PLAN WHAT: the lines of a plan that begin with this word, without the word.
part_of() { printf '%s\n' "$1" | sed -n "s/^$2 //p"; }

# One command of a fault, in a shell of its own: `fail` ends that shell only.
# shellcheck disable=SC2086  # one word each
run_command() { (set -- $1; dispatch "$@") </dev/null; }

# The error of a command that failed, from its output.
error_of() { printf '%s\n' "$1" | sed '/^ *$/d; s/^error: //' | tail -n 1; }

# Runs commands in order, one a line; a command behind a hyphen may fail. $why is the error of the one that failed.
run_commands() {
  while read -r command <&3; do
    case $command in
      '') ;;
      -*) run_command "${command#-}" >/dev/null 2>&1 || true ;;
      *) why=$(run_command "$command" 2>&1 >/dev/null) || { why=$(error_of "$why"); return 1; } ;;
    esac
  done 3<<COMMANDS
$1
COMMANDS
}

# until_there PLAN yes|no: whether the check of the plan says so within a minute.
until_there() {
  check=$(part_of "$1" check) tries=0
  while [ $tries -lt 30 ]; do
    if run_command "$check" >/dev/null 2>&1; then there=yes; else there=no; fi
    if [ $there = "$2" ]; then return 0; fi
    tries=$((tries + 1))
    sleep 2
  done
  return 1
}

verb_break() {
  name='' seconds=''
  while [ $# -gt 0 ]; do
    case $1 in
      --for=*) value=${1#*=}; shift; set -- --for "$value" "$@"; continue ;;
      --for)
        [ $# -gt 1 ] || wrong "--for needs a time, as in 60s"
        case $2 in
          *[!0-9]*[!sm]* | *[!0-9sm]* | '' | s | m) wrong "--for $2: must be seconds or minutes, as in 60s or 2m" ;;
          *m) seconds=$((${2%m} * 60)) ;;
          *) seconds=${2%s} ;;
        esac
        if [ "$seconds" -lt 1 ] || [ "$seconds" -gt 3600 ]; then wrong "--for $2: must be 1s to 60m"; fi
        shift
        ;;
      -*) inside break "$@"; return ;;
      *) [ -z "$name" ] || wrong "break takes one fault"; name=$1 ;;
    esac
    shift
  done
  if [ -z "$name" ]; then
    [ -z "$seconds" ] || wrong "--for needs a fault"
    inside break
    return
  fi
  refuse_while_mystery
  plan=$(inside fault plan "$name") || exit
  ! is_broken "$name" || wrong "$name is caused already: ./sandbox repair $name"
  ! run_command "$(part_of "$plan" check)" >/dev/null 2>&1 || wrong "$name is there already, and not by this command: ./sandbox status"
  add_broken "$name"
  if ! run_commands "$(part_of "$plan" cause)"; then
    cause=$why
    run_commands "$(part_of "$plan" undo)" || fail "$name is caused in part: ./sandbox repair $name: $why"
    remove_broken "$name"
    fail "$cause"
  fi
  until_there "$plan" yes || fail "$name was caused, and does not show: ./sandbox repair $name undoes it"
  echo "$name: $(part_of "$plan" summary). ./sandbox repair $name undoes it"
  [ -n "$seconds" ] || return 0
  say "repaired in $seconds s; after Ctrl-C: ./sandbox repair $name"
  sleep "$seconds"
  verb_repair "$name"
}

verb_repair() {
  [ $# -le 1 ] || wrong "repair takes one fault or nothing"
  case ${1:-} in -*) wrong "repair takes one fault or nothing" ;; esac
  refuse_while_mystery
  if [ $# -eq 1 ]; then
    plan=$(inside fault plan "$1") || exit
    is_broken "$1" || wrong "$1 is not broken: ./sandbox status shows what is"
  fi
  # What was broken last is repaired first.
  names=${1:-$(broken | sed '1!G; h; $!d' | cut -d ' ' -f 1)}
  [ -n "$names" ] || wrong "nothing is broken"
  failed=0
  for name in $names; do
    if (repair_one "$name"); then remove_broken "$name"; else failed=$((failed + 1)); fi
  done
  [ $failed = 0 ] || fail "$failed could not be repaired"
}

repair_one() {
  plan=$(inside fault plan "$1") || exit
  run_commands "$(part_of "$plan" undo)" || fail "$1 is still broken: $why"
  remains=$(part_of "$plan" remains)
  [ -n "$remains" ] || until_there "$plan" no || fail "$1 was undone, and is still there: ./sandbox status"
  echo "$1 is repaired"
  [ -z "$remains" ] || say "not brought back: $remains"
}

# `fault start|stop|running NAME`: what the fault holds, in a container of the service `sandbox`. The other parts of a fault need the
# network only.
verb_fault() {
  case ${1:-} in
    start)
      if ! enough_brokers_run || [ -z "$(ids postgres running)" ]; then fail "broker and database do not both run: ./sandbox up"; fi
      quietly compose run -d --no-deps --name "$(held "$2")" sandbox fault hold "$2"
      ;;
    stop) docker rm -f "$(held "$2")" >/dev/null 2>&1 || true ;;
    running) [ "$(docker inspect --format '{{.State.Running}}' "$(held "$2")" 2>/dev/null)" = true ] || fail "$2 does not run" ;;
    limit-broker) wrong "fault $1 works in local mode only" ;;
    *) inside fault "$@" ;;
  esac
}

# The name of the container.
held() { printf '%s-background-%s' "$(project)" "$1"; }
