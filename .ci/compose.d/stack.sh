# shellcheck shell=bash
# One stack, from its cold start through the commands that people use.

healthy() {
  local service
  contains "$services" payment-service || return 1
  for service in $services $backends; do
    equals "$service" "$(inspect "$(container "$service")" '{{.State.Health.Status}}')" healthy || return 1
  done
}

cold_up() {
  ./sandbox up --offline
  eventually 120 healthy
  # The databases were made before the first service started.
  if docker compose logs --no-log-prefix postgres | grep -E 'FATAL:.*(authentication failed|does not exist)'; then return 1; fi
  docker stats --no-stream --format '{{.Name}} {{.MemUsage}}'
}

warm_up() {
  ./sandbox down
  # As in local mode, where Prometheus starts only with --observe.
  ./sandbox up --no-build --observe
}

only_loopback() {
  local ports
  ports=$(docker ps --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --format '{{.Ports}}' | tr ',' '\n' | grep -e '->')
  equals 'published ports' "$(wc -l <<<"$ports")" "$(wc -w <<<"$services $backends")"
  ! grep -vE '^ *127\.0\.0\.1:' <<<"$ports"
}

no_root_and_no_writing() {
  local service id
  for service in $services; do
    id=$(container "$service")
    equals "user of $service" "$(docker exec "$id" id -u)" 10001
    fails docker exec "$id" touch /tmp/file
    contains "$output" 'Read-only file system'
    equals "capabilities of $service" "$(docker exec "$id" sed -n 's/^CapEff:\t//p' /proc/1/status)" 0000000000000000
    equals "new privileges of $service" "$(docker exec "$id" sed -n 's/^NoNewPrivs:\t//p' /proc/1/status)" 1
  done
  for service in $backends; do
    [ "$(docker exec "$(container "$service")" id -u)" != 0 ]
  done
  for service in prometheus grafana; do
    fails docker exec "$(container $service)" touch /etc/file
    contains "$output" 'Read-only file system'
  done
}

# A volume without a name is left behind by each `down`.
volumes_have_names() {
  local names
  names=$(docker ps -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" | xargs docker inspect --format '{{range .Mounts}}{{println .Name}}{{end}}' | sort -u)
  equals 'volumes' "$(xargs <<<"$names")" "${COMPOSE_PROJECT_NAME}_kafka-data ${COMPOSE_PROJECT_NAME}_postgres-data ${COMPOSE_PROJECT_NAME}_prometheus-data"
}

under_dash() {
  dash ./sandbox status
  dash ./sandbox url inventory-service
  dash ./sandbox logs --tail 5 payment-service
  contains "$(dash ./sandbox kafka --help)" 'sandbox kafka'
  contains "$(dash ./sandbox kafka topics --help 2>&1 || true)" '--replication-factor'
  dash ./sandbox wait ready --within 90s
  dash ./sandbox doctor
}

# With 1.29, as people type it. It considers the containers of Compose 2 changed: hence `down` first.
scaled_to_three() {
  ./sandbox down
  export SANDBOX_COMPOSE=docker-compose
  docker-compose up -d
  ./sandbox wait ready --within 120s
  local began=$SECONDS
  docker-compose up --scale inventory-service=3 -d
  ./sandbox wait members inventory-service --count 3 --idle 0 --within 60s
  echo "three members after $((SECONDS - began)) s"
  equals 'different addresses' "$(for slot in 1 2 3; do ./sandbox url inventory-service.$slot; done | sort -u | wc -l)" 3
  ./sandbox wait ready inventory-service --within 60s
  curl -sS --fail --noproxy '*' "$(./sandbox url inventory-service.3)/health/ready"
  ./sandbox scale inventory-service=1
  ./sandbox wait members inventory-service --count 1 --within 60s
  ./sandbox restart inventory-service --set BATCH_MAX=7
  ./sandbox expect settings inventory-service BATCH_MAX=7
  ./sandbox down
  unset SANDBOX_COMPOSE
  ./sandbox up --no-build
}

# A second build results in the same image, so the containers are kept.
left_alone() {
  local before
  before=$(container order-service)
  ./sandbox up
  equals 'container' "$(container order-service)" "$before"
}

# SIGTERM reaches the service through the init process, and the service drains: exit code 0, not 137 after the grace period.
ends_in_good_order() {
  local id
  id=$(container payment-service)
  docker stop "$id" >/dev/null
  equals 'exit code' "$(inspect "$id" '{{.State.ExitCode}}')" 0
  ./sandbox up payment-service
}

changed_and_seen_by_plain_compose() {
  ./sandbox restart inventory-service --set BATCH_MAX=7
  ./sandbox expect settings inventory-service BATCH_MAX=7
  contains "$(docker compose config)" 'BATCH_MAX: "7"'
  # The containers have the setting already.
  local before
  before=$(container inventory-service)
  docker compose up -d --no-deps inventory-service
  equals 'container' "$(container inventory-service)" "$before"
  # As an editor of another system leaves it.
  { printf '\357\273\277'; sed 's/$/\r/' .env; } >"$work/.env" && cat "$work/.env" >.env
  ./sandbox restart inventory-service --set PROCESSING_TIME_MS=1
  ./sandbox expect settings inventory-service BATCH_MAX=7 PROCESSING_TIME_MS=1
  INVENTORY_BATCH_MAX=9 fails ./sandbox restart inventory-service --set BATCH_MAX=8
  contains "$output" 'INVENTORY_BATCH_MAX is set in the environment'
  ./sandbox restart inventory-service --unset BATCH_MAX --unset PROCESSING_TIME_MS
  ./sandbox expect settings inventory-service
  [ ! -e .env ]
}

# .ci/run builds the programs meanwhile.
programs_are_built() {
  if [ -n "${SANDBOX_CI_BUILT:-}" ]; then until [ -e "$SANDBOX_CI_BUILT" ]; do sleep 1; done; fi
}

scenario() { "${CARGO_TARGET_DIR:-target}/release/sandbox" scenario --short "$1"; }

check 'a cold up becomes healthy' cold_up
check 'up again' warm_up
check 'only 127.0.0.1 listens' only_loopback
check 'no process is root, and services cannot write' no_root_and_no_writing
check 'every volume has a name' volumes_have_names
check 'the four stories' sandbox demo
check 'status, url, logs and doctor under dash' under_dash
check 'another up keeps the containers' left_alone
check 'docker-compose 1.29 scales to three members' scaled_to_three
check 'a service that is stopped drains' ends_in_good_order
check 'a changed setting is in .env until it is unset' changed_and_seen_by_plain_compose
programs_are_built
for name in happy-path dead-letter connectivity; do check "scenario $name" scenario "$name"; done
check 'reset empties everything' sandbox reset
