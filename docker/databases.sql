-- The databases of the shop, new and empty. PostgreSQL's image runs this on a new volume, and `./sandbox reset` on one in use.
-- Each role's password is its name: only this machine can connect, and the data is a toy's.

DROP DATABASE IF EXISTS orders_db WITH (FORCE);
DROP ROLE IF EXISTS orders;
CREATE ROLE orders LOGIN PASSWORD 'orders';
CREATE DATABASE orders_db OWNER orders;

DROP DATABASE IF EXISTS inventory_db WITH (FORCE);
DROP ROLE IF EXISTS inventory;
CREATE ROLE inventory LOGIN PASSWORD 'inventory';
CREATE DATABASE inventory_db OWNER inventory;
