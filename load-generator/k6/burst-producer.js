// Bursts of orders, as fast as load-generator makes them: POST /burst. What to start, then to watch the lag of inventory-service.
//
//   docker compose run --rm k6 run /scripts/burst-producer.js
//   docker compose run --rm k6 run -e COUNT=5000 -e BURSTS=3 /scripts/burst-producer.js
//
//   LOAD_GENERATOR_URL   where load-generator answers                    http://localhost:8000
//   COUNT                orders of a burst, 1 to 100000                  1000
//   BURSTS               how many, one after the other, 1 to 100         3
//   PAUSE_SECONDS        between two of them, 0 to 600                   5
//   P95_MS               a whole burst may take, 95 of 100               10000

import http from 'k6/http';
import { check, sleep } from 'k6';
import { Counter } from 'k6/metrics';

const loadGeneratorUrl = __ENV.LOAD_GENERATOR_URL || 'http://localhost:8000';
const count = within('COUNT', 1000, 1, 100000);
const bursts = within('BURSTS', 3, 1, 100);
const pause = within('PAUSE_SECONDS', 5, 0, 600);
const slowest = within('P95_MS', 10000, 1, 600000);

const orders = new Counter('orders');

export const options = {
  scenarios: {
    bursts: {
      // One at a time: load-generator refuses a second one meanwhile (409), since its rate would tell of two.
      executor: 'shared-iterations',
      vus: 1,
      iterations: bursts,
      maxDuration: `${bursts * (pause + 60)}s`,
    },
  },
  thresholds: {
    http_req_duration: [`p(95)<${slowest}`],
    http_req_failed: ['rate==0'],
    checks: ['rate==1'],
    orders: [`count==${bursts * count}`],
  },
  summaryTrendStats: ['avg', 'med', 'p(95)', 'max'],
};

export default function () {
  const answer = http.post(`${loadGeneratorUrl}/burst`, JSON.stringify({ count }), {
    headers: { 'Content-Type': 'application/json' },
    timeout: '60s',
  });
  const made = answer.status === 200 ? answer.json() : {};
  check(made, {
    'the burst is made': () => answer.status === 200,
    'the broker acknowledged every order': ({ successful }) => successful === count,
  });
  orders.add(made.successful || 0);
  sleep(pause);
}

function within(name, standard, low, high) {
  const number = __ENV[name] ? Number(__ENV[name]) : standard;
  if (!Number.isInteger(number) || number < low || number > high) {
    throw new Error(`${name}=${__ENV[name]}: must be a whole number from ${low} to ${high}`);
  }
  return number;
}
