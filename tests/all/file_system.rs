//! Tests of readers and writers against the file system: paths that are not files, writers that are killed, links
//! that lead elsewhere. Each sentence of SECURITY.md and `docs/format.md` about this has a test.

use gradus::datasets::{cifar10, idx, mnist};
use gradus::io::{Csv, Limits, npy, npz};
use gradus::prelude::*;
use gradus::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::files::folder;

fn tiny() -> Model {
    let stack = Sequential::new().add(Input::new([2])).add(Dense::new(1));
    stack.compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap()
}

type Reader = fn(&Path) -> Result<()>;

/// Every reader of the library that takes the path of a file.
fn readers() -> Vec<(&'static str, Reader)> {
    vec![
        ("Csv::read", |path| Csv::new().read(path, &Limits::default()).map(drop)),
        ("npy::read", |path| npy::read(path, &Limits::default()).map(drop)),
        ("npz::read", |path| npz::read(path, &Limits::default()).map(drop)),
        ("npz::read_only", |path| npz::read_only(path, &["x"], &Limits::default()).map(drop)),
        ("idx::read", |path| idx::read(path, &Limits::default()).map(drop)),
        ("Model::load", |path| Model::load(path).map(drop)),
        ("Network::load", |path| gradus::nn::Network::load(path).map(drop)),
        ("load_weights", |path| tiny().load_weights(path)),
    ]
}

/// What readers say of this path, each within a few seconds.
fn answers(path: &Path) -> Vec<(&'static str, Error)> {
    let mut out = Vec::new();
    for (name, read) in readers() {
        let (send, receive) = std::sync::mpsc::channel();
        let path = path.to_path_buf();
        std::thread::spawn(move || send.send(read(&path)));
        let answer = receive.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("{name} waits"));
        out.push((name, answer.unwrap_err()));
    }
    out
}

#[cfg(unix)]
fn pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn a_pipe_without_a_writer_blocks_no_reader() {
    let dir = folder("pipe");
    pipe(&dir.join("pipe"));
    std::os::unix::fs::symlink("pipe", dir.join("link")).unwrap();
    for path in [dir.join("pipe"), dir.join("link")] {
        for (name, e) in answers(&path) {
            assert!(e.to_string().contains("expected a regular file, found a pipe"), "{name}: {e}");
        }
    }
    // The loaders of data sets look for files in a folder.
    let names = [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ];
    names.iter().for_each(|name| pipe(&dir.join(name)));
    assert!(mnist::load_from(&dir).is_err());
    pipe(&dir.join("cifar-10-binary.tar.gz"));
    assert!(cifar10::load_from(&dir).is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn devices_are_refused_before_a_byte_is_read() {
    for path in ["/dev/zero", "/dev/null", "/dev/random"] {
        let begin = Instant::now();
        for (name, e) in answers(Path::new(path)) {
            let text = e.to_string();
            assert!(text.starts_with(path) && text.contains("found a device"), "{name}: {text}");
            assert!(text.contains("parse, decode, from_bytes"), "{name}: {text}");
        }
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn folders_are_refused_and_missing_files_named() {
    let dir = folder("no-file");
    for (name, e) in answers(&dir) {
        assert!(e.to_string().contains("expected a file, found a folder"), "{name}: {e}");
    }
    for (name, e) in answers(&dir.join("absent")) {
        assert!(matches!(&e, Error::Io { path, .. } if path.ends_with("absent")), "{name}: {e}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_a_file_is_read_and_a_socket_refused() {
    let dir = folder("links");
    tiny().save(dir.join("m.gradus")).unwrap();
    std::os::unix::fs::symlink("m.gradus", dir.join("latest")).unwrap();
    assert!(Model::load(dir.join("latest")).is_ok());
    let _socket = std::os::unix::net::UnixListener::bind(dir.join("socket")).unwrap();
    for (name, e) in answers(&dir.join("socket")) {
        assert!(e.to_string().contains("found a socket"), "{name}: {e}");
    }
}

/// The files of a folder whose names begin with a dot.
fn hidden(dir: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with('.')).collect()
}

#[test]
fn temporary_files_of_killed_writers_are_removed_by_the_next_writer() {
    let dir = folder("leftovers");
    for i in 0..1500 {
        // Of a writer of the same file, and of others.
        let name = if i % 2 == 0 { "m.gradus" } else { "x.npy" };
        std::fs::write(dir.join(format!(".{name}.{i:016x}.gradus-tmp")), b"half").unwrap();
    }
    let others = [".m.gradus.tmp", ".m.gradus.1.gradus-tmp.txt", "m.gradus-tmp", ".profile"];
    others.iter().for_each(|name| std::fs::write(dir.join(name), b"not ours").unwrap());
    tiny().save(dir.join("m.gradus")).unwrap();
    assert!(Model::load(dir.join("m.gradus")).is_ok());
    let mut left: Vec<_> =
        hidden(&dir).iter().map(|p| p.file_name().unwrap().to_str().unwrap().to_string()).collect();
    left.sort();
    assert_eq!(left, [".m.gradus.1.gradus-tmp.txt", ".m.gradus.tmp", ".profile"]);
    assert!(dir.join("m.gradus-tmp").exists());
}

/// The file that a living writer locks is wanted; a child process is killed while it holds one.
#[cfg(unix)]
#[test]
fn the_temporary_file_of_a_living_writer_stays_until_it_is_killed() {
    let dir = folder("living");
    let temporary = dir.join(".m.gradus.0123456789abcdef.gradus-tmp");
    std::fs::write(&temporary, b"half").unwrap();
    let held = std::fs::File::options().write(true).open(&temporary).unwrap();
    held.lock().unwrap();
    tiny().save(dir.join("m.gradus")).unwrap();
    assert_eq!(hidden(&dir), [temporary]);
    drop(held); // as when its process ends, in whatever way
    tiny().save(dir.join("m.gradus")).unwrap();
    assert!(hidden(&dir).is_empty());
}

#[test]
fn many_writers_on_one_path_leave_one_whole_file() {
    let dir = folder("writers");
    let path = dir.join("x.npy");
    let arrays: Vec<Tensor> = (0..8).map(|i| Tensor::full([5000], f64::from(i)).unwrap()).collect();
    std::thread::scope(|scope| {
        for array in &arrays {
            scope.spawn(|| (0..20).for_each(|_| npy::write(&path, array).unwrap()));
        }
        for _ in 0..50 {
            match npy::read(&path, &Limits::default()) {
                Ok(read) => assert!(arrays.iter().any(|array| array.same_bits(&read))),
                Err(e) => assert!(matches!(e, Error::Io { .. }), "{e}"),
            }
        }
    });
    assert!(hidden(&dir).is_empty());
}

#[cfg(unix)]
#[test]
fn saving_over_a_link_replaces_the_link_and_not_what_it_leads_to() {
    let dir = folder("over-a-link");
    std::fs::create_dir(dir.join("elsewhere")).unwrap();
    let target = dir.join("elsewhere/precious");
    std::fs::write(&target, b"precious").unwrap();
    for (link, to) in [
        ("m.gradus", target.clone()),
        ("dangling.gradus", dir.join("nothing")),
        ("null.gradus", "/dev/null".into()),
    ] {
        let path = dir.join(link);
        std::os::unix::fs::symlink(to, &path).unwrap();
        tiny().save(&path).unwrap();
        assert!(std::fs::symlink_metadata(&path).unwrap().is_file());
        assert!(Model::load(&path).is_ok());
    }
    assert_eq!(std::fs::read(&target).unwrap(), b"precious");
    assert!(!dir.join("nothing").exists());
    // To write where a link leads, ask for that place.
    std::os::unix::fs::symlink(&target, dir.join("latest")).unwrap();
    tiny().save(std::fs::canonicalize(dir.join("latest")).unwrap()).unwrap();
    assert!(
        Model::load(&target).is_ok() && std::fs::symlink_metadata(dir.join("latest")).unwrap().is_symlink()
    );
}

#[cfg(unix)]
#[test]
fn nothing_but_a_file_is_ever_replaced() {
    let dir = folder("replaced");
    pipe(&dir.join("pipe"));
    std::fs::create_dir(dir.join("folder")).unwrap();
    let x = Tensor::ones([2]).unwrap();
    for (name, what) in [("pipe", "a pipe"), ("folder", "a folder")] {
        let path = dir.join(name);
        for result in [
            tiny().save(&path),
            tiny().save_weights(&path),
            npy::write(&path, &x),
            npz::write(&path, &[("x", &x)]),
        ] {
            let text = result.unwrap_err().to_string();
            assert!(text.contains(&format!("expected the path of a file to write, found {what}")), "{text}");
        }
    }
    assert!(hidden(&dir).is_empty());
}
