// SPDX-License-Identifier: GPL-2.0

//! What sysfs shows: the features that this driver knows, and a directory for each mount.

use super::Image;
use crate::data::volume::Volume;
use crate::format::compress::Algorithm;
use crate::share::{
    domain::Membership,
    stats::{
        self,
        Mount,
        Refusal,
        Refused, //
    }, //
};
use crate::vfs::{
    decode,
    sysfs::{
        Dir,
        File,
        Files, //
    }, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

/// The features that images may have. Whether one of them also needs what is not built in does not matter.
const FEATURES: &[File<()>] = &[
    feature(c"compr_cfgs"),
    feature(c"big_pcluster"),
    feature(c"chunked_file"),
    feature(c"device_table"),
    feature(c"compr_head2"),
    feature(c"sb_chksum"),
    feature(c"ztailpacking"),
    feature(c"fragments"),
    feature(c"dedupe"),
    feature(c"xattr_prefixes"),
    feature(c"48bit"),
    feature(c"metabox"),
];

const fn feature(name: &'static CStr) -> File<()> {
    File::word(name, c"supported")
}

/// Shows the features that images may have below `dir`.
pub(crate) fn show_features(dir: &Dir) -> Result<Files<()>> {
    Files::new(dir, c"features", (), FEATURES)
}

/// How a mount works; what is about decoding comes last.
const SETTINGS: &[File<Arc<Volume>>] = &[
    File::setting(
        c"dir_ra_bytes",
        |v| v.policy.dir_readahead().into(),
        |v, bytes| {
            let bytes = u32::try_from(bytes).map_err(|_| ERANGE)?;
            v.policy.set_dir_readahead(bytes);
            Ok(())
        },
    ),
    File::setting(
        c"sync_decompress",
        |v| v.policy.decoding() as u64,
        |v, number| {
            let number = u32::try_from(number).map_err(|_| ERANGE)?;
            v.policy.set_decoding(number).then_some(()).ok_or(EINVAL)
        },
    ),
    File::command(c"drop_caches", |v, number| drop_caches(v, number)),
];

/// A mount's directory.
pub(super) struct Shown {
    // Below the other, so it goes first.
    /// From the first file on that could share: most mounts end without.
    sharing: Option<Files<Mount>>,
    settings: Files<Arc<Volume>>,
}

impl Shown {
    /// Shows the mount as `name` below `dir`.
    pub(super) fn new(dir: &Dir, name: &CStr, volume: &Arc<Volume>) -> Result<Self> {
        let decodes = Algorithm::ALL.into_iter().any(decode::available);
        let settings = match decodes {
            true => SETTINGS,
            false => SETTINGS.get(..1).unwrap_or(&[]),
        };
        Ok(Self {
            sharing: None,
            settings: Files::new(dir, name, volume.clone(), settings)?,
        })
    }
}

/// Frees what is kept for decoding: 1: bytes of this mount; 2: decoders that nobody uses; 3: both.
fn drop_caches(volume: &Volume, number: u64) -> Result {
    if !(1..=3).contains(&number) {
        return Err(EINVAL);
    }
    if number & 2 != 0 {
        volume.decoders.free_unused();
    }
    if number & 1 != 0 {
        volume.leftovers.forget(volume.id);
    }
    Ok(())
}

impl Image {
    /// Shows the numbers of sharing, once there is something to be counted.
    pub(super) fn show_sharing(&self, sharing: &Membership) {
        if self.shows_sharing.load(Relaxed) || self.shows_sharing.xchg(true, Relaxed) {
            return;
        }
        if let Some(shown) = &mut *self.shown.lock() {
            let mount = Mount {
                domain: sharing.domain().clone(),
                volume: self.volume.clone(),
                refused: Refused::new(),
            };
            // Without memory for them, files are shared all the same.
            shown.sharing = stats::show_mount(shown.settings.dir(), mount).ok();
        }
    }

    /// Counts a file that is not shared, or not as one might expect.
    #[cold]
    pub(super) fn refuse(&self, sharing: &Membership, why: Refusal) {
        sharing.refused().count(why);
        self.show_sharing(sharing);
        if let Some(Shown {
            sharing: Some(numbers),
            ..
        }) = &*self.shown.lock()
        {
            numbers.owner().refused.count(why);
        }
    }
}
