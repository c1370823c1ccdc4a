//! Special tokens around a text, or around two: `[CLS] A [SEP] B [SEP]`.

use super::read::Reader;
use crate::Result;
use serde_json::Value as Json;

/// What stands where.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// The first text, or the second one.
    Text { second: bool, kind: u32 },
    /// Special tokens.
    Special { ids: Vec<u32>, kind: u32 },
}

/// The post-processor of `tokenizer.json`.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) single: Vec<Part>,
    pub(super) pair: Vec<Part>,
}

impl Default for Template {
    /// Nothing around.
    fn default() -> Template {
        let (first, second) = (Part::Text { second: false, kind: 0 }, Part::Text { second: true, kind: 1 });
        Template { single: vec![first.clone()], pair: vec![first, second] }
    }
}

const KNOWN: &str = "TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, or a Sequence with one of these beside ByteLevel";

impl Template {
    /// `None` for one that adds nothing.
    pub(super) fn read(value: &Json, reader: &Reader<'_>) -> Result<Option<Template>> {
        let text = |second: bool, kind: u32| Part::Text { second, kind };
        match reader.kind("post_processor", value)? {
            // It moves offsets alone.
            "ByteLevel" => Ok(None),
            "Sequence" => {
                let all = reader.each(value, "processors", Template::read)?;
                let mut some = all.into_iter().flatten();
                match (some.next(), some.next()) {
                    (template, None) => Ok(template),
                    _ => Err(reader.unknown("post_processor", "Sequence of several templates", KNOWN)),
                }
            }
            kind @ ("BertProcessing" | "RobertaProcessing") => {
                let token =
                    |key: &str| match value[key].as_array().map(Vec::as_slice) {
                        Some([_, id]) => Ok(vec![reader.id(id, || format!("the id of '{key}'"))?]),
                        _ => Err(reader
                            .fail(&format!("the post_processor's '{key}' should be a token and its id"))),
                    };
                let (cls, sep) = (token("cls")?, token("sep")?);
                let special = |ids: &Vec<u32>, kind: u32| Part::Special { ids: ids.clone(), kind };
                let single = vec![special(&cls, 0), text(false, 0), special(&sep, 0)];
                let mut pair = single.clone();
                match kind {
                    "BertProcessing" => pair.extend([text(true, 1), special(&sep, 1)]),
                    _ => pair.extend([special(&sep, 0), text(true, 0), special(&sep, 0)]),
                }
                Ok(Some(Template { single, pair }))
            }
            "TemplateProcessing" => {
                let parts = |key: &str| -> Result<Vec<Part>> {
                    let list = value[key].as_array().map(Vec::as_slice).unwrap_or_default();
                    list.iter().map(|part| Template::part(part, value, reader)).collect()
                };
                Ok(Some(Template { single: parts("single")?, pair: parts("pair")? }))
            }
            other => Err(reader.unknown("post_processor", other, KNOWN)),
        }
    }

    fn part(part: &Json, value: &Json, reader: &Reader<'_>) -> Result<Part> {
        let kind = |part: &Json| match &part["type_id"] {
            Json::Null => Ok(0),
            id => reader.id(id, || "a type_id".into()),
        };
        let special = &part["SpecialToken"];
        if let Some(name) = special["id"].as_str() {
            let ids = value["special_tokens"][name]["ids"].as_array();
            let ids = ids.ok_or_else(|| reader.fail(&format!("the template's token {name:?} has no ids")))?;
            let ids =
                ids.iter().map(|id| reader.id(id, || format!("an id of {name:?}"))).collect::<Result<_>>()?;
            return Ok(Part::Special { ids, kind: kind(special)? });
        }
        let text = &part["Sequence"];
        match text["id"].as_str() {
            Some(id @ ("A" | "B")) => Ok(Part::Text { second: id == "B", kind: kind(text)? }),
            _ => Err(reader.fail("a part of the template should be a Sequence A or B or a SpecialToken")),
        }
    }

    /// How many special tokens there are.
    pub(super) fn added(&self, pair: bool) -> usize {
        let parts = if pair { &self.pair } else { &self.single };
        let special = |part: &Part| if let Part::Special { ids, .. } = part { ids.len() } else { 0 };
        parts.iter().map(special).sum()
    }
}
