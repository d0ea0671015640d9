// SPDX-License-Identifier: GPL-2.0

//! What bytes of a filesystem are stored on.

use super::{
    backing::{
        BackingFile,
        OpenFile, //
    },
    block::{
        BlockDevice,
        ClaimedDevice, //
    },
    page_cache::Pages, //
};

/// A block device or a regular file, open.
#[derive(Clone, Copy)]
pub(crate) enum Store {
    Block(BlockDevice),
    File(BackingFile),
}

impl Store {
    /// Its page cache.
    #[inline]
    pub(crate) fn pages(&self) -> Pages<'_> {
        match self {
            Self::Block(device) => device.mapping().into(),
            Self::File(file) => file.pages(),
        }
    }

    /// Its size in bytes.
    #[inline]
    pub(crate) fn len(self) -> u64 {
        match self {
            Self::Block(device) => device.len(),
            Self::File(file) => file.len(),
        }
    }
}

/// A store that a superblock has opened besides its first one; closed when dropped.
pub(crate) enum OpenStore {
    Block(ClaimedDevice),
    File(OpenFile),
}

impl OpenStore {
    /// The store, as long as `self` is there.
    pub(crate) fn store(&self) -> Store {
        match self {
            Self::Block(device) => Store::Block(device.device()),
            Self::File(file) => Store::File(file.backing()),
        }
    }
}
