// SPDX-License-Identifier: GPL-2.0

//! What is shared, in numbers.

use super::domain::{
    Domain,
    Domains, //
};
use crate::data::volume::Volume;
use crate::vfs::sysfs::{
    Dir,
    File,
    Files, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
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

/// Why a file is not shared, or not as one might expect; or why none of a mount's files is.
#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    /// The file has no bytes.
    Empty,
    /// The file carries no fingerprint, an empty one, or one that is damaged.
    NoFingerprint,
    /// Another content with this fingerprint is in memory, of another size or block size. The file is shared with its own
    /// equals.
    OtherSize,
    /// The mount does not ask for sharing, so it is in no domain.
    MountNoDomain,
    /// The mount asks for sharing, and its image names no fingerprints.
    MountNoFingerprints,
}

/// How often each [`Refusal`] was met. A file is counted when it is opened first, once for each time that its inode comes
/// into memory.
pub(crate) struct Refused([Atomic<u64>; 5]);

impl Refused {
    pub(crate) fn new() -> Self {
        Self([const { Atomic::new(0) }; 5])
    }

    /// Counts one.
    pub(crate) fn count(&self, why: Refusal) {
        if let Some(count) = self.0.get(why as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    fn get(&self, why: Refusal) -> u64 {
        self.0
            .get(why as usize)
            .map_or(0, |count| count.load(Relaxed))
    }
}

/// A mount that shares, as far as its numbers go.
pub(crate) struct Mount {
    /// Its domain.
    pub(crate) domain: Arc<Domain>,
    /// Its device.
    pub(crate) volume: Arc<Volume>,
    /// What it does not share.
    pub(crate) refused: Refused,
}

/// The name of the numbers' directory.
const NAME: &CStr = c"sharing";

/// Shows the numbers of the whole module below `dir`.
pub(crate) fn show_module(dir: &Dir, domains: &Arc<Domains>) -> Result<Files<Arc<Domains>>> {
    const FILES: &[File<Arc<Domains>>] = &[
        File::count(c"shared_inodes", |d| Usage::of_module(d).shared_inodes),
        File::count(c"members", |d| Usage::of_module(d).members),
        File::count(c"pages", |d| Usage::of_module(d).pages),
        File::count(c"refused_empty", |d| d.refused().get(Refusal::Empty)),
        File::count(c"refused_no_fingerprint", |d| {
            d.refused().get(Refusal::NoFingerprint)
        }),
        File::count(c"refused_other_size", |d| {
            d.refused().get(Refusal::OtherSize)
        }),
        File::count(c"mounts_no_domain", |d| {
            d.refused().get(Refusal::MountNoDomain)
        }),
        File::count(c"mounts_no_fingerprints", |d| {
            d.refused().get(Refusal::MountNoFingerprints)
        }),
    ];
    Files::new(dir, NAME, domains.clone(), FILES)
}

/// Shows the numbers of one mount below `dir`.
pub(crate) fn show_mount(dir: &Dir, mount: Mount) -> Result<Files<Mount>> {
    const FILES: &[File<Mount>] = &[
        File::count(c"shared_inodes", |m| Usage::of_mount(m).shared_inodes),
        File::count(c"members", |m| Usage::of_mount(m).members),
        File::count(c"pages", |m| Usage::of_mount(m).pages),
        File::count(c"refused_empty", |m| m.refused.get(Refusal::Empty)),
        File::count(c"refused_no_fingerprint", |m| {
            m.refused.get(Refusal::NoFingerprint)
        }),
        File::count(c"refused_other_size", |m| m.refused.get(Refusal::OtherSize)),
    ];
    Files::new(dir, NAME, mount, FILES)
}
