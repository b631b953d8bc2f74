# shellcheck shell=bash
# Invalid commands and a broken environment: one line that names the cause and the remedy.

one_error_line() {
  equals 'lines' "$(grep -c . <<<"$output")" 1
  contains "$output" "$1"
}

exits_with() {
  local code=$1 found=0
  shift
  output=$("$@" 2>&1 </dev/null) || found=$?
  equals "exit code of $*" "$found" "$code"
}

invalid_commands() {
  local words
  while read -r words; do
    # shellcheck disable=SC2086  # one word each
    exits_with 2 ./sandbox $words
    one_error_line '^error: '
  done <<'END'
nonsense
up --fast
up shop
kill shop
kill inventory-service.0
kill inventory-service --hard
scale order-service=2
scale lag-monitor=2
url load-generator.shop
lag --group
logs --tail abc
load burst --count 0
scale inventory-service=10
url
restart shop
restart inventory-service --set
restart inventory-service --set NO_SUCH=1
restart inventory-service --set BATCH_MAX=0
restart inventory-service --set BATCH_MAX='1'
psql no_db
expect settings
wait order not-an-id --status PAID
END
  SANDBOX_MODE=podman exits_with 2 ./sandbox up
  one_error_line '^error: .*podman'
  # None of these commands stopped anything.
  ./sandbox wait ready
}

# port_taken SERVICE VARIABLE
port_taken() {
  local port=${!2}
  ./sandbox down
  # load-generator listens also without a broker.
  PORT=$port BIND_ADDR=127.0.0.1 "${CARGO_TARGET_DIR:-target}/release/load-generator" serve >/dev/null 2>&1 &
  server=$!
  # On every exit; `check` runs this in a shell of its own. With wait: the next check may need the port.
  trap 'kill -KILL "$server"; wait "$server" || true' EXIT
  eventually 60 curl -s -o /dev/null --noproxy '*' "http://127.0.0.1:$port/"
  fails ./sandbox up --no-build
  one_error_line "port $port for $1 is taken by .*$2"
  equals 'containers' "$(docker ps -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" | wc -l)" 0
}

volume_of_another_cluster() {
  ./sandbox up --no-build
  ./sandbox down
  export KAFKA_CLUSTER_ID=c2FnYS1zYW5kYm94LTAwMg
  fails ./sandbox up --no-build kafka
  contains "$output" 'another KAFKA_CLUSTER_ID'
  fails ./sandbox doctor
  contains "$output" 'another KAFKA_CLUSTER_ID'
  # The data is kept.
  unset KAFKA_CLUSTER_ID
  ./sandbox down
  ./sandbox up --no-build
}

no_engine() {
  DOCKER_HOST=unix:///nowhere.sock exits_with 1 ./sandbox up
  one_error_line 'engine does not answer'
}

no_docker() {
  mkdir "$work/bin"
  local program
  for program in sh dirname uname cat mkdir printf; do ln -s "$(command -v $program)" "$work/bin/$program"; done
  PATH=$work/bin exits_with 1 ./sandbox up
  one_error_line 'Docker is not installed'
}

old_compose() {
  mkdir -p "$work/old"
  printf '#!/bin/sh\necho 1.25.0\n' >"$work/old/docker-compose"
  chmod +x "$work/old/docker-compose"
  PATH=$work/old:$PATH SANDBOX_COMPOSE=docker-compose exits_with 1 ./sandbox up
  one_error_line 'Compose 1.25.0 is too old'
}

image_missing() {
  SANDBOX_IMAGE=no-such-image:1 exits_with 1 ./sandbox up --offline
  one_error_line 'no-such-image:1 is not here.*fetch'
}

check 'invalid commands: one line, exit code 2, nothing stopped' invalid_commands
check 'a taken port is named before anything starts' port_taken order-service ORDER_PORT
check 'a taken port of Grafana is named' port_taken grafana GRAFANA_PORT
check 'a volume of another cluster is named and kept' volume_of_another_cluster
check 'no engine' no_engine
check 'no Docker' no_docker
check 'an old Compose' old_compose
check 'offline without an image' image_missing
