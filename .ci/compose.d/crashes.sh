# shellcheck shell=bash
# Killed at any moment, the shop loses nothing and doubles nothing.

# kill -9 of the program and not of its container: after a crash the restart policy applies. The signal comes from inside the
# container, since the engine may be on another machine; the shell may end with the container.
crash() { docker exec "$1" sh -c 'kill -KILL $(cat /proc/1/task/1/children)' || true; }

restarted() { [ "$(inspect "$1" '{{.RestartCount}}')" -gt "$2" ]; }

killed_in_the_middle() {
  local orders=$work/orders-killed placing before service id count
  ./sandbox wait ready
  before=$(stock)
  # Orders arrive during each crash.
  place_until "$orders.enough" "$orders" &
  placing=$!
  for service in order-service payment-service inventory-service; do
    id=$(container "$service")
    count=$(inspect "$id" '{{.RestartCount}}')
    crash "$id"
    eventually 90 restarted "$id" "$count"
    ./sandbox wait ready "$service" --within 60s
  done
  touch "$orders.enough"
  wait "$placing"
  eventually 60 all_confirmed "$orders"
  equals 'stock' "$(stock)" "$((before - $(sort -u "$orders" | wc -l)))"
}

# The restart policy does not apply after docker kill; `up` starts the container again.
backends_killed() {
  local orders=$work/orders-backends placing before
  before=$(stock)
  ./sandbox wait lag --caught-up
  place 100 "$orders.kafka" &
  placing=$!
  docker kill "$(container kafka)" >/dev/null
  docker compose up -d --no-deps kafka
  ./sandbox wait ready --within 90s
  wait "$placing"
  place 200 "$orders.postgres" &
  placing=$!
  docker kill "$(container postgres)" >/dev/null
  docker compose up -d --no-deps postgres
  ./sandbox wait ready --within 90s
  wait "$placing"
  cat "$orders.kafka" "$orders.postgres" >"$orders"
  eventually 90 all_confirmed "$orders"
  equals 'stock' "$(stock)" "$((before - $(sort -u "$orders" | wc -l)))"
}

records() { ./sandbox status --json | grep -A 4 '"ends"' | tr -d ' \n'; }
has_records() { equals 'ends of the partitions' "$(records)" "$1"; }

recreated_broker() {
  local before
  ./sandbox wait lag --caught-up
  before=$(records)
  docker compose rm -sf kafka
  docker compose up -d --no-deps kafka
  ./sandbox wait ready --within 90s
  ./sandbox wait lag --caught-up --within 90s
  eventually 60 has_records "$before"
}

check 'kill -9 of each service while orders arrive: restarted, nothing lost or doubled' killed_in_the_middle
check 'docker kill of broker and database while orders arrive: nothing lost or doubled' backends_killed
check 'a recreated broker has its records' recreated_broker
