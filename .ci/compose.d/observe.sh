# shellcheck shell=bash
# Prometheus and Grafana beside the running shop.

# query EXPRESSION [URL]: the values, one a line, from Prometheus or through Grafana.
query() {
  curl -sS --fail --noproxy '*' --get --data-urlencode "query=$1" "${2:-http://127.0.0.1:$PROMETHEUS_PORT}/api/v1/query" |
    grep -o '"value":\[[^]]*' | cut -d '"' -f 4
}

# drawn FROM TO EXPRESSION: how many values a panel has between two times, in Unix seconds, with a step of 5 seconds.
drawn() {
  curl -sS --fail --noproxy '*' --get --data-urlencode "query=$3" --data "start=$1&end=$2&step=5" \
    "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/query_range" | grep -o '\[[0-9.]*,"[^"]*"\]' | wc -l
}

# scrapes N: N instances of inventory-service and one of each other service are scraped, and no other target exists.
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
  local before gone back
  before=$(date +%s)
  ./sandbox kill prometheus
  gone=$(date +%s)
  # Longer than --query.lookback-delta and some steps.
  sleep 30
  back=$(date +%s)
  ./sandbox up --no-build prometheus
  eventually 60 scrapes 3
  equals 'values before it was away' "$(drawn "$before" "$before" 'sum(up)')" 1
  equals 'values while it was away' "$(drawn $((gone + 16)) "$back" 'sum(up)')" 0
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
  # There is no login, and a request without one can change nothing.
  fails curl -sS --fail --noproxy '*' -X POST "$url/api/dashboards/db" -H 'Content-Type: application/json' -d '{"dashboard": {"title": "x"}}'
}

profiles_are_valid() {
  local tool
  for tool in 'docker compose' docker-compose; do
    contains "$($tool --profile k6 --profile tracing config)" 'image: .*-k6$'
    contains "$($tool --profile k6 --profile tracing config)" 'image: jaegertracing/jaeger:2'
  done
}

check 'the profiles k6 and tracing are valid for Compose 2 and 1.29' profiles_are_valid
check 'Prometheus scrapes every container, also after --scale' every_container_is_scraped
check 'a restarted Prometheus keeps its data and draws a gap' blind_for_a_while
check 'Grafana has the dashboards and reaches Prometheus' dashboards_are_there
