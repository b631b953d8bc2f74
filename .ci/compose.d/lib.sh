# shellcheck shell=bash
# Sourced by .ci/compose: assertions, and the containers of a project.

# shellcheck source=docker/containers.sh
source docker/containers.sh
work=$(mktemp -d)
# The images of a project: our programs, and what is built from images of others.
images_of() { printf '%s\n' "$1" "$1-prometheus" "$1-grafana"; }

# fails COMMAND [ARGUMENT]…: the command must fail. Sets $output.
fails() {
  if output=$("$@" 2>&1); then echo "should have failed: $*"; return 1; fi
  printf '%s\n' "$output"
}

# contains TEXT PATTERN
contains() { grep -qE -e "$2" <<<"$1" || { printf 'not in it: %s\n%s\n' "$2" "$1"; return 1; }; }

# equals WHAT FOUND WANTED
equals() { [ "$2" = "$3" ] || { printf '%s: %s, should be %s\n' "$1" "$2" "$3"; return 1; }; }

# one_error_line PATTERN: $output is one line, and has it.
one_error_line() {
  equals 'lines' "$(grep -c . <<<"$output")" 1
  contains "$output" "$1"
}

# exits_with CODE COMMAND [ARGUMENT]…: the command ends with this code. Sets $output.
exits_with() {
  local code=$1 found=0
  shift
  output=$("$@" 2>&1 </dev/null) || found=$?
  equals "exit code of $*" "$found" "$code"
}

# eventually SECONDS COMMAND…: repeats the command until it succeeds.
eventually() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || { echo "not in time: $*"; return 1; }
    sleep 0.5
  done
}

sandbox() { ./sandbox "$@"; }

# container SERVICE [N]: the first or n-th running container of a service. inspect ID FORMAT
container() { docker ps -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --filter "label=com.docker.compose.service=$1" --filter 'label=com.docker.compose.oneoff=False' | sed -n "${2:-1}p"; }
inspect() { docker inspect --format "$2" "$1"; }

# Of a run: those of its first project, and those of its second.
remove_images() {
  # shellcheck disable=SC2046  # one word a name
  docker image rm -f $(images_of "$1") $(images_of "$1-second") >/dev/null 2>&1
}

remove_project() {
  local filter=(--filter "label=com.docker.compose.project=$1") ids
  ids=$(docker ps -aq "${filter[@]}") && [ -n "$ids" ] && xargs docker rm -f <<<"$ids" >/dev/null
  ids=$(docker volume ls -q "${filter[@]}") && [ -n "$ids" ] && xargs docker volume rm -f <<<"$ids" >/dev/null
  ids=$(docker network ls -q "${filter[@]}") && [ -n "$ids" ] && xargs docker network rm <<<"$ids" >/dev/null
  true
}

# A number for this machine and folder: other checkouts may use the same engine.
here=$(printf '%s' "$(uname -n):$PWD" | cksum | cut -d ' ' -f 1)

# The Compose projects of this folder's runs that have containers, volumes or networks.
our_projects() {
  local kind
  for kind in 'ps -a' 'volume ls' 'network ls'; do
    # shellcheck disable=SC2086  # one word each
    docker $kind --format '{{.Label "com.docker.compose.project"}}' 2>/dev/null
  done | grep -E "^saga-ci-$here-[0-9]+(-second)?\$" | sort -u
}

# Removes what killed runs of .ci/compose left; succeeds if there was anything. The names contain the process id: a run that is still
# active is skipped.
remove_killed_runs() {
  local project run found=1
  for project in $(our_projects); do
    run=${project#saga-ci-"$here"-}
    run=${run%-second}
    if [ "$run" != $$ ] && grep -qaF compose "/proc/$run/cmdline" 2>/dev/null; then continue; fi
    echo "removing $project, which a killed run left"
    remove_project "$project"
    remove_images "saga-ci:$here-$run"
    found=0
  done
  return "$found"
}

# True when a file begins with the mark below which ./sandbox writes settings: a person wrote nothing in it.
only_settings_in() {
  [ -f "$1" ] && [ "$(head -n 1 "$1")" = "$(sed -n "s/^settings_mark='\(.*\)'$/\1/p" docker/settings.sh)" ]
}

# The containers, volumes and networks of a project.
left_of() {
  local filter=(--filter "label=com.docker.compose.project=$1")
  docker ps -aq "${filter[@]}"
  docker volume ls -q "${filter[@]}"
  docker network ls -q "${filter[@]}"
}

order_url() { ./sandbox url order-service; }

# place_one NUMBER FILE: places an order that the shop can fulfil and appends its id to FILE. The key makes a repetition after a crash
# the same order.
place_one() {
  local answer end=$((SECONDS + 180))
  until answer=$(curl -sS --max-time 5 --noproxy '*' -X POST "http://127.0.0.1:$ORDER_PORT/orders" -H 'Content-Type: application/json' \
    -H "Idempotency-Key: $COMPOSE_PROJECT_NAME-$2-$1" \
    -d '{"customerId": "cust_ci", "productId": "prod_burst", "quantity": 1, "amount": 10.00}' 2>/dev/null) &&
    grep -o '"orderId":"[^"]*"' <<<"$answer" | cut -d '"' -f 4 >>"$2"; do
    [ "$SECONDS" -lt "$end" ] || { echo "order $1 was not accepted: $answer"; return 1; }
    sleep 0.2
  done
}

# place N FILE: places N orders.
place() {
  local number
  : >"$2"
  for ((number = 1; number <= $1; number++)); do place_one "$number" "$2" || return 1; done
}

# place_until MARK FILE: places orders until the file MARK exists. At most five a second and for ten minutes: all_confirmed passes all
# ids in one argument.
place_until() {
  local number end=$((SECONDS + 600))
  : >"$2"
  for ((number = 1; ; number++)); do
    place_one "$number" "$2" || return 1
    if [ -e "$1" ]; then return; fi
    [ "$SECONDS" -lt "$end" ] || { echo "no $1 yet after $number orders"; return 1; }
    sleep 0.2
  done
}

# Nothing lost, nothing doubled: each order of the file has one confirmed row. The callers compare the stock.
all_confirmed() {
  local wanted found
  wanted=$(sort -u "$1" | wc -l)
  found=$(./sandbox psql orders_db -Atc "SELECT count(*) FROM orders WHERE status = 'CONFIRMED' AND order_id IN ($(sed "s/.*/'&'/" "$1" | paste -sd,))")
  equals 'orders placed' "$(wc -l <"$1")" "$wanted" || return 1
  equals 'orders confirmed' "$found" "$wanted"
}
stock() { ./sandbox psql inventory_db -Atc "SELECT quantity FROM products WHERE product_id = 'prod_burst'"; }

# The tests that kill, stop and pause their broker and database.
tests_on_containers() {
  # Of tests of another checkout, or of tests whose engine was stopped before their cleanup ended. These are no fault of this run.
  containers_before=$(test_containers '{{.ID}}')
  SANDBOX_TEST_STACK=docker cargo test --release --workspace --test stack
  SANDBOX_TEST_STACK=docker cargo test --release --workspace --test it relay::
  # Longer than the two minutes after which the cleanup of a test process gives up.
  eventually 180 all_swept || { test_containers '{{.ID}} {{.Image}} {{.State}} {{.Status}} {{.Label "saga-sandbox.test"}}'; return 1; }
}

# test_containers FORMAT: the containers that tests have created.
test_containers() { docker ps -a --filter label=saga-sandbox.test --format "$1"; }
all_swept() {
  local now
  now=$(test_containers '{{.ID}}') && [ -z "$(comm -13 <(sort <<<"$containers_before") <(sort <<<"$now"))" ]
}
