use std::process::ExitCode;

use inventory_service::{App, Settings};
use service_kit::{settings, shutdown, telemetry};
use shared_events::Service;

#[tokio::main]
async fn main() -> ExitCode {
    let settings = settings::parse(Settings::validate);
    telemetry::init(Service::Inventory.name(), settings.http.log_format);
    shutdown::exit_code(run(settings).await)
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    let app = App::build(settings).await?;
    app.run(shutdown::on_signal()).await
}
