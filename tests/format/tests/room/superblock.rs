// SPDX-License-Identifier: GPL-2.0

//! The superblock: fields, checksum, and what ends a mount (rows 1 to 11 and 16 of the table).

use crate::bytes::crc32c;
use crate::bytes::image;
use crate::bytes::mount;
use crate::bytes::sb;
use crate::bytes::superblock;
use crate::bytes::Bytes;
use crate::bytes::EIO;
use crate::format::compress::Algorithm;
use crate::format::inode::Nid;
use crate::format::superblock::DeviceSlot;
use crate::format::superblock::Superblock;
use crate::format::xattr::prefix_space;
use crate::format::xattr::PrefixSpace;
use crate::format::BlockBits;
use crate::format::Kind;
use crate::index::all_algorithms;

/// Writes the checksum over `len` bytes from 1024 on.
fn seal(image: &mut Bytes, len: usize) {
    image.u32(sb::CHECKSUM, 0);
    let crc = crc32c(u32::MAX, &image.data[1024..1024 + len]);
    image.u32(sb::CHECKSUM, crc);
}

#[track_caller]
fn refused(kind: Kind, change: impl FnOnce(&mut Bytes)) {
    let mut image = image();
    change(&mut image);
    assert_eq!(mount(&mut image).err().expect("no error").kind, kind);
}

#[test]
fn crc32c_vectors() {
    assert_eq!(crc32c(u32::MAX, b"123456789"), 0x1cf9_6d7c);
    assert_eq!(crc32c(u32::MAX, b"\xe2\xe1\xf5\xe0\0\0\0\0"), 0x5045_b54a);
}

#[test]
fn metabox_example() {
    let dump: [[u8; 16]; 10] = [
        *b"\xe2\xe1\xf5\xe0\x30\x2b\x09\xa7\x07\x00\x00\x00\x0c\x01\x00\x00",
        *b"\x41\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        *b"\x00\x00\x00\x00\x2b\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        *b"\xfc\xac\x3a\xd0\x0e\x7e\x4c\x43\x82\x4a\x2e\x96\xd0\x55\x67\x0c",
        [0; 16],
        *b"\xa3\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        *b"\x36\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x65\xe7\x03\x6b",
        *b"\x00\x00\x00\x00\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00",
        *b"\x33\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        *b"\x0e\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    ];
    let mut image = Bytes::zeroed(4096);
    image.put(1024, dump.as_flattened());
    // The rest of the block, which the checksum covers, is not part of the example.
    seal(&mut image, 3072);

    let sb = mount(&mut image).expect("a good superblock");
    assert_eq!(sb.block.get(), 12);
    assert_eq!(sb.inos, 833);
    assert_eq!(sb.blocks, 555);
    assert_eq!(sb.uuid[..2], [0xfc, 0xac]);
    assert_eq!(sb.volume_name, [0; 16]);
    assert_eq!(sb.algorithms, 2);
    assert_eq!(sb.packed_nid, Some(Nid(0x36)));
    assert_eq!(sb.root_nid, Nid(1 << 63));
    assert!(sb.root_nid.in_metabox() && sb.has_metabox() && sb.has_48bit());
    assert!(sb.xattr_filter);

    // Inode numbers with a metabox.
    assert_eq!(sb.ino(Nid(0x8000_0000_0000_0000)), 0x8000_0000);
    assert_eq!(sb.ino(Nid(0x8000_0000_0000_0080)), 0x8000_0080);
    assert_eq!(sb.ino(Nid(0x33)), 0x33);
    assert_eq!(sb.ino(Nid(0x8000_0000)), 0x1_0000_0000);
    assert_eq!(sb.ino(Nid(u64::MAX)), u64::MAX);
}

#[test]
fn fields() {
    let sb = superblock(|image| {
        image
            .i64(sb::EPOCH, -5)
            .u32(sb::FIXED_NSEC, 7)
            .u32(sb::META, u32::MAX)
            .u32(sb::XATTR, 3)
            .u64(sb::ROOT_8B, 99)
            .u16(sb::DEVICES, 3)
            .u64(sb::PACKED, 77)
            .u32(sb::PREFIX_START, 11);
    });
    assert_eq!(sb.epoch, -5);
    assert_eq!(sb.fixed_nsec, 7);
    assert_eq!(sb.meta_pos, u64::from(u32::MAX) * 4096);
    assert_eq!(sb.xattr_pos, 3 * 4096);
    assert_eq!(sb.xattr_prefix_pos, 44);
    // Each needs a feature bit that is not there.
    assert_eq!(sb.root_nid, Nid(36));
    assert_eq!(sb.extra_devices, 0);
    assert_eq!(sb.device_id_mask(), 0);
    assert_eq!(sb.packed_nid, None);
    assert_eq!(sb.ishare_prefix, None);
    assert_eq!(sb.ino(Nid(1 << 40)), 1 << 40);
    assert!(!sb.xattr_filter);
}

#[test]
fn root_and_blocks_with_48_bits() {
    let of = |incompat, root| {
        superblock(|image| {
            image
                .u32(sb::INCOMPAT, incompat)
                .u64(sb::ROOT_8B, root)
                .u16(sb::RB, 0x1234);
        })
    };
    for (incompat, root, nid, blocks) in [
        (0, 0, 0x1234, 4),
        (0, 99, 0x1234, 4),
        (0x80, 0, 0x1234, 4),
        (0x80, 99, 99, 0x1234_0000_0004),
    ] {
        let sb = of(incompat, root);
        assert_eq!((sb.root_nid, sb.blocks), (Nid(nid), blocks));
    }
}

#[test]
fn device_slots() {
    for (incompat, blocks, uniaddr) in [
        (0x08, 7, 5),
        // The high halves count with 48 bits only.
        (0x88, 7 | 0xa << 32, 5 | 0xb << 32),
    ] {
        let mut image = image();
        image
            .u32(sb::INCOMPAT, incompat)
            .u16(sb::DEVICES, 2)
            .u16(sb::DEVICE_TABLE, 3072 / 128)
            .u32(3200 + 64, 7)
            .u32(3200 + 68, 5)
            .u16(3200 + 72, 0xa)
            .u16(3200 + 74, 0xb);
        let sb = mount(&mut image).expect("a good superblock");
        let second = sb.device_slot(&mut image, 1);
        assert_eq!(second, Ok(DeviceSlot { blocks, uniaddr }));
        // Behind the end of the device.
        assert_eq!(
            sb.device_slot(&mut image, u16::MAX).map_err(|e| e.errno()),
            Err(EIO)
        );
    }
}

#[test]
fn starts_of_blocks() {
    let block = BlockBits::new(12).expect("a block size");
    for (pos, start) in [(0, 0), (4095, 0), (4096, 4096), (u64::MAX, u64::MAX - 4095)] {
        assert_eq!(block.floor(pos), start);
    }
}

#[test]
fn device_id_masks() {
    for (devices, mask) in [
        (0, 0),
        (1, 1),
        (2, 3),
        (3, 3),
        (4, 7),
        (7, 7),
        (8, 15),
        (u16::MAX, u16::MAX),
    ] {
        let sb = superblock(|image| {
            image.u32(sb::INCOMPAT, 8).u16(sb::DEVICES, devices);
        });
        assert_eq!(sb.device_id_mask(), mask, "{devices} devices");
        assert_eq!(sb.extra_devices, devices);
    }
}

#[test]
fn checksum_covers_the_block() {
    for (bits, len) in [(9, 512), (10, 1024), (11, 1024), (12, 3072)] {
        let mut good = image();
        good.u8(sb::BLKSZBITS, bits).u32(sb::COMPAT, 1);
        for (i, byte) in good.data[1168..].iter_mut().enumerate() {
            *byte = i.to_le_bytes()[0];
        }
        seal(&mut good, len);
        assert!(mount(&mut good.clone()).is_ok(), "block bits {bits}");

        for (at, covered) in [(1040, true), (1023 + len, true), (1024 + len, false)] {
            let mut bad = good.clone();
            bad.data[at] ^= 1;
            let error = mount(&mut bad).err().map(|error| error.kind);
            assert_eq!(error, covered.then_some(Kind::Checksum), "{bits} {at}");
            bad.u32(sb::COMPAT, 0);
            assert!(mount(&mut bad).is_ok(), "not asked for");
        }
    }
}

#[test]
fn errno() {
    let mut bad = image();
    bad.u32(sb::COMPAT, 1);
    assert_eq!(mount(&mut bad).err().map(|error| error.errno()), Some(74));
    bad.u8(1024, 0);
    assert_eq!(mount(&mut bad).err().map(|error| error.errno()), Some(22));
    let mut short = Bytes::new(&image().data[..1100]);
    assert_eq!(
        mount(&mut short).err().map(|error| error.errno()),
        Some(EIO)
    );
}

#[test]
fn rows_1_to_6_not_a_superblock_for_us() {
    refused(Kind::Invalid, |image| {
        image.u32(1024, 0xe0f5_e1e3);
    });
    for bits in [0, 8, 13, 16, 17, 63, 64, 255] {
        refused(Kind::Invalid, |image| {
            image.u8(sb::BLKSZBITS, bits);
        });
    }
    for bits in 9..=12 {
        superblock(|image| {
            image.u8(sb::BLKSZBITS, bits);
        });
    }
    let mut large = image();
    large.u8(sb::BLKSZBITS, 16);
    assert!(Superblock::read(&mut large, 65536, crc32c).is_ok());
    refused(Kind::Invalid, |image| {
        image.u8(sb::DIRBLKBITS, 1);
    });
    refused(Kind::Checksum, |image| {
        image.u32(sb::COMPAT, 1);
    });
    for bit in 9..32 {
        refused(Kind::Invalid, |image| {
            image.u32(sb::INCOMPAT, 1 << bit);
        });
    }
    superblock(|image| {
        image.u32(sb::COMPAT, !0x21);
    });
    for (slots, good) in [(0, true), (184, true), (185, false), (255, false)] {
        let mut image = image();
        image.u8(sb::EXTSLOTS, slots);
        let error = mount(&mut image).err().map(|error| error.kind);
        assert_eq!(error, (!good).then_some(Kind::Invalid), "{slots} slots");
    }
}

#[test]
fn the_order_of_checks() {
    // Each fault hides the ones that are looked for later.
    let mut image = image();
    image
        .u32(1024, 0)
        .u8(sb::BLKSZBITS, 13)
        .u8(sb::DIRBLKBITS, 1)
        .u32(sb::COMPAT, 0x21)
        .u32(sb::INCOMPAT, 0x302)
        .u8(sb::EXTSLOTS, 200)
        .u16(sb::U1, 0x10);
    let mut seen = Vec::new();
    type Repair = fn(&mut Bytes) -> &mut Bytes;
    let repairs: [Repair; 9] = [
        |image| image.u32(1024, 0xe0f5_e1e2),
        |image| image.u8(sb::BLKSZBITS, 12),
        |image| image.u8(sb::DIRBLKBITS, 0),
        |image| image.u32(sb::COMPAT, 0x20),
        |image| image.u32(sb::INCOMPAT, 0x102),
        |image| image.u8(sb::EXTSLOTS, 0),
        |image| image.u8(sb::PREFIX_COUNT, 1),
        |image| image.u8(sb::EXTSLOTS, 1),
        |image| image.u16(sb::U1, 0),
    ];
    for repair in repairs {
        seen.push(mount(&mut image).err().expect("no error").what);
        repair(&mut image);
    }
    assert!(mount(&mut image).is_ok());
    assert_eq!(
        seen,
        [
            "cannot find valid erofs superblock",
            "blkszbits isn't supported",
            "dirblkbits isn't supported",
            "invalid checksum",
            "unidentified incompatible feature, please upgrade kernel",
            "invalid sb_extslots (more than a fs block)",
            "invalid ishare xattr prefix id",
            "invalid metabox nid",
            "unidentified algorithms, please upgrade kernel",
        ]
    );
}

#[test]
fn row_7_fingerprint_prefix() {
    for (id, count, good) in [(0, 0, false), (1, 1, false), (0, 1, true), (254, 255, true)] {
        let mut image = image();
        image
            .u32(sb::COMPAT, 0x20)
            .u8(sb::ISHARE, id)
            .u8(sb::PREFIX_COUNT, count);
        match mount(&mut image) {
            Ok(sb) => assert!(good && sb.ishare_prefix == Some(id)),
            Err(error) => assert!(!good && error.kind == Kind::Corrupt),
        }
    }
    // Without the feature nobody looks.
    superblock(|image| {
        image.u8(sb::ISHARE, 9);
    });
}

#[test]
fn row_8_metabox() {
    refused(Kind::Corrupt, |image| {
        image.u32(sb::INCOMPAT, 0x100).u64(sb::METABOX, 1);
    });
    refused(Kind::Corrupt, |image| {
        image
            .u32(sb::INCOMPAT, 0x100)
            .u8(sb::EXTSLOTS, 1)
            .u64(sb::METABOX, 1 << 63);
    });
}

#[test]
fn row_16_packed_inode() {
    refused(Kind::Corrupt, |image| {
        image.u32(sb::INCOMPAT, 0x20).u64(sb::PACKED, 1 << 63);
    });
}

#[test]
fn algorithms_without_records() {
    for (incompat, u1, algorithms) in [(0, 0, 0), (1, 0, 1), (0, 65535, 1), (1, 2, 1)] {
        let sb = superblock(|image| {
            image.u32(sb::INCOMPAT, incompat).u16(sb::U1, u1);
        });
        assert_eq!(sb.algorithms, algorithms);
    }
}

/// Mounts with `records`, each behind its length, for the algorithms `bitmap`.
fn records(bitmap: u16, records: &[&[u8]]) -> Result<u16, Kind> {
    let mut image = image();
    image.u32(sb::INCOMPAT, 2).u16(sb::U1, bitmap);
    let mut pos = 1152;
    for record in records {
        image.put(pos, record);
        pos = (pos + record.len()).next_multiple_of(4);
    }
    mount(&mut image)
        .map(|sb| sb.algorithms)
        .map_err(|error| error.kind)
}

#[test]
fn what_decoders_have_to_know() {
    let sb = superblock(|image| {
        image.u32(sb::INCOMPAT, 1);
    });
    assert!(!sb.has_big_pcluster() && sb.has_algorithm(Algorithm::Lz4));
    assert!(!sb.has_algorithm(Algorithm::Lzma) && sb.metabox_nid.is_none());

    let sb = all_algorithms(12);
    assert_eq!(sb.zstd_window_log, 17);
    assert!(sb.has_big_pcluster());
    assert!(Algorithm::ALL.into_iter().all(|it| sb.has_algorithm(it)));

    let sb = superblock(|image| {
        image.u32(sb::INCOMPAT, 0x100).u8(sb::EXTSLOTS, 1);
        image.u64(sb::METABOX, 51);
    });
    assert_eq!(sb.metabox_nid, Some(Nid(51)));
}

/// A record of `len` payload bytes that starts with `start`.
fn record(len: u16, start: &[u8]) -> Vec<u8> {
    let mut record = len.to_le_bytes().to_vec();
    record.extend_from_slice(start);
    record.resize(2 + usize::from(len), 0);
    record
}

#[test]
fn rows_9_to_11_compression_records() {
    for bit in 4..16 {
        assert_eq!(records(1 << bit, &[]), Err(Kind::Unsupported));
    }
    let lz4 = record(14, &[0xff, 0xff, 16, 0]);
    let lzma = record(15, &[0, 0, 1, 0]);
    let deflate = record(7, &[15]);
    let zstd = record(6, &[0, 7]);
    assert_eq!(records(0, &[]), Ok(0));
    assert_eq!(records(15, &[&lz4, &lzma, &deflate, &zstd]), Ok(15));
    assert_eq!(records(10, &[&lzma, &zstd]), Ok(10));

    // Largest pclusters: 0 stands for 1, at most 1 MiB.
    for (blocks, good) in [
        (0, true),
        (1, true),
        (256, true),
        (257, false),
        (65535, false),
    ] {
        let [lo, hi] = u16::to_le_bytes(blocks);
        let result = records(1, &[&record(14, &[0, 0, lo, hi])]);
        assert_eq!(result, if good { Ok(1) } else { Err(Kind::Invalid) });
    }
    for (dictionary, good) in [
        (0, false),
        (4095, false),
        (4096, true),
        (8 << 20, true),
        ((8 << 20) + 1, false),
        (u32::MAX, false),
    ] {
        let result = records(2, &[&record(14, &u32::to_le_bytes(dictionary))]);
        assert_eq!(result, if good { Ok(2) } else { Err(Kind::Invalid) });
    }
    assert_eq!(
        records(2, &[&record(14, &[0, 0, 1, 0, 1, 0])]),
        Err(Kind::Invalid),
        "lzma format"
    );
    assert_eq!(records(4, &[&record(6, &[16])]), Err(Kind::Unsupported));
    assert_eq!(records(8, &[&record(6, &[1, 7])]), Err(Kind::Invalid));
    assert_eq!(records(8, &[&record(6, &[0, 10])]), Ok(8));
    assert_eq!(records(8, &[&record(6, &[0, 11])]), Err(Kind::Invalid));

    // One byte short.
    for (bitmap, len) in [(1, 13), (2, 13), (4, 5), (8, 5)] {
        assert_eq!(
            records(bitmap, &[&record(len, &[0, 0, 1, 0])]),
            Err(Kind::Invalid)
        );
    }
    // Length 0 stands for 64 KiB, here beyond the image: only a further record would be read there.
    let huge = record(0, &[]);
    assert_eq!(records(1, &[&huge]), Ok(1));
    assert_eq!(records(5, &[&huge]), Err(Kind::Errno(EIO)));
}

#[test]
fn space_of_prefixes() {
    for (compat, incompat, packed, space) in [
        (0, 0, 0, PrefixSpace::Primary),
        (0, 0x20, 5, PrefixSpace::Packed),
        (0, 0x20, 0, PrefixSpace::Primary),
        (0, 0, 5, PrefixSpace::Primary),
        (0, 0x120, 5, PrefixSpace::Metabox),
        (0x10, 0x120, 5, PrefixSpace::Primary),
    ] {
        let sb = superblock(|image| {
            image
                .u32(sb::COMPAT, compat)
                .u32(sb::INCOMPAT, incompat)
                .u8(sb::EXTSLOTS, 1)
                .u64(sb::PACKED, packed);
        });
        assert_eq!(prefix_space(&sb), space);
    }
}

#[test]
fn filter_needs_both() {
    for (compat, reserved, valid) in [(0, 0, false), (4, 0, true), (4, 1, false)] {
        let sb = superblock(|image| {
            image
                .u32(sb::COMPAT, compat)
                .u8(sb::FILTER_RESERVED, reserved);
        });
        assert_eq!(sb.xattr_filter, valid);
    }
}
