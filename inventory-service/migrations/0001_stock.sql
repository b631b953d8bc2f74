-- What is there.
CREATE TABLE products (
    product_id TEXT PRIMARY KEY,
    -- Cannot happen while decisions are taken under the row's lock; should that ever break, it must not break silently.
    quantity   INTEGER NOT NULL CHECK (quantity >= 0)
);

-- What was decided, one row an order, with all that it takes to tell it again: that is how one effect is had once.
-- No reference to products: orders for unknown products are decided too.
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
    ('prod_123', 9),            -- two fit, ten do not: the stories of the README
    ('prod_burst', 1000000000), -- for load: practically endless
    ('prod_ignore', 1000);      -- the poison product; it has stock, for the day it is repaired
