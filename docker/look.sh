# shellcheck shell=sh
# The verbs that look: status, addresses, logs, settings, and the tools of Kafka and PostgreSQL.

verb_status() {
  case "$*" in
    --json) inside status --json; return ;;
    '') ;;
    *) wrong "status takes --json or nothing" ;;
  esac
  if [ -z "$(compose ps -q 2>/dev/null)" ]; then echo "nothing runs: ./sandbox up"; return; fi
  compose ps
  with=$(changed_settings)
  if [ -n "$with" ]; then printf '\nSettings changed (kept until --unset, reset or down):\n%s\n' "$with" | sed 's/^\([A-Z]*_[A-Z_]*=\)/  \1/'; fi
  echo
  inside status
}

verb_url() {
  [ $# -eq 1 ] || wrong "url takes one SERVICE[.slot]"
  parse_target "$1"
  id=$(ids "$1" running paused | head -n 1)
  [ -n "$id" ] || fail "$1 does not run: ./sandbox up $1"
  case $service in
    kafka | postgres) published "$id" "$(inner_port "$service")" ;;
    *) echo "http://$(published "$id" "$(inner_port "$service")")" ;;
  esac
}

# Compose clears a line of the terminal also where there is none.
without_control() { sed "s/$(printf '\033')\[2K//g"; }

verb_logs() {
  follow='' tail='' order='' targets=''
  while [ $# -gt 0 ]; do
    case $1 in
      -f | --follow) follow=-f ;;
      --tail) [ $# -gt 1 ] || wrong "--tail needs a number of lines"; set_tail "$2"; shift ;;
      --tail=*) set_tail "${1#*=}" ;;
      --order) [ $# -gt 1 ] || wrong "--order needs an order's id"; order=$2; shift ;;
      -*) wrong "logs takes -f, --tail LINES and --order ID, not $1" ;;
      *) parse_target "$1"; targets="$targets $1" ;;
    esac
    shift
  done
  if [ -n "$order" ]; then journey "$order"; return; fi
  if [ "$(echo "$targets" | wc -w | tr -d ' ')" = 1 ]; then
    parse_target "${targets# }"
    if [ -n "$slot" ]; then
      id=$(ids "${targets# }" running paused exited restarting | head -n 1)
      [ -n "$id" ] || fail "there is no${targets}"
      # shellcheck disable=SC2086  # nothing, or one word
      docker logs $follow $tail "$id" 2>&1
      return
    fi
  fi
  chosen=
  for target in ${targets:-$services}; do chosen="$chosen ${target%%.*}"; done
  # shellcheck disable=SC2086  # one word each
  if [ -n "$follow" ]; then
    compose --ansi never logs -f $tail $chosen
  else
    lines_of $tail $chosen
  fi
}

# Compose would take anything for "all".
set_tail() {
  case $1 in '' | *[!0-9]* | ????????*) ;; *) if [ "$1" -le 1000000 ]; then tail=--tail=$1; return; fi ;; esac
  wrong "--tail $1: must be a whole number from 0 to 1000000"
}

# What `compose logs` shows, in order of time: each line begins with it. Not in a pipe, where nobody would hear that Compose failed.
lines_of() {
  mkdir -p "$state"
  unsorted=$state/logs.$$
  trap 'rm -f "$unsorted"' EXIT
  trap 'exit 130' INT
  compose --ansi never logs "$@" >"$unsorted" || fail "Compose cannot show the logs: see above"
  without_control <"$unsorted" | sort -s -t '|' -k 2
}

# One order's whole journey: what Kafka and order-service hold of it, then the log lines that name it.
journey() {
  inside logs --order "$1"
  printf '\nLog lines that name it\n'
  # shellcheck disable=SC2086  # one word a service
  lines=$(lines_of $services)
  lines=$(printf '%s\n' "$lines" | grep -F -e "$1" || true)
  printf '%s\n' "${lines:-none (what goes well is not logged one by one; RUST_LOG=debug does)}" | sed 's/^/  /'
}

# What the containers of a service were started with; without names: that nothing was changed.
expect_settings() {
  [ $# -gt 0 ] || wrong "expect settings needs a service"
  parse_service "$1"
  shift
  if [ $# -eq 0 ]; then
    with=$(changed_of "$service" | tr '\n' ' ')
    [ -z "$with" ] || fail "changed: $with"
    echo "nothing was changed"
    return
  fi
  running=$(ids "$service" running paused)
  [ -n "$running" ] || fail "no instance of $service runs"
  for id in $running; do
    for wanted in "$@"; do
      docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$id" | grep -qxF -e "$wanted" ||
        fail "an instance of $service was not started with $wanted"
    done
  done
  echo "$service: $*"
}

verb_kafka() {
  tool=${1:-}
  [ -n "$tool" ] || wrong "which tool? As in kafka-TOOL.sh: consumer-groups, topics, console-consumer, get-offsets, configs …"
  shift
  tool=${tool#kafka-} tool=${tool%.sh}
  case $tool in
    # These read files, or are told the broker in a way of their own.
    cluster | dump-log | storage) ;;
    *)
      case " $* " in
        *' --bootstrap-server'* | *' --bootstrap-controller'* | *' --help '*) ;;
        *) set -- --bootstrap-server kafka:29092 "$@" ;;
      esac
      ;;
  esac
  into kafka "/opt/kafka/bin/kafka-$tool.sh" "$@"
}

verb_psql() {
  database=${1:-}
  case $database in
    orders_db | inventory_db) shift ;;
    *) wrong "${database:-psql}: must be orders_db or inventory_db" ;;
  esac
  into postgres psql --username "${database%_db}" "$database" "$@"
}

# load-generator, beside the one that serves. -T: progress bars are for terminals, and its result goes into variables.
verb_load() { compose run --rm --no-deps -T load-generator load-generator "$@"; }

# A program in the container of a service, on the terminal if there is one.
into() {
  [ -n "$(ids "$1" running)" ] || fail "$1 does not run: ./sandbox up $1"
  if [ -t 0 ] && [ -t 1 ]; then compose exec "$@"; else compose exec -T "$@"; fi
}
