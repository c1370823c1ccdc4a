//! Tests that every kernel has one answer everywhere. Every operation on tensors and every layer, forward and
//! backward, every optimizer, and networks in training are computed under each instruction set of the machine, with
//! 1, 2, 3 and 8 threads, and in a global pool of `RAYON_NUM_THREADS`. A digest of the bytes stands for what each
//! of them gave, so that a difference names the kernel, the instruction set and the number of threads. No other
//! test has to be run for each instruction set.
//!
//! [`Isa::NoFma`] has other bits where it multiplies matrices or takes elementary functions; its digests are
//! compared among themselves.
//!
//! Both variables are read once per process: this binary runs itself again for each.

pub(crate) mod answers;
pub(crate) mod kernels;
pub(crate) mod layers;
mod network;
pub(crate) mod numbers;

use answers::Answers;
use gradus::kernels::simd::{Isa, isa};
use gradus::{nn, ops, optim, with_threads};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};

const THREADS: [usize; 4] = [1, 2, 3, 8];
/// Stands for the global pool where a number of threads is asked for.
const GLOBAL: usize = 0;
/// The sizes of the global pools: the first for every instruction set, the other for the best alone.
const POOLS: [usize; 2] = [4, 1];

/// What a child's lines begin with: the harness writes to the same stream.
const MARK: &str = "answer\t";

fn digests() -> Vec<(String, String)> {
    let mut a = Answers::default();
    kernels::all(&mut a);
    numbers::all(&mut a);
    layers::all(&mut a);
    network::all(&mut a);
    a.digests()
}

/// In the child: predictions compared, then all digests with each number of threads, on standard output.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child() {
    println!("\n{MARK}isa\t\t{}", isa().name());
    let print = |threads: usize, digests: Vec<(String, String)>| {
        digests.iter().for_each(|(name, digest)| println!("{MARK}{threads}\t{name}\t{digest}"));
    };
    print(GLOBAL, digests());
    if std::env::var("RAYON_NUM_THREADS").unwrap() != POOLS[0].to_string() {
        return;
    }
    network::predictions(&[33]);
    for threads in THREADS {
        print(threads, with_threads(threads, digests).unwrap());
    }
}

/// Threads ([`GLOBAL`] for the global pool) and kernel, and its digest.
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

/// What one child computed: under this instruction set, with a global pool of this many threads.
type Child = (Isa, usize, Digests);

/// The digests under each instruction set, all children at once.
fn children() -> Vec<Child> {
    let start = |(set, pool): (Isa, usize)| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "one_answer::child", "--ignored", "--nocapture", "--test-threads=1"]);
        child.env("GRADUS_ISA", set.name()).env("RAYON_NUM_THREADS", pool.to_string());
        (set, pool, child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    };
    let sets = Isa::available();
    let first = sets.iter().map(|&set| (set, POOLS[0]));
    let running: Vec<_> = first.chain([(sets[sets.len() - 1], POOLS[1])]).map(start).collect();
    // Each child's output is read while the others run, lest a full pipe hold one up.
    let readers: Vec<_> = running
        .into_iter()
        .map(|(set, pool, child)| (set, pool, std::thread::spawn(move || child.wait_with_output().unwrap())))
        .collect();
    let finish = |(set, pool, reader): (Isa, usize, std::thread::JoinHandle<std::process::Output>)| {
        let out = reader.join().unwrap();
        let (text, errors) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success(), "{}: {}\n{text}\n{errors}", set.name(), out.status);
        (set, pool, read(set, &text))
    };
    readers.into_iter().map(finish).collect()
}

/// Lines for all that differs from the first instruction set with one thread. What processors without fused
/// multiply-adds give is an answer of its own, the same for any number of threads.
fn differences(all: &[Child]) -> Vec<String> {
    let (fused, apart): (Vec<&Child>, Vec<&Child>) = all.iter().partition(|(set, ..)| set.is_fused());
    [fused, apart]
        .iter()
        .filter(|group| !group.is_empty())
        .flat_map(|group| differences_among(group))
        .collect()
}

fn differences_among(all: &[&Child]) -> Vec<String> {
    let first = &all[0].2;
    let mut wrong = Vec::new();
    for ((_, name), want) in first.iter().filter(|((threads, _), _)| *threads == THREADS[0]) {
        for (set, pool, digests) in all {
            let own: &[usize] = if *pool == POOLS[0] { &THREADS } else { &[] };
            for &threads in [GLOBAL].iter().chain(own) {
                let got = digests.get(&(threads, name.clone())).map_or("nothing", String::as_str);
                if got != want {
                    let threads = if threads == GLOBAL {
                        format!("a global pool of {pool}")
                    } else {
                        format!("{threads} threads")
                    };
                    wrong.push(format!("{name}: {}, {threads}: {got} instead of {want}", set.name()));
                }
            }
        }
    }
    wrong
}

#[test]
fn every_kernel_gives_one_answer() {
    let all = children();
    let kernels = all[0].2.len() / (THREADS.len() + 1);
    for (set, pool, digests) in &all {
        let runs = if *pool == POOLS[0] { THREADS.len() + 1 } else { 1 };
        assert_eq!(digests.len(), kernels * runs, "{}: another number of kernels", set.name());
    }
    let wrong = differences(&all);
    let sets: Vec<(&str, usize)> = all.iter().map(|(set, pool, _)| (set.name(), *pool)).collect();
    println!("{kernels} kernels in processes {sets:?}, with {THREADS:?} threads and in the global pool");
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
    for (set, _, digests) in all.iter().filter(|(set, ..)| !set.is_fused()) {
        let other: Vec<&str> = digests
            .iter()
            .filter(|(key, d)| key.0 == 1 && all[0].2.get(*key) != Some(*d))
            .map(|(key, _)| key.1.as_str())
            .collect();
        println!("{}: other bits in {} of {kernels}: {}", set.name(), other.len(), other.join(", "));
        assert!(!other.is_empty() && other.len() < kernels, "{other:?}");
    }

    // Nothing is left out, and the digests are of different things.
    let names: Vec<&str> = all[0].2.keys().map(|(_, name)| name.split(' ').next().unwrap()).collect();
    let rows = ops::OPS.iter().copied().flatten().map(|row| row.name);
    let rows =
        rows.chain(ops::UNARY.iter().map(|row| row.name)).chain(ops::BINARY.iter().map(|row| row.name));
    let missing: Vec<&str> = rows
        .chain(optim::NAMES.iter().copied())
        .filter(|row| !names.iter().any(|n| n.trim_end_matches(',') == *row))
        .collect();
    assert!(
        missing.is_empty(),
        "operations or optimizers that tests/all/one_answer/kernels.rs does not compute: {missing:?}"
    );
    let has = |layer: &&&str| layers::LAYERS.iter().any(|(name, _)| name == *layer);
    let missing: Vec<&&str> = nn::layers::NAMES.iter().filter(|layer| !has(layer)).collect();
    assert!(missing.is_empty(), "layers that tests/all/one_answer/layers.rs does not compute: {missing:?}");
    // Layers give the same in training and in inference, and gradients of ones: they do not count here.
    let own = all[0].2.iter().filter(|((threads, name), _)| *threads == 1 && !name.starts_with("layer "));
    let own: Vec<&String> = own.map(|(_, digest)| digest).collect();
    let different: std::collections::BTreeSet<&&String> = own.iter().collect();
    let (n, different) = (own.len(), different.len());
    assert!(n > 700 && different * 10 > n * 9, "{different} digests for {n} kernels");
}

/// A comparison that never fails is worth nothing.
#[test]
fn a_difference_names_kernel_instructions_and_threads() {
    let all = |odd: &str| -> Vec<Child> {
        let digests = |last: &str| -> Digests {
            let runs = THREADS.iter().chain(&[GLOBAL]);
            runs.map(|&t| ((t, "sum".into()), if t == 3 { last } else { "a" }.into())).collect()
        };
        let alone = Digests::from([((GLOBAL, "sum".into()), odd.into())]);
        let apart = (Isa::NoFma, 4, digests("a").into_keys().map(|key| (key, "c".into())).collect());
        vec![(Isa::Portable, 4, digests("a")), apart, (Isa::Avx2, 4, digests(odd)), (Isa::Avx2, 1, alone)]
    };
    assert!(differences(&all("a")).is_empty());
    let wrong = ["sum: avx2, 3 threads: b instead of a", "sum: avx2, a global pool of 1: b instead of a"];
    assert_eq!(differences(&all("b")), wrong);
}

#[test]
fn a_prediction_does_not_depend_on_the_rows_beside_it() {
    // Beside the multiples of tiles, with one column, and longer than a block of the product's sums.
    network::predictions(&[1, 64, 400]);
}
