//! order-service: accepts orders over HTTP and shows how each order's saga went.
//!
//! Read in this order: [`domain`] (what an order is), [`store`] (how it is written),
//! [`order_intake`] (HTTP in: how an order is accepted once and its event is published for
//! certain), [`handler`] (Kafka in: how facts are added to an order), [`http`] (the API),
//! [`background_jobs`] (counting and purging), [`app`] (the wiring).
//!
//! SQL is text that PostgreSQL first sees at run time. sqlx's checked macros would need a database,
//! or a saved description of one, to build. The tests on a real PostgreSQL find what the macros
//! would find.

pub mod app;
pub mod background_jobs;
pub mod domain;
pub mod handler;
pub mod http;
pub mod metrics;
pub mod order_intake;
pub mod outbox_capacity;
pub mod request;
pub mod settings;
pub mod store;

pub use app::App;
pub use settings::Settings;
