//! Tests of downloads. A mirror can be down, slow, cut off, wrong or hostile: each kind answers here from
//! 127.0.0.1, and whatever it does, the folder holds the right file or none.
#![cfg(feature = "download")]

use gradus::datasets::Download;
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

const NAME: &str = "data.bin";

/// 100,000 bytes that are not all alike.
fn content() -> Vec<u8> {
    (0..100_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect()
}

/// A server that answers every request in one way until the test ends, and its address.
struct Server {
    address: String,
    requests: Arc<AtomicUsize>,
}

fn serve(answer: impl Fn(&str, &mut TcpStream) + Send + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut request, mut byte) = (Vec::new(), [0]);
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                request.push(byte[0]);
            }
            count.fetch_add(1, SeqCst);
            let text = String::from_utf8_lossy(&request).into_owned();
            answer(text.split_whitespace().nth(1).unwrap_or("/"), &mut stream);
        }
    });
    Server { address, requests }
}

fn send(stream: &mut TcpStream, head: &str, body: &[u8]) {
    let _ = stream.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes());
    let _ = stream.write_all(body);
}

fn good() -> Server {
    serve(|path, stream| {
        assert_eq!(path, "/data.bin");
        let body = content();
        send(stream, &format!("200 OK\r\nContent-Length: {}", body.len()), &body);
    })
}

/// Nobody listens at this address.
fn down() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A folder for one test, removed when it ends.
struct Folder(PathBuf);
impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("gradus-download-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn download(mirrors: &[&str]) -> Download {
    let body = content();
    let sha256: String = Sha256::digest(&body).iter().map(|b| format!("{b:02x}")).collect();
    Download::new("test", mirrors.iter().copied())
        .file(NAME, body.len() as u64, &sha256)
        .timeout(Duration::from_secs(2))
}

/// Why a server's file is not taken; nothing may be left in the folder.
fn refused(name: &str, server: &str, seconds: u64) -> String {
    let folder = Folder::new(name);
    let began = std::time::Instant::now();
    let e = download(&[server]).timeout(Duration::from_secs(seconds)).fetch(&folder.0).unwrap_err();
    // Not a measurement: a client without a timeout would wait for minutes.
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(folder.names(), [""; 0]);
    let text = e.to_string();
    assert!(text.contains(&format!("no mirror gave this file:\n  {server}/data.bin: ")), "{text}");
    text
}

#[test]
fn a_good_mirror_gives_the_file_once() {
    let (folder, server) = (Folder::new("good"), good());
    for _ in 0..2 {
        download(&[&server.address]).fetch(&folder.0).unwrap();
        assert_eq!(std::fs::read(folder.0.join(NAME)).unwrap(), content());
    }
    assert_eq!(server.requests.load(SeqCst), 1, "what is there and right is not fetched again");
    assert_eq!(folder.names(), [NAME]);
    // A damaged file of the same size is replaced, and so is one that was cut.
    let mut bent = content();
    bent[5] ^= 1;
    for wrong in [&bent[..], &bent[..50]] {
        std::fs::write(folder.0.join(NAME), wrong).unwrap();
        download(&[&server.address]).fetch(&folder.0).unwrap();
        assert_eq!(std::fs::read(folder.0.join(NAME)).unwrap(), content());
    }
    assert_eq!(server.requests.load(SeqCst), 3);
}

#[test]
fn a_mirror_that_is_down() {
    let text = refused("down", &down(), 2).to_lowercase();
    assert!(text.contains("refused"), "{text}");
}

#[test]
fn a_mirror_that_never_answers_or_stops_in_the_middle() {
    let silent = serve(|_, _| std::thread::sleep(Duration::from_secs(30)));
    let text = refused("silent", &silent.address, 1);
    assert!(text.to_lowercase().contains("timeout"), "{text}");
    let stalls = serve(|_, stream| {
        send(stream, "200 OK\r\nContent-Length: 100000", &content()[..1000]);
        std::thread::sleep(Duration::from_secs(30));
    });
    let text = refused("stalls", &stalls.address, 1);
    assert!(text.to_lowercase().contains("timeout") && text.contains("of 100000 bytes"), "{text}");
}

#[test]
fn a_mirror_that_breaks_off() {
    let cut = serve(|_, stream| send(stream, "200 OK\r\nContent-Length: 100000", &content()[..99_999]));
    let text = refused("cut", &cut.address, 2);
    assert!(text.contains("99999 of 100000 bytes"), "{text}");
    // Without a length the end of the connection looks like the end of the file.
    let cut = serve(|_, stream| send(stream, "200 OK", &content()[..99_999]));
    let text = refused("cut-quietly", &cut.address, 2);
    assert!(text.contains("it ends after 99999 of 100000 bytes"), "{text}");
}

#[test]
fn a_mirror_that_lies() {
    let lies = serve(|_, stream| {
        let mut body = content();
        body[77_777] ^= 1;
        send(stream, "200 OK\r\nContent-Length: 100000", &body);
    });
    let text = refused("lies", &lies.address, 2);
    assert!(text.contains("wrong content: expected SHA-256 ") && text.contains(", found "), "{text}");
    let page = serve(|_, stream| send(stream, "200 OK\r\nContent-Length: 12", b"<html></html"));
    assert!(refused("page", &page.address, 2).contains("it offers 12 bytes, expected 100000"));
    let missing = serve(|_, stream| send(stream, "404 Not Found\r\nContent-Length: 0", b""));
    assert!(refused("missing", &missing.address, 2).contains("404"));
    let nonsense = serve(|_, stream| drop(stream.write_all(b"\x00\x01 no such protocol\r\n\r\n")));
    refused("nonsense", &nonsense.address, 2);
}

#[test]
fn a_mirror_that_sends_too_much() {
    let declared = serve(|_, stream| send(stream, "200 OK\r\nContent-Length: 100000000000", &content()));
    assert!(
        refused("declared", &declared.address, 2).contains("it offers 100000000000 bytes, expected 100000")
    );
    let endless = serve(|_, stream| {
        send(stream, "200 OK", &content());
        while stream.write_all(&content()).is_ok() {}
    });
    assert!(refused("endless", &endless.address, 2).contains("it sends more than the expected 100000 bytes"));
}

#[test]
fn redirections_are_followed_but_not_for_ever() {
    let (folder, server) = (Folder::new("redirect"), good());
    let target = server.address.clone();
    let redirects = serve(move |_, stream| {
        send(stream, &format!("302 Found\r\nLocation: {target}/data.bin\r\nContent-Length: 0"), b"");
    });
    download(&[&redirects.address]).fetch(&folder.0).unwrap();
    assert_eq!(std::fs::read(folder.0.join(NAME)).unwrap(), content());
    let circle =
        serve(|_, stream| send(stream, "302 Found\r\nLocation: /data.bin\r\nContent-Length: 0", b""));
    let text = refused("circle", &circle.address, 2);
    assert!(text.contains("redirect") && circle.requests.load(SeqCst) < 20, "{text}");
}

#[test]
fn the_next_mirror_is_tried_and_all_failures_are_told() {
    let (folder, server) = (Folder::new("next"), good());
    let missing = serve(|_, stream| send(stream, "503 Service Unavailable\r\nContent-Length: 0", b""));
    let unused = good();
    let dead = down();
    download(&[&dead, &missing.address, &server.address, &unused.address]).fetch(&folder.0).unwrap();
    assert_eq!(std::fs::read(folder.0.join(NAME)).unwrap(), content());
    assert_eq!((server.requests.load(SeqCst), unused.requests.load(SeqCst)), (1, 0));

    let folder = Folder::new("none");
    let e = download(&[&dead, &missing.address]).fetch(&folder.0).unwrap_err().to_string();
    let lines: Vec<&str> = e.lines().collect();
    assert_eq!(lines.len(), 3, "{e}");
    assert!(lines[0].ends_with("data.bin: no mirror gave this file:"), "{e}");
    assert!(lines[1].starts_with(&format!("  {dead}/data.bin: ")), "{e}");
    assert!(
        lines[2].starts_with(&format!("  {}/data.bin: ", missing.address)) && lines[2].contains("503"),
        "{e}"
    );
    let e = Download::mnist().mirrors([""; 0]).fetch(&folder.0).unwrap_err();
    assert!(e.to_string().contains("there is no mirror"), "{e}");
}

#[test]
fn a_folder_that_cannot_be_written_to_is_not_the_mirrors_fault() {
    let (folder, server) = (Folder::new("file"), good());
    std::fs::create_dir_all(&folder.0).unwrap();
    std::fs::write(folder.0.join("taken"), "a file").unwrap();
    let e = download(&[&server.address]).fetch(folder.0.join("taken")).unwrap_err();
    assert!(matches!(e, gradus::Error::Io { .. }), "{e}");
    assert_eq!(server.requests.load(SeqCst), 0);
    std::fs::create_dir(folder.0.join(NAME)).unwrap();
    let e = download(&[&server.address]).fetch(&folder.0).unwrap_err();
    assert!(e.to_string().contains("expected the path of a file to write, found a folder"), "{e}");
    assert_eq!(server.requests.load(SeqCst), 0);
}
