//! One file a verb.

pub mod bench;
pub mod consumer;
pub mod demo;
pub mod dlq;
pub mod doctor;
pub mod down;
pub mod expect;
pub mod fetch;
pub mod journey;
pub mod kafka;
pub mod kill;
pub mod lag;
pub mod logs;
pub mod order;
pub mod psql;
pub mod reset;
pub mod reset_data;
pub mod restart;
pub mod scale;
pub mod scenario;
pub mod status;
pub mod test;
pub mod topics;
pub mod up;
pub mod url;
pub mod wait;
