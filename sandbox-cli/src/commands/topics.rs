//! `sandbox topics`: the topics of the shop, made by the table in `shared-events`.

use std::time::Duration;

use anyhow::{Result, bail};
use messaging::cluster::Cluster;
use messaging::cluster::topics::Created;
use shared_events::Topic;

use crate::conditions::{Seen, until};
use crate::sandbox::Sandbox;
use crate::terminal::{note, say};

/// How long the broker may think about one try.
const ONE_TRY: Duration = Duration::from_secs(2);

/// What to do with the topics.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox topics create")]
pub struct Topics {
    /// What.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What can be done with them.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Make those that are missing; those that are there are compared, and left as they are
    Create(Create),
}

/// How patiently.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox topics create\n  ./sandbox topics create --within 60s     also while the broker is still starting"
)]
pub struct Create {
    /// Go on trying for so long while the broker cannot be reached [default: one try]
    #[arg(long, value_parser = humantime::parse_duration)]
    pub within: Option<Duration>,
}

/// Does it.
pub async fn run(args: Topics, sandbox: &Sandbox) -> Result<()> {
    let Verb::Create(Create { within }) = args.verb;
    let cluster = Cluster::new(&sandbox.kafka())?;
    if let Some(within) = within {
        let look = async || {
            cluster.answers(ONE_TRY).await?;
            Ok(Seen::Holds(String::new()))
        };
        until(within, look).await?;
    }
    let mut differing = 0;
    for (topic, outcome) in cluster.create_topics(&Topic::ALL, None).await? {
        let name = cluster.prefix().topic(topic);
        match outcome {
            Created::Created => say(format_args!("{name} created")),
            Created::Exists => say(format_args!("{name} exists")),
            Created::Differs(differences) => {
                differing += 1;
                say(format_args!("{name} exists, but differs"));
                for difference in differences {
                    note(format_args!("  {difference}"));
                }
            }
        }
    }
    if differing > 0 {
        bail!("{differing} topics are not as the shop expects: ./sandbox reset makes them anew");
    }
    Ok(())
}
