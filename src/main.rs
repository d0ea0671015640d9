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

use data::decoder::Decoders;
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
        Numbers, //
    }, //
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
    _numbers: Numbers<Arc<Domains>>,
    _sysfs: Arc<Dir>,
    _domains: Arc<Domains>,
    _inodes: InodeCacheRegistration<Erofs>,
    _bios: PoolRegistration,
    _decoders: Shrinker<Decoders>,
}

impl InPlaceModule for ErofsModule {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let parts = move || {
            let decoders = Decoders::new()?;
            let shrinker = Shrinker::new(c"erofs-decoders", decoders)?;
            let bios = PoolRegistration::new()?;
            let inodes = InodeCache::<Erofs>::create(c"erofs_inode")?;
            let domains = Domains::new(module)?;
            let sysfs = Arc::new(Dir::in_fs(c"erofs")?, GFP_KERNEL)?;
            let numbers = stats::show_module(&sysfs, &domains)?;
            Ok::<_, Error>((shrinker, bios, inodes, domains, sysfs, numbers))
        };
        pin_init::pin_init_scope(move || {
            let (shrinker, bios, inodes, domains, sysfs, numbers) = parts()?;
            let shared = image::Module {
                domains: domains.clone(),
                sysfs: sysfs.clone(),
            };
            Ok(try_pin_init!(Self {
                _decoders: shrinker,
                _bios: bios,
                _inodes: inodes,
                _domains: domains,
                _sysfs: sysfs,
                _numbers: numbers,
                _filesystem <- Registration::new(c"erofs", module, shared),
            }))
        })
    }
}
