//! The mode in which the shop runs. `./sandbox --local` and `./sandbox --docker` choose it, and
//! `SANDBOX_MODE` carries it to the programs that print or run commands.

use std::fmt;

/// The environment variable that holds the mode.
pub const MODE_VARIABLE: &str = "SANDBOX_MODE";

/// How broker, database and services run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// As processes of this machine
    Local,
    /// As containers of docker-compose.yml
    Docker,
}

impl Mode {
    /// The name as typed and as in the environment: `local` or `docker`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Docker => "docker",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn a_mode_is_typed_as_it_is_printed() {
        for mode in [Mode::Local, Mode::Docker] {
            assert_eq!(Mode::from_str(mode.name(), false), Ok(mode));
        }
    }
}
