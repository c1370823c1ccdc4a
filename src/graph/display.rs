//! Prints graphs: one line for each value, and one for each output.

use super::{Graph, Source};
use std::fmt::{Debug, Display, Formatter, Result};

impl Display for Graph {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (value, source) in &self.sources {
            match source {
                Source::Input(name) => write!(f, "{value} = input {name}")?,
                Source::Parameter(path) => write!(f, "{value} = parameter {path}")?,
                Source::State(key, call) => write!(f, "{value} = state {key}.{call}")?,
                Source::Constant(tensor) if tensor.elements() == 1 => {
                    let number = tensor.item().map_or("?".to_string(), |v| format!("{v:?}"));
                    write!(f, "{value} = constant {number}")?;
                }
                Source::Constant(_) => write!(f, "{value} = constant")?,
            }
            writeln!(f, "  {}", self.specs[value.at()])?;
        }
        for step in &self.steps {
            let list = |values: &[super::ValueId]| {
                values.iter().map(super::ValueId::to_string).collect::<Vec<_>>().join(", ")
            };
            let attrs = step.attrs();
            let attrs = if attrs.is_empty() { String::new() } else { attrs.to_string() };
            let specs: Vec<String> = step.outputs.iter().map(|v| self.specs[v.at()].to_string()).collect();
            write!(f, "{} = {}{attrs}({})", list(&step.outputs), step.name(), list(&step.inputs))?;
            write!(f, "  {}", specs.join(", "))?;
            if let Some(value) = step.over() {
                write!(f, "  over {value}")?;
            }
            match step.layer.is_empty() {
                true => writeln!(f)?,
                false => writeln!(f, "  # {}", step.layer)?,
            }
        }
        self.outputs.iter().try_for_each(|(output, value)| writeln!(f, "{output} = {value}"))
    }
}

impl Debug for Graph {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (steps, sources, outputs) = (self.steps.len(), self.sources.len(), self.outputs.len());
        write!(f, "Graph({steps} steps, {sources} sources, {outputs} outputs)")
    }
}
