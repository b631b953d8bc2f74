-- An order is a set of facts: one timestamp for each fact, null while the fact is unknown. The first fact to arrive inserts the row.
-- Half of each page stays free, so that an update finds room on the same page and touches no index (a HOT update).
-- For the same reason no index may contain a fact or the status.
CREATE TABLE orders (
    order_id          UUID PRIMARY KEY,
    customer_id       TEXT,
    product_id        TEXT,
    quantity          INTEGER,
    amount            NUMERIC(9, 2),
    correlation_id    TEXT,
    payment_id        UUID,
    failure_reason    TEXT,
    created_at        TIMESTAMPTZ,
    paid_at           TIMESTAMPTZ,
    payment_failed_at TIMESTAMPTZ,
    reserved_at       TIMESTAMPTZ,
    out_of_stock_at   TIMESTAMPTZ,
    refunded_at       TIMESTAMPTZ,
    -- The same function as `Facts::status` in Rust; a test compares the two on every set of facts.
    status            TEXT NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN refunded_at IS NOT NULL THEN 'CANCELLED'
            WHEN payment_failed_at IS NOT NULL THEN 'FAILED'
            WHEN reserved_at IS NOT NULL THEN 'CONFIRMED'
            WHEN out_of_stock_at IS NOT NULL THEN 'REFUNDING'
            WHEN paid_at IS NOT NULL THEN 'PAID'
            ELSE 'PENDING'
        END
    ) STORED
) WITH (fillfactor = 50);

CREATE INDEX orders_by_customer ON orders (customer_id, order_id);
