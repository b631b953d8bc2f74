//! The instances of the service: how many there are, and how their number is changed.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use autoscaler::ScaledObject;
use shared_events::Service;
use stack::Stack;
use stack::host_or_container::HostOrContainer;
use stack::layout::StackLayout;
use stack::ports::MAX_SLOTS;
use stack::terminal::{Usage, note, say};

/// The longest manifest, in bytes.
const MANIFEST_LIMIT: u64 = 64 * 1024;

/// The setting of a static member.
const STATIC_MEMBERSHIP: &str = "STATIC_MEMBERSHIP";

/// Scales one service: on the host the processes, in a container by a line that the script on the host carries out.
pub(super) struct Scaling<'a> {
    layout: &'a StackLayout,
    service: Service,
    side: HostOrContainer,
}

impl<'a> Scaling<'a> {
    /// Fails if nothing runs, or if the service can have one instance only.
    pub(super) fn new(layout: &'a StackLayout, service: Service) -> Result<Self> {
        let side = layout.host_or_container();
        match side {
            HostOrContainer::Host if Stack::open(layout)?.alive_processes()?.is_empty() => {
                bail!("nothing runs: ./sandbox up, then autoscale")
            }
            HostOrContainer::Container if service != Service::Inventory => {
                Err(Usage::error(format_args!(
                    "{service} has one published port in Docker mode, so one instance: only inventory-service can be scaled"
                )))
            }
            HostOrContainer::Host | HostOrContainer::Container => Ok(Self {
                layout,
                service,
                side,
            }),
        }
    }

    pub(super) fn is_local(&self) -> bool {
        self.side == HostOrContainer::Host
    }

    /// The most instances that there are ports for.
    pub(super) fn most_instances(&self) -> u32 {
        match self.side {
            HostOrContainer::Host => self.layout.max_slots(self.service),
            HostOrContainer::Container => MAX_SLOTS,
        }
    }

    /// Whether the members of the service are known to be static. In a container only the group shows it.
    pub(super) fn is_static(&self) -> Result<bool> {
        if self.side == HostOrContainer::Container {
            return Ok(false);
        }
        let changed = Stack::open(self.layout)?
            .saved_settings()?
            .settings(self.service);
        Ok(changed
            .get(STATIC_MEMBERSHIP)
            .is_some_and(|value| value == "true"))
    }

    /// The number that the service was scaled to. An instance that has ended counts, as it does for `scale`; in a container only
    /// those that run are known.
    pub(super) async fn replicas(&self) -> Result<u32> {
        let count = match self.side {
            HostOrContainer::Host => Stack::open(self.layout)?
                .started_instances(self.service)?
                .len(),
            HostOrContainer::Container => self.layout.instances(self.service).await?.len(),
        };
        Ok(u32::try_from(count)?)
    }

    /// Returns when the instances are ready; in a container at once.
    pub(super) async fn scale_to(&self, count: u32) -> Result<()> {
        if self.side == HostOrContainer::Container {
            say(format_args!("scale {}={count}", self.service));
            return Ok(());
        }
        let guard = self.layout.interrupt().guard()?;
        let stack = Stack::open(self.layout)?;
        let lock = guard.unless_interrupted(stack.lock()).await?;
        let scaled = stack.scale(self.service.into(), count, &guard).await;
        drop(lock);
        // What it had started is stopped again.
        guard.check()?;
        for name in scaled? {
            note(format_args!(
                "{name} was killed and stays stopped: ./sandbox up {name}"
            ));
        }
        Ok(())
    }
}

/// Reads a ScaledObject from a file, or from standard input.
pub(super) fn read_manifest(path: &Path) -> Result<ScaledObject> {
    let text = read_text(path).map_err(|error| Usage::error(format_args!("{error:#}")))?;
    ScaledObject::from_yaml(&text)
        .map_err(|error| Usage::error(format_args!("{}: {error}", path.display())))
}

fn read_text(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin()
            .take(MANIFEST_LIMIT + 1)
            .read_to_string(&mut text),
        false => std::fs::File::open(path)
            .and_then(|file| file.take(MANIFEST_LIMIT + 1).read_to_string(&mut text)),
    };
    let read = read.with_context(|| format!("cannot read {}", path.display()))?;
    if read as u64 > MANIFEST_LIMIT {
        bail!("{} is longer than {MANIFEST_LIMIT} bytes", path.display());
    }
    Ok(text)
}
