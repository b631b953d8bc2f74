// Orders at a steady rate: POST /orders to order-service.
//
//   docker compose run --rm k6 run /scripts/steady-producer.js
//   docker compose run --rm k6 run -e RATE=100 -e SECONDS=120 /scripts/steady-producer.js
//
//   ORDER_URL   address of order-service                http://localhost:3000
//   RATE        orders a second, 1 to 1000              20
//   SECONDS     duration, 1 to 3600                     30
//   PRODUCT     the product                             prod_burst
//   P95_MS      limit of the p95 of the response time   500

import http from 'k6/http';
import exec from 'k6/execution';
import { check } from 'k6';

const orderUrl = __ENV.ORDER_URL || 'http://localhost:3000';
const product = __ENV.PRODUCT || 'prod_burst';
const rate = integerFromEnv('RATE', 20, 1, 1000);
const seconds = integerFromEnv('SECONDS', 30, 1, 3600);
const p95Limit = integerFromEnv('P95_MS', 500, 1, 60000);

export const options = {
  scenarios: {
    steady: {
      // An open loop: slow responses do not lower the rate. An iteration that finds no free VU is dropped and counted.
      executor: 'constant-arrival-rate',
      rate,
      timeUnit: '1s',
      duration: `${seconds}s`,
      preAllocatedVUs: Math.min(rate, 100),
      maxVUs: Math.min(10 * rate, 500),
    },
  },
  thresholds: {
    http_req_duration: [`p(95)<${p95Limit}`],
    http_req_failed: ['rate<0.01'],
    checks: ['rate>0.99'],
    dropped_iterations: [`count<${Math.ceil((rate * seconds) / 100)}`],
  },
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
};

export default function () {
  const customer = `cust_k6_${exec.scenario.iterationInTest % 1000}`;
  const order = { customerId: customer, productId: product, quantity: 1, amount: 10.0 };
  const response = http.post(`${orderUrl}/orders`, JSON.stringify(order), {
    headers: { 'Content-Type': 'application/json' },
    timeout: '10s',
  });
  check(response, {
    'the order is accepted': ({ status }) => status === 202,
    'the response has an order id': ({ body }) => body !== null && body.includes('"orderId"'),
  });
}

function integerFromEnv(name, defaultValue, low, high) {
  const number = __ENV[name] ? Number(__ENV[name]) : defaultValue;
  if (!Number.isInteger(number) || number < low || number > high) {
    throw new Error(`${name}=${__ENV[name]}: must be a whole number from ${low} to ${high}`);
  }
  return number;
}
