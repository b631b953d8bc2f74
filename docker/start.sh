# shellcheck shell=sh
# The verbs that start, stop and change containers.

verb_up() {
  build=yes waits=yes targets='' observed=''
  for argument in "$@"; do
    case $argument in
      --offline | --no-build) build=no ;;
      --no-wait) waits=no ;;
      # Without targets it is started in any case: here it is one of the containers.
      --observe) observed=prometheus ;;
      -*) wrong "up takes --observe, --offline, --no-build and --no-wait, not $argument" ;;
      *) parse_target "$argument"; targets="$targets $argument" ;;
    esac
  done
  if [ -n "$targets" ]; then targets="$targets $observed"; fi
  began=$(date +%s)
  require_free_ports
  if [ "$build" = yes ] && wants_ours; then build; fi
  [ "$build" = yes ] || require_images
  if [ -z "$targets" ]; then
    wake $services $backends
    up_containers up -d --no-build --scale "inventory-service=$(count inventory-service)"
  else
    # shellcheck disable=SC2086  # one word a target
    up_targets $targets
  fi
  # shellcheck disable=SC2046  # one word a service
  if [ "$waits" = yes ]; then await_ready $(for target in $targets; do echo "${target%%.*}"; done); fi
  what=started
  if [ "$waits" = yes ]; then what=ready; fi
  say "$what after $(($(date +%s) - began)) s"
  show_addresses
}

# Whether anything of ours is to be started: the broker alone needs no build.
wants_ours() {
  [ -n "$targets" ] || return 0
  for target in $targets; do
    if is_service "${target%%.*}"; then return 0; fi
  done
  return 1
}

require_images() {
  for image in $(compose config | sed -n 's/^ *image: *//p' | sort -u); do
    docker image inspect "$image" >/dev/null 2>&1 || fail "the image $image is not here: ./sandbox fetch, once, with a network"
  done
}

# Compose says so much about an `up` that the one line of interest is lost; and 1.29 cannot change a container on newer engines.
# Data is in volumes, so removing the services' containers loses nothing.
up_containers() {
  if said=$(compose "$@" 2>&1); then return; fi
  case $said in
    *ContainerConfig*)
      # shellcheck disable=SC2086  # one word a service
      quietly rm -sf kafka-setup $services
      said=$(compose "$@" 2>&1) || fail "$(why_not "$said")"
      ;;
    *) fail "$(why_not "$said")" ;;
  esac
}

# A service is started with what it needs; but what was killed or paused on purpose stays so until it is named.
up_targets() {
  [ -n "$(compose ps -a -q kafka)" ] || up_containers up -d --no-build kafka-setup
  [ -n "$(compose ps -a -q postgres)" ] || up_containers up -d --no-build postgres
  for target in "$@"; do
    wake "$target"
    dead=$(ids "$target" exited created dead)
    if [ -n "$slot" ]; then
      if [ -n "$dead" ]; then
        said=$(docker start "$dead" 2>&1) || fail "$(meaning "$said")"
      elif [ -z "$(ids "$target" running restarting)" ]; then
        fail "there was no $target: ./sandbox scale $service=$slot"
      fi
    else
      parse_target "$target"
      up_containers up -d --no-build --no-deps --scale "$service=$(count "$service")" "$service"
    fi
  done
}

# Lets what is paused go on.
wake() {
  for target in "$@"; do
    for id in $(ids "$target" paused); do docker unpause "$id" >/dev/null; done
  done
}

# How many containers a service has, running or not; 1 if none.
count() {
  number=$(containers "$1" | wc -l | tr -d ' ')
  [ "$number" -gt 0 ] || number=1
  echo "$number"
}

# All services, or those given, that were started.
await_ready() {
  # shellcheck disable=SC2086  # one word a service
  [ $# -gt 0 ] || set -- $services
  awaited=
  for service in "$@"; do
    if is_single "$service"; then await_backend "$service"; continue; fi
    if [ -n "$(ids "$service" running restarting)" ]; then awaited="$awaited $service"; fi
  done
  [ -n "$awaited" ] || return 0
  # shellcheck disable=SC2086  # one word a service
  inside wait ready $awaited --within "$ready_limit" >/dev/null || fail "not all is ready: ./sandbox doctor, ./sandbox logs"
}

show_addresses() {
  for service in $services; do
    containers "$service" | while read -r number id status; do
      if [ "$status" = running ]; then
        printf '%-22s http://%s\n' "$service.$number" "$(published "$id" "$(inner_port "$service")")"
      fi
    done
  done
  for id in $(ids kafka running); do printf '%-22s %s\n' Kafka "$(published "$id" 9092)"; done
  for id in $(ids postgres running); do
    for role in orders inventory; do
      printf '%-22s postgres://%s:%s@%s/%s_db\n' "PostgreSQL ${role}_db" $role $role "$(published "$id" 5432)" $role
    done
  done
  for id in $(ids prometheus running); do printf '%-22s http://%s\n' Prometheus "$(published "$id" 9090)"; done
  for id in $(ids grafana running); do printf '%-22s http://%s\n' Grafana "$(published "$id" 3000)"; done
}

verb_down() {
  case "$*" in
    '') volumes= ;;
    --reset) volumes=--volumes ;;
    *) wrong "down takes --reset or nothing" ;;
  esac
  # shellcheck disable=SC2086  # nothing, or one word
  quietly --profile tools --profile k6 --profile tracing down --remove-orphans $volumes
  forget_settings
}

verb_reset() {
  [ $# -eq 0 ] || wrong "reset takes nothing"
  began=$(date +%s)
  require_free_ports
  ran=
  for service in $services; do
    if [ -n "$(ids "$service" running restarting paused)" ]; then ran="$ran $service=$(count "$service")"; fi
  done
  wake $services $backends
  # shellcheck disable=SC2086  # one word a service
  quietly rm -sf $services
  forget_settings
  up_containers up -d --no-build kafka-setup postgres
  await_backend kafka
  await_backend postgres
  quietly exec -T postgres psql --username postgres --quiet --set ON_ERROR_STOP=1 --file /docker-entrypoint-initdb.d/databases.sql
  inside reset-data >/dev/null
  empty_prometheus
  for one in $ran; do up_containers up -d --no-build --no-deps --scale "$one" "${one%=*}"; done
  await_ready
  echo "empty again after $(($(date +%s) - began)) s; running:${ran:- broker and database}"
}

# What it measured is in a volume, which can be removed when no container has it.
empty_prometheus() {
  id=$(containers prometheus | cut -d ' ' -f 2)
  [ -n "$id" ] || return 0
  watched=$(ids prometheus running restarting)
  volume=$(docker inspect --format '{{range .Mounts}}{{if eq .Destination "/prometheus"}}{{.Name}}{{end}}{{end}}' "$id")
  quietly rm -sf prometheus
  said=$(docker volume rm "$volume" 2>&1) || fail "$(meaning "$said")"
  if [ -n "$watched" ]; then up_containers up -d --no-build --no-deps prometheus; fi
}

# Until the broker or the database answers. One that ends again and again will not.
await_backend() {
  tries=0
  until id=$(ids "$1" running) && [ -n "$id" ] && [ "$(docker inspect --format '{{.State.Health.Status}}' "$id")" = healthy ]; do
    tries=$((tries + 1))
    id=$(containers "$1" | cut -d ' ' -f 2)
    if [ $tries -ge 90 ] || [ "$(docker inspect --format '{{.RestartCount}}' "$id")" -ge 2 ]; then
      fail "$(why_not "$1 does not come up: ./sandbox logs $1")"
    fi
    sleep 1
  done
}

verb_scale() {
  case ${1:-} in
    inventory-service=[0-9]) ;;
    inventory-service=*) wrong "inventory-service can have at most 9 instances" ;;
    *-service=*)
      parse_service "${1%%=*}"
      wrong "$service has one published port, so one instance here: only inventory-service has a range of them (./sandbox --local scales all)" ;;
    load-generator=* | lag-monitor=*) wrong "there is one ${1%=*}: another would only say the same twice" ;;
    *) wrong "scale takes SERVICE=N, as in inventory-service=3" ;;
  esac
  [ $# -eq 1 ] || wrong "scale takes one SERVICE=N"
  up_containers up -d --no-build --no-deps --no-recreate --scale "$1" inventory-service
  await_ready inventory-service
  show_addresses | grep '^inventory-service' || true
}

verb_restart() {
  [ $# -gt 0 ] || wrong "restart which service? $services"
  parse_service "$1"
  shift
  restarted=$service waits=yes sets= unsets=
  while [ $# -gt 0 ]; do
    case $1 in
      --set | --unset) [ $# -gt 1 ] || wrong "$1 needs a value" ;;
    esac
    case $1 in
      --set)
        case $2 in *=*) ;; *) wrong "--set $2: must be NAME=VALUE, as in BATCH_MAX=1" ;; esac
        require_known "$restarted" "${2%%=*}"
        require_plain "${2%%=*}" "${2#*=}"
        sets="$sets$2
"
        shift
        ;;
      --unset) require_known "$restarted" "$2"; unsets="$unsets $2"; shift ;;
      --no-wait) waits=no ;;
      *) wrong "restart takes --set NAME=VALUE, --unset NAME and --no-wait, not $1" ;;
    esac
    shift
  done
  [ -n "$(containers "$restarted")" ] || fail "$restarted was not started: ./sandbox up $restarted"
  before=$(changed_settings)
  for name in $unsets; do unset_setting "$restarted" "$name"; done
  printf '%s' "$sets" | while read -r one; do set_setting "$restarted" "${one%%=*}" "${one#*=}"; done
  # The service itself says what is wrong with a value, before the old instances are stopped.
  if ! said=$(compose run --rm --no-deps -T "$restarted" "$restarted" check 2>&1); then
    printf '%s\n' "$before" | sed '/^$/d' | write_changed
    printf '%s\n' "$said" | sed -n 's/^error: //p' | head -n 1 | { read -r line || line=$said; wrong "$line"; }
  fi
  number=$(count "$restarted")
  quietly rm -sf "$restarted"
  up_containers up -d --no-build --no-deps --scale "$restarted=$number" "$restarted"
  if [ "$waits" = yes ]; then await_ready "$restarted"; fi
  with=$(changed_of "$restarted" | tr '\n' ' ' | sed 's/ $//')
  echo "restarted $restarted${with:+ with $with}"
}

verb_fetch() {
  [ $# -eq 0 ] || wrong "fetch takes nothing"
  for image in apache/kafka postgres prom/prometheus grafana/grafana; do
    image=$(sed -n "s|^ *image: \($image:.*\)|\1|p" docker-compose.yml)
    docker image inspect "$image" >/dev/null 2>&1 && continue
    say "pulling $image"
    said=$(docker pull "$image" 2>&1) || fail "$(meaning "$said")"
  done
  build
}

verb_demo() {
  case "$*" in
    '') verb_up ;;
    --offline) verb_up --offline ;;
    *) wrong "demo takes --offline or nothing" ;;
  esac
  inside demo
}
