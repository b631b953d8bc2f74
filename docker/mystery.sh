# shellcheck shell=sh
# `mystery`: a fault without its name. Texts, commands and the look at the shop are in the program: `mystery plan NAME` prints one line
# each, `mystery health` places orders. This script keeps the record of the mystery that runs, and runs the commands.

# NAME SINCE HINTS UNENDED, where SINCE is in seconds since 1970, and UNENDED the orders that had not ended before. One file for each project.
# shellcheck disable=SC2154  # the script `sandbox` sets it
mystery_file() { printf '%s/mystery-%s' "$home" "$(project)"; }
# Sets mystery, since, hints and unended, or fails.
read_mystery() { read -r mystery since hints unended 2>/dev/null <"$(mystery_file)"; }
write_mystery() {
  mkdir -p "$home"
  echo "$mystery $since $hints $unended" >"$(mystery_file).new"
  mv "$(mystery_file).new" "$(mystery_file)"
}
forget_mystery() { rm -f "$(mystery_file)"; }
require_mystery() {
  read_mystery || wrong "no mystery runs: ./sandbox mystery begins one"
  plan=$(inside mystery plan "$mystery") || exit
}

# Refuses a command that would name the fault of the mystery that runs, or repair it.
refuse_while_mystery() { ! read_mystery || wrong "the mystery $mystery runs: repair it by other means, or ./sandbox mystery give-up"; }

# Before `reset`: what the fault stopped runs again.
end_mystery_before_reset() {
  read_mystery || return 0
  say "the mystery $mystery is given up"
  if plan=$(inside mystery plan "$mystery"); then (run_commands "$(part_of "$plan" undo)") || true; fi
  forget_mystery
}

verb_mystery() {
  case ${1:-} in
    complaint | hint | check | give-up) [ $# -eq 1 ] || wrong "mystery $1 takes no argument" ;;
  esac
  case ${1:-} in
    list | plan | health) inside mystery "$@" ;;
    complaint) require_mystery; part_of "$plan" complaint ;;
    hint) mystery_hint ;;
    check) mystery_check ;;
    give-up) mystery_give_up ;;
    *) mystery_begin "$@" ;;
  esac
}

mystery_begin() {
  plan=$(inside mystery plan "$@") || exit
  ! read_mystery || wrong "the mystery $mystery runs: ./sandbox mystery hint, check or give-up"
  [ -z "$(broken)" ] || wrong "something is broken on purpose: ./sandbox repair, then begin"
  [ -n "$(compose ps -q 2>/dev/null)" ] || fail "nothing runs: ./sandbox up"
  seen=$(inside mystery health 2>&1) || fail "the shop must work before a mystery begins, see ./sandbox status: $(error_of "$seen")"
  # Without what Compose says of the container.
  unended=$(printf '%s\n' "$seen" | grep -x '[0-9][0-9]*')
  check=$(part_of "$plan" check)
  ! run_command "$check" >/dev/null 2>&1 || fail "the shop is not as ./sandbox up leaves it: ./sandbox reset, then begin"
  mystery=$(part_of "$plan" name) since=$(date +%s) hints=0
  write_mystery
  if ! run_commands "$(part_of "$plan" cause)" || { why="nothing shows"; ! until_there "$plan" yes; }; then
    cause=$why
    run_commands "$(part_of "$plan" undo)" || fail "a mystery was begun in part: ./sandbox mystery give-up: $why"
    forget_mystery
    fail "no mystery could be begun: $cause"
  fi
  run_commands "$(part_of "$plan" customers)"
  printf 'Mystery %s\n\n' "$mystery"
  part_of "$plan" complaint
  part_of "$plan" next
}

mystery_hint() {
  require_mystery
  if [ "$hints" -lt 3 ]; then hints=$((hints + 1)); write_mystery; fi
  part_of "$plan" hint | head -n "$hints" | awk '{ print "Hint " NR " of 3: " $0 }'
}

mystery_check() {
  require_mystery
  seen=$(inside mystery health --unended "$unended" 2>&1) || fail "not solved: $(error_of "$seen")"
  if [ "$(part_of "$plan" sees-every-repair)" = true ] && run_command "$(part_of "$plan" check)" >/dev/null 2>&1; then
    fail "not solved: the shop works at this moment, and the cause is still there"
  fi
  # It has nothing left to hold. Undoing all of the fault would change what the player has repaired, offsets for example.
  run_commands "$(part_of "$plan" undo | grep '^fault stop ')" || fail "solved, but a container of the mystery could not be ended: ./sandbox mystery check tries again: $why"
  forget_mystery
  mystery_card solved
}

mystery_give_up() {
  require_mystery
  fault=$(part_of "$plan" fault) why="it is still there"
  if run_commands "$(part_of "$plan" undo)" && until_there "$plan" no; then
    forget_mystery
    mystery_card "given up"
    return
  fi
  # From here on it is a fault like any other, whose container has the name of the fault.
  verb_fault stop "$mystery"
  add_broken "$fault"
  forget_mystery
  mystery_card "given up"
  fail "$fault is not repaired yet: ./sandbox repair $fault: $why"
}

# The card and the answer.
mystery_card() {
  printf '%-16s %-8s %-10s %-9s %s\n' MYSTERY LEVEL RESULT MINUTES HINTS
  printf '%-16s %-8s %-10s %-9s %s\n\n' "$mystery" "$(part_of "$plan" level)" "$1" "$((($(date +%s) - since) / 60))" "$hints of 3"
  part_of "$plan" explanation
}
