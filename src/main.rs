// SPDX-License-Identifier: GPL-2.0

//! EROFS: a read-only filesystem whose images share the page cache of equal files.
//!
//! The rooms, from the door inwards: `image` is a mounted image as the VFS sees it; `share` keeps what images have
//! in common; `data` brings a file's bytes; `format` knows what the bytes of an image mean. All but `format` stand
//! on `vfs`, the safe side of the kernel's C interfaces in `bindings`. Imports go this way only.

#![crate_name = "erofs_main"]

mod bindings;
mod data;
mod format;
mod image;
mod share;
mod vfs;

use data::{
    decoder::Decoders,
    leftovers::Leftovers, //
};
use image::Erofs;
use kernel::{
    prelude::*,
    sync::Arc,
    InPlaceModule, //
};
use share::{
    domain::Domains,
    stats, //
};
use vfs::{
    bio::PoolRegistration,
    inode::{
        InodeCache,
        InodeCacheRegistration, //
    },
    mount::Registration,
    shrinker::Shrinker,
    sysfs::{
        Dir,
        Files, //
    },
    work, //
};

module! {
    type: ErofsModule,
    name: "erofs",
    authors: ["The erofs-rust authors"],
    description: "Enhanced ROM File System in Rust, with page cache sharing",
    license: "GPL",
    alias: ["fs-erofs"],
}

/// The loaded module. Dropped from top to bottom: first nobody can mount any more, last the memory goes.
#[pin_data]
struct ErofsModule {
    #[pin]
    _filesystem: Registration<Erofs>,
    _numbers: Files<Arc<Domains>>,
    _features: Files<()>,
    _sysfs: Arc<Dir>,
    _domains: Arc<Domains>,
    _memory: Memory,
}

/// What mounts take their memory from. Dropped from top to bottom.
struct Memory {
    _inodes: InodeCacheRegistration<Erofs>,
    /// Waits for work that is late.
    _work: work::Registration,
    _bios: PoolRegistration,
    _leftovers: Shrinker<Leftovers>,
    _decoders: Shrinker<Decoders>,
}

impl InPlaceModule for ErofsModule {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let parts = move || {
            let sysfs = Dir::in_fs(c"erofs").inspect_err(|e| {
                if *e == EEXIST {
                    pr_err!("another driver named erofs is built into this kernel\n");
                }
            })?;
            let sysfs = Arc::new(sysfs, GFP_KERNEL)?;
            let decoders = Decoders::new()?;
            let leftovers = Leftovers::new()?;
            let memory = Memory {
                _decoders: Shrinker::new(c"erofs-decoders", decoders.clone())?,
                _leftovers: Shrinker::new(c"erofs-leftovers", leftovers.clone())?,
                _bios: PoolRegistration::new()?,
                _work: work::Registration::new()?,
                _inodes: InodeCache::<Erofs>::create(c"erofs_inode")?,
            };
            let domains = Domains::new(module)?;
            let numbers = stats::show_module(&sysfs, &domains)?;
            let features = image::show_features(&sysfs)?;
            let shared = image::Module {
                decoders,
                leftovers,
                domains: domains.clone(),
                sysfs: sysfs.clone(),
            };
            Ok::<_, Error>((memory, domains, sysfs, features, numbers, shared))
        };
        pin_init::pin_init_scope(move || {
            let (memory, domains, sysfs, features, numbers, shared) = parts()?;
            Ok(try_pin_init!(Self {
                _memory: memory,
                _domains: domains,
                _sysfs: sysfs,
                _features: features,
                _numbers: numbers,
                _filesystem <- Registration::new(c"erofs", module, shared),
            }))
        })
    }
}
