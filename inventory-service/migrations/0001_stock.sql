CREATE TABLE products (
    product_id TEXT PRIMARY KEY,
    -- Decisions are made under the row's lock, so it cannot become negative. If that ever breaks, the check makes it visible.
    quantity   INTEGER NOT NULL CHECK (quantity >= 0)
);

-- One decision for each order, with everything its event needs. So a repeated payment gets the same event and takes no stock again.
-- There is no foreign key to products: orders for unknown products are decided too.
CREATE TABLE decisions (
    order_id   UUID PRIMARY KEY,
    payment_id UUID NOT NULL,
    product_id TEXT NOT NULL,
    quantity   INTEGER NOT NULL,
    amount     NUMERIC(9, 2) NOT NULL,
    outcome    TEXT NOT NULL CHECK (outcome IN ('reserved', 'out_of_stock', 'unknown_product')),
    decided_at TIMESTAMPTZ NOT NULL
);

INSERT INTO products (product_id, quantity) VALUES
    ('prod_123', 9),            -- 2 pieces fit, 10 do not: the orders of the README
    ('prod_burst', 1000000000), -- for load tests: practically endless
    ('prod_ignore', 1000);      -- the poison product; it has stock for the replay of repaired dead letters
