//! The program: settings, logs, run until a signal.

use std::process::ExitCode;

use lag_monitor::{App, NAME, Settings};
use service_kit::{settings, shutdown, telemetry};

// One poll at a time and answers of a millisecond need one thread, which costs the least memory.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let settings = settings::parse(Settings::validate);
    telemetry::init(NAME, settings.http.log_format);
    shutdown::exit_code(run(settings).await)
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    let app = App::build(settings).await?;
    app.run(shutdown::on_signal()).await
}
