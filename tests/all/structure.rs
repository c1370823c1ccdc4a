//! Checks the structure of the source: lower folders know nothing of higher ones, `unsafe` stays where it is
//! watched, and every file says what it is. Rules that only people keep are not kept.

use std::path::{Path, PathBuf};

/// Folders and files at the top of `src`, from the bottom up. What stands in one row may use each other and all rows
/// before it.
///
/// - The vocabulary (errors, shapes, element types, names in files) includes the scalar functions of `kernels/math`:
///   an element type is one for which they exist.
/// - `random` gives kernels and operations their numbers and needs nothing but the vocabulary.
/// - Losses use activations (to join with them) and optimizers use parameters, so they stand above `nn`.
/// - `data` (samples, batches, the order of them) knows tensors and random streams alone; training goes through it.
const COLUMN: &[&[&str]] = &[
    &["cancel", "clock", "event", "error", "dtype", "shape", "config", "kernels/math"],
    &["kernels", "random"],
    &["tensor", "autograd", "ops"],
    &["nn"],
    &["optim", "loss", "metric", "data"],
    &["train"],
];

/// Beside the column: each may use what is listed, and nothing in the column uses them.
const BESIDE: &[(&str, &[&str])] = &[
    ("guides", &[]),
    // They name the crate as users do.
    ("tests", &[]),
    (
        "io",
        &[
            "error",
            "event",
            "dtype",
            "shape",
            "config",
            "random",
            "tensor",
            "nn",
            "optim",
            "loss",
            "metric",
            "train",
            "kernels",
            "validation",
        ],
    ),
    ("applications", &["error", "config", "dtype", "shape", "tensor", "ops", "nn", "io"]),
    ("validation", &["error", "dtype", "random", "tensor", "data", "train"]),
    ("generation", &["error", "shape", "dtype", "kernels", "random", "tensor", "nn"]),
    ("text", &["error", "random", "tensor", "dtype", "io"]),
    ("graph", &["error", "dtype", "shape", "kernels", "random", "tensor", "autograd", "ops", "nn", "train"]),
    (
        "tensorboard",
        &["graph", "train", "nn", "autograd", "tensor", "clock", "event", "error", "dtype", "shape", "io"],
    ),
    ("onnx", &["graph", "nn", "autograd", "ops", "tensor", "io", "error", "dtype", "shape"]),
    ("datasets", &["io", "error", "dtype", "shape", "tensor", "autograd", "ops", "random"]),
];

/// Where the names that `lib.rs` offers at the root come from. Macros are the root's own.
const ROOT: &[(&str, &str)] = &[
    ("DType", "dtype"),
    ("Element", "dtype"),
    ("bf16", "dtype"),
    ("f16", "dtype"),
    ("Float", "dtype"),
    ("Stored", "dtype"),
    ("CancellationToken", "cancel"),
    ("Context", "error"),
    ("Error", "error"),
    ("Result", "error"),
    ("Threads", "kernels"),
    ("with_threads", "kernels"),
    ("IntoShape", "shape"),
    ("MAX_RANK", "shape"),
    ("Shape", "shape"),
    ("Spec", "shape"),
    ("UNKNOWN", "shape"),
    ("Tensor", "tensor"),
    ("op", "autograd"),
    ("parts", "nn"),
    ("settings", "config"),
    ("string_enum", "config"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file: its path below `src` with `/`, and its text.
pub(crate) fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, out: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                out.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut out = Vec::new();
    walk(&root(), &mut out);
    out.sort();
    assert!(out.len() > 50, "the scan found only {} files", out.len());
    out
}

/// The lines of a file without comments, up to its test module; files of tests have none.
pub(crate) fn code(name: &str, text: &str) -> Vec<(usize, String)> {
    if name.ends_with("tests.rs") || name.starts_with("tests/") {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.trim() == "#[cfg(test)]" {
            let rest = text.lines().nth(i + 1).unwrap_or("");
            if rest.contains("mod tests {") {
                break;
            }
        }
        let line = line.split("//").next().unwrap_or("");
        lines.push((i + 1, line.to_string()));
    }
    lines
}

/// The paths that follow `crate::` in a file: `crate::a::b`, and each of `crate::{a::b, c}`.
fn paths(text: &str) -> Vec<String> {
    fn word(s: &str) -> &str {
        let end =
            s.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':' && c != '/').unwrap_or(s.len());
        &s[..end]
    }
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let Some(list) = rest.strip_prefix('{') else {
            found.push(word(rest).to_string());
            continue;
        };
        let (mut depth, mut start) = (1, 0);
        for (i, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if (c == ',' && depth == 1) || depth == 0 {
                found.push(word(list[start..i].trim()).to_string());
                start = i + 1;
            }
            if depth == 0 {
                break;
            }
        }
    }
    found.retain(|p| !p.is_empty());
    found
}

/// The part of the crate that a path such as `kernels::math::Real` or `Tensor` belongs to.
fn part(path: &str) -> String {
    let first = path.split("::").next().unwrap_or(path);
    if path.starts_with("kernels::math") {
        return "kernels/math".into();
    }
    ROOT.iter().find(|(name, _)| *name == first).map_or(first, |(_, part)| part).to_string()
}

fn part_of_file(name: &str) -> String {
    if name.starts_with("kernels/math/") {
        return "kernels/math".into();
    }
    name.split('/').next().unwrap_or(name).trim_end_matches(".rs").to_string()
}

fn level(part: &str) -> Option<usize> {
    COLUMN.iter().position(|row| row.contains(&part))
}

#[test]
fn dependencies_point_down() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        // The root names everything; tests may use everything.
        if name == "lib.rs" {
            continue;
        }
        let text: String = code(&name, &text).into_iter().map(|(_, line)| line + "\n").collect();
        let from = part_of_file(&name);
        for path in paths(&text) {
            let to = part(&path);
            let fine = match (level(&from), level(&to), BESIDE.iter().find(|(b, _)| *b == from)) {
                _ if from == to => true,
                // Scalar functions and the kernels around them are one folder.
                (Some(0), _, _) if from == "kernels/math" && to == "kernels" => {
                    path.starts_with("kernels::simd")
                }
                (Some(a), Some(b), _) => b <= a,
                (None, _, Some((_, may))) => may.contains(&to.as_str()) || to == "kernels/math",
                _ => false,
            };
            if !fine {
                wrong.push(format!("{name} uses crate::{path}"));
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "dependencies that point up:\n{}", wrong.join("\n"));
}

#[test]
fn every_part_has_a_place() {
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let part = part_of_file(&name);
        let known = part == "lib" || level(&part).is_some() || BESIDE.iter().any(|(b, _)| *b == part);
        assert!(known, "src/{name} has no place in the order: add it to COLUMN or BESIDE");
    }
}

#[test]
fn the_scan_reads_paths() {
    let text = "use crate::{DType, a::{b, c}, Error};\nuse crate::kernels::par; fn f(x: crate::Tensor) {}";
    assert_eq!(paths(text), ["DType", "a::", "Error", "kernels::par", "Tensor"]);
    assert_eq!(part("kernels::math::Real"), "kernels/math");
    assert_eq!(part("with_threads"), "kernels");
}

#[test]
fn one_file_names_rayon() {
    for (name, text) in sources() {
        let uses = code(&name, &text).iter().any(|(_, line)| line.contains("rayon"));
        assert_eq!(uses, name == "kernels/par.rs", "{name}: only kernels/par.rs names rayon");
    }
}

#[test]
fn unsafe_stays_where_it_is_watched() {
    let allowed = |name: &str| {
        let gemm =
            ["gather.rs", "loops.rs", "matrix.rs", "tile.rs"].map(|file| format!("kernels/gemm/{file}"));
        ["tensor/storage.rs", "tensor/arena.rs", "tensor/few.rs"].contains(&name)
            || name.starts_with("kernels/simd/")
            || gemm.contains(&name.to_string())
    };
    for (name, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in code(&name, &text) {
            let named = line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
            if !named {
                continue;
            }
            assert!(allowed(&name), "src/{name}:{number}: unsafe outside of its three places: {line}");
            if line.contains("unsafe {") || line.contains("unsafe impl") {
                // The comment stands on the line, or above the statement that the block is part of.
                let above = lines[..number].iter().rev().take(10);
                let said = above.take_while(|l| !l.trim().is_empty()).any(|l| l.contains("SAFETY:"));
                assert!(said, "src/{name}:{number}: no SAFETY comment before: {line}");
            }
        }
    }
}

#[test]
fn nothing_unwraps() {
    for (name, text) in sources() {
        for (number, line) in code(&name, &text) {
            assert!(!line.contains(".unwrap()"), "src/{name}:{number}: {line}");
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    for (name, text) in sources() {
        let first = text.lines().next().and_then(|line| line.strip_prefix("//! ")).unwrap_or("");
        // A sentence, or its beginning: a name or some words, not a heading.
        let said = first.split(' ').count() > 2 && !first.starts_with(['#', '-', '|', '[']);
        assert!(said, "src/{name} should begin with '//! ' and a sentence that says what it is");
    }
}

/// Who reads the documentation of a crate never sees its folders: each page of `docs/` is a page there, and links
/// work in both places.
#[test]
fn every_guide_is_a_page() {
    let docs = root().parent().unwrap().join("docs");
    let list = std::fs::read_to_string(root().join("guides.rs")).unwrap();
    let mut pages = 0;
    for (folder, before) in [(docs.clone(), ""), (docs.join("decisions"), "decisions/")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "md") {
                continue;
            }
            pages += 1;
            let name = format!("{before}{}", path.file_stem().unwrap().to_str().unwrap());
            assert!(list.contains(&format!("\"{name}\"")), "docs/{name}.md is not in src/guides.rs");
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(
                !text.contains(".md)"),
                "docs/{name}.md: write [{name}.md] and say at the end where it is"
            );
            for line in text.lines() {
                let Some((label, target)) = line.strip_prefix('[').and_then(|l| l.split_once("]: ")) else {
                    continue;
                };
                let there = path.parent().unwrap().join(target.split('#').next().unwrap());
                assert!(target.starts_with("http") || there.exists(), "docs/{name}.md: {target} is missing");
                assert!(list.contains(&format!("[{label}]: ")), "src/guides.rs has no link for [{label}]");
            }
        }
    }
    assert!(pages > 30, "only {pages} pages");
}
