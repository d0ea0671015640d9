// SPDX-License-Identifier: GPL-2.0

//! One mounted image: the filesystem as the VFS sees it.

mod dir;
mod file;
mod inode;
mod mount;
mod options;
mod super_ops;
mod xattr;

use crate::data::volume::Volume;
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
        atomic::Atomic,
        Arc,
        Mutex, //
    }, //
};

/// The filesystem.
pub(crate) struct Erofs;

static INODES: InodeCache<Erofs> = InodeCache::new();

/// What all mounts share.
pub(crate) struct Module {
    /// Domains of page-cache sharing.
    pub(crate) domains: Arc<Domains>,
    /// /sys/fs/erofs
    pub(crate) sysfs: Arc<Dir>,
}

/// A mounted image.
#[pin_data]
pub(crate) struct Image {
    volume: Arc<Volume>,
    /// Long prefixes of xattr names, by their index.
    prefixes: KVec<Prefix>,
    /// Whether `user.` xattrs are shown.
    user_xattr: Atomic<i32>,
    cache_strategy: Atomic<i32>,
    /// The place in a domain, of a mount that shares.
    sharing: Option<Membership>,
    /// The mount's numbers, from mount to unmount.
    #[pin]
    shown: Mutex<Option<Shown>>,
}

/// A mount's directory in sysfs; with numbers in it, if the mount shares.
struct Shown {
    _numbers: Option<Numbers<Mount>>,
    _dir: Arc<Dir>,
}

impl Shown {
    fn new(parent: &Dir, name: &CStr, mount: Option<&Mount>) -> Result<Self> {
        let dir = Arc::new(parent.dir(name)?, GFP_KERNEL)?;
        Ok(Self {
            _numbers: mount.map(|m| stats::show_mount(&dir, m)).transpose()?,
            _dir: dir,
        })
    }
}
