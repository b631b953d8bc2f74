# shellcheck shell=sh
# The engine, Compose, and the containers of this project.

# The services of docker-compose.yml: ours, those of others, and those that prepare these and end.
services='order-service payment-service inventory-service load-generator lag-monitor'
backends='kafka postgres prometheus grafana'
brokers=kafka
setups='kafka-setup postgres-setup'

# payment-service charges through the gateway of this file, by a setting that `up --gateway` writes and `down` and `reset` remove.
gateway_url=http://payment-gateway:8020
uses_gateway() { [ "$(changed_of payment-service | sed -n 's/^PAYMENT_GATEWAY_URL=//p')" = "$gateway_url" ]; }

# From then on payment-gateway is one of the services.
use_gateway() {
  services="$services payment-gateway"
  export COMPOSE_PROFILES="${COMPOSE_PROFILES:+$COMPOSE_PROFILES,}gateway"
}

# From then on there are those of docker-compose.brokers.yml, too. Their targets are kafka.1, kafka.2 and kafka.3.
use_three_brokers() {
  brokers='kafka kafka-2 kafka-3'
  backends="$brokers postgres prometheus grafana"
  export COMPOSE_FILE="${COMPOSE_FILE:-docker-compose.yml}:docker-compose.brokers.yml"
}

# The project's name as both Composes make it.
project() {
  name=${COMPOSE_PROJECT_NAME:-$(part_of_env above | sed -n 's/^COMPOSE_PROJECT_NAME=//p' | tail -n 1)}
  printf '%s' "${name:-${root##*/}}" | tr '[:upper:]' '[:lower:]' | tr -cd 'a-z0-9_-' | sed 's/^[-_]*//'
}

# The number of brokers that the data is of: 1 or 3; 0 if there is no data.
brokers_of_data() {
  if docker volume inspect "$(project)_kafka-2-data" >/dev/null 2>&1; then echo 3
  elif docker volume inspect "$(project)_kafka-data" >/dev/null 2>&1; then echo 1
  else echo 0; fi
}

# The services of the brokers that run.
running_brokers() {
  for service in $brokers; do
    if [ -n "$(ids "$service" running)" ]; then echo "$service"; fi
  done
}

# Two of three, or the only one: fewer answer no client.
enough_brokers_run() {
  # shellcheck disable=SC2046,SC2086  # one word a service
  set -- $(running_brokers) of $brokers
  run=0
  while [ "$1" != of ]; do shift; run=$((run + 1)); done
  [ $((run * 2)) -gt $(($# - 1)) ]
}

# The published ports as Compose reads its file, .env and the environment; one a line: service, address, port or range of ports.
published_ports() {
  compose config | tr -d "\"'" | awk '
    /^  [a-z0-9-]+:$/ { service = substr($1, 1, length($1) - 1) }
    # Compose 2
    /^ +host_ip:/ { address = $2 }
    /^ +published:/ { print service, address, $2 }
    # 1.29: - 127.0.0.1:3000:3000/tcp
    /^ +- .*:[0-9-]+:[0-9]+\/tcp$/ { n = split($2, part, ":"); print service, substr($2, 1, length($2) - length(part[n]) - length(part[n - 1]) - 2), part[n - 1] }
  '
}

is_one_of() { case " $2 " in *" $1 "*) true ;; *) false ;; esac }
# a, b or c
listed() { echo "$*" | sed 's/ *$//; s/ /, /g; s/\(.*\), /\1 or /'; }

# Sets COMPOSE and $compose_version: `docker compose`, else docker-compose from 1.29 on. SANDBOX_COMPOSE chooses.
choose_compose() {
  COMPOSE=${SANDBOX_COMPOSE:-docker compose}
  if [ -z "${SANDBOX_COMPOSE:-}" ] && ! docker compose version >/dev/null 2>&1; then
    has docker-compose || fail "Compose is missing: install its plugin (Debian: docker-compose-plugin; https://docs.docker.com/compose/install)"
    COMPOSE=docker-compose
  fi
  compose_version=$($COMPOSE version --short 2>/dev/null) || fail "$COMPOSE does not run: is it installed?"
  compose_version=${compose_version#v}
  case $compose_version in
    0.* | 1.[0-9].* | 1.1[0-9].* | 1.2[0-8].*) fail "Compose $compose_version is too old: 1.29 or later, best 2" ;;
  esac
}

compose() { $COMPOSE "$@"; }

# Fails without an engine; sets what the other functions use.
require_engine() {
  has docker || fail "Docker is not installed: https://docs.docker.com/engine/install (or without Docker, on Linux: ./sandbox --local up)"
  if ! output=$(docker version --format '{{.Server.Version}}' 2>&1); then
    case $output in
      *"ermission denied"*) fail "the Docker engine lets only root and the group docker in: sudo usermod -aG docker \$USER, then log in again" ;;
      *) fail "the Docker engine does not answer: start Docker Desktop, or: sudo systemctl start docker" ;;
    esac
  fi
  choose_compose
  output=$(compose ps -q 2>&1) || fail "$(meaning "$output")"
  [ -z "${COMPOSE_FILE:-}" ] || compose config --services | grep -qx kafka-setup ||
    fail "COMPOSE_FILE is set to $COMPOSE_FILE, which is another project: unset it"
}

# One line for a long message of Compose or of the engine; its last line if it is none of these.
meaning() {
  case $1 in
    *"client version"*"is too old"*)
      echo "docker-compose $compose_version is too old for this engine: install Compose 2, or start the engine with DOCKER_MIN_API_VERSION=1.24" ;;
    *"port is already allocated"* | *"address already in use"* | *"Ports are not available"*)
      port=$(printf '%s\n' "$1" | sed -n -e 's/.*:\([0-9]\{1,\}\)[^0-9].*port is already allocated.*/\1/p' -e 's/.*:\([0-9]\{1,\}\)[^0-9].*address already in use.*/\1/p' | head -n 1)
      echo "port ${port:-of a container} is taken$(holder "${port:-0}"): end that process, or choose another port in .env (see .env.example)" ;;
    *"no space left on device"*) echo "the disk of the engine is full: $disk_remedy" ;;
    *"Temporary failure resolving"* | *"Could not resolve"* | *"no such host"* | *"failed to resolve"* | *"i/o timeout"* | \
      *"network is unreachable"* | *"TLS handshake timeout"* | *"failed to download"* | *"error pulling image"*)
      echo "an image or package cannot be downloaded without a network: ./sandbox fetch, once, with a network; then ./sandbox up --offline works" ;;
    *"cannot allocate memory"* | *"out of memory"* | *"signal: killed"* | *"exit code: 137"*)
      echo "not enough memory: give the engine 2 GB or more (Docker Desktop: Settings, Resources)" ;;
    *ContainerConfig*)
      echo "docker-compose $compose_version cannot change a container on this engine: ./sandbox down && ./sandbox up, or install Compose 2" ;;
    # psql prints the position of an error below it.
    *ERROR:*) printf '%s\n' "$1" | sed -n '/ERROR:/p' | head -n 1 ;;
    *) printf '%s\n' "$1" | sed '/^ *$/d' | tail -n 1 ;;
  esac
}
disk_remedy='docker system df shows what uses it, docker builder prune removes what builds left'

# " by NAME" of the container or process that listens on a port; nothing if it is unknown.
holder() {
  by=$(docker ps --filter "publish=$1" --format '{{.Names}}' 2>/dev/null | head -n 1)
  if [ -z "$by" ] && has lsof; then by=$(lsof -nP -iTCP:"$1" -sTCP:LISTEN -Fc 2>/dev/null | sed -n 's/^c//p' | head -n 1); fi
  if [ -z "$by" ] && has ss; then by=$(ss -Hltnp "sport = :$1" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 (process \2)/p' | head -n 1); fi
  printf '%s' "${by:+ by $by}"
}

# Runs a command and prints nothing; if it fails, one line.
quietly() { output=$("$@" 2>&1) || fail "$(meaning "$output")"; }

# The containers of a service, one a line: number, id, state; lowest number first. Those of `compose run` are left out.
containers() {
  # shellcheck disable=SC2046  # one word an id
  set -- $(compose ps -a -q "$1" 2>/dev/null)
  [ $# -gt 0 ] || return 0
  docker inspect --format '{{index .Config.Labels "com.docker.compose.oneoff"}} {{index .Config.Labels "com.docker.compose.container-number"}} {{.Id}} {{.State.Status}}' "$@" |
    sed -n 's/^False //p' | sort -n
}

# ids TARGET STATE…: the containers of a target in one of these states.
ids() {
  parse_target "$1"
  shift
  containers "$service" | while read -r number id status; do
    if is_one_of "$status" "$*" && [ "${slot:-$number}" = "$number" ]; then echo "$id"; fi
  done
}

# The targets, with each of three brokers in the place of kafka.
each_broker() {
  for target in "$@"; do
    case $brokers:$target in
      kafka\ *:kafka) echo kafka.1 kafka.2 kafka.3 ;;
      *) echo "$target" ;;
    esac
  done
}

service_of() { parse_target "$1"; echo "$service"; }

# Sets `service` and `slot` (empty: all) from SERVICE[.slot], kafka, kafka.2, postgres, prometheus or grafana.
parse_target() {
  case $brokers:$1 in
    kafka:kafka.[1-3]) wrong "$1: this stack has one broker, kafka; ./sandbox up --brokers 3 starts a new stack with three" ;;
    *:kafka.1) service=kafka slot=; return ;;
    *:kafka.[23]) service=kafka-${1#*.} slot=; return ;;
  esac
  service=${1%%.*} slot=
  case $1 in *.*) slot=${1#*.} ;; esac
  if is_one_of "$service" "$backends"; then
    [ -z "$slot" ] || wrong "$1: there is one $service"
  elif ! is_one_of "$service" "$services"; then
    wrong "$1: must be $(listed "$services"), optionally with .slot, or $(listed "$backends")"
  fi
  case $slot in '' | [1-9]) ;; *) wrong "slot $slot: must be a whole number from 1 to 9, as in inventory-service.2" ;; esac
}

parse_service() {
  is_one_of "$1" "$services" || wrong "$1: must be $(listed "$services")"
  service=$1 slot=
}

# The name of a container: SERVICE.NUMBER, or SERVICE alone where there is only one, as in local mode.
name_of() {
  case $brokers:$1 in
    kafka\ *:kafka) echo kafka.1 ;;
    *:kafka-[23]) echo "kafka.${1#*-}" ;;
    *) if is_one_of "$1" "$services"; then echo "$1.$2"; else echo "$1"; fi ;;
  esac
}

# The address of a container's port on this host: 127.0.0.1:8003. A container of ours or theirs publishes one port.
address_of() { docker port "$1" | sed -n '1{s/.* -> //; s/^0\.0\.0\.0:/127.0.0.1:/; s/^\[::\]:/127.0.0.1:/; p;}'; }
