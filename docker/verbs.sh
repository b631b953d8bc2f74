# shellcheck shell=sh
# The verbs of Docker mode. Compose and the engine start and stop; the verbs that ask the shop run in the container `sandbox`, inside
# the network, and are the same program as in local mode.

# shellcheck source=docker/containers.sh
. "$root/docker/containers.sh"
# shellcheck source=docker/settings.sh
. "$root/docker/settings.sh"
# shellcheck source=docker/doctor.sh
. "$root/docker/doctor.sh"
# shellcheck source=docker/start.sh
. "$root/docker/start.sh"
# shellcheck source=docker/faults.sh
. "$root/docker/faults.sh"
# shellcheck source=docker/mystery.sh
. "$root/docker/mystery.sh"

# A verb of the program in the network. -T: its output goes into pipes and variables.
inside() { compose run --rm --no-deps -T sandbox "$@"; }

docker_mode() {
  cd "$root"
  # The patterns of sed, awk and case mean the same everywhere.
  export LC_ALL=C
  require_engine
  if [ "$(brokers_of_data)" = 3 ]; then use_three_brokers; fi
  if uses_gateway; then use_gateway; fi
  # Outside of the network, so that the program also describes the verbs of the host.
  if [ "$asks_help" = yes ]; then compose run --rm --no-deps -T -e SANDBOX_INSIDE=false sandbox "$@"; return; fi
  save_mode
  dispatch "$@"
}

dispatch() {
  verb=$1
  shift
  case $verb in
    -*) wrong "$verb: in Docker mode variables say where the stack is, in the environment or in .env (see .env.example)" ;;
    doctor | up | down | status | url | fetch | logs | scale | autoscale | restart | kill | pause | continue | reset | kafka | psql | load | demo | expect | break | repair | fault | mystery)
      "verb_$verb" "$@" ;;
    # Parts of `reset` and of the set-up containers.
    reset-data | create-databases) wrong "no verb $verb: ./sandbox --help lists the verbs" ;;
    start) wrong "no verb start: ./sandbox up [SERVICE]" ;;
    stop) wrong "no verb stop: ./sandbox down stops everything, ./sandbox kill SERVICE one service" ;;
    *) inside "$verb" "$@" ;;
  esac
}

verb_status() {
  case "$*" in
    --json) inside status --json; return ;;
    '') ;;
    *) wrong "status takes --json or nothing" ;;
  esac
  if [ -z "$(compose ps -q 2>/dev/null)" ]; then echo "nothing runs: ./sandbox up"; return; fi
  show_broken
  compose ps
  with=$(changed_settings | sed 's/^/  /')
  if [ -z "$(containers inventory-service)" ]; then printf '\ninventory-service is scaled to 0: ./sandbox scale inventory-service=1 starts one\n'; fi
  if [ -n "$with" ]; then printf '\nSettings changed (kept until --unset, reset or down):\n%s\n' "$with"; fi
  echo
  inside status
}

verb_url() {
  [ $# -eq 1 ] || wrong "url takes one SERVICE[.slot]"
  parse_target "$1"
  id=$(ids "$1" running paused | head -n 1)
  [ -n "$id" ] || fail "$1 does not run: ./sandbox up $1"
  case $service in kafka* | postgres) ;; *) printf 'http://' ;; esac
  address_of "$id"
}

verb_logs() {
  follow='' tail='' order='' targets=''
  while [ $# -gt 0 ]; do
    case $1 in
      --tail=* | --order=*) value=${1#*=} option=${1%%=*}; shift; set -- "$option" "$value" "$@" ;;
      --tail | --order) [ $# -gt 1 ] || wrong "$1 needs a value" ;;
    esac
    case $1 in
      -f | --follow) follow=-f ;;
      # Compose would take any other word for "all".
      --tail) [ "$2" -ge 0 ] 2>/dev/null || wrong "--tail $2: must be a whole number"; tail=--tail=$2; shift ;;
      --order) order=$2; shift ;;
      -*) wrong "logs takes -f, --tail LINES and --order ID, not $1" ;;
      *) parse_target "$1"; targets="$targets $1" ;;
    esac
    shift
  done
  # shellcheck disable=SC2046,SC2086  # one word each
  set -- $(each_broker ${targets:-$services})
  if [ -n "$order" ]; then
    inside logs --order "$order"
    printf '\nLog lines that name it\n'
    # shellcheck disable=SC2086  # one word a service
    lines=$(sorted_logs $services) || exit
    lines=$(printf '%s\n' "$lines" | grep -F -e "$order" || true)
    printf '%s\n' "${lines:-none (success is logged only with RUST_LOG=debug)}" | sed 's/^/  /'
  elif parse_target "$1" && [ -n "$slot" ] && [ $# -eq 1 ]; then
    id=$(ids "$1" running paused exited restarting | head -n 1)
    [ -n "$id" ] || fail "there is no $1"
    # shellcheck disable=SC2086  # nothing, or one word
    docker logs $follow $tail "$id" 2>&1 | visible
  else
    # shellcheck disable=SC2046  # one word a service
    set -- $(for target in "$@"; do service_of "$target"; done)
    # shellcheck disable=SC2086  # nothing, or one word
    if [ -n "$follow" ]; then compose --ansi never logs -f $tail "$@" | visible; else sorted_logs $tail "$@"; fi
  fi
}

# What `compose logs` shows, in order of time, which each line begins with. Compose clears a line of the terminal even in a pipe.
sorted_logs() {
  lines=$(compose --ansi never logs "$@") || fail "Compose cannot show the logs: see above"
  printf '%s\n' "$lines" | visible | sort -s -t '|' -k 2
}

# Without what Compose sends to a terminal, and with ? for each control character: a terminal would obey those in a log.
visible() {
  sed "s/$(printf '\033')\[2K//g
    s/[$(printf '\001-\010\013-\037\177')]/?/g
    s/$(printf '\302[\200-\237]')/?/g"
}

# `expect settings`: what the containers of a service were started with; without names: that nothing was changed.
verb_expect() {
  if [ "${1:-}" != settings ]; then inside expect "$@"; return; fi
  [ $# -gt 1 ] || wrong "expect settings needs a service"
  parse_service "$2"
  shift 2
  # The containers have what they were started with: there is nothing to wait for.
  skip=no
  for word do
    shift
    case $skip:$word in yes:*) skip=no ;; no:--within) skip=yes ;; no:--within=*) ;; *) set -- "$@" "$word" ;; esac
  done
  if [ $# -eq 0 ]; then
    with=$(changed_of "$service" | tr '\n' ' ')
    [ -z "$with" ] || fail "changed: $with"
    echo "nothing was changed"
    return
  fi
  running=$(ids "$service" running paused)
  [ -n "$running" ] || fail "no instance of $service runs"
  for id in $running; do
    for setting in "$@"; do
      docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$id" | grep -qxF -e "$setting" ||
        fail "an instance of $service was not started with $setting"
    done
  done
  echo "$service: $*"
}

verb_kafka() {
  [ $# -gt 0 ] || wrong "which tool? As in kafka-TOOL.sh: consumer-groups, topics, console-consumer, get-offsets, configs …"
  tool=${1#kafka-} && tool=${tool%.sh}
  shift
  case "$tool $* " in
    # These read files, or have the broker as another option.
    'cluster '* | 'dump-log '* | 'storage '* | *' --bootstrap-server'* | *' --bootstrap-controller'* | *' --help '*) ;;
    *) set -- --bootstrap-server "$(echo "$brokers" | sed 's/[^ ]*/&:29092/g; s/ /,/g')" "$@" ;;
  esac
  broker=$(running_brokers | head -n 1)
  run_in "${broker:-kafka}" "/opt/kafka/bin/kafka-$tool.sh" "$@"
}

verb_psql() {
  case ${1:-} in orders_db | inventory_db) ;; *) wrong "${1:-psql}: must be orders_db or inventory_db" ;; esac
  run_in postgres psql --username "${1%_db}" "$@"
}

# load-generator, beside the one that serves. -T: progress bars are for terminals, and its result goes into variables.
verb_load() { compose run --rm --no-deps -T load-generator load-generator "$@"; }

# The program decides in its container; a line `scale SERVICE=N` of it is carried out here. The file of --from is on this host.
verb_autoscale() {
  from='' next=''
  for word do
    shift
    case $next:$word in
      from:*) from=$word next='' word=- ;;
      :--from) next=from ;;
      :--from=*) from=${word#--from=} word=--from=- ;;
    esac
    set -- "$@" "$word"
  done
  if [ -n "$from" ] && [ "$from" != - ] && [ ! -r "$from" ]; then wrong "cannot read $from"; fi
  # On Ctrl-C the program ends by itself.
  trap : INT
  decide "$from" "$@" | while read -r word rest; do
    case $word in
      scale) (verb_scale "$rest") </dev/null || say "scaling failed" ;;
      exit) exit "$rest" ;;
      *) printf '%s\n' "$word $rest" ;;
    esac
  done
}

# decide FILE OPTION…: the decisions of the program, and a last line `exit CODE` if it fails.
decide() {
  input=$1
  shift
  case $input in
    '') inside autoscale "$@" </dev/null ;;
    -) inside autoscale "$@" ;;
    *) inside autoscale "$@" <"$input" ;;
  esac || echo "exit $?"
}

# A program in the container of a service, on the terminal if there is one.
run_in() {
  [ -n "$(ids "$1" running)" ] || fail "$1 does not run: ./sandbox up $1"
  if [ -t 0 ] && [ -t 1 ]; then compose exec "$@"; else compose exec -T "$@"; fi
}

verb_kill() {
  action=stop targets=
  for argument in "$@"; do
    case $argument in
      -9 | --now) action=kill ;;
      -*) wrong "kill takes -9 or --now, not $argument" ;;
      *) targets="$targets $argument" ;;
    esac
  done
  # shellcheck disable=SC2086  # one word a target
  each "$action" "is stopped: ./sandbox up % starts it again" "running restarting paused" $targets
}
verb_pause() { each pause "is paused: ./sandbox continue %" running "$@"; }
verb_continue() { each unpause "runs again" paused "$@"; }

# each ACTION MESSAGE STATES TARGET…: Docker's command on each container of the targets.
each() {
  action=$1 message=$2 states=$3
  shift 3
  [ $# -gt 0 ] || wrong "$verb what? SERVICE[.slot], $(listed "$backends")"
  for target in "$@"; do parse_target "$target"; done
  # shellcheck disable=SC2046  # one word a target
  set -- $(each_broker "$@")
  for target in "$@"; do
    parse_target "$target"
    # shellcheck disable=SC2086  # one word a state
    found=$(ids "$target" $states)
    [ -n "$found" ] || fail "$target does not run, or not so: ./sandbox status"
    for id in $found; do
      quietly docker "$action" "$id"
      name=$(name_of "$service" "$(docker inspect --format '{{index .Config.Labels "com.docker.compose.container-number"}}' "$id")")
      echo "$name $(echo "$message" | sed "s/%/$name/")"
    done
  done
}
