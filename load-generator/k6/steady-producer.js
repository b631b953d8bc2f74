// Orders at a steady rate, as customers place them: POST /orders of order-service.
//
//   docker compose run --rm k6 run /scripts/steady-producer.js
//   docker compose run --rm k6 run -e RATE=100 -e SECONDS=120 /scripts/steady-producer.js
//
//   ORDER_URL   where order-service answers             http://localhost:3000
//   RATE        orders a second, 1 to 1000              20
//   SECONDS     for how long, 1 to 3600                 30
//   PRODUCT     what is ordered                         prod_burst
//   P95_MS      an answer may take, 95 of 100           500

import http from 'k6/http';
import exec from 'k6/execution';
import { check } from 'k6';

const orderUrl = __ENV.ORDER_URL || 'http://localhost:3000';
const product = __ENV.PRODUCT || 'prod_burst';
const rate = within('RATE', 20, 1, 1000);
const seconds = within('SECONDS', 30, 1, 3600);
const slowest = within('P95_MS', 500, 1, 60000);

export const options = {
  scenarios: {
    steady: {
      // The rate is kept whatever the answers take: what comes too late is dropped and counted, not slowed down.
      executor: 'constant-arrival-rate',
      rate,
      timeUnit: '1s',
      duration: `${seconds}s`,
      preAllocatedVUs: Math.min(rate, 100),
      maxVUs: Math.min(10 * rate, 500),
    },
  },
  thresholds: {
    http_req_duration: [`p(95)<${slowest}`],
    http_req_failed: ['rate<0.01'],
    checks: ['rate>0.99'],
    dropped_iterations: [`count<${Math.ceil((rate * seconds) / 100)}`],
  },
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
};

export default function () {
  const customer = `cust_k6_${exec.scenario.iterationInTest % 1000}`;
  const order = { customerId: customer, productId: product, quantity: 1, amount: 10.0 };
  const answer = http.post(`${orderUrl}/orders`, JSON.stringify(order), {
    headers: { 'Content-Type': 'application/json' },
    timeout: '10s',
  });
  check(answer, {
    'the order is accepted': ({ status }) => status === 202,
    'it has an id': ({ body }) => body !== null && body.includes('"orderId"'),
  });
}

function within(name, standard, low, high) {
  const number = __ENV[name] ? Number(__ENV[name]) : standard;
  if (!Number.isInteger(number) || number < low || number > high) {
    throw new Error(`${name}=${__ENV[name]}: must be a whole number from ${low} to ${high}`);
  }
  return number;
}
