//! Why it exists: one answer, everywhere, kernel by kernel. Every operation on tensors, forwards and backwards, and a network in
//! training are computed under each instruction set of the machine and with 1, 2, 3 and 8 threads. A digest of the bytes stands for
//! what each of them gave, so that a difference names the kernel, the instruction set and the number of threads.
//!
//! The instruction set is read once per process: this binary runs itself again for each.

mod answers;
mod kernels;
mod network;

use answers::Answers;
use gradus::kernels::simd::{Isa, isa};
use gradus::{ops, with_threads};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};

const THREADS: [usize; 4] = [1, 2, 3, 8];

/// What a child's lines begin with: the harness writes to the same stream.
const MARK: &str = "answer\t";

/// In the child: predictions compared, then all digests with each number of threads, on standard output.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child() {
    println!("\n{MARK}isa\t\t{}", isa().name());
    network::predictions(&[33]);
    for threads in THREADS {
        let digests = with_threads(threads, || {
            let mut a = Answers::default();
            kernels::all(&mut a);
            network::all(&mut a);
            a.digests()
        });
        for (name, digest) in digests.unwrap() {
            println!("{MARK}{threads}\t{name}\t{digest}");
        }
    }
}

/// Threads and kernel, and its digest.
type Digests = BTreeMap<(usize, String), String>;

/// What a child printed.
fn read(set: Isa, text: &str) -> Digests {
    let mut digests = Digests::new();
    for line in text.lines().filter_map(|l| l.strip_prefix(MARK)) {
        let parts: Vec<&str> = line.split('\t').collect();
        match parts[..] {
            ["isa", "", name] => assert_eq!(name, set.name(), "the child chose another instruction set"),
            [threads, name, digest] => {
                digests.insert((threads.parse().unwrap(), name.into()), digest.into());
            }
            _ => panic!("a line that no child prints: {line}"),
        }
    }
    digests
}

/// The digests under each instruction set, all children at once.
fn children() -> Vec<(Isa, Digests)> {
    let start = |set: &Isa| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "one_answer::child", "--ignored", "--nocapture", "--test-threads=1"]);
        child.env("GRADUS_ISA", set.name()).env_remove("RAYON_NUM_THREADS");
        (*set, child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    };
    let running: Vec<_> = Isa::available().iter().map(start).collect();
    // Each child's output is read while the others run, lest a full pipe hold one up.
    let readers: Vec<_> = running
        .into_iter()
        .map(|(set, child)| (set, std::thread::spawn(move || child.wait_with_output().unwrap())))
        .collect();
    let finish = |(set, reader): (Isa, std::thread::JoinHandle<std::process::Output>)| {
        let out = reader.join().unwrap();
        let (text, errors) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success(), "{}: {}\n{text}\n{errors}", set.name(), out.status);
        (set, read(set, &text))
    };
    readers.into_iter().map(finish).collect()
}

/// Lines for all that differs from the first instruction set with one thread.
fn differences(all: &[(Isa, Digests)]) -> Vec<String> {
    let first = &all[0].1;
    let mut wrong = Vec::new();
    for ((_, name), want) in first.iter().filter(|((threads, _), _)| *threads == THREADS[0]) {
        for (set, digests) in all {
            for threads in THREADS {
                let got = digests.get(&(threads, name.clone())).map_or("nothing", String::as_str);
                if got != want {
                    wrong.push(format!("{name}: {}, {threads} threads: {got} instead of {want}", set.name()));
                }
            }
        }
    }
    wrong
}

#[test]
fn every_kernel_gives_one_answer() {
    let all = children();
    for (set, digests) in &all {
        assert_eq!(digests.len(), all[0].1.len(), "{}: another number of kernels", set.name());
    }
    let wrong = differences(&all);
    let kernels = all[0].1.len() / THREADS.len();
    let sets: Vec<&str> = all.iter().map(|(set, _)| set.name()).collect();
    println!("{kernels} kernels under {sets:?}, with {THREADS:?} threads");
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));

    // Nothing is left out, and the digests are of different things.
    let names: Vec<&str> = all[0].1.keys().map(|(_, name)| name.split(' ').next().unwrap()).collect();
    let rows = ops::OPS.iter().copied().flatten().map(|row| row.name);
    let rows =
        rows.chain(ops::UNARY.iter().map(|row| row.name)).chain(ops::BINARY.iter().map(|row| row.name));
    let missing: Vec<&str> =
        rows.filter(|row| !names.iter().any(|n| n.trim_end_matches(',') == *row)).collect();
    assert!(
        missing.is_empty(),
        "operations that tests/all/one_answer/kernels.rs does not compute: {missing:?}"
    );
    let different: std::collections::BTreeSet<&String> = all[0].1.values().collect();
    assert!(different.len() * 10 > kernels * 9, "{} digests for {kernels} kernels", different.len());
}

/// A comparison that never fails is worth nothing.
#[test]
fn a_difference_names_kernel_instructions_and_threads() {
    let all = |odd: &str| -> Vec<(Isa, Digests)> {
        let digests = |last: &str| -> Digests {
            THREADS.iter().map(|&t| ((t, "sum".into()), if t == 3 { last } else { "a" }.into())).collect()
        };
        vec![(Isa::Portable, digests("a")), (Isa::Avx2, digests(odd))]
    };
    assert!(differences(&all("a")).is_empty());
    assert_eq!(differences(&all("b")), ["sum: avx2, 3 threads: b instead of a"]);
}

#[test]
fn a_prediction_does_not_depend_on_the_rows_beside_it() {
    // Beside the multiples of tiles, with one column, and longer than a block of the product's sums.
    network::predictions(&[1, 64, 400]);
}
