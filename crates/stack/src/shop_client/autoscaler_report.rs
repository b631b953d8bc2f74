//! The report of the autoscaler to lag-monitor.

use anyhow::{Result, bail};
use shared_events::Service;
use shared_events::autoscaler_api::AutoscalerReport;

use super::{ShopClient, refusal, send};
use crate::workload::Workload;

impl ShopClient<'_> {
    /// Sends the last decision about a service.
    pub async fn report_autoscaler(
        &self,
        service: Service,
        report: &AutoscalerReport,
    ) -> Result<()> {
        let monitor = Workload::LagMonitor;
        let url = format!("{}/services/{service}/autoscaler", self.url(monitor).await?);
        let response = send(monitor, self.http.put(url).json(report)).await?;
        let status = response.status();
        if !status.is_success() {
            let body = response.bytes().await.unwrap_or_default();
            bail!("{monitor} refused: {}", refusal(status, &body));
        }
        Ok(())
    }
}
