//! What any service of the shop needs, and nothing about Kafka.
//!
//! In the order in which a service meets it: [`settings`] (one typed struct, wrong ones end in one line), [`telemetry`],
//! [`trace`], [`shutdown`], [`server`] (every bound on connections, headers, bodies and time), behind it [`guard`] (no web page may reach
//! a service through a browser), [`parameters`] and [`body`] (queries and JSON read field by field), [`problem`] (what an error
//! looks like to a client), [`requests`] (how long each took), [`readiness`] and [`admin`] (what a service says about itself); `SERVICE health` asks for it;
//! [`instance`] (which number it has) and [`names`] (who is who in its network).

pub mod admin;
pub mod body;
pub mod guard;
mod health;
pub mod instance;
mod limits;
pub mod names;
pub mod parameters;
pub mod problem;
pub mod readiness;
pub mod requests;
pub mod server;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
pub mod trace;

pub use problem::Problem;
pub use readiness::{Component, Readiness};
pub use requests::Requests;
pub use settings::{HttpSettings, LogFormat};
