// SPDX-License-Identifier: GPL-2.0

//! Mounting an image.

use super::{
    options::Options,
    sysfs::Shown,
    Erofs,
    Image,
    Module, //
};
use crate::data::{
    compressed::{
        Packed,
        PackedContent, //
    },
    decoder::Reservation,
    device::{
        Devices,
        Primary,
        Slot, //
    },
    policy::Policy,
    volume::{
        self,
        Volume, //
    }, //
};
use crate::format::{
    compress::Algorithm,
    inode::Nid,
    superblock::{
        Superblock,
        MAGIC, //
    },
    xattr::{
        self,
        PrefixSpace, //
    }, //
};
use crate::share::{
    domain::{
        Domains,
        Membership, //
    },
    stats::Refusal, //
};
use crate::vfs::{
    dax::Memory,
    decode,
    inode::{
        Held,
        Inode, //
    },
    log,
    mount::{
        MountLog,
        Mountable,
        Param, //
    },
    store::{
        OpenStore,
        Store, //
    },
    sums,
    super_block::SuperBlock,
    PAGE_SIZE, //
};
use kernel::{
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            AtomicFlag,
            Relaxed, //
        },
        Arc,
        SetOnce, //
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
        if options.inode_share && options.dax == Some(true) {
            log.error(fmt!("FSDAX is not allowed when inode_share is on"));
            return Err(EINVAL);
        }
        let primary = Primary::new(sb.store(), options.fsoffset);
        let raw = read_superblock(sb.id(), &primary, log)?;
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
        sb.set_acls(options.acl);

        let extra = open_devices(sb, &primary, &raw, &options.devices, log)?;
        let shared = volume::Shared {
            dev: sb.dev(),
            decoders: reserve_decoders(sb.id(), &raw, module, log)?,
            leftovers: module.leftovers.clone(),
            policy: Policy::new(options.cache, options.directio),
            memory: find_memory(sb, &raw, options, &extra.open)?,
        };
        let volume = Arc::pin_init(
            Volume::new(raw, Devices::new(primary, extra.slots), sb.id(), shared),
            GFP_KERNEL,
        )?;
        if volume.sb.has_48bit() {
            volume.log.info(fmt!(
                "EXPERIMENTAL 48-bit layout support in use. Use at your own risk!"
            ));
        }
        if volume.sb.has_metabox() {
            volume.log.info(fmt!(
                "EXPERIMENTAL metadata compression support in use. Use at your own risk!"
            ));
        }
        let sharing = enter_domain(&volume, options, &module.domains)?;
        KBox::pin_init(
            pin_init!(Image {
                volume,
                _devices: extra.open,
                extra_blocks: extra.blocks,
                prefixes: SetOnce::new(),
                user_xattr: Atomic::new(i32::from(options.user_xattr)),
                sharing,
                sysfs: module.sysfs.clone(),
                shown <- new_mutex!(None, "erofs::Image::shown"),
                shows_sharing: AtomicFlag::new(false),
            }),
            GFP_KERNEL,
        )
    }

    fn root(sb: &SuperBlock<Self>, log: &mut MountLog<'_>) -> Result<ARef<Inode<Self>>> {
        let image = sb.data();
        let volume = &image.volume;
        if let Some(nid) = volume.sb.packed_nid {
            let packed = read_packed(volume, nid);
            volume.set_packed(packed.inspect_err(|e| tell(log, "packed", nid, *e))?);
        }
        if let Some(nid) = volume.sb.metabox_nid {
            let metabox = super::inode::get(sb, nid);
            let metabox = metabox.inspect_err(|e| tell(log, "metabox", nid, *e))?;
            volume.set_metabox(Held::new(metabox));
        }
        let nid = volume.sb.root_nid;
        let root = super::inode::get(sb, nid).inspect_err(|e| tell(log, "root", nid, *e))?;
        if !super::inode::is_directory(&root) {
            log.refuse(sb.id(), fmt!("rootino(nid {}) is not a directory", nid.0));
            return Err(EINVAL);
        }
        image
            .prefixes
            .populate(read_prefixes(volume, sb.id(), log)?);
        *image.shown.lock() = Some(Shown::new(&image.sysfs, sb.id(), volume)?);
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
            acl: sb.has_acls(),
            cache: image.volume.policy.cache(),
            dax: given.dax,
            fsoffset: given.fsoffset,
            // Only if they are named anew there is something to be compared.
            devices: KVec::new(),
            directio: image.volume.policy.direct(),
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
            && same_devices(sb, options)
            && options.user_xattr == image.shows_user_xattrs()
            && options.acl == sb.has_acls()
            && options.cache == image.volume.policy.cache();
        if same {
            return Ok(());
        }
        log.error(fmt!("the device is mounted already, with other options"));
        Err(EBUSY)
    }

    fn reconfigure(sb: &SuperBlock<Self>, options: &Options, log: &mut MountLog<'_>) -> Result {
        if !same_for_ever(sb, options) || !(options.devices.is_empty() || same_devices(sb, options))
        {
            log.error(fmt!(
                "dax, device, fsoffset, inode_share and domain_id cannot be changed on remount"
            ));
            return Err(EINVAL);
        }
        let image = sb.data();
        image
            .user_xattr
            .store(i32::from(options.user_xattr), Relaxed);
        sb.set_acls(options.acl);
        image.volume.policy.set_cache(options.cache);
        image.volume.policy.set_direct(options.directio);
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
    options.dax == given.dax
        && options.fsoffset == given.fsoffset
        && options.inode_share == given.inode_share
        // Without sharing it has no effect.
        && (!options.inode_share || options.domain_id == given.domain_id)
}

/// Whether the extra devices that were named are those of `sb`.
fn same_devices(sb: &SuperBlock<Erofs>, options: &Options) -> bool {
    let given = &sb.options().devices;
    let mut pairs = options.devices.iter().zip(given);
    options.devices.len() == given.len() && pairs.all(|(a, b)| a.to_bytes() == b.to_bytes())
}

/// Reads the superblock, which says everything else.
fn read_superblock(id: &CStr, primary: &Primary, log: &mut MountLog<'_>) -> Result<Superblock> {
    Superblock::read(&mut primary.meta(), PAGE_SIZE as u32, sums::crc32c).map_err(|fault| {
        log.refuse(id, fmt!("{}", fault.what));
        volume::errno(&fault)
    })
}

/// The extra devices of an image.
struct Extra {
    slots: KVec<Slot>,
    open: KVec<OpenStore>,
    blocks: u64,
}

/// Reads the device table, and opens the devices of `paths`, one for each slot. Without paths all are in the primary
/// device.
fn open_devices(
    sb: &SuperBlock<Erofs>,
    primary: &Primary,
    raw: &Superblock,
    paths: &[CString],
    log: &mut MountLog<'_>,
) -> Result<Extra> {
    let count = usize::from(raw.extra_devices);
    if !paths.is_empty() && paths.len() != count {
        log.refuse(
            sb.id(),
            fmt!(
                "extra devices don't match (ondisk {count}, given {})",
                paths.len()
            ),
        );
        return Err(EINVAL);
    }
    let mut extra = Extra {
        slots: KVec::with_capacity(count, GFP_KERNEL)?,
        open: KVec::with_capacity(paths.len(), GFP_KERNEL)?,
        blocks: 0,
    };
    let mut meta = primary.meta();
    for number in 0..raw.extra_devices {
        let slot = raw.device_slot(&mut meta, number).map_err(|fault| {
            log.refuse(sb.id(), fmt!("{}", fault.what));
            volume::errno(&fault)
        })?;
        let store = match paths.get(usize::from(number)) {
            Some(path) => {
                let open = sb.open_store(path).inspect_err(|e| {
                    log.refuse(sb.id(), fmt!("cannot open extra device {number}: {e:?}"));
                })?;
                let store = open.store();
                extra.open.push(open, GFP_KERNEL)?;
                Some(store)
            }
            None => None,
        };
        extra.blocks = extra.blocks.saturating_add(slot.blocks);
        extra
            .slots
            .push(Slot::new(&slot, raw.block, store), GFP_KERNEL)?;
    }
    Ok(extra)
}

/// The memory that each device is, if files are to be read and mapped there, and all can be.
fn find_memory(
    sb: &SuperBlock<Erofs>,
    raw: &Superblock,
    options: &Options,
    extra: &[OpenStore],
) -> Result<KVec<Memory>> {
    let mut found = KVec::new();
    if options.dax != Some(true) {
        return Ok(found);
    }
    let paths = options.devices.iter().map(|path| &**path);
    let primary = core::iter::once((sb.store(), c"block device"));
    let extra = extra.iter().map(OpenStore::store).zip(paths);
    for (store, name) in Iterator::chain(primary, extra) {
        let memory = match store {
            Store::Block(device) => Memory::of(device),
            Store::File(_) => None,
        };
        let Some(memory) = memory else {
            log::info(sb.id(), fmt!("DAX unsupported by {name}. Turning off DAX."));
            return Ok(KVec::new());
        };
        found.push(memory, GFP_KERNEL)?;
    }
    if raw.block.size() != PAGE_SIZE as u64 {
        log::info(sb.id(), fmt!("unsupported blocksize for DAX"));
        return Ok(KVec::new());
    }
    Ok(found)
}

/// Takes what it needs to decode the image's algorithms.
fn reserve_decoders(
    id: &CStr,
    sb: &Superblock,
    module: &Module,
    log: &mut MountLog<'_>,
) -> Result<Reservation> {
    let algorithms = Algorithm::ALL
        .into_iter()
        .filter(|algorithm| sb.has_algorithm(*algorithm));
    if let Some(missing) = algorithms.clone().find(|a| !decode::available(*a)) {
        log.refuse(
            id,
            fmt!("algorithm {} is not built into this kernel", missing.name()),
        );
        return Err(EOPNOTSUPP);
    }
    module.decoders.reserve(algorithms, 1 << sb.zstd_window_log)
}

/// Tells the mount's own log of an inode that the mount needs; the kernel's has the fault already.
fn tell(log: &mut MountLog<'_>, which: &str, nid: Nid, e: Error) {
    log.tell(fmt!("cannot read {which} inode @ nid {}: {e:?}", nid.0));
}

/// Reads the inode that fragments lie in.
fn read_packed(volume: &Volume, nid: Nid) -> Result<Packed> {
    Packed::read(volume, nid).map_err(|fault| volume.report(nid, fault))
}

/// Reads the table of long xattr prefixes.
fn read_prefixes(
    volume: &Arc<Volume>,
    id: &CStr,
    log: &mut MountLog<'_>,
) -> Result<KVec<xattr::Prefix>> {
    let sb = &volume.sb;
    let mut prefixes = KVec::new();
    if sb.xattr_prefix_count == 0 {
        return Ok(prefixes);
    }
    prefixes.reserve(usize::from(sb.xattr_prefix_count), GFP_KERNEL)?;
    let push = |prefix| {
        prefixes
            .push(prefix, GFP_KERNEL)
            .map_err(|_| crate::format::Error::os(ENOMEM.to_errno().wrapping_neg(), "no memory"))
    };
    match xattr::prefix_space(sb) {
        PrefixSpace::Primary => xattr::read_prefixes(&mut volume.meta(), sb, push),
        PrefixSpace::Metabox => xattr::read_prefixes(&mut volume.metabox(), sb, push),
        PrefixSpace::Packed => match PackedContent::new(volume) {
            Some(mut packed) => xattr::read_prefixes(&mut packed, sb, push),
            None => Ok(()),
        },
    }
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
        domains.refused().count(Refusal::MountNoDomain);
        return Ok(None);
    };
    if volume.sb.ishare_prefix.is_none() {
        domains.refused().count(Refusal::MountNoFingerprints);
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
