# shellcheck shell=sh
# The verbs that start and stop the stack, and change it.

# From the start of the containers until all is ready. Measured: 13 s on two cores.
ready_limit=180s

verb_up() {
  build=yes wait=yes targets='' observe='' gateway=no asked='' next=''
  for argument in "$@"; do
    case $next:$argument in
      brokers:1 | brokers:3) asked=$argument next=; continue ;;
      brokers:*) wrong "--brokers $argument: must be 1 or 3" ;;
    esac
    case $argument in
      --brokers) next=brokers ;;
      --brokers=1 | --brokers=3) asked=${argument#*=} ;;
      --brokers=*) wrong "--brokers ${argument#*=}: must be 1 or 3" ;;
      --offline | --no-build) build=no ;;
      --no-wait) wait=no ;;
      # Without targets it starts in any case: in Docker mode it is one of the containers.
      --observe) observe=prometheus ;;
      --gateway) gateway=yes ;;
      -*) wrong "up takes --brokers, --observe, --gateway, --offline, --no-build and --no-wait, not $argument" ;;
      *) targets="$targets $argument" ;;
    esac
  done
  [ -z "$next" ] || wrong "--brokers needs 1 or 3"
  choose_brokers "$asked"
  # shellcheck disable=SC2046,SC2086  # one word a target
  targets=$(echo $(each_broker $targets))
  for target in $targets; do parse_target "$target"; done
  if [ "$gateway" = yes ] && ! uses_gateway; then
    require_not_exported payment-service PAYMENT_GATEWAY_URL
    set_setting payment-service PAYMENT_GATEWAY_URL "$gateway_url"
    use_gateway
  fi
  # With targets, the changed payment-service and its gateway are two more.
  if [ "$gateway" = yes ] && [ -n "$targets" ]; then targets="$targets payment-gateway payment-service"; fi
  targets=${targets:+ $targets}${targets:+${observe:+ $observe}}
  began=$(date +%s)
  # shellcheck disable=SC2046,SC2086  # one word a service
  require_free_ports $(started_by $targets)
  case $build:$targets in
    no:*) require_images ;;
    # Their images are those of others.
    yes:) build ;;
    yes:*) for target in $targets; do is_one_of "${target%%.*}" 'kafka postgres' || { build; break; }; done ;;
  esac
  # shellcheck disable=SC2086  # one word each
  if [ -z "$targets" ]; then
    unpause $services $backends
    up_containers --scale "inventory-service=$(count inventory-service)"
  else
    up_targets $targets
  fi
  # shellcheck disable=SC2046  # one word a service
  if [ "$wait" = yes ]; then await_ready $(for target in $targets; do service_of "$target"; done); fi
  what=started
  if [ "$wait" = yes ]; then what=ready; fi
  say "$what after $(($(date +%s) - began)) s"
  show_addresses
}

# choose_brokers N: the number of brokers of a new stack; empty: that of the data. `down --reset` comes before another number: topics
# keep their replicas, and a cluster its controllers.
choose_brokers() {
  stored=$(brokers_of_data)
  case $1:$stored in
    3:1) fail "the data of this stack is that of one broker, not of 3 brokers: ./sandbox down --reset deletes it" ;;
    1:3) fail "the data of this stack is that of 3 brokers, not of one broker: ./sandbox down --reset deletes it" ;;
    3:0) use_three_brokers ;;
  esac
}

# Services with an image that is built: our programs, Prometheus and Grafana with their configuration.
built='kafka-setup prometheus grafana'

# Builds the images: on a terminal with BuildKit's progress, else with a log file.
# shellcheck disable=SC2086  # one word a service
build() {
  # An attestation contains the time: each build would be another image, and Compose would replace what runs.
  export BUILDX_NO_DEFAULT_ATTESTATIONS=1
  mkdir -p "$logs"
  if [ -t 2 ] && compose build $built >&2; then return; fi
  say "building the images: some minutes the first time (see $logs/build.log)"
  compose build $built >"$logs/build.log" 2>&1 || fail "$(meaning "$(cat "$logs/build.log")")"
}

# The images of the services that `up` starts, as Compose reads them; one a line: service, image. 1.29 also shows those of a profile.
images() {
  compose config | awk '
    /^  [a-z0-9-]+:$/ { service = substr($1, 1, length($1) - 1) }
    /^    image:/ { print service, $2 }
  ' | while read -r service image; do
    if is_one_of "$service" "$services $backends $setups"; then echo "$service $image"; fi
  done
}

require_images() {
  images | while read -r service image; do
    docker image inspect "$image" >/dev/null 2>&1 || fail "the image $image is not here: ./sandbox fetch, once, with a network"
  done || exit 1
}

# compose up, and one line if it fails. Compose 1.29 cannot change a container on newer engines: then the containers of the services
# are removed first. Their data is in volumes.
up_containers() {
  if output=$(compose up -d --no-build "$@" 2>&1); then return; fi
  case $output in
    *ContainerConfig*)
      # shellcheck disable=SC2086  # one word a service
      quietly compose rm -sf $setups $services
      if output=$(compose up -d --no-build "$@" 2>&1); then return; fi
      ;;
  esac
  fail "$(why_not "$output")"
}

# The set-up containers that have not run, one a line.
missing_setups() {
  for setup in $setups; do
    [ -n "$(compose ps -a -q "$setup")" ] || echo "$setup"
  done
}

# The services that `up` starts for these targets, one a line; none for no target, which means all.
started_by() {
  [ $# -gt 0 ] || return 0
  for target in "$@"; do service_of "$target"; done
  # Broker and database, which the set-up containers need.
  # shellcheck disable=SC2086  # one word a service
  if [ -n "$(missing_setups)" ]; then printf '%s\n' $brokers postgres; fi
}

# Runs set-up containers to their end, with what they need: a service starts when its topics and databases are there.
set_up() {
  up_containers "$@"
  for setup in "$@"; do
    for id in $(containers "$setup" | cut -d ' ' -f 2); do
      [ "$(docker wait "$id")" = 0 ] || fail "$(why_not "$setup failed: docker logs $id")"
    done
  done
}

# A service starts with what it needs; but a backend that was killed or paused on purpose stays so until a command names it.
up_targets() {
  missing=$(missing_setups)
  # shellcheck disable=SC2086  # one word a service
  [ -z "$missing" ] || set_up $missing
  for target in "$@"; do
    unpause "$target"
    parse_target "$target"
    if [ -z "$slot" ]; then
      up_containers --no-deps --scale "$service=$(count "$service")" "$service"
    elif stopped=$(ids "$target" exited created dead) && [ -n "$stopped" ]; then
      quietly docker start "$stopped"
    elif [ -z "$(ids "$target" running restarting)" ]; then
      fail "there was no $target: ./sandbox scale $service=$slot"
    fi
  done
}

unpause() {
  for target in "$@"; do
    for id in $(ids "$target" paused); do quietly docker unpause "$id"; done
  done
}

# How many containers a service has, running or not; 1 if none.
count() { containers "$1" | awk 'END { print NR ? NR : 1 }'; }

# All services, or those given, that were started.
await_ready() {
  awaited=
  # shellcheck disable=SC2086  # one word a service
  for service in ${*:-$services}; do
    if is_one_of "$service" "$brokers" && ! enough_brokers_run; then say "fewer than two of three brokers run, so they answer no client: ./sandbox up kafka"
    elif is_one_of "$service" "$backends"; then await_backend "$service"
    elif [ -n "$(ids "$service" running restarting)" ]; then awaited="$awaited $service"; fi
  done
  # shellcheck disable=SC2086  # one word a service
  [ -z "$awaited" ] || inside wait ready $awaited --within "$ready_limit" >/dev/null || fail "not all is ready: ./sandbox doctor, ./sandbox logs"
}

# Until the health check of a backend passes; not if it crashes again and again.
await_backend() {
  tries=0
  until id=$(containers "$1" | cut -d ' ' -f 2) && [ "$(docker inspect --format '{{.State.Health.Status}}' "$id")" = healthy ]; do
    tries=$((tries + 1))
    if [ $tries -ge 90 ] || [ "$(docker inspect --format '{{.RestartCount}}' "$id")" -ge 2 ]; then
      fail "$(why_not "$1 does not start: ./sandbox logs $1")"
    fi
    sleep 1
  done
}

show_addresses() {
  for service in $services $backends; do
    containers "$service" | while read -r number id status; do
      if [ "$status" = running ]; then
        case $service in
          kafka*) printf '%-22s %s\n' Kafka "$(address_of "$id")" ;;
          postgres) for role in orders inventory; do printf '%-22s postgres://%s:%s@%s/%s_db\n' "PostgreSQL ${role}_db" $role $role "$(address_of "$id")" $role; done ;;
          *) printf '%-22s http://%s\n' "$(name_of "$service" "$number")" "$(address_of "$id")" ;;
        esac
      fi
    done
  done
}

verb_down() {
  case "$*" in '') volumes= ;; --reset) volumes=--volumes ;; *) wrong "down takes --reset or nothing" ;; esac
  keep_broken_data
  # shellcheck disable=SC2086  # nothing, or one word
  quietly compose --profile tools --profile k6 --profile tracing --profile gateway down --remove-orphans $volumes
  forget_settings
  if [ -n "$volumes" ]; then rm -f "$logs/build.log"; forget_broken; forget_mystery; fi
}

verb_reset() {
  [ $# -eq 0 ] || wrong "reset takes no argument"
  end_mystery_before_reset
  # First, so that what the faults stopped runs again. One that cannot be undone is no reason to keep the data.
  if [ -n "$(broken)" ]; then (verb_repair) || true; forget_broken; fi
  began=$(date +%s)
  # shellcheck disable=SC2086  # one word a service
  require_free_ports $brokers postgres
  ran=
  for service in $services; do
    if [ -n "$(ids "$service" running restarting paused)" ]; then ran="$ran $service=$(count "$service")"; fi
  done
  # shellcheck disable=SC2086  # one word a service
  unpause $services $backends
  # shellcheck disable=SC2086  # one word a service
  quietly compose rm -sf $services
  forget_settings
  # shellcheck disable=SC2086  # one word a service
  up_containers $brokers postgres
  # shellcheck disable=SC2086  # one word a service
  await_ready $brokers postgres
  inside reset-data >/dev/null
  empty_prometheus
  for one in $ran; do up_containers --no-deps --scale "$one" "${one%=*}"; done
  await_ready
  echo "empty again after $(($(date +%s) - began)) s; running:${ran:- broker and database}"
}

# Its measurements are in a volume, which can be removed while no container has it.
empty_prometheus() {
  id=$(containers prometheus | cut -d ' ' -f 2)
  [ -n "$id" ] || return 0
  ran_before=$(ids prometheus running restarting)
  volume=$(docker inspect --format '{{range .Mounts}}{{if eq .Destination "/prometheus"}}{{.Name}}{{end}}{{end}}' "$id")
  quietly compose rm -sf prometheus
  quietly docker volume rm "$volume"
  if [ -n "$ran_before" ]; then up_containers --no-deps prometheus; fi
}

verb_scale() {
  case ${1:-} in
    inventory-service=[0-9]) ;;
    inventory-service=*) wrong "inventory-service can have at most 9 instances" ;;
    *=*)
      parse_service "${1%%=*}"
      wrong "$service has one published port, so one instance: only inventory-service has a range of ports (./sandbox --local scales all services)" ;;
    *) wrong "scale takes SERVICE=N, as in inventory-service=3" ;;
  esac
  [ $# -eq 1 ] || wrong "scale takes one SERVICE=N"
  up_containers --no-deps --no-recreate --scale "$1" inventory-service
  if enough_brokers_run && [ -n "$(ids postgres running)" ]; then
    await_ready inventory-service
    if [ -n "$(ids inventory-service running)" ]; then inside wait consuming inventory-service --within 60s >&2; fi
  else
    say "broker or database were stopped, so the instances cannot consume: ./sandbox up"
  fi
  show_addresses | grep '^inventory-service' || true
}

restore_settings() { printf '%s' "$settings_before" | write_changed; }

verb_restart() {
  [ $# -gt 0 ] || wrong "restart which service? $services"
  parse_service "$1"
  shift
  restarted=$service wait=yes
  [ -n "$(containers "$restarted")" ] || fail "$restarted was not started: ./sandbox up $restarted"
  settings_before=$(changed_settings)
  # Until all is known to be valid, a mistake leaves .env without changes.
  undo=restore_settings
  while [ $# -gt 0 ]; do
    case $1 in
      --set | --unset)
        [ $# -gt 1 ] || wrong "$1 needs a value"
        require_known "$restarted" "${2%%=*}"
        require_not_exported "$restarted" "${2%%=*}"
        ;;
    esac
    case $1=${2:-} in
      --set=*=*) require_plain "${2%%=*}" "${2#*=}"; set_setting "$restarted" "${2%%=*}" "${2#*=}"; shift ;;
      --set=*) wrong "--set $2: must be NAME=VALUE, as in BATCH_MAX=1" ;;
      --unset=*) set_setting "$restarted" "$2"; shift ;;
      --no-wait=*) wait=no ;;
      *) wrong "restart takes --set NAME=VALUE, --unset NAME and --no-wait, not $1" ;;
    esac
    shift
  done
  # The service itself checks the values, before the old instances are stopped.
  if ! output=$(compose run --rm --no-deps -T "$restarted" "$restarted" check 2>&1); then
    line=$(printf '%s\n' "$output" | sed -n 's/^error: //p' | head -n 1)
    wrong "${line:-$output}"
  fi
  undo=:
  number=$(count "$restarted")
  quietly compose rm -sf "$restarted"
  up_containers --no-deps --scale "$restarted=$number" "$restarted"
  if [ "$wait" = yes ]; then await_ready "$restarted"; fi
  with=$(changed_of "$restarted" | tr '\n' ' ' | sed 's/ $//')
  echo "restarted $restarted${with:+ with $with}"
}

verb_fetch() {
  [ $# -eq 0 ] || wrong "fetch takes no argument"
  images | while read -r service image; do
    # The others are built.
    is_one_of "$service" 'kafka postgres' || continue
    docker image inspect "$image" >/dev/null 2>&1 || { say "pulling $image"; quietly docker pull "$image"; }
  done || exit 1
  build
}

verb_demo() {
  case "$*" in '' | --offline) ;; *) wrong "demo takes --offline or nothing" ;; esac
  verb_up "$@"
  inside demo
}
