# shellcheck shell=sh
# `doctor`: what is missing or wrong on the side of the engine, and how to repair it. The rest is examined in the network.

ok() { echo "ok    $1: $2"; }
note() { printf 'note  %s: %s\n      → %s\n' "$1" "$2" "$3"; }
bad() { printf 'BAD   %s: %s\n      → %s\n' "$1" "$2" "$3"; }

verb_doctor() {
  [ $# -eq 0 ] || wrong "doctor takes no argument"
  findings=$(examine_engine)
  printf '%s\n' "$findings"
  problems=$(printf '%s\n' "$findings" | grep -c '^BAD' || true)
  if [ "$problems" = 0 ] && [ -n "$(compose ps -q 2>/dev/null)" ]; then inside doctor || problems=1; fi
  case $problems in
    0) ;;
    1) fail "1 problem: see above" ;;
    *) fail "$problems problems: see above" ;;
  esac
}

examine_engine() {
  ok Docker "engine $(docker version --format '{{.Server.Version}}'), $COMPOSE $compose_version"
  case $compose_version in
    1.*) note Compose "version 1 cannot change a container on engines from 25 on: plain calls end in KeyError: 'ContainerConfig'" \
      "docker-compose rm -sf SERVICE before docker-compose up (./sandbox does it by itself), or install Compose 2" ;;
  esac
  each_port port_finding
  memory=$(($(docker info --format '{{.MemTotal}}' 2>/dev/null) / 1000000))
  # The broker takes 0.5 GB, the others together about as much; three brokers 1.3 GB more.
  needed=1500 advice='2 GB'
  if [ "$brokers" != kafka ]; then needed=2800 advice='3.3 GB'; fi
  if [ "$memory" -ge "$needed" ]; then ok memory "$memory MB for containers"
  else bad memory "$memory MB for containers" "give the engine $advice or more (Docker Desktop: Settings, Resources)"; fi
  # The disk of the engine, where this machine can see it.
  folder=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null)
  if [ -d "$folder" ]; then
    free=$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1024) }')
    if [ "$free" -ge 4000 ]; then ok disk "$free MB free in $folder"
    else note disk "$free MB free in $folder" "$disk_remedy"; fi
  fi
  examine_containers
}

# Calls `$1 SERVICE PORT HELD` for each published port that is one number; HELD is ours, free or taken.
each_port() {
  has curl || return 0
  published_ports | while read -r service address port; do
    is_one_of "$service" "$services $backends" || continue
    case $port in *-*) continue ;; esac
    case $address in 0.0.0.0) address=127.0.0.1 ;; *:*) address="[$address]" ;; esac
    held=free
    if [ -n "$(ids "$service" running restarting paused)" ]; then
      held=ours
    # curl ends with 7 when nothing listens.
    elif curl --silent --noproxy '*' --output /dev/null --max-time 1 "http://$address:$port" 2>/dev/null || [ $? -ne 7 ]; then
      held=taken
    fi
    "$1" "$service" "$port" "$held" || return 1
  done
}

port_finding() {
  case $3 in
    ours) ok "port $2 for $1" "held by this stack" ;;
    free) ok "port $2 for $1" "free" ;;
    taken) bad "port $2 for $1" "taken$(holder "$2")" "end it, or choose another port: $(prefix_of "$1")_PORT=… in .env" ;;
  esac
}

# Before anything is started: a stack that starts by half is hard to understand. The ports of these services, or all.
require_free_ports() {
  starting=$*
  each_port require_free_port || exit 1
}
require_free_port() { [ "$3" != taken ] || { [ -n "$starting" ] && ! is_one_of "$1" "$starting"; } || fail "port $2 for $1 is taken$(holder "$2"): end it, or choose another port: $(prefix_of "$1")_PORT=… in .env"; }

examine_containers() {
  for service in $backends $setups $services; do
    containers "$service" | while read -r number id status; do examine_container "$(name_of "$service" "$number")" "$id" "$status"; done
  done
}

# examine_container NAME ID STATUS: prints a finding if something is wrong.
examine_container() {
  # Exit code, whether memory ran out, restarts, health. A container that crashes again and again may run at this moment.
  # shellcheck disable=SC2046  # one word each
  set -- "$1" "$2" "$3" $(docker inspect --format '{{.State.ExitCode}} {{.State.OOMKilled}} {{.RestartCount}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$2")
  case $3:$5:$4 in
    *:true:*) bad "$1" "needed more memory than it may have" "mem_limit in docker-compose.yml" ;;
    running:*)
      if [ "$6" -gt 0 ] && [ "${7:-}" != healthy ]; then
        bad "$1" "crashes again and again: $(last_error "$2")" "$(remedy "$1" "$2")"
      elif [ "${1%%.*}" = kafka ] && docker logs "$2" 2>&1 | grep -q 'likely deleted already and hence can be skipped'; then
        note "$1" "lost the markers of a transaction when it was killed: a group may be stuck (docs/failure-modes.md)" \
          "if a lag does not go down: ./sandbox transactions list"
      fi
      ;;
    created:*) ;;
    paused:*) note "$1" "is paused" "./sandbox continue $1" ;;
    exited:*:0) is_one_of "$1" "$setups" || note "$1" "was stopped" "./sandbox up $1" ;;
    exited:*:137 | exited:*:143) note "$1" "was killed" "./sandbox up $1" ;;
    *) bad "$1" "$3, exit code $4: $(last_error "$2")" "$(remedy "$1" "$2")" ;;
  esac
}

last_error() { docker logs --tail 40 "$1" 2>&1 | grep -e 'Invalid cluster' -e 'rror' -e InconsistentClusterId | tail -n 1 | cut -c 1-300; }

remedy() {
  case $(docker logs --tail 60 "$2" 2>&1) in
    *InconsistentClusterId* | *'Invalid cluster.id'* | *'Invalid cluster id'*)
      echo "its volume has another KAFKA_CLUSTER_ID: set that one again in .env, or give up the data: ./sandbox down --reset" ;;
    *'password authentication failed for user "postgres"'*)
      echo "the volume of PostgreSQL has another password for the user postgres: change it back to postgres, or give up the data: ./sandbox down --reset" ;;
    *"Can't read version"* | *'No MetadataVersion with feature level'*) echo 'this data was written by a newer Kafka; ./sandbox down --reset' ;;
    *'o space left'*) echo "$disk_remedy" ;;
    *) echo "./sandbox logs $1, then ./sandbox up $1" ;;
  esac
}

# Why an `up` failed: a reason that a container has, else the meaning of Compose's message.
why_not() {
  for service in $brokers; do
    name=$(name_of "$service" 1)
    for id in $(containers "$service" | cut -d ' ' -f 2); do
      case $(remedy "$name" "$id") in
        *KAFKA_CLUSTER_ID* | *'newer Kafka'*) echo "$name does not start: $(remedy "$name" "$id")"; return ;;
      esac
    done
  done
  reason=$(examine_containers 2>/dev/null | grep -A 1 '^BAD' | tr '\n' ' ' | sed 's/^BAD *//; s/ *→ */; /; s/ *$//')
  echo "${reason:-$(meaning "$1")}"
}
