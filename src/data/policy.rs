// SPDX-License-Identifier: GPL-2.0

//! What a mount wants of reading and decoding, changeable while it is mounted.

use kernel::sync::atomic::{
    Atomic,
    AtomicFlag,
    Relaxed, //
};

/// Which decoded bytes are kept or read ahead beyond those that were asked for: `cache_strategy`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cache {
    /// None.
    Disabled,
    /// Those behind.
    ReadAhead,
    /// Those before, too.
    ReadAround,
}

impl Cache {
    /// From the number of the mount option.
    pub(crate) fn new(number: u32) -> Self {
        match number {
            0 => Self::Disabled,
            1 => Self::ReadAhead,
            _ => Self::ReadAround,
        }
    }

    pub(crate) fn behind(self) -> bool {
        self != Self::Disabled
    }

    pub(crate) fn before(self) -> bool {
        self == Self::ReadAround
    }
}

/// Who decodes: `sync_decompress` in sysfs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decoding {
    /// A reader who waits for a page; what is read ahead by whoever is there when it arrives.
    Auto,
    /// A reader, also what little is read ahead.
    Here,
    /// Never a reader.
    Elsewhere,
}

/// The policy of one mount.
pub(crate) struct Policy {
    cache: Atomic<u32>,
    decoding: Atomic<u32>,
    /// In bytes.
    dir_readahead: Atomic<u32>,
    direct: AtomicFlag,
}

impl Policy {
    /// As it is at mount.
    pub(crate) fn new(cache: Cache, direct: bool) -> Self {
        Self {
            cache: Atomic::new(cache as u32),
            decoding: Atomic::new(0),
            dir_readahead: Atomic::new(16384),
            direct: AtomicFlag::new(direct),
        }
    }

    /// How far ahead of its reader a directory is read, in bytes: `dir_ra_bytes` in sysfs.
    pub(crate) fn dir_readahead(&self) -> u32 {
        self.dir_readahead.load(Relaxed)
    }

    pub(crate) fn set_dir_readahead(&self, bytes: u32) {
        self.dir_readahead.store(bytes, Relaxed);
    }

    pub(crate) fn cache(&self) -> Cache {
        Cache::new(self.cache.load(Relaxed))
    }

    pub(crate) fn set_cache(&self, cache: Cache) {
        self.cache.store(cache as u32, Relaxed);
    }

    /// Whether backing files are read past their page cache: `directio`.
    pub(crate) fn direct(&self) -> bool {
        self.direct.load(Relaxed)
    }

    pub(crate) fn set_direct(&self, direct: bool) {
        self.direct.store(direct, Relaxed);
    }

    pub(crate) fn decoding(&self) -> Decoding {
        match self.decoding.load(Relaxed) {
            0 => Decoding::Auto,
            1 => Decoding::Here,
            _ => Decoding::Elsewhere,
        }
    }

    /// By the number that sysfs has; `false` if there is no such one.
    pub(crate) fn set_decoding(&self, number: u32) -> bool {
        let known = number <= Decoding::Elsewhere as u32;
        if known {
            self.decoding.store(number, Relaxed);
        }
        known
    }
}
