//! Compares the reader with the real MNIST files, byte for byte. They are not part of the project: the check runs
//! where `GRADUS_DATA` (or the user's cache) has them in `mnist`, and says so where it does not.
#![cfg(feature = "datasets")]

use gradus::datasets::mnist;
use gradus::io::Limits;
use sha2::{Digest, Sha256};

fn sha256(header: &[u32], data: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update([0, 0, 8, header.len() as u8]);
    header.iter().for_each(|size| hash.update(size.to_be_bytes()));
    hash.update(data);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_published_files_decode_to_the_published_bytes() {
    let Some(dir) = mnist::cache_dir().filter(|dir| dir.is_dir()) else {
        println!("skipped: there is no folder with MNIST on this machine");
        return;
    };
    let (train, test) = mnist::load_folder(dir, &Limits::default()).unwrap();
    let images = |raw: &mnist::Raw| sha256(&[raw.n as u32, 28, 28], &raw.images);
    let labels = |raw: &mnist::Raw| sha256(&[raw.n as u32], &raw.labels);
    assert_eq!(images(&train), "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db");
    assert_eq!(labels(&train), "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5");
    assert_eq!(images(&test), "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7");
    assert_eq!(labels(&test), "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2");
}
