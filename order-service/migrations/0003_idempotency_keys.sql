-- Which request was answered with which order. `request` stands for what was asked; with the same key and another request, the
-- client has made a mistake.
CREATE TABLE idempotency_keys (
    key            TEXT PRIMARY KEY,
    request        UUID NOT NULL,
    order_id       UUID NOT NULL,
    correlation_id TEXT NOT NULL,
    created_at     TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
