//! Any bytes from clients, where they are not taken apart by a library: names of resources, and packed data.

use action::Digest;
use fuzz::Target;

use crate::{names, packing};

#[test]
fn names_of_resources() {
    let hash = Digest::of(b"x").hex();
    let seeds = [
        format!("blobs/{hash}/1"),
        format!("main/compressed-blobs/zstd/sha256/{hash}/1"),
        format!("uploads/u-u/blobs/{hash}/1/main.o"),
    ];
    Target::new("name of a resource")
        .seeds(seeds)
        .words([
            "blobs",
            "uploads",
            "compressed-blobs/zstd",
            "sha256/",
            "/",
            "-1",
        ])
        .run(|bytes| {
            let name = String::from_utf8_lossy(bytes);
            for named in [names::read(&name), names::written(&name)] {
                // It says of a blob what the name says.
                let Some(named) = named else { continue };
                let hash = named.digest.hex().to_string();
                assert!(name.contains(&hash), "{name}");
                let kind = if named.zstd { "zstd/" } else { "blobs/" };
                assert!(name.contains(kind), "{name}");
            }
        });
}

#[test]
fn packed_data() {
    let packed = packing::pack(&[7; 1000]).expect("memory");
    Target::new("packed data")
        .seeds([packed, packing::pack(b"content").expect("memory")])
        // The window, and what the library keeps beside it.
        .memory(40 << 20, 64)
        .run(|bytes| {
            for size in [0, 7, 1000] {
                if let Ok(content) = packing::unpack(bytes, size) {
                    assert_eq!(content.len() as u64, size);
                }
            }
        });
}
