# shellcheck shell=sh
# The engine and Compose: which there are, what containers of this project there are, and what an error of theirs means.

# Our programs, and what others made: name, port in the container, and where one port of this host is fixed, its variable and default.
# The instances of inventory-service share a range.
ours='order-service 3000 ORDER_PORT 3000
payment-service 3002 PAYMENT_PORT 3002
inventory-service 8001
load-generator 8000 LOAD_GENERATOR_PORT 8000
lag-monitor 8010 LAG_MONITOR_PORT 8010'
theirs='kafka 9092 KAFKA_PORT 9092
postgres 5432 POSTGRES_PORT 5432
prometheus 9090 PROMETHEUS_PORT 9090
grafana 3000 GRAFANA_PORT 3001'

# The first word of each line, on one line. No program is called: there may be none, and that is for require_engine to say.
names() {
  all=
  while read -r name _; do all="$all $name"; done <<END
$1
END
  printf '%s\n' "${all# }"
}
services=$(names "$ours")
backends=$(names "$theirs")

# is_one_of WORD WORD…: whether the first is among the others.
is_one_of() {
  sought=$1
  shift
  for word in "$@"; do
    if [ "$word" = "$sought" ]; then return 0; fi
  done
  return 1
}
# shellcheck disable=SC2086  # one word a service
is_service() { is_one_of "$1" $services; }

# a, b or c
listed() { echo "$*" | sed 's/ /, /g; s/\(.*\), /\1 or /'; }

# Prints nothing and sets COMPOSE: `docker compose`, else docker-compose from 1.29 on. SANDBOX_COMPOSE chooses.
choose_compose() {
  COMPOSE=${SANDBOX_COMPOSE:-}
  if [ -z "$COMPOSE" ]; then
    if docker compose version >/dev/null 2>&1; then
      COMPOSE="docker compose"
    elif has docker-compose; then
      COMPOSE=docker-compose
    else
      fail "Docker is here, but Compose is not: install its plugin (Debian: docker-compose-plugin; https://docs.docker.com/compose/install)"
    fi
  fi
  compose_version=$($COMPOSE version --short 2>/dev/null) || fail "$COMPOSE does not run: is it installed?"
  compose_version=${compose_version#v}
  case $compose_version in
    0.* | 1.[0-9].* | 1.1[0-9].* | 1.2[0-8].*) fail "Compose $compose_version is too old: 1.29 or later, best 2" ;;
  esac
}

compose() { $COMPOSE "$@"; }

is_compose_1() { case $compose_version in 1.*) true ;; *) false ;; esac }

# Without an engine there is nothing to do.
require_engine() {
  has docker || fail "Docker is not installed: https://docs.docker.com/engine/install (or without Docker, on Linux: ./sandbox --local up)"
  if ! said=$(docker version --format '{{.Server.Version}}' 2>&1); then
    case $said in
      *"ermission denied"*) fail "the Docker engine lets only root and the group docker in: sudo usermod -aG docker \$USER, then log in again" ;;
      *) fail "the Docker engine does not answer: start Docker Desktop, or: sudo systemctl start docker" ;;
    esac
  fi
  choose_compose
  said=$(compose ps -q 2>&1) || fail "$(meaning "$said")"
}

# One line for what Compose or the engine said at length; the last line of it when it is nothing we know.
meaning() {
  case $1 in
    *"client version"*"is too old"*)
      echo "docker-compose $compose_version is too old for this engine: install Compose 2, or start the engine with DOCKER_MIN_API_VERSION=1.24" ;;
    *"port is already allocated"* | *"address already in use"* | *"Ports are not available"*)
      port=$(printf '%s\n' "$1" | sed -n -e 's/.*:\([0-9][0-9]*\)[^0-9].*port is already allocated.*/\1/p' -e 's/.*:\([0-9][0-9]*\)[^0-9].*address already in use.*/\1/p' | head -n 1)
      echo "port ${port:-of a container} is taken$(holder "${port:-0}"): end that, or choose another port in .env (see .env.example)" ;;
    *"no space left on device"*)
      echo "the engine's disk is full: docker system df shows what takes room, docker builder prune frees what builds left" ;;
    *"Temporary failure resolving"* | *"Could not resolve"* | *"no such host"* | *"failed to resolve"* | *"i/o timeout"* | \
      *"network is unreachable"* | *"TLS handshake timeout"* | *"failed to download"* | *"error pulling image"*)
      echo "what is missing cannot be brought without a network: get one, once, for ./sandbox fetch; then ./sandbox up --offline works" ;;
    *"cannot allocate memory"* | *"out of memory"* | *"signal: killed"* | *"exit code: 137"*)
      echo "there was not enough memory: give the engine 2 GB or more (Docker Desktop: Settings, Resources)" ;;
    *ContainerConfig*)
      echo "docker-compose $compose_version cannot change a container on this engine: ./sandbox down && ./sandbox up, or install Compose 2" ;;
    # psql shows the place of an error below it.
    *ERROR:*) printf '%s\n' "$1" | sed -n '/ERROR:/p' | head -n 1 ;;
    *) printf '%s\n' "$1" | sed '/^ *$/d' | tail -n 1 ;;
  esac
}

# " by …", if anybody can tell who listens on this port.
holder() {
  by=$(docker ps --filter "publish=$1" --format '{{.Names}}' 2>/dev/null | head -n 1)
  if [ -z "$by" ] && has lsof; then by=$(lsof -nP -iTCP:"$1" -sTCP:LISTEN -Fc 2>/dev/null | sed -n 's/^c//p' | head -n 1); fi
  if [ -z "$by" ] && has ss; then by=$(ss -Hltnp "sport = :$1" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 (process \2)/p' | head -n 1); fi
  if [ -n "$by" ]; then printf ' by %s' "$by"; fi
}

# Builds the image. On a terminal BuildKit shows how far it is; elsewhere its hundreds of lines go into a file.
build() {
  # Else each build is another image by its attestation's time alone, and Compose would replace what runs.
  export BUILDX_NO_DEFAULT_ATTESTATIONS=1
  mkdir -p "$state"
  if [ -t 2 ]; then
    compose build kafka-setup >&2 && return
  else
    say "building the image: some minutes the first time (see $state/build.log)"
  fi
  compose build kafka-setup >"$state/build.log" 2>&1 || fail "$(meaning "$(cat "$state/build.log")")"
}

# Compose in silence; when it fails, what that means in one line.
quietly() {
  said=$(compose "$@" 2>&1) || fail "$(meaning "$said")"
}

# The containers of a service, one a line: number, id, state; lowest number first. Compose's one-off ones are left out.
containers() {
  # shellcheck disable=SC2046  # one word an id
  set -- $(compose ps -a -q "$1" 2>/dev/null)
  [ $# -gt 0 ] || return 0
  docker inspect --format '{{index .Config.Labels "com.docker.compose.oneoff"}} {{index .Config.Labels "com.docker.compose.container-number"}} {{.Id}} {{.State.Status}}' "$@" |
    sed -n 's/^False //p' | sort -n
}

# Those of a target (SERVICE[.n], kafka, postgres, prometheus, grafana) in one of the given states, as ids.
ids() {
  parse_target "$1"
  shift
  containers "$service" | while read -r number id status; do
    if [ -n "$slot" ] && [ "$slot" != "$number" ]; then continue; fi
    for wanted in "$@"; do
      if [ "$status" = "$wanted" ]; then echo "$id"; fi
    done
  done
}

# Sets `service` and `slot` (empty: all).
parse_target() {
  service=${1%%.*} slot=
  case $1 in *.*) slot=${1#*.} ;; esac
  # shellcheck disable=SC2086  # one word a service
  if is_one_of "$service" $backends; then
    [ -z "$slot" ] || wrong "$1: there is one $service"
  elif ! is_service "$service"; then
    wrong "$1: must be $(listed "$services"), optionally with .slot, or $(listed "$backends")"
  fi
  case $slot in
    '' | [1-9]) ;;
    *) wrong "slot $slot: must be a whole number from 1 to 9, as in inventory-service.2" ;;
  esac
}

parse_service() {
  is_service "$1" || wrong "$1: must be $(listed "$services")"
  service=$1 slot=
}

# Whether it is called by its name alone: there is one of it, here as on the local way.
# shellcheck disable=SC2086  # one word a service
is_single() { is_one_of "$1" $backends kafka-setup; }

# The port a service listens on in its container.
inner_port() { printf '%s\n' "$ours" "$theirs" | sed -n "s/^$1 \([0-9]*\).*/\1/p"; }

# Where a container's port is reachable from this host: 127.0.0.1:8003.
published() {
  docker port "$1" "$2/tcp" | head -n 1 | sed 's/^0\.0\.0\.0:/127.0.0.1:/; s/^\[::\]:/127.0.0.1:/'
}
