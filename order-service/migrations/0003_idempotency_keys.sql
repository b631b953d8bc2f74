-- The order that was made for each idempotency key. `request` is the fingerprint of the order's fields: the same key with another
-- fingerprint is a mistake of the client.
CREATE TABLE idempotency_keys (
    key            TEXT PRIMARY KEY,
    request        UUID NOT NULL,
    order_id       UUID NOT NULL,
    correlation_id TEXT NOT NULL,
    created_at     TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
