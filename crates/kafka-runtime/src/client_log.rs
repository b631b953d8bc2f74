//! How the log and the errors of librdkafka reach the log of the process.
//!
//! librdkafka repeats a refused connection for each try, and rdkafka's default context logs each as an error, with normal events
//! such as the end of a partition. Here they are `debug`. The owner of a client reports an outage once: a service by its
//! readiness ([`crate::client::BrokerHealth`]), a tool by the error of the operation.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

/// The context of a client from which nothing else is needed.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClientLog;

impl ClientContext for ClientLog {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, cause: KafkaError, reason: &str) {
        error(&cause, reason);
    }
}

impl ConsumerContext for ClientLog {}

/// Logs a line of librdkafka's log.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            tracing::debug!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::trace!(target: "librdkafka", facility, "{message}");
        }
    }
}

/// Logs an error event. A fatal error is also returned by the next call on the client, and is logged there.
pub(crate) fn error(error: &KafkaError, reason: &str) {
    tracing::debug!(target: "librdkafka", %error, reason);
}
