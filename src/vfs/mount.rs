// SPDX-License-Identifier: GPL-2.0

//! Filesystem types that can be mounted, and the way from options to a superblock.
//!
//! `fsopen` makes a [`Mount`] with default options (a reconfiguration starts from the options in effect), each option
//! changes it, `get_tree` hands it to the superblock, `kill_sb` drops it.
//!
//! C headers: [`include/linux/fs_context.h`](srctree/include/linux/fs_context.h),
//! [`include/linux/fs_parser.h`](srctree/include/linux/fs_parser.h)

mod source;

use crate::bindings;
use crate::vfs::{
    backing::OpenFile,
    export::{
        self,
        ExportOps, //
    },
    inode::{
        FileSystem,
        Inode, //
    },
    log,
    super_block::{
        self,
        SuperBlock,
        SuperOps, //
    },
    xattr, //
};
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    mem::{
        offset_of,
        ManuallyDrop, //
    },
    ptr::NonNull, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    fmt,
    prelude::*,
    str::CString,
    sync::aref::ARef,
    types::Opaque, //
};

/// A mount option, as parsed by the kernel's parser from `erofs_helper_parameters` in helpers.c.
pub(crate) enum Param<'a> {
    /// `user_xattr` or `nouser_xattr`.
    UserXattr(bool),
    /// `acl` or `noacl`.
    Acl(bool),
    /// `cache_strategy=`.
    CacheStrategy(u32),
    /// `dax` or `dax=`: always or never.
    Dax(bool),
    /// `device=`; never empty.
    Device(&'a CStr),
    /// `domain_id=`; never empty.
    DomainId(&'a [u8]),
    /// `directio` or `nodirectio`.
    DirectIo(bool),
    /// `fsoffset=`.
    FsOffset(u64),
    /// `inode_share`.
    InodeShare,
}

/// Where a mount's errors go: the kernel's log, and the mount's own, which only the new mount API has.
pub(crate) struct MountLog<'a>(&'a mut bindings::fs_context);

impl MountLog<'_> {
    /// Tells of a wrong option.
    pub(crate) fn error(&mut self, text: fmt::Arguments<'_>) {
        pr_err!("{text}\n");
        self.tell(text);
    }

    /// Tells why the image on device `id` is not mounted.
    pub(crate) fn refuse(&mut self, id: &CStr, text: fmt::Arguments<'_>) {
        log::error(id, text);
        self.tell(text);
    }

    /// Adds to the mount's own log only.
    pub(crate) fn tell(&mut self, text: fmt::Arguments<'_>) {
        if self.0.log.log.is_null() {
            return;
        }
        // Without memory for the text the errno must do.
        if let Ok(text) = CString::try_from_fmt(text) {
            // SAFETY: The context is ours during the call, and `text` is NUL-terminated.
            unsafe { bindings::erofs_helper_errorfc(self.0, text.as_char_ptr()) };
        }
    }
}

/// A filesystem that can be mounted.
pub(crate) trait Mountable: FileSystem {
    /// The options of one mount.
    type Options: Default + Send + Sync;
    /// What a mount keeps.
    type Super: Send + Sync;
    /// What all mounts share.
    type Module: Send + Sync;

    /// Takes an option.
    fn parse(options: &mut Self::Options, param: Param<'_>, log: &mut MountLog<'_>) -> Result;

    /// Mounts: reads the superblock. May use `sb`'s device, but no inodes yet.
    fn fill(
        sb: &SuperBlock<Self>,
        options: &Self::Options,
        module: &Self::Module,
        log: &mut MountLog<'_>,
    ) -> Result<Self::Super>;

    /// The root directory's inode. From here on [`SuperBlock::data`] works.
    fn root(sb: &SuperBlock<Self>, log: &mut MountLog<'_>) -> Result<ARef<Inode<Self>>>;

    /// The options in effect, for a reconfiguration to start from.
    fn options(sb: &SuperBlock<Self>) -> Result<Self::Options>;

    /// Called when the device is mounted already: may this mount, with `options`, be the same one?
    fn remounted(sb: &SuperBlock<Self>, options: &Self::Options, log: &mut MountLog<'_>) -> Result;

    /// Changes the options in effect.
    fn reconfigure(
        sb: &SuperBlock<Self>,
        options: &Self::Options,
        log: &mut MountLog<'_>,
    ) -> Result;
}

/// What `s_fs_info` points to, in a context and then in the superblock.
pub(super) struct Mount<T: Mountable> {
    options: T::Options,
    /// The file to be mounted, if it is none on a device.
    source: Option<OpenFile>,
    /// Written by `fill_super`, before there are inodes or callbacks that could ask.
    data: UnsafeCell<Option<T::Super>>,
}

// SAFETY: `data` is written once, by one thread, before any other sees the mount.
unsafe impl<T: Mountable> Sync for Mount<T> {}

impl<T: Mountable> Mount<T> {
    pub(super) fn options(&self) -> &T::Options {
        &self.options
    }

    pub(super) fn source(&self) -> Option<&OpenFile> {
        self.source.as_ref()
    }

    pub(super) fn data(&self) -> &T::Super {
        // SAFETY: Set and constant by then (see the field).
        unsafe { (*self.data.get()).as_ref().unwrap_unchecked() }
    }
}

/// A registered filesystem type.
///
/// # Invariants
///
/// `inner` is registered, and not moved, until dropped.
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T: Mountable> {
    #[pin]
    inner: Opaque<bindings::file_system_type>,
    data: T::Module,
}

// SAFETY: Registering and unregistering may happen on any thread.
unsafe impl<T: Mountable> Send for Registration<T> {}
// SAFETY: The data is `Sync`, and C code locks the rest.
unsafe impl<T: Mountable> Sync for Registration<T> {}

impl<T: Mountable + SuperOps + xattr::Operations + ExportOps> Registration<T> {
    /// Registers `T` under `name`, for block devices and ID-mapped mounts.
    pub(crate) fn new(
        name: &'static CStr,
        module: &'static ThisModule,
        data: T::Module,
    ) -> impl PinInit<Self, Error> + use<T> {
        try_pin_init!(Self {
            data,
            inner <- Opaque::try_ffi_init(move |slot: *mut bindings::file_system_type| {
                let fs_type = bindings::file_system_type {
                    name: name.as_char_ptr(),
                    fs_flags: (bindings::EROFS_C_FS_REQUIRES_DEV
                        | bindings::EROFS_C_FS_ALLOW_IDMAP) as c_int,
                    init_fs_context: Some(Context::<T>::init),
                    // SAFETY: The table lives for ever.
                    parameters: unsafe { bindings::erofs_helper_parameters_ptr },
                    kill_sb: Some(Context::<T>::kill_sb),
                    owner: module.as_ptr().cast(),
                    ..pin_init::zeroed()
                };
                // SAFETY: The slot is ours to write.
                unsafe { slot.write(fs_type) };
                // SAFETY: The slot stays where it is until unregistered.
                to_result(unsafe { bindings::register_filesystem(slot) })
            }),
        })
    }
}

#[pinned_drop]
impl<T: Mountable> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Registered by the type invariant; the module is unloaded only when no mount is left.
        unsafe { bindings::unregister_filesystem(self.inner.get()) };
    }
}

/// The superblock of a context that has a root.
///
/// # Safety
///
/// `fc` must be a context of `T`, with its root set to that of a mounted filesystem.
unsafe fn mounted<'a, T>(fc: *mut bindings::fs_context) -> &'a SuperBlock<T> {
    // SAFETY: By the contract.
    let root = unsafe { (*fc).root };
    // SAFETY: By the contract: the context holds it.
    let sb = unsafe { (*root).d_sb };
    // SAFETY: By the contract.
    unsafe { SuperBlock::from_raw(sb) }
}

/// The callbacks of `struct fs_context_operations`, and their neighbours.
struct Context<T>(PhantomData<T>);

impl<T: Mountable + SuperOps + xattr::Operations + ExportOps> Context<T> {
    const OPS: &'static bindings::fs_context_operations = &bindings::fs_context_operations {
        free: Some(Self::free),
        parse_param: Some(Self::parse_param),
        get_tree: Some(Self::get_tree),
        reconfigure: Some(Self::reconfigure),
        ..pin_init::zeroed()
    };

    /// Called by `alloc_fs_context()`.
    ///
    /// # Safety
    ///
    /// `fc` must be a new context of `T`, as `file_system_type.init_fs_context` gets it.
    unsafe extern "C" fn init(fc: *mut bindings::fs_context) -> c_int {
        from_result(|| {
            // SAFETY: The context is ours while it is set up.
            let reconfigure = unsafe { bindings::erofs_helper_for_reconfigure(fc) };
            let options = if reconfigure {
                // SAFETY: A reconfiguration holds the root of the mounted filesystem.
                T::options(unsafe { mounted(fc) })?
            } else {
                T::Options::default()
            };
            let mount = KBox::new(
                Mount::<T> {
                    options,
                    source: None,
                    data: UnsafeCell::new(None),
                },
                GFP_KERNEL,
            )?;
            // SAFETY: As above. `free` or `kill_sb` takes the box back.
            unsafe { (*fc).s_fs_info = KBox::into_raw(mount).cast() };
            // SAFETY: As above.
            unsafe { (*fc).ops = Self::OPS };
            Ok(0)
        })
    }

    /// Called by `put_fs_context()`. A superblock that was made has taken the mount out of the context.
    ///
    /// # Safety
    ///
    /// `fc` must be a context of `T`, as `fs_context_operations.free` gets it.
    unsafe extern "C" fn free(fc: *mut bindings::fs_context) {
        // SAFETY: The context is ours while it is freed.
        let mount = unsafe { (*fc).s_fs_info }.cast::<Mount<T>>();
        if !mount.is_null() {
            // SAFETY: From `init`, and taken back once.
            drop(unsafe { KBox::from_raw(mount) });
        }
    }

    /// Called by `vfs_parse_fs_param()`, with the context locked.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `fs_context_operations.parse_param`, for a context of `T`.
    unsafe extern "C" fn parse_param(
        fc: *mut bindings::fs_context,
        param: *mut bindings::fs_parameter,
    ) -> c_int {
        from_result(|| {
            let mut result: bindings::fs_parse_result = pin_init::zeroed();
            // SAFETY: Context and parameter are ours during the call.
            let opt = unsafe { bindings::erofs_helper_fs_parse(fc, param, &mut result) };
            let opt = u32::try_from(opt).map_err(|_| Error::from_errno(opt))?;
            // SAFETY: `fs_parse` has set the value for the option's type.
            let flag = unsafe { bindings::erofs_helper_fs_result_bool(&result) };
            let value = match opt {
                bindings::EROFS_OPT_USER_XATTR => Param::UserXattr(flag),
                bindings::EROFS_OPT_ACL => Param::Acl(flag),
                bindings::EROFS_OPT_CACHE_STRATEGY => {
                    // SAFETY: An enumeration's value, by the parameter table.
                    Param::CacheStrategy(unsafe { result.__bindgen_anon_1.uint_32 })
                }
                bindings::EROFS_OPT_DAX => Param::Dax(true),
                bindings::EROFS_OPT_DAX_ENUM => {
                    // SAFETY: An enumeration's value, by the parameter table.
                    Param::Dax(unsafe { result.__bindgen_anon_1.uint_32 } == 0)
                }
                bindings::EROFS_OPT_DEVICE => {
                    // SAFETY: As for `EROFS_OPT_DOMAIN_ID`.
                    let path = unsafe { (*param).__bindgen_anon_1.string };
                    // SAFETY: As there.
                    Param::Device(unsafe { CStr::from_char_ptr(path) })
                }
                bindings::EROFS_OPT_DOMAIN_ID => {
                    // SAFETY: A string, by the parameter table.
                    let text = unsafe { (*param).__bindgen_anon_1.string };
                    // SAFETY: NUL-terminated, and ours during the call.
                    Param::DomainId(unsafe { CStr::from_char_ptr(text) }.to_bytes())
                }
                bindings::EROFS_OPT_DIRECTIO => Param::DirectIo(flag),
                bindings::EROFS_OPT_FSOFFSET => {
                    // SAFETY: A 64-bit number, by the parameter table.
                    Param::FsOffset(unsafe { result.__bindgen_anon_1.uint_64 })
                }
                bindings::EROFS_OPT_INODE_SHARE => Param::InodeShare,
                bindings::EROFS_OPT_SOURCE => {
                    // SAFETY: Context and parameter are ours during the call.
                    return unsafe { Self::source(fc, param) };
                }
                _ => return Err(EINVAL),
            };
            // SAFETY: `s_fs_info` is the box that `init` made, as long as no superblock was made.
            let mount = unsafe { &mut *(*fc).s_fs_info.cast::<Mount<T>>() };
            // SAFETY: The context is ours during the call.
            let mut log = MountLog(unsafe { &mut *fc });
            T::parse(&mut mount.options, value, &mut log)?;
            Ok(0)
        })
    }

    /// Called by `vfs_get_tree()`.
    ///
    /// # Safety
    ///
    /// `fc` must be a context of `T`, as `fs_context_operations.get_tree` gets it.
    unsafe extern "C" fn get_tree(fc: *mut bindings::fs_context) -> c_int {
        from_result(|| {
            // SAFETY: The context is ours during the call.
            if unsafe { Self::has_file(fc) }? {
                // SAFETY: As above.
                to_result(unsafe { bindings::get_tree_nodev(fc, Some(Self::fill_super)) })?;
                return Ok(0);
            }
            let quiet = bindings::EROFS_C_GET_TREE_QUIET;
            // SAFETY: As above.
            let done = unsafe { bindings::get_tree_bdev_flags(fc, Some(Self::fill_super), quiet) };
            if done == ENOTBLK.to_errno() {
                // SAFETY: As above.
                unsafe { Self::open_source(fc) }?;
                // SAFETY: As above.
                to_result(unsafe { bindings::get_tree_nodev(fc, Some(Self::fill_super)) })?;
                return Ok(0);
            }
            to_result(done)?;
            // SAFETY: As above.
            let mount = unsafe { (*fc).s_fs_info }.cast::<Mount<T>>();
            if mount.is_null() {
                return Ok(0);
            }
            // The device is mounted already, and `sget_dev()` has found that superblock, whatever was asked for.
            // SAFETY: `get_tree_bdev_flags()` has set the root.
            let sb = unsafe { mounted::<T>(fc) }.as_raw();
            // SAFETY: The context still owns the mount.
            let options = unsafe { &(*mount).options };
            // SAFETY: It is ready: it was found, and is locked.
            let found = unsafe { SuperBlock::from_raw(sb) };
            // SAFETY: The context is ours during the call.
            let mut log = MountLog(unsafe { &mut *fc });
            let same = T::remounted(found, options, &mut log);
            if let Err(e) = same {
                // SAFETY: Gives back what `get_tree_bdev_flags()` took: the root ...
                unsafe { bindings::dput((*fc).root) };
                // SAFETY: ... which the context must not show any more ...
                unsafe { (*fc).root = core::ptr::null_mut() };
                // SAFETY: ... and the superblock, still locked.
                unsafe { bindings::deactivate_locked_super(sb) };
                return Err(e);
            }
            Ok(0)
        })
    }

    /// Called by `get_tree_bdev_flags()` or `get_tree_nodev()` for a new superblock.
    ///
    /// # Safety
    ///
    /// The arguments must be those that these pass, for a context of `T`.
    unsafe extern "C" fn fill_super(
        raw: *mut bindings::super_block,
        fc: *mut bindings::fs_context,
    ) -> c_int {
        // SAFETY: The superblock is locked, and nobody else uses it yet; this holds for each line.
        unsafe { (*raw).s_op = super_block::Table::<T>::OPS };
        // SAFETY: See above.
        unsafe { (*raw).s_export_op = export::Table::<T>::OPS };
        // SAFETY: See above.
        unsafe { (*raw).s_xattr = xattr::Handlers::<T>::TABLE.as_ptr().cast() };
        // SAFETY: See above.
        unsafe {
            (*raw).s_flags |= (bindings::EROFS_C_SB_RDONLY | bindings::EROFS_C_SB_NOATIME) as usize
        };
        // SAFETY: See above.
        unsafe { (*raw).s_maxbytes = bindings::EROFS_C_MAX_LFS_FILESIZE };
        // SAFETY: See above.
        unsafe { (*raw).s_time_gran = 1 };
        from_result(|| {
            // SAFETY: See above.
            let sb = unsafe { SuperBlock::<T>::from_raw(raw) };
            // SAFETY: `sget_fc()` has moved the mount from the context to the superblock.
            let mount = unsafe { &*(*raw).s_fs_info.cast::<Mount<T>>() };
            // SAFETY: See above.
            let fs_type = unsafe { (*raw).s_type };
            // SAFETY: The type of a superblock of `T` is the `inner` field of `T`'s registration ...
            let registration = unsafe { fs_type.byte_sub(offset_of!(Registration<T>, inner)) };
            // SAFETY: ... which stays until the last mount is gone.
            let module = unsafe { &(*registration.cast::<Registration<T>>()).data };
            // SAFETY: The context is ours during the call.
            let mut log = MountLog(unsafe { &mut *fc });
            if let Some(file) = &mount.source {
                // SAFETY: See above; the mount keeps the file until the superblock is killed.
                unsafe { Self::set_up_file(sb, file) }?;
            }
            let data = T::fill(sb, &mount.options, module, &mut log)?;
            // SAFETY: Nobody has asked yet.
            unsafe { *mount.data.get() = Some(data) };
            let root = ManuallyDrop::new(T::root(sb, &mut log)?);
            // SAFETY: This consumes the reference on the root inode, also on failure.
            let root = unsafe { bindings::d_make_root(root.as_raw()) };
            let root = NonNull::new(root).ok_or(ENOMEM)?;
            // SAFETY: See above.
            unsafe { (*raw).s_root = root.as_ptr() };
            Ok(0)
        })
    }

    /// Called by `reconfigure_super()`.
    ///
    /// # Safety
    ///
    /// `fc` must be a context of `T`, as `fs_context_operations.reconfigure` gets it.
    unsafe extern "C" fn reconfigure(fc: *mut bindings::fs_context) -> c_int {
        from_result(|| {
            // SAFETY: A reconfiguration holds the root of the mounted filesystem.
            let sb = unsafe { mounted(fc) };
            // SAFETY: The box that `init` made.
            let mount = unsafe { &*(*fc).s_fs_info.cast::<Mount<T>>() };
            // SAFETY: The context is ours during the call.
            T::reconfigure(sb, &mount.options, &mut MountLog(unsafe { &mut *fc }))?;
            // SAFETY: The context is ours during the call. Read-only it stays.
            unsafe { (*fc).sb_flags |= bindings::EROFS_C_SB_RDONLY };
            Ok(0)
        })
    }

    /// Called by `deactivate_locked_super()` for the last reference, and for a mount that failed.
    ///
    /// # Safety
    ///
    /// `sb` must be a superblock of `T`, as `file_system_type.kill_sb` gets it.
    unsafe extern "C" fn kill_sb(sb: *mut bindings::super_block) {
        // SAFETY: The mount that `sget_fc()` took from the context.
        let mount = unsafe { (*sb).s_fs_info }.cast::<Mount<T>>();
        // SAFETY: As above, and not changed since `fill_super`.
        match unsafe { (*mount).source.is_some() } {
            // SAFETY: The superblock is locked and has no users left.
            true => unsafe { bindings::kill_anon_super(sb) },
            // SAFETY: As above.
            false => unsafe { bindings::kill_block_super(sb) },
        }
        // SAFETY: Nobody uses the superblock any more.
        unsafe { (*sb).s_fs_info = core::ptr::null_mut() };
        // This closes files and devices.
        // SAFETY: From `init`, and taken back once.
        drop(unsafe { KBox::from_raw(mount) });
    }
}
