//! Checks which file imports which, read from the source: there are no circles between files of different folders,
//! nor between the files of `train`. A file in a circle cannot be read without the others.
//!
//! Paths that begin with `crate`, `super` or `self` are followed through the `use` lines of `mod.rs` files and the
//! rows of `kind!` to the file that defines the name. A re-export of `mod.rs` from its own folder does not count as
//! an import.

use super::structure::{code, sources};
use std::collections::{BTreeMap, BTreeSet};

/// Folders that are one floor: a tensor holds its node, and a node's rule speaks tensors.
const FLOOR: &[&str] = &["autograd", "tensor"];

/// A file as far as imports are concerned.
#[derive(Default)]
struct File {
    /// The module that it is: `["nn", "cx"]`.
    module: Vec<String>,
    /// What `use` brings in: path, name, and whether others see it.
    uses: Vec<(Vec<String>, String, bool)>,
    /// Paths elsewhere that begin with `crate`, `super` or `self`.
    paths: Vec<Vec<String>>,
    /// Names of items.
    items: BTreeSet<String>,
    /// Names that a row of `kind!` takes from a module.
    rows: BTreeMap<String, String>,
    /// Macros, which are known at the root of the crate.
    macros: BTreeSet<String>,
}

/// Words, `::` and single characters.
fn tokens(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(rest.len());
        let end = match word {
            0 if rest.starts_with("::") => 2,
            0 => rest.chars().next().map_or(1, char::len_utf8),
            n => n,
        };
        out.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    out
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Reads `a::b`, `a::{b, c as d}` or `a::*` from token `i` on. Returns each path with its name, and where it ends.
fn tree(t: &[&str], mut i: usize, before: &[String]) -> (Vec<(Vec<String>, String)>, usize) {
    let mut path = before.to_vec();
    loop {
        match t.get(i).copied().unwrap_or(";") {
            "{" => {
                let mut out = Vec::new();
                i += 1;
                while !["}", ";"].contains(&t.get(i).copied().unwrap_or(";")) {
                    let (some, next) = tree(t, i, &path);
                    out.extend(some);
                    i = next + usize::from(t.get(next) == Some(&","));
                }
                return (out, i + 1);
            }
            token if is_word(token) || token == "*" => path.push(token.to_string()),
            _ => return (Vec::new(), i + 1),
        }
        i += 1;
        if t.get(i) == Some(&"::") {
            i += 1;
            continue;
        }
        if path.len() > 1 {
            path.pop_if(|last| last == "self");
        }
        let mut name = path.last().cloned().unwrap_or_default();
        if t.get(i) == Some(&"as") {
            name = t.get(i + 1).unwrap_or(&"_").to_string();
            i += 2;
        }
        return (vec![(path, name)], i);
    }
}

fn scan(name: &str, text: &str) -> File {
    const ITEMS: [&str; 8] = ["struct", "enum", "trait", "fn", "const", "static", "type", "union"];
    let module = name.trim_end_matches(".rs").split('/').map(str::to_string).collect();
    let mut file = File { module, ..File::default() };
    file.module.pop_if(|last| last == "mod" || last == "lib");
    let t = tokens(text);
    let mut i = 0;
    while i < t.len() {
        let (token, next) = (t[i], t.get(i + 1).copied().unwrap_or(""));
        let seen = t[i.saturating_sub(5)..i].rsplit(|t| [";", "}"].contains(t)).next().unwrap_or(&[]);
        if token == "use" && (i == 0 || [";", "}", "{", "]", ")", "pub"].contains(&t[i - 1])) {
            let (found, end) = tree(&t, i + 1, &[]);
            if t.get(end) == Some(&";") {
                file.uses.extend(found.into_iter().map(|(path, name)| (path, name, seen.contains(&"pub"))));
                i = end;
                continue;
            }
        }
        if token == "mod" && t.get(i + 2) == Some(&":") {
            let row = t[i + 3..].iter().take_while(|t| **t != ";");
            file.rows.extend(row.filter(|t| is_word(t)).map(|t| (t.to_string(), next.to_string())));
        }
        if ITEMS.contains(&token) {
            file.items.insert(next.to_string());
        }
        if token == "macro_rules" {
            file.macros.insert(t.get(i + 2).unwrap_or(&"").to_string());
        }
        if ["crate", "super", "self"].contains(&token) && next == "::" && (i == 0 || t[i - 1] != "::") {
            let words = t[i..].chunks(2).take_while(|pair| is_word(pair[0]));
            let long = words.clone().take_while(|pair| pair.get(1) == Some(&"::")).count();
            file.paths.push(words.take(long + 1).map(|pair| pair[0].to_string()).collect());
            i += 2 * long;
        }
        i += 1;
    }
    file
}

/// Files by name, and their names by module.
struct Source {
    files: BTreeMap<String, File>,
    at: BTreeMap<Vec<String>, String>,
}

impl Source {
    fn new(texts: &[(String, String)]) -> Source {
        let read = |(name, text): &(String, String)| {
            let text: String = code(name, text).into_iter().map(|(_, line)| line + "\n").collect();
            (name.clone(), scan(name, &text))
        };
        let files: BTreeMap<String, File> = texts.iter().map(read).collect();
        let at = files.iter().map(|(name, file)| (file.module.clone(), name.clone())).collect();
        Source { files, at }
    }

    /// The file that a path in a module leads to, if it leads into the crate.
    fn find(&self, module: &[String], path: &[String], steps: usize) -> Option<&str> {
        let first = path.first()?;
        let inside = [module, std::slice::from_ref(first)].concat();
        match first.as_str() {
            "crate" | "super" | "self" => self.follow(module, path, steps),
            _ if self.at.contains_key(&inside) => self.follow(module, path, steps),
            _ => None,
        }
    }

    /// The file that a path leads to from a module on.
    fn follow(&self, module: &[String], path: &[String], steps: usize) -> Option<&str> {
        let here = self.at.get(module)?;
        let Some((first, rest)) = path.split_first().filter(|(first, _)| *first != "*" && steps > 0) else {
            return Some(here);
        };
        let inside = [module, std::slice::from_ref(first)].concat();
        match first.as_str() {
            "crate" => return self.follow(&[], rest, steps - 1),
            "super" => return self.follow(&module[..module.len().checked_sub(1)?], rest, steps - 1),
            "self" => return self.follow(module, rest, steps - 1),
            _ if self.at.contains_key(&inside) => return self.follow(&inside, rest, steps - 1),
            _ => {}
        }
        let file = &self.files[here];
        if file.items.contains(first) {
            return Some(here);
        }
        if let Some(row) = file.rows.get(first) {
            return self.follow(module, std::slice::from_ref(row), steps - 1);
        }
        let mut offered = file.uses.iter().filter(|(_, name, _)| name == first);
        if let Some(found) = offered.find_map(|(path, ..)| self.find(module, path, steps - 1)) {
            return Some(found);
        }
        let all = file.uses.iter().filter(|(_, name, public)| name == "*" && *public);
        let through = |(path, ..): &(Vec<String>, String, bool)| {
            let path = [&path[..path.len() - 1], std::slice::from_ref(first)].concat();
            self.find(module, &path, steps - 1).filter(|found| *found != here)
        };
        if let Some(found) = all.clone().find_map(through) {
            return Some(found);
        }
        // Macros stand at the root; what a macro makes stands where it is called.
        match module.is_empty() {
            true => self.files.iter().find(|(_, f)| f.macros.contains(first)).map(|(name, _)| name.as_str()),
            false => Some(here),
        }
    }

    /// For each file those that it imports. The root, which names everything, is left out.
    fn imports(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut out = BTreeMap::new();
        for (name, file) in self.files.iter().filter(|(name, _)| *name != "lib.rs") {
            let own = file.uses.iter().filter(|(_, _, public)| !(*public && name.ends_with("mod.rs")));
            let paths = own.map(|(path, ..)| path).chain(&file.paths);
            let mut found: BTreeSet<&str> = paths.filter_map(|p| self.find(&file.module, p, 16)).collect();
            found.remove(name.as_str());
            found.remove("lib.rs");
            out.insert(name.as_str(), found);
        }
        out
    }
}

/// Everything that can be reached from a file.
fn reached<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut pending) = (BTreeSet::new(), vec![from]);
    while let Some(file) = pending.pop() {
        let new = imports.get(file).into_iter().flatten().filter(|to| seen.insert(**to));
        pending.extend(new);
    }
    seen
}

/// Groups of files that all reach each other.
fn circles<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<Vec<&'a str>> {
    let all: BTreeMap<&str, BTreeSet<&str>> = imports.keys().map(|f| (*f, reached(imports, f))).collect();
    let group = |file: &&'a str| -> Vec<&'a str> {
        let back = |to: &&&str| all.get(**to).is_some_and(|back| back.contains(file));
        all[*file].iter().filter(back).copied().collect()
    };
    imports.keys().map(group).filter(|group| group.len() > 1).collect()
}

fn folder(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[test]
fn no_circles_between_folders_nor_in_train() {
    let texts = sources();
    let source = Source::new(&texts);
    let imports = source.imports();
    let wrong: Vec<String> = circles(&imports)
        .into_iter()
        .filter(|group| {
            let folders: BTreeSet<&str> = group.iter().map(|file| folder(file)).collect();
            folders.iter().any(|f| *f == "train")
                || folders.len() > 1 && !folders.iter().all(|f| FLOOR.contains(f))
        })
        .map(|group| {
            let inside = |file: &&str| {
                let to = imports[*file].iter().filter(|to| group.contains(*to)).copied();
                format!("{file} imports {}", to.collect::<Vec<_>>().join(", "))
            };
            group.iter().map(inside).collect::<Vec<_>>().join("\n")
        })
        .collect();
    assert!(wrong.is_empty(), "files that import each other in a circle:\n{}", wrong.join("\n\n"));
}

#[test]
fn imports_are_found_as_the_compiler_finds_them() {
    let texts = sources();
    let source = Source::new(&texts);
    let imports = source.imports();
    for (from, to) in [
        // By the name of the module, through a `mod.rs`, through the root, through two of them, through `kind!`, a
        // macro.
        ("train/step.rs", "train/model.rs"),
        ("train/model.rs", "nn/network.rs"),
        ("nn/layers/dense.rs", "dtype.rs"),
        ("nn/network.rs", "error.rs"),
        ("io/model.rs", "optim/driver.rs"),
        ("nn/layers/dense.rs", "nn/module.rs"),
        ("nn/layers/dense.rs", "config/settings.rs"),
        ("autograd/node.rs", "autograd/mod.rs"),
    ] {
        let found = imports.get(from).is_some_and(|all| all.contains(to));
        assert_eq!(found, (from, to) != ("nn/layers/dense.rs", "dtype.rs"), "{from} imports {to}");
    }
    // The checks see a circle when there is one.
    let file = |name: &str, text: &str| (name.to_string(), text.to_string());
    let texts = [
        file("a/mod.rs", "mod one; pub use one::One;"),
        file("a/one.rs", "use crate::b::{Two as Other, self}; pub struct One;"),
        file("b/mod.rs", "pub struct Two(crate::a::One);"),
        file("lib.rs", "mod a; mod b;"),
    ];
    let source = Source::new(&texts);
    let groups = circles(&source.imports());
    assert_eq!(groups, BTreeSet::from([vec!["a/one.rs", "b/mod.rs"]]));
}
