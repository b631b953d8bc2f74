-- Every change of a stock level by a person, in pieces. Reservations are in `decisions`, so for each product the changes minus the
-- reserved pieces are the present level. `./sandbox audit` compares them.
CREATE TABLE stock_changes (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id TEXT NOT NULL,
    -- The new level minus the old one.
    change     BIGINT NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- The opening level. A database that is older than this table already has reservations.
INSERT INTO stock_changes (product_id, change)
SELECT product_id, quantity + COALESCE((
    SELECT sum(decisions.quantity) FROM decisions
    WHERE decisions.product_id = products.product_id AND outcome = 'reserved'
), 0)
FROM products;
