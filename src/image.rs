// SPDX-License-Identifier: GPL-2.0

//! One mounted image: the filesystem as the VFS sees it.

mod dir;
mod file;
mod inode;
mod mount;
mod options;
mod super_ops;
mod xattr;

use crate::data::{
    decoder::Decoders,
    leftovers::Leftovers,
    volume::Volume, //
};
use crate::format::xattr::Prefix;
use crate::share::{
    domain::{
        Domains,
        Membership, //
    },
    stats::{
        self,
        Mount, //
    }, //
};
use crate::vfs::{
    inode::InodeCache,
    sysfs::{
        Dir,
        Numbers, //
    }, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            AtomicFlag,
            Relaxed, //
        },
        Arc,
        Mutex,
        SetOnce, //
    }, //
};

/// The filesystem.
pub(crate) struct Erofs;

static INODES: InodeCache<Erofs> = InodeCache::new();

/// What all mounts share.
pub(crate) struct Module {
    /// What decodes.
    pub(crate) decoders: Arc<Decoders>,
    /// What was decoded and not used.
    pub(crate) leftovers: Arc<Leftovers>,
    /// Domains of page-cache sharing.
    pub(crate) domains: Arc<Domains>,
    /// /sys/fs/erofs
    pub(crate) sysfs: Arc<Dir>,
}

/// A mounted image.
#[pin_data]
pub(crate) struct Image {
    volume: Arc<Volume>,
    /// Long prefixes of xattr names, by their index; set while mounting.
    prefixes: SetOnce<KVec<Prefix>>,
    /// Whether `user.` xattrs are shown.
    user_xattr: Atomic<i32>,
    /// The place in a domain, of a mount that shares.
    sharing: Option<Membership>,
    /// The mount's directory in sysfs, from mount to unmount.
    #[pin]
    shown: Mutex<Option<Shown>>,
    /// Whether it has the numbers of sharing.
    shows_sharing: AtomicFlag,
}

/// A mount's directory in sysfs.
struct Shown {
    /// From the first file that joins on: most mounts end without.
    numbers: Option<Numbers<Mount>>,
    dir: Arc<Dir>,
}

impl Image {
    /// Long prefixes of xattr names, by their index.
    fn prefixes(&self) -> &[Prefix] {
        self.prefixes.as_ref().map_or(&[], |prefixes| prefixes)
    }

    /// Shows the numbers of sharing, once there is something to be counted.
    fn show_sharing(&self, sharing: &Membership) {
        if self.shows_sharing.load(Relaxed) || self.shows_sharing.xchg(true, Relaxed) {
            return;
        }
        if let Some(shown) = &mut *self.shown.lock() {
            let mount = Mount {
                domain: sharing.domain().clone(),
                volume: self.volume.clone(),
            };
            // Without memory for them, files are shared all the same.
            shown.numbers = stats::show_mount(&shown.dir, &mount).ok();
        }
    }
}
