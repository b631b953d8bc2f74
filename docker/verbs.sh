# shellcheck shell=sh
# Every verb of `./sandbox --docker`. Those that start and stop are Compose's and the engine's; those that ask the shop run in the
# container `sandbox`, inside the network, and are the same program as on the local way.

# shellcheck source=docker/engine.sh
. "$root/docker/engine.sh"
# shellcheck source=docker/settings.sh
. "$root/docker/settings.sh"
# shellcheck source=docker/doctor.sh
. "$root/docker/doctor.sh"
# shellcheck source=docker/start.sh
. "$root/docker/start.sh"
# shellcheck source=docker/look.sh
. "$root/docker/look.sh"

# How long a stack may take from its containers' start until all is ready. Measured: 13 s on two cores.
ready_limit=180s

# A verb of the program in the network. -T: its output goes into pipes and variables.
inside() { compose run --rm --no-deps -T sandbox "$@"; }

docker_way() {
  cd "$root"
  verb=${1:-}
  [ $# -eq 0 ] || shift
  case $verb in
    '' | -h | --help) usage; [ -n "$verb" ] || exit 2; exit 0 ;;
  esac
  case "$verb $* " in
    # load-generator has its own, and so has each of Kafka's tools.
    'load '* | 'kafka '[!-]*) ;;
    # Not as one that runs in the network, where the program refuses what works on the host only.
    *' --help '* | *' -h '*) require_engine; compose run --rm --no-deps -T -e SANDBOX_INSIDE=false sandbox "$verb" --help; exit ;;
  esac
  case $verb in
    doctor) doctor; exit ;;
    up | down | status | url | fetch | logs | scale | restart | kill | pause | continue | reset | kafka | psql | load | demo)
      require_engine
      "verb_$verb" "$@"
      ;;
    expect)
      require_engine
      if [ "${1:-}" = settings ]; then shift; expect_settings "$@"; else inside expect "$@"; fi
      ;;
    wait | order | dlq | consumer | topics | lag | rate) require_engine; inside "$verb" "$@" ;;
    *) wrong "no verb $verb: ./sandbox --docker --help shows them" ;;
  esac
}

usage() {
  cat <<'END'
./sandbox --docker VERB …     the shop in Docker Compose

  start, look, stop   up [SERVICE…] [--offline] [--no-build] [--no-wait], status, url SERVICE, logs [-f], doctor, down [--reset]
  begin anew          reset
  break               kill [-9], pause, continue with SERVICE[.slot], kafka, postgres, prometheus or grafana
  change              scale inventory-service=3, restart SERVICE [--set NAME=VALUE] [--unset NAME],
                      consumer slow|fast|pause|resume|set|clear SERVICE, topics create|grow|delete TOPIC
  ask                 order …, lag [-w], rate GROUP --over 10s, wait …, expect …, dlq list|show|replay, consumer show,
                      topics tail|list|describe
  tools               load burst|continuous …, kafka TOOL …, psql orders_db|inventory_db …
  prove               demo; and on Linux, with Rust on this machine: scenario, report, test, bench
  without a network   fetch, then up --offline

./sandbox --docker VERB --help explains a verb. --docker is remembered: the next call does not need it. --local goes back.
END
}

verb_kill() {
  how=stop targets=
  for argument in "$@"; do
    case $argument in
      -9 | --now) how=kill ;;
      -*) wrong "kill takes -9 or --now, not $argument" ;;
      *) parse_target "$argument"; targets="$targets $argument" ;;
    esac
  done
  [ -n "$targets" ] || wrong "kill whom? SERVICE[.slot], $(listed "$backends")"
  # shellcheck disable=SC2086  # one word a target
  each "$how" "is stopped: ./sandbox up % starts it again" "running restarting paused" $targets
}

verb_pause() {
  [ $# -gt 0 ] || wrong "pause whom? SERVICE[.slot], $(listed "$backends")"
  each pause "is paused: ./sandbox continue %" running "$@"
}

verb_continue() {
  [ $# -gt 0 ] || wrong "continue whom? SERVICE[.slot], $(listed "$backends")"
  each unpause "runs again" paused "$@"
}

# each COMMAND MESSAGE STATES TARGET…: docker's command on each container of the targets.
each() {
  command=$1 message=$2 states=$3
  shift 3
  for target in "$@"; do parse_target "$target"; done
  for target in "$@"; do
    # shellcheck disable=SC2086  # one word a state
    found=$(ids "$target" $states)
    [ -n "$found" ] || fail "$target does not run, or not so: ./sandbox status"
    parse_target "$target"
    for id in $found; do
      said=$(docker "$command" "$id" 2>&1) || fail "$(meaning "$said")"
      name=$service.$(docker inspect --format '{{index .Config.Labels "com.docker.compose.container-number"}}' "$id")
      if is_single "$service"; then name=$service; fi
      echo "$name $(echo "$message" | sed "s/%/$name/")"
    done
  done
}
