//! order-service: takes orders over HTTP, and shows how each one's saga went.
//!
//! Read in this order: [`domain`] (what an order is), [`store`] (how it is written), [`acceptance`] (HTTP in: how an order is
//! accepted once and told for certain), [`handler`] (Kafka in: how facts are added to it), [`http`] (the API), [`upkeep`] (what is
//! counted and purged), [`app`] (what is wired).
//!
//! SQL here is text that PostgreSQL sees first at run time, not `sqlx`'s checked macros: those need a database, or a saved
//! description of one, at build time, and a build should need neither. What the macros would find, the tests on a real
//! PostgreSQL do.

pub mod acceptance;
pub mod app;
pub mod domain;
pub mod handler;
pub mod http;
pub mod metrics;
pub mod request;
pub mod settings;
pub mod store;
pub mod upkeep;

pub use app::App;
pub use settings::Settings;
