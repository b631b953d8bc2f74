-- Events to publish, inserted in the transaction of their orders. The relay publishes the rows and deletes them.
CREATE TABLE outbox (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic      TEXT NOT NULL,
    key        TEXT NOT NULL,
    headers    JSONB NOT NULL,
    value      BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
