// SPDX-License-Identifier: GPL-2.0

//! Mounting an image.

use super::{
    options::Options,
    Erofs,
    Image,
    Module,
    Shown, //
};
use crate::data::{
    meta::Meta,
    volume::{
        self,
        Volume, //
    }, //
};
use crate::format::{
    superblock::{
        Superblock,
        MAGIC, //
    },
    xattr::{
        self,
        PrefixSpace, //
    }, //
};
use crate::share::domain::{
    Domains,
    Membership, //
};
use crate::vfs::{
    inode::Inode,
    mount::{
        MountLog,
        Mountable,
        Param, //
    },
    sums,
    super_block::SuperBlock,
    PAGE_SIZE, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            AtomicFlag,
            Relaxed, //
        },
        Arc, //
    }, //
};

impl Mountable for Erofs {
    type Options = Options;
    type Super = Pin<KBox<Image>>;
    type Module = Module;

    fn parse(options: &mut Options, param: Param<'_>, log: &mut MountLog<'_>) -> Result {
        options.parse(param, log)
    }

    fn fill(
        sb: &SuperBlock<Self>,
        options: &Options,
        module: &Module,
        log: &mut MountLog<'_>,
    ) -> Result<Self::Super> {
        if options.inode_share && options.domain_id.is_none() {
            log.error(fmt!("domain_id is needed when inode_share is on"));
            return Err(EINVAL);
        }
        let raw = read_superblock(sb, options.fsoffset, log)?;
        let block_size = raw.block.size();
        if options.fsoffset % block_size != 0 {
            log.error(fmt!(
                "fsoffset {} is not aligned to block size {}",
                options.fsoffset,
                block_size
            ));
            return Err(EINVAL);
        }
        sb.set_block_size(u32::try_from(block_size)?)?;
        sb.set_identity(MAGIC, &raw.uuid);

        let volume = Arc::pin_init(
            Volume::new(raw, sb.block_device(), options.fsoffset, sb.id()),
            GFP_KERNEL,
        )?;
        if volume.sb.has_48bit() {
            volume.log.info(fmt!(
                "EXPERIMENTAL 48-bit layout support in use. Use at your own risk!"
            ));
        }
        let prefixes = read_prefixes(&volume, sb.id(), log)?;
        let sharing = enter_domain(&volume, options, &module.domains)?;
        let shown = Shown {
            numbers: None,
            dir: Arc::new(module.sysfs.dir(sb.id())?, GFP_KERNEL)?,
        };
        KBox::pin_init(
            pin_init!(Image {
                volume,
                prefixes,
                user_xattr: Atomic::new(i32::from(options.user_xattr)),
                cache_strategy: Atomic::new(options.cache_strategy),
                sharing,
                shown <- new_mutex!(Some(shown), "erofs::Image::shown"),
                shows_sharing: AtomicFlag::new(false),
            }),
            GFP_KERNEL,
        )
    }

    fn root(sb: &SuperBlock<Self>, log: &mut MountLog<'_>) -> Result<ARef<Inode<Self>>> {
        let volume = &sb.data().volume;
        let nid = volume.sb.root_nid;
        let root = super::inode::get(sb, nid).inspect_err(|e| {
            // The kernel's log has the fault already.
            log.tell(fmt!("cannot read root inode @ nid {}: {e:?}", nid.0));
        })?;
        if !super::inode::is_directory(&root) {
            log.refuse(sb.id(), fmt!("rootino(nid {}) is not a directory", nid.0));
            return Err(EINVAL);
        }
        volume
            .log
            .info(fmt!("mounted with root inode @ nid {}.", nid.0));
        Ok(root)
    }

    fn options(sb: &SuperBlock<Self>) -> Result<Options> {
        let image = sb.data();
        let given = sb.options();
        Ok(Options {
            user_xattr: image.shows_user_xattrs(),
            cache_strategy: image.cache_strategy.load(Relaxed),
            fsoffset: given.fsoffset,
            inode_share: given.inode_share,
            domain_id: match &given.domain_id {
                Some(id) => Some(id.duplicate()?),
                None => None,
            },
        })
    }

    fn remounted(sb: &SuperBlock<Self>, options: &Options, log: &mut MountLog<'_>) -> Result {
        let image = sb.data();
        let same = same_for_ever(sb, options)
            && options.user_xattr == image.shows_user_xattrs()
            && options.cache_strategy == image.cache_strategy.load(Relaxed);
        if same {
            return Ok(());
        }
        log.error(fmt!("the device is mounted already, with other options"));
        Err(EBUSY)
    }

    fn reconfigure(sb: &SuperBlock<Self>, options: &Options, log: &mut MountLog<'_>) -> Result {
        if !same_for_ever(sb, options) {
            log.error(fmt!(
                "fsoffset, inode_share and domain_id cannot be changed on remount"
            ));
            return Err(EINVAL);
        }
        let image = sb.data();
        image
            .user_xattr
            .store(i32::from(options.user_xattr), Relaxed);
        image.cache_strategy.store(options.cache_strategy, Relaxed);
        Ok(())
    }
}

impl Image {
    /// Whether `user.` xattrs are shown.
    pub(super) fn shows_user_xattrs(&self) -> bool {
        self.user_xattr.load(Relaxed) != 0
    }
}

/// Whether the options that a mount keeps for ever are those of `sb`.
fn same_for_ever(sb: &SuperBlock<Erofs>, options: &Options) -> bool {
    let given = sb.options();
    options.fsoffset == given.fsoffset
        && options.inode_share == given.inode_share
        // Without sharing it has no effect.
        && (!options.inode_share || options.domain_id == given.domain_id)
}

/// Reads the superblock, which says everything else.
fn read_superblock(
    sb: &SuperBlock<Erofs>,
    fsoffset: u64,
    log: &mut MountLog<'_>,
) -> Result<Superblock> {
    let device = sb.block_device();
    let len = device.len().saturating_sub(fsoffset);
    let mut meta = Meta::new(&device, fsoffset, len);
    let raw = Superblock::read(&mut meta, PAGE_SIZE as u32, sums::crc32c).map_err(|fault| {
        log.refuse(sb.id(), fmt!("{}", fault.what));
        volume::errno(&fault)
    })?;
    let missing = match (raw.extra_devices, raw.has_metabox()) {
        (0, false) => return Ok(raw),
        (0, true) => "a metabox is",
        _ => "extra devices are",
    };
    log.refuse(sb.id(), fmt!("{missing} not supported yet"));
    Err(EOPNOTSUPP)
}

/// Reads the table of long xattr prefixes, as far as it can be read without decompression.
fn read_prefixes(
    volume: &Volume,
    id: &CStr,
    log: &mut MountLog<'_>,
) -> Result<KVec<xattr::Prefix>> {
    let sb = &volume.sb;
    let mut prefixes = KVec::new();
    if sb.xattr_prefix_count == 0 {
        return Ok(prefixes);
    }
    if xattr::prefix_space(sb) != PrefixSpace::Primary {
        // Names with these prefixes are skipped, as those with an unknown index are.
        volume.log.info(fmt!(
            "xattr prefixes in the packed inode are not supported yet"
        ));
        return Ok(prefixes);
    }
    prefixes.reserve(usize::from(sb.xattr_prefix_count), GFP_KERNEL)?;
    xattr::read_prefixes(&mut volume.meta(), sb, |prefix| {
        prefixes
            .push(prefix, GFP_KERNEL)
            .map_err(|_| crate::format::Error::os(ENOMEM.to_errno().wrapping_neg(), "no memory"))
    })
    .map_err(|fault| {
        log.refuse(id, fmt!("{}", fault.what));
        volume::errno(&fault)
    })?;
    Ok(prefixes)
}

/// Takes the mount's place in its domain, if it shares.
fn enter_domain(
    volume: &Volume,
    options: &Options,
    domains: &Arc<Domains>,
) -> Result<Option<Membership>> {
    let (true, Some(id)) = (options.inode_share, &options.domain_id) else {
        return Ok(None);
    };
    if volume.sb.ishare_prefix.is_none() {
        volume.log.info(fmt!(
            "on-disk ishare xattrs not found. Turning off inode_share."
        ));
        return Ok(None);
    }
    volume.log.info(fmt!(
        "EXPERIMENTAL EROFS page cache share support in use. Use at your own risk!"
    ));
    domains.enter(id).map(Some)
}
