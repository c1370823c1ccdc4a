//! Tests that readers respect their limits before they take memory. An allocator counts the most that each reader
//! holds at any time, on inputs that are made to cost: never more than a few times what its limits allow. This is
//! the only test of this file, so that nothing else allocates meanwhile.
#![allow(missing_docs, unsafe_code, clippy::unwrap_used)]

use gradus::datasets::{cifar10, idx};
use gradus::io::{Csv, Encoder, Limits, Missing, npy, npz};
use gradus::nn::Network;
use gradus::train::Model;
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Peak;
static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn more(bytes: usize) {
    MOST.fetch_max(LIVE.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call goes to the system's allocator with the caller's arguments.
unsafe impl GlobalAlloc for Peak {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there while it is moved.
        more(size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Peak = Peak;

const TOTAL: usize = 16 << 20;
const HEADER: usize = 1 << 20;
/// What a reader may hold: a few times its limits. Lists that grow are twice their size, and once more while they move.
const ALLOWED: usize = 5 * (TOTAL + HEADER);

fn limits() -> Limits {
    Limits::default().max_total_bytes(TOTAL as u64).max_header_bytes(HEADER as u64)
}

/// The most that some work holds at a time beyond what was held before, and whether it gave a result.
fn peak<T>(work: impl FnOnce() -> gradus::Result<T>) -> (usize, bool) {
    gradus::tensor::trim();
    let before = LIVE.load(Relaxed);
    MOST.store(before, Relaxed);
    let good = work().is_ok();
    (MOST.load(Relaxed) - before, good)
}

/// Every reader on these bytes.
fn all(name: &str, bytes: &[u8]) -> bool {
    type Reader<'a> = (&'static str, Box<dyn Fn() -> gradus::Result<()> + 'a>);
    let csv = |csv: Csv| {
        move || {
            let table = csv.parse(bytes, "x", &limits())?;
            Encoder::adapt(&table.split(0.5, 1)?.0).map(drop)
        }
    };
    let readers: Vec<Reader<'_>> = vec![
        ("csv", Box::new(csv(Csv::new()))),
        ("csv without a header", Box::new(csv(Csv::new().header(false).missing(Missing::Keep)))),
        ("csv of labels", Box::new(csv(Csv::new().header(false).label(0).missing(Missing::DropRow)))),
        ("csv of categories", Box::new(csv(Csv::new().header(false).category(0).missing(Missing::Keep)))),
        ("csv of targets", Box::new(csv(Csv::new().header(false).target(0).missing(Missing::Keep)))),
        ("npy", Box::new(|| npy::decode(bytes, "x", &limits()).map(drop))),
        ("npz", Box::new(|| npz::decode(bytes, "x", &limits()).map(drop))),
        ("npz, some", Box::new(|| npz::decode_only(bytes, "x", &["x"], &limits()).map(drop))),
        ("idx", Box::new(|| idx::decode(bytes, "x", &limits()).map(drop))),
        ("cifar", Box::new(|| cifar10::decode(bytes, "x", &limits()).map(drop))),
        #[cfg(feature = "datasets")]
        ("cifar's archive", Box::new(|| cifar10::decode_archive(bytes, "x", &limits()).map(drop))),
        ("model", Box::new(|| Model::from_bytes(bytes, limits()).map(drop))),
        ("network", Box::new(|| Network::from_bytes(bytes, limits()).map(drop))),
    ];
    let mut any = false;
    for (reader, read) in readers {
        let (most, good) = peak(read);
        if most > 1 << 20 {
            println!("{name}: {reader}: {} MiB, {good}", most >> 20);
        }
        assert!(most <= ALLOWED, "{name}: {reader}: {} MiB", most >> 20);
        any |= good;
    }
    any
}

/// A safetensors file with this header.
fn safetensors(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
}

fn npy_header(text: &str) -> Vec<u8> {
    [b"\x93NUMPY\x02\x00", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

#[test]
fn no_reader_holds_more_than_a_few_times_its_limits() {
    let lines = |n: usize, line: &dyn Fn(usize) -> String| (0..n).map(line).collect::<String>().into_bytes();
    let big = 60 << 20;
    let inputs: Vec<(&str, Vec<u8>)> = vec![
        ("60 MiB of commas", vec![b','; big]),
        ("60 MiB of commas after a row", [b"a,b\n", &vec![b','; big][..]].concat()),
        ("60 MiB of empty lines", vec![b'\n'; big]),
        ("60 MiB of empty lines in one column", [b"a\n1", &vec![b'\n'; big][..], b"1"].concat()),
        ("60 MiB of quotes", vec![b'"'; big]),
        ("60 MiB in an open quote", [b"\"", &vec![b'x'; big][..]].concat()),
        ("one cell of 60 MiB", vec![b'x'; big]),
        ("60 MiB of short numbers", b"1\n".repeat(big / 2)),
        ("60 MiB of rows", b"1,2,3,4,5\n".repeat(big / 10)),
        ("numbers in commas and names", b"a,".repeat(HEADER / 100)),
        ("different labels", lines(3 << 20, &|i| format!("x{i}\n"))),
        ("different long labels", lines(20_000, &|i| format!("x{i}{}\n", "y".repeat(2000)))),
        (
            "a header of sizes",
            npy_header(&format!(
                "{{'descr': '<f4', 'fortran_order': False, 'shape': ({})}}",
                "0,".repeat(HEADER / 2 - 50)
            )),
        ),
        ("a header of brackets", safetensors(&"[".repeat(HEADER))),
        ("a header of lists", safetensors(&format!("{{\"a\":[{}[]]}}", "[],".repeat(HEADER / 3 - 10)))),
        ("a header of numbers", safetensors(&format!("{{\"a\":[{}0]}}", "0,".repeat(HEADER / 2 - 10)))),
        (
            "a header of keys",
            safetensors(&format!(
                "{{{}\"\":0}}",
                lines(90_000, &|i| format!("\"{i}\":0,")).iter().map(|&b| char::from(b)).collect::<String>()
            )),
        ),
        (
            "an image file that is honest",
            [&[0, 0, 8, 1], &(8u32 << 20).to_be_bytes()[..], &vec![7; 8 << 20][..]].concat(),
        ),
        ("an image file that boasts", [&[0, 0, 8, 1], &(1u32 << 30).to_be_bytes()[..]].concat()),
    ];
    for (name, bytes) in inputs {
        let good = all(name, &bytes);
        assert!(!name.contains("commas") || !good || !name.starts_with("60"), "{name}");
    }
    for reader in ["csv", "npy", "npz", "idx", "cifar", "model"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(reader);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            all(&path.display().to_string(), &std::fs::read(&path).unwrap());
        }
    }
}
