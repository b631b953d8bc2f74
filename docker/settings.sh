# shellcheck shell=sh
# `restart --set` writes below a mark in .env: plain Compose reads it there, and the last of two lines with one name counts. Without
# that part, .env is as a person wrote it.

settings_mark='# --- set by ./sandbox restart --set, and taken away by --unset, reset and down ---'

# INVENTORY for inventory-service, LAG_MONITOR for lag-monitor. PAYMENT_GATEWAY would begin like PAYMENT of payment-service.
prefix_of() { printf '%s' "${1%-service}" | sed 's/^payment-gateway$/gateway/' | tr '[:lower:]-' '[:upper:]_'; }

# part_of_env above|below: the lines of .env on one side of the mark. An editor may have added a byte-order mark and other line ends.
part_of_env() {
  [ -f .env ] || return 0
  awk -v part="$1" -v mark="$settings_mark" '
    { text = $0; sub(/^\357\273\277/, "", text); sub(/\r$/, "", text) }
    text == mark { below = 1; next }
    below && part == "below" { print text }
    !below && part == "above"
  ' .env
}

# The changed settings, one NAME=VALUE a line, with the service's prefix before the name; of one service, without the prefix.
changed_settings() { part_of_env below; }
changed_of() { changed_settings | sed -n "s/^$(prefix_of "$1")_//p"; }

# The names that docker-compose.yml passes on to a service.
known_settings() { sed -n "s/^ *\([A-Z_]*\): \${$(prefix_of "$1")_\1-.*/\1/p" docker-compose.yml; }

require_known() {
  known_settings "$1" | grep -qxF -e "$2" ||
    wrong "$1 has no setting $2; it has $(known_settings "$1" | sort | tr '\n' ' ' | sed 's/ $//; s/ /, /g')"
}

# Compose prefers the environment to .env.
require_not_exported() {
  eval "exported=\${$(prefix_of "$1")_$2+yes}"
  [ -z "$exported" ] || wrong "$(prefix_of "$1")_$2 is set in the environment, which overrides .env: unset it first"
}

# Both Composes read these characters literally; $, # and quotes have a meaning in .env.
require_plain() {
  case $2 in
    *[!A-Za-z0-9_.,:\;=/@+%{}*\ -]* | ' '* | *' ') wrong "$1: in .env a value can hold letters, digits and _.,:;=/@+%{}*- only" ;;
  esac
}

# Replaces the part below the mark by standard input.
write_changed() {
  fresh=$(cat)
  touch .env
  {
    part_of_env above
    if [ -n "$fresh" ]; then printf '%s\n%s\n' "$settings_mark" "$fresh"; fi
  } >.env.new
  # Not mv: .env keeps its owner and rights.
  cat .env.new >.env
  rm -f .env.new
  [ -s .env ] || rm -f .env
}

# set_setting SERVICE NAME [VALUE]: without a value the setting is removed.
set_setting() {
  line=$(prefix_of "$1")_$2=
  { changed_settings | grep -v "^$line" || true; if [ $# -eq 3 ]; then echo "$line$3"; fi; } | write_changed
}
forget_settings() { if [ -n "$(changed_settings)" ]; then write_changed </dev/null; fi; }
