# shellcheck shell=bash
# Prometheus and Grafana beside the running shop.

# query EXPRESSION [PREFIX]: the values, one a line, asked of Prometheus, or through Grafana.
query() {
  curl -sS --fail --noproxy '*' --get --data-urlencode "query=$1" "${2:-http://127.0.0.1:$PROMETHEUS_PORT}/api/v1/query" |
    grep -o '"value":\[[^]]*' | cut -d '"' -f 4
}

# scrapes NUMBER: so many instances of inventory-service and one of each other are scraped, and nothing else is tried.
scrapes() {
  local found wanted
  found=$(query 'sum by (job) (up)' | sort | paste -sd ' ')
  wanted=$(printf '%s\n' 1 1 1 1 "$1" | sort | paste -sd ' ')
  [ "$found" = "$wanted" ] && [ "$(query 'count(up)')" = $((4 + $1)) ]
}

rules_are_evaluated() {
  [ "$(curl -sS --noproxy '*' "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/rules" | grep -o '"health":"[a-z]*"' | sort -u)" = '"health":"ok"' ]
}

every_container_is_scraped() {
  eventually 60 scrapes 1
  ./sandbox scale inventory-service=3
  eventually 60 scrapes 3
  eventually 30 rules_are_evaluated
}

blind_for_a_while() {
  ./sandbox kill prometheus
  ./sandbox up --no-build prometheus
  eventually 60 scrapes 3
  # A gap, and what was there before it.
  [ "$(query 'count(count_over_time(up{job="inventory-service"}[1h]))')" = 3 ]
  ./sandbox scale inventory-service=1
  eventually 60 scrapes 1
}

dashboards_are_there() {
  local url
  url=$(./sandbox url grafana)
  contains "$(curl -sS --fail --noproxy '*' "$url/api/health")" '"database": *"ok"'
  equals 'dashboards' "$(curl -sS --fail --noproxy '*' "$url/api/search?type=dash-db" | grep -oE '"uid": *"[^"]*"' | cut -d '"' -f 4 | sort)" \
    "$(basename -s .json grafana/dashboards/*.json | sort)"
  equals 'through Grafana' "$(query 'max(up{job="lag-monitor"})' "$url/api/datasources/proxy/uid/prometheus")" 1
  # Nobody can log in, and nobody who has not can change anything.
  fails curl -sS --fail --noproxy '*' -X POST "$url/api/dashboards/db" -H 'Content-Type: application/json' -d '{"dashboard": {"title": "x"}}'
}

profiles_are_valid() {
  local tool
  for tool in 'docker compose' docker-compose; do
    contains "$($tool --profile k6 --profile tracing config)" 'image: grafana/k6:1'
    contains "$($tool --profile k6 --profile tracing config)" 'image: jaegertracing/jaeger:2'
  done
}

check 'the profiles k6 and tracing are valid for Compose 2 and 1.29' profiles_are_valid
check 'Prometheus scrapes every container, also after --scale' every_container_is_scraped
check 'Prometheus that was away keeps what it saw' blind_for_a_while
check 'Grafana has the dashboards and reaches Prometheus' dashboards_are_there
