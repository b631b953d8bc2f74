use std::process::ExitCode;

use payment_gateway::settings::NAME;
use payment_gateway::{App, Settings};
use service_kit::{settings, shutdown, telemetry};

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let settings = settings::parse(Settings::validate);
    telemetry::init(NAME, settings.http.log_format);
    shutdown::exit_code(run(settings).await)
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    let app = App::build(settings).await?;
    app.run(shutdown::on_signal()).await;
    Ok(())
}
