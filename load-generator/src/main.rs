use std::process::ExitCode;

use load_generator::App;
use load_generator::run_load::run_load;
use load_generator::settings::{Action, Cli, SERVE, ServeSettings};
use service_kit::{output, settings, shutdown, telemetry};

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let cli: Cli = settings::parse_with_subcommands(SERVE, Cli::validate);
    match cli.verb.into_action() {
        Action::Serve(settings) => {
            telemetry::init("load-generator", settings.http.log_format);
            shutdown::exit_code(serve(settings).await)
        }
        Action::Load(plan, settings) => {
            match run_load(plan, settings, shutdown::on_signal()).await {
                Ok(code) => ExitCode::from(code),
                Err(error) => {
                    output::print_error(format_args!("{error:#}"));
                    ExitCode::FAILURE
                }
            }
        }
    }
}

async fn serve(settings: ServeSettings) -> anyhow::Result<()> {
    let app = App::build(settings).await?;
    app.run(shutdown::on_signal()).await
}
