// SPDX-License-Identifier: GPL-2.0

//! What is shared, in numbers.

use super::domain::{
    Domain,
    Domains, //
};
use crate::data::volume::Volume;
use crate::vfs::sysfs::{
    Dir,
    Numbers, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The numbers of the whole module, or of one mount.
#[derive(Clone, Copy, Default)]
struct Usage {
    /// Shared inodes: contents with an owner in memory.
    shared_inodes: u64,
    /// Files that read through them.
    members: u64,
    /// Pages of theirs in the page cache.
    pages: u64,
}

impl Usage {
    /// Adds what `domain` shares; with a `volume`, only what files of it take part in.
    fn add(&mut self, domain: &Domain, volume: Option<&Arc<Volume>>) {
        let Some(instance) = domain.instance() else {
            return;
        };
        instance.super_block().for_each_file(|inode, pages| {
            let members = inode.data().count(volume) as u64;
            if members > 0 || volume.is_none() {
                self.shared_inodes = self.shared_inodes.wrapping_add(1);
                self.members = self.members.wrapping_add(members);
                self.pages = self.pages.wrapping_add(pages);
            }
        });
    }

    fn of_module(domains: &Arc<Domains>) -> Self {
        let mut usage = Self::default();
        domains.for_each(|domain| usage.add(domain, None));
        usage
    }

    fn of_mount(mount: &Mount) -> Self {
        let mut usage = Self::default();
        usage.add(&mount.domain, Some(&mount.volume));
        usage
    }
}

/// A mount that shares, as far as its numbers go.
#[derive(Clone)]
pub(crate) struct Mount {
    /// Its domain.
    pub(crate) domain: Arc<Domain>,
    /// Its device.
    pub(crate) volume: Arc<Volume>,
}

/// The name of the numbers' directory.
const NAME: &CStr = c"sharing";

/// Shows the numbers of the whole module in `dir`.
pub(crate) fn show_module(dir: &Arc<Dir>, domains: &Arc<Domains>) -> Result<Numbers<Arc<Domains>>> {
    Numbers::new(
        dir,
        NAME,
        domains,
        &[
            (c"shared_inodes", |d| Usage::of_module(d).shared_inodes),
            (c"members", |d| Usage::of_module(d).members),
            (c"pages", |d| Usage::of_module(d).pages),
        ],
    )
}

/// Shows the numbers of one mount in `dir`.
pub(crate) fn show_mount(dir: &Arc<Dir>, mount: &Mount) -> Result<Numbers<Mount>> {
    Numbers::new(
        dir,
        NAME,
        mount,
        &[
            (c"shared_inodes", |m| Usage::of_mount(m).shared_inodes),
            (c"members", |m| Usage::of_mount(m).members),
            (c"pages", |m| Usage::of_mount(m).pages),
        ],
    )
}
