# shellcheck shell=sh
# What is missing or wrong, and how to repair it: the engine's half. The other half is asked in the network.

# Least memory of the engine: the broker takes 0.5 GB, all else together about as much.
memory_needed=1500000000

good() { echo "ok    $1: $2"; }
odd() { printf 'note  %s: %s\n      → %s\n' "$1" "$2" "$3"; }
bad() { printf 'BAD   %s: %s\n      → %s\n' "$1" "$2" "$3"; found_bad=$((found_bad + 1)); }

doctor() {
  [ $# -eq 0 ] || wrong "doctor takes nothing"
  found_bad=0
  if engine_finding; then
    port_findings
    memory_finding
    disk_finding
    container_findings
    if [ -n "$(compose ps -q 2>/dev/null)" ] && [ "$found_bad" = 0 ]; then
      inside doctor || found_bad=1
    fi
  fi
  case $found_bad in
    0) ;;
    1) fail "1 problem: see above" ;;
    *) fail "$found_bad problems: see above" ;;
  esac
}

# In a shell of its own: what is missing there ends it, and is a finding here.
engine_finding() {
  if ! why=$( (require_engine) 2>&1); then
    bad "Docker" "${why#error: }" "then ./sandbox doctor again"
    return 1
  fi
  require_engine
  good "Docker" "engine $(docker version --format '{{.Server.Version}}'), $COMPOSE $compose_version"
  if is_compose_1; then
    odd "Compose" "version 1 cannot change a container on engines from 25 on: plain calls end in KeyError: 'ContainerConfig'" \
      "docker-compose rm -sf SERVICE before docker-compose up (./sandbox does it by itself), or install Compose 2"
  fi
}

# True when somebody listens there. curl says 7 when nobody does.
port_taken() {
  curl --silent --noproxy '*' --output /dev/null --connect-timeout 1 --max-time 1 "http://127.0.0.1:$1" 2>/dev/null
  [ $? -ne 7 ]
}

# Calls `$1 SERVICE VARIABLE PORT HELD`, HELD being us, free or taken, for each fixed port that containers publish.
each_port() {
  has curl || return 0
  while read -r service _ variable default; do
    [ -n "$variable" ] || continue
    port=$(variable "$variable" "$default")
    held=free
    if [ -n "$(ids "$service" running restarting paused)" ]; then
      held=us
    elif port_taken "$port"; then
      held=taken
    fi
    "$1" "$service" "$variable" "$port" "$held"
  done <<END
$theirs
$ours
END
}

port_findings() { each_port port_finding; }
port_finding() {
  case $4 in
    us) good "port $3 for $1" "in use by this stack" ;;
    free) good "port $3 for $1" "free" ;;
    taken) bad "port $3 for $1" "taken$(holder "$3")" "end it, or choose another port: $2=… in .env" ;;
  esac
}

# Before anything is started, so that nothing is half started.
require_free_ports() { each_port require_free_port; }
require_free_port() {
  [ "$4" != taken ] || fail "port $3 for $1 is taken$(holder "$3"): end it, or choose another port: $2=… in .env"
}

memory_finding() {
  memory=$(docker info --format '{{.MemTotal}}' 2>/dev/null)
  text="$((${memory:-0} / 1000000)) MB for containers"
  if [ "${memory:-0}" -lt "$memory_needed" ]; then
    bad "memory" "$text" "give the engine 2 GB or more (Docker Desktop: Settings, Resources)"
  else
    good "memory" "$text"
  fi
}

# The disk of the engine, where this machine can see it.
disk_finding() {
  folder=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null)
  [ -d "$folder" ] || return 0
  free=$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1024) }')
  if [ "${free:-0}" -lt 4000 ]; then
    odd "disk" "$free MB free in $folder" "docker system df shows what takes room, docker builder prune frees what builds left"
  else
    good "disk" "$free MB free in $folder"
  fi
}

container_findings() {
  mkdir -p "$state"
  for service in $backends kafka-setup $services; do
    containers "$service" | while read -r number id status; do
      name=$service.$number
      if is_single "$service"; then name=$service; fi
      container_finding "$name" "$id" "$status"
    done
  done >"$state/findings"
  cat "$state/findings"
  found_bad=$((found_bad + $(grep -c '^BAD' "$state/findings" || true)))
}

# container_finding NAME ID STATUS: what is wrong with it; nothing if nothing is.
container_finding() {
  # Exit code, whether memory ran out, restarts by policy, health. What ends again and again is running when one looks.
  state_of=$(docker inspect --format '{{.State.ExitCode}} {{.State.OOMKilled}} {{.RestartCount}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$2")
  # shellcheck disable=SC2086  # one word each
  set -- "$1" "$2" "$3" $state_of
  case $3:$5:$4 in
    *:true:*) bad "$1" "needed more memory than it may have" "mem_limit in docker-compose.yml" ;;
    running:*)
      if [ "$6" -gt 0 ] && [ "${7:-}" != healthy ]; then
        bad "$1" "ends again and again: $(last_words "$2")" "$(remedy "$1" "$2")"
      elif [ "$1" = kafka ] && docker logs "$2" 2>&1 | grep -q 'likely deleted already and hence can be skipped'; then
        odd kafka "forgot the markers of a transaction when it was killed: a group may stand still (docs/failure-modes.md)" \
          "if a lag does not go down: ./sandbox reset"
      fi
      ;;
    created:*) ;;
    paused:*) odd "$1" "is paused" "./sandbox continue $1" ;;
    exited:*:0) [ "$1" = kafka-setup ] || odd "$1" "was stopped" "./sandbox up $1" ;;
    exited:*:137 | exited:*:143) odd "$1" "was killed" "./sandbox up $1" ;;
    *) bad "$1" "$3, exit code $4: $(last_words "$2")" "$(remedy "$1" "$2")" ;;
  esac
}

last_words() {
  docker logs --tail 40 "$1" 2>&1 | grep -e 'InconsistentClusterId' -e 'Invalid cluster' -e 'rror' | tail -n 1 | cut -c 1-300 ||
    true
}

remedy() {
  case $(docker logs --tail 60 "$2" 2>&1) in
    *InconsistentClusterId* | *'Invalid cluster.id'* | *'Invalid cluster id'*)
      echo "its volume was made with another KAFKA_CLUSTER_ID: set that one again in .env, or give up the data: ./sandbox down --reset" ;;
    *'o space left'*) echo "docker system df shows what takes room, docker builder prune frees what builds left" ;;
    *) echo "./sandbox logs $1, then ./sandbox up $1" ;;
  esac
}

# Why an `up` failed: what Compose said, unless a container has a better reason.
why_not() {
  for id in $(containers kafka | cut -d ' ' -f 2); do
    case $(remedy kafka "$id") in *KAFKA_CLUSTER_ID*) echo "kafka does not start: $(remedy kafka "$id")"; return ;; esac
  done
  found_bad=0
  reason=$(container_findings 2>/dev/null | grep -A 1 '^BAD' | tr '\n' ' ' | sed 's/^BAD *//; s/ *→ */; /; s/ *$//')
  echo "${reason:-$(meaning "$1")}"
}
