#!/bin/sh
# The simplest load generator there is: sends N orders, one after the other, with curl.
#
#   scenarios/consumer-lag/send-burst.sh 200
set -eu

count=${1:-100}
case $count in
  *[!0-9]* | '' | 0) echo "error: $count: how many orders? A whole number from 1" >&2; exit 2 ;;
esac
url=$("$(dirname "$0")/../../sandbox" url order-service)/orders
sent=0
while [ "$sent" -lt "$count" ]; do
  curl --silent --show-error --fail --noproxy '*' --output /dev/null -X POST "$url" -H 'Content-Type: application/json' \
    -d '{"customerId": "cust_burst", "productId": "prod_burst", "quantity": 1, "amount": 10.00}'
  sent=$((sent + 1))
done
echo "$sent orders sent"
