# shellcheck shell=bash
# Invalid commands and a broken environment: one line that names the cause and the remedy.

invalid_commands() {
  local words
  while read -r words; do
    # shellcheck disable=SC2086  # one word each
    exits_with 2 ./sandbox $words
    one_error_line '^error: '
  done <<'END'
nonsense
start
stop order-service
reset-data
create-databases
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

# ports_with COMPOSE…: what this Compose reads in .env, without the variables of these checks.
ports_with() {
  (
    unset ORDER_PORT PAYMENT_PORT LAG_MONITOR_PORT KAFKA_PORT PROMETHEUS_PORT GRAFANA_PORT POSTGRES_PORT
    COMPOSE=$* published_ports | sort
  )
}

env_as_compose_reads_it() {
  local ports
  printf '\357\273\277ORDER_PORT=13100\r\nPAYMENT_PORT="13202"\r\nKAFKA_PORT=19192 # mine\r\nexport LAG_MONITOR_PORT=18110\n' >.env
  printf 'PROMETHEUS_PORT=1\nPROMETHEUS_PORT=${LAG_MONITOR_PORT}\nGRAFANA_PORT='\''13009'\''\n#POSTGRES_PORT=1\n' >>.env
  for compose in 'docker compose' docker-compose; do
    ports=$(ports_with "$compose")
    for line in 'order-service 127.0.0.1 13100' 'payment-service 127.0.0.1 13202' 'kafka 127.0.0.1 19192' 'lag-monitor 127.0.0.1 18110' \
      'prometheus 127.0.0.1 18110' 'grafana 127.0.0.1 13009' 'postgres 127.0.0.1 5432'; do
      grep -qxF "$line" <<<"$ports" || { printf '%s: not in it: %s\n%s\n' "$compose" "$line" "$ports"; return 1; }
    done
  done
  contains "$(unset ORDER_PORT; ./sandbox doctor 2>&1 || true)" 'port 13100 for order-service: '
  rm .env
}

# A volume of an older release lacks a database, a role, or their agreement.
older_volume() {
  ./sandbox down
  docker compose up -d --wait postgres
  docker compose exec -T postgres psql --username postgres --quiet --set ON_ERROR_STOP=1 \
    --command 'DROP DATABASE IF EXISTS inventory_db' --command 'DROP ROLE IF EXISTS inventory' \
    --command "ALTER ROLE orders NOLOGIN PASSWORD 'other'" --command 'ALTER DATABASE orders_db OWNER TO postgres'
  ./sandbox up --no-build
  equals 'owner' "$(./sandbox psql orders_db -Atc "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'orders_db'")" orders
  ./sandbox psql inventory_db -Atc 'SELECT count(*) FROM products'
  # What a set-up container cannot do is an error of `up`, which does not wait for ever.
  docker compose exec -T postgres psql --username postgres --quiet --command "ALTER ROLE postgres PASSWORD 'other'"
  ./sandbox down
  fails ./sandbox up --no-build postgres
  one_error_line 'postgres-setup: .*password authentication failed.*down --reset'
  # A service that is started alone finds its database, too.
  ./sandbox down --reset
  ./sandbox up --no-build inventory-service
  ./sandbox up --no-build
}

mode_of_a_stack() {
  export SANDBOX_HOME=$work/home-of-mode
  unset SANDBOX_MODE
  mkdir "$SANDBOX_HOME"
  contains "$(./sandbox --docker --help)" 'scenario'
  [ ! -e "$SANDBOX_HOME/mode" ]
  exits_with 2 ./sandbox --docker
  contains "$output" 'Begin with'
  exits_with 2 ./sandbox --docker lag --group
  [ ! -e "$SANDBOX_HOME/mode" ]
  ./sandbox --docker status
  equals 'mode' "$(cat "$SANDBOX_HOME/mode")" docker
  contains "$(./sandbox help scale)" 'inventory-service=3'
}

image_missing() {
  SANDBOX_IMAGE=no-such-image:1 exits_with 1 ./sandbox up --offline
  one_error_line 'no-such-image:1.* is not here.*fetch'
}

check 'invalid commands: one line, exit code 2, nothing stopped' invalid_commands
check 'a taken port is named before anything starts' port_taken order-service ORDER_PORT
check 'a taken port of Grafana is named' port_taken grafana GRAFANA_PORT
check 'a volume of another cluster is named and kept' volume_of_another_cluster
check 'no engine' no_engine
check 'no Docker' no_docker
check 'an old Compose' old_compose
check 'offline without an image' image_missing
check '.env means what Compose reads in it' env_as_compose_reads_it
check 'an older volume of PostgreSQL gets the databases that it lacks' older_volume
check 'the mode belongs to a stack, and help does not change it' mode_of_a_stack
