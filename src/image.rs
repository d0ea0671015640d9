// SPDX-License-Identifier: GPL-2.0

//! One mounted image: the filesystem as the VFS sees it.

mod dir;
mod export;
mod file;
mod inode;
mod mount;
mod options;
mod super_ops;
mod sysfs;
mod xattr;

use crate::data::{
    decoder::Decoders,
    leftovers::Leftovers,
    volume::Volume, //
};
use crate::format::xattr::Prefix;
use crate::share::domain::{
    Domains,
    Membership, //
};
use crate::vfs::{
    inode::InodeCache,
    store::OpenStore,
    sysfs::Dir, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            AtomicFlag, //
        },
        Arc,
        Mutex,
        SetOnce, //
    }, //
};
use sysfs::Shown;

pub(crate) use sysfs::show_features;

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
    /// The extra devices, open as long as the mount is there.
    _devices: KVec<OpenStore>,
    /// Their blocks.
    extra_blocks: u64,
    /// Long prefixes of xattr names, by their index; set while mounting.
    prefixes: SetOnce<KVec<Prefix>>,
    /// Whether `user.` xattrs are shown.
    user_xattr: Atomic<i32>,
    /// The place in a domain, of a mount that shares.
    sharing: Option<Membership>,
    /// /sys/fs/erofs
    sysfs: Arc<Dir>,
    /// The mount's directory there, from the end of a mount that succeeds to unmount.
    #[pin]
    shown: Mutex<Option<Shown>>,
    /// Whether it has the numbers of sharing.
    shows_sharing: AtomicFlag,
}

impl Image {
    /// Long prefixes of xattr names, by their index.
    fn prefixes(&self) -> &[Prefix] {
        self.prefixes.as_ref().map_or(&[], |prefixes| prefixes)
    }
}
