//! Draws graphs: in DOT, for Graphviz, and as SVG with a simple layout in layers, for which no program is needed.

use super::{Graph, Source, Step, ValueId};
use std::collections::HashMap;
use std::fmt::Write as _;

/// What is drawn as a box.
struct Node {
    /// The lines of its text.
    lines: Vec<String>,
    color: &'static str,
    /// The path of its layer.
    layer: String,
    /// The boxes it needs, with the spec of what it gets from them.
    from: Vec<(usize, String)>,
}

/// The colors of inputs and outputs, parameters, constants, and steps.
const ENDS: &str = "#d5e8d4";
const PARAMETER: &str = "#fff2cc";
const CONSTANT: &str = "#eeeeee";
const STEP: &str = "#dae8fc";

/// The most characters of attributes in a box.
const LONG: usize = 48;

impl Graph {
    /// Returns the boxes of a drawing, each after those it needs. Parameters and constants stand in the boxes of the
    /// steps that read them, unless they are outputs.
    fn nodes(&self) -> Vec<Node> {
        let mut nodes: Vec<Node> = Vec::new();
        let mut of: HashMap<ValueId, usize> = HashMap::new();
        let mut inside: HashMap<ValueId, String> = HashMap::new();
        let is_output = |value: &ValueId| self.outputs.iter().any(|(_, v)| v == value);
        for (value, source) in &self.sources {
            let spec = self.specs[value.at()];
            let (line, color) = match source {
                Source::Input(name) => (format!("input {name}"), ENDS),
                Source::Parameter(path) => (path.clone(), PARAMETER),
                Source::State(key, call) => (format!("state {key}.{call}"), ENDS),
                Source::Constant(tensor) if tensor.elements() == 1 => {
                    (tensor.item().map_or("constant".into(), |v| format!("{v:?}")), CONSTANT)
                }
                Source::Constant(_) => ("constant".into(), CONSTANT),
            };
            if color == ENDS || is_output(value) {
                of.insert(*value, nodes.len());
                let lines = vec![line, spec.to_string()];
                nodes.push(Node { lines, color, layer: String::new(), from: Vec::new() });
            } else {
                inside.insert(*value, format!("{line} {}", spec.shape));
            }
        }
        for step in &self.steps {
            let mut node = self.node(step);
            for value in &step.inputs {
                match of.get(value) {
                    Some(from) => node.from.push((*from, self.specs[value.at()].shape.to_string())),
                    None => node.lines.extend(inside.get(value).cloned()),
                }
            }
            step.outputs.iter().for_each(|value| {
                of.insert(*value, nodes.len());
            });
            nodes.push(node);
        }
        for (output, value) in &self.outputs {
            let spec = self.specs[value.at()];
            let from = of.get(value).map(|from| (*from, spec.shape.to_string())).into_iter().collect();
            let lines = vec![output.to_string(), spec.to_string()];
            nodes.push(Node { lines, color: ENDS, layer: String::new(), from });
        }
        nodes
    }

    fn node(&self, step: &Step) -> Node {
        let mut lines = vec![step.name().to_string()];
        let attrs = step.attrs();
        if !attrs.is_empty() {
            let text = attrs.to_string();
            let short: String = text.chars().take(LONG).collect();
            lines.push(if short.len() < text.len() { format!("{short}…") } else { short });
        }
        if step.over {
            lines.push("in place".into());
        }
        Node { lines, color: STEP, layer: step.layer.clone(), from: Vec::new() }
    }

    /// Returns the graph in Graphviz's language: a box for each step, input and output, those of a layer together.
    ///
    /// ```
    /// use gradus::graph::Graph;
    /// use gradus::prelude::*;
    ///
    /// let network = Sequential::new().add(Input::new([4])).add(Dense::new(3).named("d")).build()?;
    /// let graph = Graph::of_network(&network, &[Tensor::ones([10, 4])?.spec()])?;
    /// assert!(graph.to_dot().contains("d/kernel") && graph.to_svg().starts_with("<svg"));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn to_dot(&self) -> String {
        let nodes = self.nodes();
        let mut out = String::from(
            "digraph {\n  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\"];\n",
        );
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut layers: Vec<&str> = Vec::new();
        for node in &nodes {
            if !layers.contains(&node.layer.as_str()) {
                layers.push(&node.layer);
            }
        }
        // Writing to a string cannot fail.
        for (number, layer) in layers.into_iter().enumerate() {
            if !layer.is_empty() {
                let _ = writeln!(out, "  subgraph cluster_{number} {{\n  label=\"{}\";", escaped(layer));
            }
            for (i, node) in nodes.iter().enumerate().filter(|(_, node)| node.layer == layer) {
                let label: Vec<String> = node.lines.iter().map(|line| escaped(line)).collect();
                let _ =
                    writeln!(out, "  n{i} [label=\"{}\", fillcolor=\"{}\"];", label.join("\\n"), node.color);
            }
            if !layer.is_empty() {
                out.push_str("  }\n");
            }
        }
        for (i, node) in nodes.iter().enumerate() {
            for (from, label) in &node.from {
                let _ = writeln!(out, "  n{from} -> n{i} [label=\"{}\"];", escaped(label));
            }
        }
        out.push_str("}\n");
        out
    }

    /// Returns the graph as an SVG image: what is computed from nothing else on top, everything else below what it
    /// needs, the steps of a layer named at their side.
    pub fn to_svg(&self) -> String {
        let nodes = self.nodes();
        let placed = Placed::new(&nodes);
        let (width, height) = (placed.width, placed.height);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} \
             {height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        for (node, to) in nodes.iter().zip(&placed.boxes) {
            for (from, label) in &node.from {
                let from = &placed.boxes[*from];
                let (x, y, x2, y2) = (from.x + from.w / 2, from.y + from.h, to.x + to.w / 2, to.y);
                let middle = (y + y2) / 2;
                let _ = writeln!(
                    out,
                    "<path d=\"M{x} {y} C{x} {middle} {x2} {middle} {x2} {y2}\" fill=\"none\" stroke=\"#666666\">\
                     <title>{}</title></path>",
                    escaped(label)
                );
            }
        }
        for (node, at) in nodes.iter().zip(&placed.boxes) {
            let Rect { x, y, w, h } = *at;
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"5\" fill=\"{}\" stroke=\"#666666\">\
                 <title>{}</title></rect>",
                node.color,
                escaped(&node.layer)
            );
            for (i, line) in node.text().into_iter().enumerate() {
                let (x, y) = (x + w / 2, y + PAD + LINE * i + 11);
                let weight = if i == 0 { " font-weight=\"bold\"" } else { "" };
                let _ = writeln!(
                    out,
                    "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\"{weight}>{}</text>",
                    escaped(line)
                );
            }
        }
        out.push_str("</svg>\n");
        out
    }
}

impl Node {
    /// The lines of the box; the last one is the layer's path.
    fn text(&self) -> Vec<&str> {
        let layer = (!self.layer.is_empty()).then_some(self.layer.as_str());
        self.lines.iter().map(String::as_str).chain(layer).collect()
    }
}

/// Returns text as it may stand in XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Pixels: around text in a box, of a line, of a character, between boxes side by side and above each other.
const PAD: usize = 8;
const LINE: usize = 15;
const CHARACTER: usize = 7;
const BESIDE: usize = 24;
const BELOW: usize = 36;

#[derive(Clone, Copy)]
struct Rect {
    x: usize,
    y: usize,
    w: usize,
    h: usize,
}

/// Where each box is.
struct Placed {
    boxes: Vec<Rect>,
    width: usize,
    height: usize,
}

impl Placed {
    /// Puts each box into the row below the lowest of those it needs, and in a row in the order of the means of what
    /// they need.
    fn new(nodes: &[Node]) -> Placed {
        let mut row_of: Vec<usize> = Vec::new();
        for node in nodes {
            let row = node.from.iter().map(|(from, _)| row_of[*from] + 1).max().unwrap_or(0);
            row_of.push(row);
        }
        let mut rows: Vec<Vec<usize>> = vec![Vec::new(); row_of.iter().max().map_or(0, |row| row + 1)];
        row_of.iter().enumerate().for_each(|(i, row)| rows[*row].push(i));
        let mut boxes: Vec<Rect> = nodes
            .iter()
            .map(|node| {
                let text = node.text();
                let longest = text.iter().map(|line| line.chars().count()).max().unwrap_or(0);
                Rect { x: 0, y: 0, w: longest * CHARACTER + 2 * PAD, h: text.len() * LINE + 2 * PAD }
            })
            .collect();
        let width_of =
            |row: &Vec<usize>, boxes: &[Rect]| row.iter().map(|i| boxes[*i].w + BESIDE).sum::<usize>();
        let width = rows.iter().map(|row| width_of(row, &boxes)).max().unwrap_or(0) + BESIDE;
        let mut y = BELOW / 2;
        for mut row in rows {
            let middle = |i: &usize| {
                let from = &nodes[*i].from;
                let sum: usize = from.iter().map(|(from, _)| boxes[*from].x + boxes[*from].w / 2).sum();
                sum.checked_div(from.len()).unwrap_or(0)
            };
            row.sort_by_cached_key(middle);
            let mut x = (width - width_of(&row, &boxes)) / 2 + BESIDE / 2;
            let mut tallest = 0;
            for i in row {
                boxes[i] = Rect { x, y, ..boxes[i] };
                x += boxes[i].w + BESIDE;
                tallest = tallest.max(boxes[i].h);
            }
            y += tallest + BELOW;
        }
        Placed { boxes, width, height: y }
    }
}
