# shellcheck shell=bash
# A second project beside the first, with another value for every variable of .env.example. Then nothing is left of either.

# other VARIABLE: its other value. An unknown variable is an error: a new variable needs a value here.
other() {
  case $1 in
    BIND_ADDR) echo 127.0.0.2 ;;
    ORDER_PORT) echo 14000 ;;
    PAYMENT_PORT) echo 14002 ;;
    INVENTORY_PORTS) echo 14101-14103 ;;
    LOAD_GENERATOR_PORT) echo 14100 ;;
    LAG_MONITOR_PORT) echo 14110 ;;
    PAYMENT_GATEWAY_PORT) echo 14120 ;;
    KAFKA_PORT) echo 14093 ;;
    KAFKA_2_PORT) echo 14094 ;;
    KAFKA_3_PORT) echo 14095 ;;
    POSTGRES_PORT) echo 14432 ;;
    PROMETHEUS_PORT) echo 14090 ;;
    GRAFANA_PORT) echo 14001 ;;
    JAEGER_PORT) echo 14687 ;;
    KAFKA_ADVERTISED_HOST) echo 127.0.0.2 ;;
    KAFKA_CLUSTER_ID) echo c2FnYS1zYW5kYm94LTAwMw ;;
    # Another version would be another image to download.
    KAFKA_VERSION) echo 4.0.2 ;;
    KAFKA_HEAP_OPTS) echo '-Xms200m -Xmx300m' ;;
    NAME_PREFIX) echo second- ;;
    SANDBOX_IMAGE) echo "$SANDBOX_IMAGE-second" ;;
    PAYMENT_PAYMENT_GATEWAY_URL) echo http://payment-gateway:8020 ;;
    PAYMENT_RETRY) echo topic ;;
    PAYMENT_RETRY_BACKOFF_MS) echo 500 ;;
    PAYMENT_RETRY_MAX) echo 4 ;;
    GATEWAY_PAYMENT_LIMIT) echo 1000 ;;
    INVENTORY_POISON_PRODUCT) echo prod_other ;;
    LOAD_GENERATOR_AUTO_PRODUCE) echo false ;;
    LOAD_GENERATOR_BATCH_SIZE) echo 2 ;;
    LOAD_GENERATOR_PRODUCTION_RATE_MS) echo 200 ;;
    LAG_MONITOR_GROUP) echo payment-service-group ;;
    LAG_MONITOR_TOPIC) echo orders ;;
    LAG_MONITOR_POLL_INTERVAL_SECONDS) echo 2 ;;
    LAG_MONITOR_LAG_THRESHOLD_WARNING) echo 10 ;;
    LAG_MONITOR_LAG_THRESHOLD_CRITICAL) echo 50 ;;
    OTEL_EXPORTER_OTLP_ENDPOINT) echo http://localhost:4318 ;;
    OTEL_TRACES_SAMPLER_ARG) echo 0.5 ;;
    *_KAFKA_BOOTSTRAP_SERVERS) echo kafka:29092,kafka:29092 ;;
    *_BATCH_MAX) echo 50 ;;
    ORDER_CRASH_AT) echo relay-after-publish:1000000 ;;
    PAYMENT_CRASH_AT | INVENTORY_CRASH_AT) echo batch-committed:1000000 ;;
    *_DELIVERY) echo at-least-once ;;
    *_DRAIN_TIMEOUT) echo 5s ;;
    *_LOG_FORMAT) echo json ;;
    *_POISON_LIMIT) echo 20 ;;
    *_POISON_POLICY) echo block ;;
    *_PROCESSING_TIME_MS) echo 5 ;;
    *_PROTECTION_OFF) echo poison-limit ;;
    *_RUST_LOG) echo debug,hyper=info ;;
    *_SANDBOX_UNSAFE) echo 1 ;;
    # The instances have no fixed number in Docker mode.
    INVENTORY_STATIC_MEMBERSHIP) echo false ;;
    *_STATIC_MEMBERSHIP) echo true ;;
    ORDER_HTTP_QUEUE) echo 500 ;;
    ORDER_OUTBOX_LIMIT) echo 1000 ;;
    *_KAFKA_CONSUMER_FETCH_MAX_BYTES) echo 40000000 ;;
    *_KAFKA_CONSUMER_FETCH_MESSAGE_MAX_BYTES | *_KAFKA_CONSUMER_MAX_PARTITION_FETCH_BYTES) echo 1200000 ;;
    *_KAFKA_CONSUMER_FETCH_MIN_BYTES) echo 2 ;;
    *_KAFKA_CONSUMER_FETCH_WAIT_MAX_MS) echo 200 ;;
    *_KAFKA_CONSUMER_GROUP_PROTOCOL) echo classic ;;
    *_KAFKA_CONSUMER_PARTITION_ASSIGNMENT_STRATEGY) echo range ;;
    *_KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS) echo 70000 ;;
    *_KAFKA_CONSUMER_QUEUED_MAX_MESSAGES_KBYTES) echo 8000 ;;
    *_KAFKA_CONSUMER_QUEUED_MIN_MESSAGES) echo 5000 ;;
    *_KAFKA_CONSUMER_SESSION_TIMEOUT_MS) echo 8000 ;;
    *) echo "no other value for $1" >&2; return 1 ;;
  esac
}

# loaded URL WORD: the answer contains the word.
loaded() { curl -sS --fail --noproxy '*' "$1" | grep -qF "$2"; }

beside_the_first() {
  local copy=$work/second name
  mkdir "$copy"
  git ls-files -z | xargs -0 cp --parents -t "$copy"
  sed -n 's/^\([A-Z_]*\)=.*/\1/p' .env.example | while read -r name; do echo "$name=$(other "$name")"; done >"$work/second.env"
  if grep '=$' "$work/second.env"; then return 1; fi
  docker image tag "$SANDBOX_IMAGE" "$SANDBOX_IMAGE-second"
  cp "$work/second.env" "$copy/.env"
  # As a clone made with umask 077.
  chmod -R go= "$copy"
  # Variables of the environment would override those of the file.
  (
    unset SANDBOX_IMAGE ORDER_PORT PAYMENT_PORT INVENTORY_PORTS LOAD_GENERATOR_PORT LAG_MONITOR_PORT KAFKA_PORT POSTGRES_PORT \
      PROMETHEUS_PORT GRAFANA_PORT JAEGER_PORT
    export COMPOSE_PROJECT_NAME=$second COMPOSE_PROFILES=gateway
    cd "$copy"
    # Our programs are those of the first: their image is the same.
    docker compose build prometheus grafana
    ./sandbox up --no-build
    local id url
    url=$(./sandbox url order-service)
    equals 'address' "$url" http://127.0.0.2:14000
    id=$(./sandbox order --customer cust_happy_path --product prod_123 --quantity 2 --amount 250.50)
    ./sandbox wait order "$id" --status CONFIRMED
    ./sandbox expect events "$id" OrderCreated=1 PaymentSucceeded=1 InventoryReserved=1
    curl -sS --fail --noproxy '*' "$url/orders/$id"
    loaded 'http://127.0.0.2:14120/charges' '"charged":1'
    ./sandbox kafka topics --list | grep -x second-orders
    # Prometheus has its rules, and Grafana its dashboards.
    eventually 60 loaded 'http://127.0.0.2:14090/api/v1/rules' ServiceDown
    eventually 60 loaded 'http://127.0.0.2:14001/api/search?type=dash-db' saga-and-consumer-lag
  )
  ./sandbox wait ready
}

nothing_left() {
  ./sandbox down --reset
  equals 'left of the first' "$(left_of "$COMPOSE_PROJECT_NAME")" ''
  (
    unset SANDBOX_IMAGE ORDER_PORT PAYMENT_PORT INVENTORY_PORTS LOAD_GENERATOR_PORT LAG_MONITOR_PORT KAFKA_PORT POSTGRES_PORT \
      PROMETHEUS_PORT GRAFANA_PORT JAEGER_PORT
    cd "$work/second"
    COMPOSE_PROJECT_NAME=$second COMPOSE_PROFILES=gateway docker compose down --volumes
  )
  equals 'left of the second' "$(left_of "$second")" ''
}

check 'a second project with other values for all variables, of files that only their owner may read, runs beside the first' beside_the_first
check 'down --volumes leaves nothing' nothing_left
