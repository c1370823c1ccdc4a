//! Compares small programs, as a new user writes them, with the same programs in Keras: the Rust ones may not take
//! many more lines.

use std::path::Path;

/// Lines that a person wrote: not blank, and no comments or texts that explain.
fn lines(text: &str, comment: &str) -> usize {
    let code = |line: &&str| {
        let line = line.trim();
        let explains = line.starts_with("\"\"\"") && line.len() > 3 && line.ends_with("\"\"\"");
        !line.is_empty() && !line.starts_with(comment) && !line.starts_with("#![allow") && !explains
    };
    text.lines().filter(code).count()
}

/// Programs that take more: types and traits must be written out, which a class in Python infers. The largest ratio
/// allowed for each.
const LONGER: [(&str, f64); 2] = [("all_custom", 2.0), ("recurrent", 1.5)];

#[test]
fn programs_are_about_as_long_as_in_keras() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut programs = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(keras) = std::fs::read_to_string(folder.join("in_keras.py")) else { continue };
        let rust = std::fs::read_to_string(folder.join("main.rs")).unwrap();
        let name = folder.file_name().unwrap().to_str().unwrap();
        let (rust, keras) = (lines(&rust, "//"), lines(&keras, "#"));
        let ratio = rust as f64 / keras as f64;
        println!("{name}: {rust} lines, {keras} in Keras, ratio {ratio:.2}");
        let most = LONGER.iter().find(|(longer, _)| *longer == name).map_or(1.3, |(_, most)| *most);
        assert!(ratio <= most, "{name}: {rust} lines, {keras} in Keras");
        programs += 1;
    }
    assert!(programs >= 9, "only {programs} programs");
}
