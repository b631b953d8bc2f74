//! The process.

use std::process::ExitCode;

use load_generator::App;
use load_generator::run;
use load_generator::settings::{Cli, SERVE, Serve};
use service_kit::{settings, shutdown, telemetry};

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let cli: Cli = settings::parse_with_verbs(SERVE, Cli::validate);
    let (plan, load) = match cli.verb.load() {
        Ok(asked) => asked,
        Err(service) => {
            telemetry::init("load-generator", service.http.log_format);
            return shutdown::exit_code(serve(service).await);
        }
    };
    match run::run(plan, load, shutdown::on_signal()).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: Serve) -> anyhow::Result<()> {
    let app = App::build(settings).await?;
    app.run(shutdown::on_signal()).await
}
