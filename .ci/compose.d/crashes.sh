# shellcheck shell=bash
# Killed at any moment, nothing is lost and nothing doubled.

# kill -9 of the program itself, not of its container: that is a crash, which the restart policy answers.
crash() {
  local id=$1 init
  init=$(inspect "$id" '{{.State.Pid}}')
  kill -KILL "$(cat "/proc/$init/task/$init/children")"
}

restarted() { [ "$(inspect "$1" '{{.RestartCount}}')" -gt "$2" ]; }

killed_in_the_middle() {
  local orders=$work/orders-killed placing before service id count
  ./sandbox wait ready
  before=$(stock)
  place 300 "$orders" &
  placing=$!
  for service in order-service payment-service inventory-service; do
    id=$(container "$service")
    count=$(inspect "$id" '{{.RestartCount}}')
    crash "$id"
    eventually 30 restarted "$id" "$count"
    ./sandbox wait ready "$service" --within 60s
  done
  wait "$placing"
  eventually 60 all_confirmed "$orders"
  equals 'stock' "$(stock)" "$((before - $(sort -u "$orders" | wc -l)))"
}

# docker kill counts as stopped by hand: the restart policy leaves it dead, `up` brings it back.
backends_killed() {
  local orders=$work/orders-backends placing before backend
  before=$(stock)
  place 200 "$orders" &
  placing=$!
  for backend in kafka postgres; do
    docker kill "$(container $backend)" >/dev/null
    docker compose up -d --no-deps "$backend"
    ./sandbox wait ready --within 90s
  done
  wait "$placing"
  eventually 90 all_confirmed "$orders"
  equals 'stock' "$(stock)" "$((before - $(sort -u "$orders" | wc -l)))"
}

records() { ./sandbox status --json | grep -A 4 '"ends"' | tr -d ' \n'; }

broker_made_anew() {
  local before
  ./sandbox wait lag --at-rest
  before=$(records)
  docker compose rm -sf kafka
  docker compose up -d --no-deps kafka
  ./sandbox wait ready --within 90s
  equals 'ends of the partitions' "$(records)" "$before"
}

check 'kill -9 of each service while orders come: back by itself, nothing lost or doubled' killed_in_the_middle
check 'docker kill of broker and database while orders come: nothing lost or doubled' backends_killed
check 'a broker made anew has its records' broker_made_anew
