// SPDX-License-Identifier: GPL-2.0

//! The records behind the superblock that tell how the algorithms of an image were set up.

use super::super::after;
use super::super::align_up;
use super::super::read_value;
use super::super::BlockBits;
use super::super::Error;
use super::super::Result;
use super::super::Source;
use super::Algorithm;
use super::PCLUSTER_MAX_SIZE;
use zerocopy::little_endian::U16;
use zerocopy::little_endian::U32;
use zerocopy_derive::FromBytes;
use zerocopy_derive::Immutable;
use zerocopy_derive::IntoBytes;
use zerocopy_derive::KnownLayout;
use zerocopy_derive::Unaligned;

/// What the superblock keeps of them: see there.
#[derive(Default)]
pub(crate) struct Config {
    pub(crate) algorithms: u16,
    pub(crate) zstd_window_log: u8,
}

impl Config {
    /// For an image that has no records: LZ4 in pclusters of one block, or nothing.
    pub(crate) fn without_records(lz4: bool) -> Self {
        Self {
            algorithms: if lz4 { Algorithm::Lz4.bit() } else { 0 },
            ..Self::default()
        }
    }
}

/// Reads and checks the records from `pos` on, one for each algorithm in the bitmap.
pub(crate) fn read<S: Source>(
    src: &mut S,
    mut pos: u64,
    algorithms: u16,
    block: BlockBits,
) -> Result<Config> {
    let known = Algorithm::ALL
        .iter()
        .fold(0, |bits, known| bits | known.bit());
    if algorithms & !known != 0 {
        return Err(Error::unsupported(
            "unidentified algorithms, please upgrade kernel",
        ));
    }
    let mut config = Config {
        algorithms,
        ..Config::default()
    };
    for algorithm in Algorithm::ALL {
        if algorithms & algorithm.bit() == 0 {
            continue;
        }
        pos = align_up(pos, 4)?;
        let len = match read_value::<U16, S>(src, pos)?.get() {
            0 => 1 << 16,
            len => u64::from(len),
        };
        pos = after(pos, size_of::<U16>() as u64)?;
        match algorithm {
            Algorithm::Lz4 => lz4(&payload(src, pos, len)?, block)?,
            Algorithm::Lzma => lzma(&payload(src, pos, len)?)?,
            Algorithm::Deflate => deflate(&payload(src, pos, len)?)?,
            Algorithm::Zstd => config.zstd_window_log = zstd(&payload(src, pos, len)?)?,
        }
        pos = after(pos, len)?;
    }
    Ok(config)
}

/// The known start of a record of `len` bytes.
fn payload<T: zerocopy::FromBytes + zerocopy::IntoBytes, S: Source>(
    src: &mut S,
    pos: u64,
    len: u64,
) -> Result<T> {
    if len < size_of::<T>() as u64 {
        return Err(Error::invalid("compression cfgs are too short"));
    }
    read_value(src, pos)
}

/// `struct z_erofs_lz4_cfgs`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct Lz4Cfgs {
    max_distance: U16,
    max_pclusterblks: U16,
    reserved: [u8; 10],
}

/// `struct z_erofs_lzma_cfgs`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct LzmaCfgs {
    dict_size: U32,
    format: U16,
    reserved: [u8; 8],
}

/// `struct z_erofs_deflate_cfgs`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct DeflateCfgs {
    windowbits: u8,
    reserved: [u8; 5],
}

/// `struct z_erofs_zstd_cfgs`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct ZstdCfgs {
    format: u8,
    windowlog: u8,
    reserved: [u8; 4],
}

const _: () = assert!(size_of::<Lz4Cfgs>() == 14 && size_of::<LzmaCfgs>() == 14);
const _: () = assert!(size_of::<DeflateCfgs>() == 6 && size_of::<ZstdCfgs>() == 6);

fn lz4(cfgs: &Lz4Cfgs, block: BlockBits) -> Result<()> {
    if u32::from(cfgs.max_pclusterblks.get()) > PCLUSTER_MAX_SIZE >> block.get() {
        return Err(Error::invalid("too large lz4 pclusterblks"));
    }
    Ok(())
}

fn lzma(cfgs: &LzmaCfgs) -> Result<()> {
    if cfgs.format.get() != 0 {
        return Err(Error::invalid("unidentified lzma format"));
    }
    if !(4096..=8 * PCLUSTER_MAX_SIZE).contains(&cfgs.dict_size.get()) {
        return Err(Error::invalid("unsupported lzma dictionary size"));
    }
    Ok(())
}

fn deflate(cfgs: &DeflateCfgs) -> Result<()> {
    if cfgs.windowbits > 15 {
        return Err(Error::unsupported("unsupported deflate windowbits"));
    }
    Ok(())
}

/// The log of the window's size.
fn zstd(cfgs: &ZstdCfgs) -> Result<u8> {
    if cfgs.format != 0 {
        return Err(Error::invalid("unidentified zstd format"));
    }
    // The log is counted from 10, and a window has 1 MiB at most.
    match cfgs.windowlog {
        log @ 0..=10 => Ok(10 + log),
        _ => Err(Error::invalid("unsupported zstd window log")),
    }
}
