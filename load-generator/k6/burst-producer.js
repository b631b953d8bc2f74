// Bursts of orders by load-generator: POST /burst. Start it, then watch the lag of inventory-service.
//
//   docker compose run --rm k6 run /scripts/burst-producer.js
//   docker compose run --rm k6 run -e COUNT=5000 -e BURSTS=3 /scripts/burst-producer.js
//
//   LOAD_GENERATOR_URL   address of load-generator                       http://localhost:8000
//   COUNT                orders of a burst, 1 to 100000                  1000
//   BURSTS               number of bursts, one after another, 1 to 100   3
//   PAUSE_SECONDS        pause between two bursts, 0 to 600              5
//   P95_MS               limit of the p95 of a burst's duration          10000

import http from 'k6/http';
import { check, sleep } from 'k6';
import { Counter } from 'k6/metrics';

const loadGeneratorUrl = __ENV.LOAD_GENERATOR_URL || 'http://localhost:8000';
const count = integerFromEnv('COUNT', 1000, 1, 100000);
const bursts = integerFromEnv('BURSTS', 3, 1, 100);
const pause = integerFromEnv('PAUSE_SECONDS', 5, 0, 600);
const p95Limit = integerFromEnv('P95_MS', 10000, 1, 600000);

const orders = new Counter('orders');

export const options = {
  scenarios: {
    bursts: {
      // One at a time: load-generator refuses a second burst while one runs (409).
      executor: 'shared-iterations',
      vus: 1,
      iterations: bursts,
      maxDuration: `${bursts * (pause + 60)}s`,
    },
  },
  thresholds: {
    http_req_duration: [`p(95)<${p95Limit}`],
    http_req_failed: ['rate==0'],
    checks: ['rate==1'],
    orders: [`count==${bursts * count}`],
  },
  summaryTrendStats: ['avg', 'med', 'p(95)', 'max'],
};

export default function () {
  const response = http.post(`${loadGeneratorUrl}/burst`, JSON.stringify({ count }), {
    headers: { 'Content-Type': 'application/json' },
    timeout: '60s',
  });
  const result = response.status === 200 ? response.json() : {};
  check(result, {
    'the burst is sent': () => response.status === 200,
    'the broker acknowledged every order': ({ successful }) => successful === count,
  });
  orders.add(result.successful || 0);
  sleep(pause);
}

function integerFromEnv(name, defaultValue, low, high) {
  const number = __ENV[name] ? Number(__ENV[name]) : defaultValue;
  if (!Number.isInteger(number) || number < low || number > high) {
    throw new Error(`${name}=${__ENV[name]}: must be a whole number from ${low} to ${high}`);
  }
  return number;
}
