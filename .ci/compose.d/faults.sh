# shellcheck shell=bash
# The failure laboratory: faults by name, a mystery, the audit, three brokers.

# One fault of each mechanism: a setting of the group, a setting of a service, a program in the background, a frozen container.
faults_and_repair() {
  local fault
  exits_with 2 ./sandbox break no-such-fault
  exits_with 2 ./sandbox repair
  for fault in paused-consumer poison-product stock-locked database-frozen; do
    ./sandbox break "$fault"
    contains "$(./sandbox status)" "$fault since"
    exits_with 2 ./sandbox break "$fault"
    ./sandbox repair "$fault"
  done
  ./sandbox wait ready --within 120s
  contains "$(./sandbox audit --wait)" 'lost 0 · doubled 0'
}

mystery_is_solved() {
  ./sandbox mystery tea-break
  if ./sandbox status | grep -F paused-consumer; then return 1; fi
  exits_with 2 ./sandbox repair
  exits_with 1 ./sandbox mystery check
  ./sandbox mystery hint
  ./sandbox consumer resume payment-service
  ./sandbox wait lag --caught-up --within 120s
  contains "$(./sandbox mystery check)" 'solved'
  exits_with 2 ./sandbox mystery check
}

three_brokers() {
  local id
  exits_with 1 ./sandbox up --no-build --brokers 3
  one_error_line 'is that of one broker'
  ./sandbox down --reset
  export KAFKA_2_PORT=19093 KAFKA_3_PORT=19094
  ./sandbox up --no-build --brokers 3
  ./sandbox kill -9 kafka.2
  id=$(./sandbox order --customer cust_brokers --product prod_burst --quantity 1 --amount 10.00)
  ./sandbox wait order "$id" --status CONFIRMED --within 120s
  ./sandbox up --no-build kafka.2
  contains "$(./sandbox audit --wait)" 'lost 0 · doubled 0'
  ./sandbox down --reset
  ./sandbox up --no-build
}

check 'faults are caused and repaired by name, and the audit finds nothing' faults_and_repair
check 'a mystery is found and solved' mystery_is_solved
check 'three brokers, and one is killed' three_brokers
