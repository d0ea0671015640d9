// SPDX-License-Identifier: GPL-2.0

//! The decoders of the image reader, over crates.

use crate::format::compress::Algorithm;
use crate::format::compress::PCLUSTER_MAX_DSIZE;
use std::io::Read;
use std::panic::catch_unwind;

/// The `len` bytes that `stream` decodes to, or starts with if it is `partial`. `None`: it does not.
pub(crate) fn decode(
    algorithm: Algorithm,
    stream: &[u8],
    len: usize,
    partial: bool,
) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::Lz4 => lz4(stream, len, partial),
        Algorithm::Lzma => lzma(stream, len, partial),
        Algorithm::Deflate => take(flate2::read::DeflateDecoder::new(stream), len, partial),
        // It panics over some bad frames.
        Algorithm::Zstd => catch_unwind(|| {
            take(
                ruzstd::decoding::StreamingDecoder::new(stream).ok()?,
                len,
                partial,
            )
        })
        .ok()?,
    }
}

fn take(mut from: impl Read, len: usize, partial: bool) -> Option<Vec<u8>> {
    let mut data = vec![0; len];
    from.read_exact(&mut data).ok()?;
    (partial || matches!(from.read(&mut [0]), Ok(0))).then_some(data)
}

fn lz4(stream: &[u8], len: usize, partial: bool) -> Option<Vec<u8>> {
    // The crate decodes whole blocks only.
    let room = match partial {
        true => usize::try_from(PCLUSTER_MAX_DSIZE).expect("it is small"),
        false => len,
    };
    let mut data = vec![0; room];
    let found = lz4_flex::block::decompress_into(stream, &mut data).ok()?;
    data.truncate(len);
    (found == len || partial && found > len).then_some(data)
}

/// MicroLZMA: properties inverted in place of the first byte, which is 0.
fn lzma(stream: &[u8], len: usize, partial: bool) -> Option<Vec<u8>> {
    let (first, rest) = stream.split_first()?;
    let stream = (&[0][..]).chain(rest);
    let size = if partial { u64::MAX } else { len as u64 };
    let dictionary = 8 << 20;
    let decoder =
        lzma_rust2::LzmaReader::new_with_props(stream, size, !first, dictionary, None).ok()?;
    take(decoder, len, partial)
}
