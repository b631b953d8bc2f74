//! payment-gateway of a stack: started by `up --gateway`, and used by payment-service until `down` or `reset`.

use std::collections::BTreeMap;

use anyhow::Result;
use shared_events::Service;

use crate::Stack;
use crate::interrupt::InterruptGuard;
use crate::restart::SettingsChange;
use crate::settings::{Assignment, GATEWAY_URL};
use crate::stack::StartedInstance;
use crate::workload::Workload;

impl Stack<'_> {
    /// Whether payment-service charges through this stack's gateway, by its saved settings.
    pub fn uses_gateway(&self) -> Result<bool> {
        let url = self.layout.url(Workload::PaymentGateway, 1)?;
        let settings = self.saved_settings()?.settings(Service::Payment);
        Ok(settings.get(GATEWAY_URL) == Some(&url))
    }

    /// Makes payment-service charge through the gateway when it starts. Returns whether it runs without it, and must therefore
    /// be restarted with [`Stack::restart_with_gateway`].
    pub fn use_gateway(&self) -> Result<bool> {
        if self.uses_gateway()? {
            return Ok(false);
        }
        let started = self.started_instances(Service::Payment)?;
        if started.iter().any(StartedInstance::is_alive) {
            return Ok(true);
        }
        let url = self.layout.url(Workload::PaymentGateway, 1)?;
        self.update_saved_settings(|saved| {
            let mut settings: BTreeMap<String, String> = saved.settings(Service::Payment);
            settings.insert(GATEWAY_URL.to_owned(), url);
            saved.replace_settings(Service::Payment, settings);
        })?;
        Ok(false)
    }

    /// Restarts payment-service, which then charges through the gateway.
    pub async fn restart_with_gateway(&self, no_wait: bool, guard: &InterruptGuard) -> Result<()> {
        let set = vec![Assignment {
            name: GATEWAY_URL.to_owned(),
            value: self.layout.url(Workload::PaymentGateway, 1)?,
        }];
        let change = SettingsChange {
            set,
            ..SettingsChange::default()
        };
        let service = Workload::Service(Service::Payment);
        self.restart(service, change, no_wait, guard)
            .await
            .map(drop)
    }
}
