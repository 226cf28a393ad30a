//! Writes YAML with the layout of libyaml, by which Ansible writes: the same quotes, the same line breaks.

use minijinja::Error;
use minijinja::value::{Value, ValueKind};

use super::super::environment::invalid;
use super::super::missing::is_undefined;
use super::call::refusal;
use super::python::{self, Number, items, number, pairs};
use super::yaml::FlowStyle;
use super::yaml_scalar::{Analysis, is_text};

/// How the text is laid out.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) indent: usize,
    /// Where a line is broken at the next space.
    pub(super) width: usize,
    pub(super) is_sorted: bool,
    pub(super) flow: FlowStyle,
    pub(super) style: Option<Style>,
    pub(super) has_start: bool,
    pub(super) has_end: bool,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
}

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    Root,
    Item,
    MappingValue,
    SimpleKey,
}

/// A scalar as text, and whether it is one by nature.
struct Scalar {
    text: String,
    tag: &'static str,
}

/// The writer and what it knows of the line it is in.
#[derive(Debug)]
pub(super) struct Emitter {
    options: Options,
    out: String,
    column: usize,
    indent: Option<usize>,
    flow_level: usize,
    /// The last character was a space or a break.
    after_space: bool,
    /// Nothing but indentation and indicators of it are in this line.
    is_indention: bool,
}

/// Deeper is no data of a user.
const DEEPEST: usize = 200;

impl Emitter {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            out: String::new(),
            column: 0,
            indent: None,
            flow_level: 0,
            after_space: true,
            is_indention: true,
        }
    }

    /// One whole document.
    pub(super) fn document(mut self, value: &Value) -> Result<String, Error> {
        if self.options.has_start {
            self.indicator("---", true, false, false);
        }
        self.node(value, Context::Root, 0)?;
        self.write_indent();
        if self.options.has_end {
            self.indicator("...", true, false, false);
            self.write_indent();
        }
        Ok(self.out)
    }

    fn node(&mut self, value: &Value, context: Context, depth: usize) -> Result<(), Error> {
        if is_undefined(value) {
            return Err(refusal(value));
        }
        if depth > DEEPEST || self.out.len() > super::MAX_ELEMENTS * 16 {
            return Err(invalid(
                "the value is too large or nested too deep for YAML",
            ));
        }
        match value.kind() {
            ValueKind::Map => self.mapping(&pairs(value)?, context, depth),
            ValueKind::Seq | ValueKind::Iterable => self.sequence(&items(value)?, context, depth),
            _ => {
                let scalar = scalar(value)?;
                self.scalar(&scalar, context);
                Ok(())
            }
        }
    }

    /// Whether a collection of these goes into one line.
    fn is_flow<'a>(&self, mut all: impl Iterator<Item = &'a Value>) -> bool {
        match self.options.flow {
            FlowStyle::Never => false,
            FlowStyle::Always => true,
            FlowStyle::Best => {
                self.options.style.is_none()
                    && all.all(|item| !python::is_list(item) && !python::is_mapping(item))
            }
        }
    }

    fn sequence(&mut self, all: &[Value], context: Context, depth: usize) -> Result<(), Error> {
        let outer = self.indent;
        if self.flow_level > 0 || all.is_empty() || self.is_flow(all.iter()) {
            self.open("[");
            for (index, item) in all.iter().enumerate() {
                self.next_in_flow(index);
                self.node(item, Context::Item, depth + 1)?;
            }
            self.close("]", outer);
            return Ok(());
        }
        let is_indentless = context == Context::MappingValue && !self.is_indention;
        self.increase_indent(false, is_indentless);
        for item in all {
            self.write_indent();
            self.indicator("-", true, false, true);
            self.node(item, Context::Item, depth + 1)?;
        }
        self.indent = outer;
        Ok(())
    }

    fn mapping(&mut self, all: &[(Value, Value)], _: Context, depth: usize) -> Result<(), Error> {
        let mut all: Vec<&(Value, Value)> = all.iter().collect();
        if self.options.is_sorted {
            let mut sorted = all.clone();
            let mut can_sort = true;
            sorted.sort_by(|(one, _), (other, _)| {
                python::compare(one, other).unwrap_or_else(|_| {
                    can_sort = false;
                    std::cmp::Ordering::Equal
                })
            });
            if can_sort {
                all = sorted;
            }
        }
        let outer = self.indent;
        let is_flow = self.is_flow(all.iter().flat_map(|(key, item)| [key, item]));
        if self.flow_level > 0 || all.is_empty() || is_flow {
            self.open("{");
            for (index, (key, item)) in all.into_iter().enumerate() {
                self.next_in_flow(index);
                if is_simple_key(key)? {
                    self.node(key, Context::SimpleKey, depth + 1)?;
                    self.indicator(":", false, false, false);
                } else {
                    self.indicator("?", true, false, false);
                    self.node(key, Context::MappingValue, depth + 1)?;
                    if self.column > self.options.width {
                        self.write_indent();
                    }
                    self.indicator(":", true, false, false);
                }
                self.node(item, Context::MappingValue, depth + 1)?;
            }
            self.close("}", outer);
            return Ok(());
        }
        self.increase_indent(false, false);
        for (key, item) in all {
            self.write_indent();
            if is_simple_key(key)? {
                self.node(key, Context::SimpleKey, depth + 1)?;
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.node(key, Context::MappingValue, depth + 1)?;
                self.write_indent();
                self.indicator(":", true, false, true);
            }
            self.node(item, Context::MappingValue, depth + 1)?;
        }
        self.indent = outer;
        Ok(())
    }

    fn open(&mut self, bracket: &str) {
        self.indicator(bracket, true, true, false);
        self.flow_level += 1;
        self.increase_indent(true, false);
    }

    fn close(&mut self, bracket: &str, outer: Option<usize>) {
        self.indent = outer;
        self.flow_level -= 1;
        self.indicator(bracket, false, false, false);
    }

    fn next_in_flow(&mut self, index: usize) {
        if index > 0 {
            self.indicator(",", false, false, false);
        }
        if self.column > self.options.width {
            self.write_indent();
        }
    }

    fn increase_indent(&mut self, is_flow: bool, is_indentless: bool) {
        self.indent = Some(match self.indent {
            None if is_flow => self.options.indent,
            None => 0,
            Some(indent) if is_indentless => indent,
            Some(indent) => indent + self.options.indent,
        });
    }

    fn scalar(&mut self, scalar: &Scalar, context: Context) {
        let analysis = Analysis::of(&scalar.text);
        let is_key = context == Context::SimpleKey;
        let style = self.style(scalar, &analysis, is_key);
        if style != Style::Plain && scalar.tag != "str" {
            // No text, in spite of the quotes.
            self.indicator("!", true, false, false);
        }
        let text: Vec<char> = scalar.text.chars().collect();
        // Lines after the first stand deeper.
        let outer = self.indent;
        self.increase_indent(true, false);
        match style {
            Style::Plain => self.plain(&text, !is_key),
            Style::Single => self.single_quoted(&text, !is_key),
            Style::Double => self.double_quoted(&text, !is_key),
        }
        self.indent = outer;
    }

    fn style(&self, scalar: &Scalar, analysis: &Analysis, is_key: bool) -> Style {
        let wanted = self.options.style;
        if wanted == Some(Style::Double) {
            return Style::Double;
        }
        let stays_what_it_is = scalar.tag != "str" || is_text(&scalar.text);
        let may_be_plain = if self.flow_level > 0 {
            analysis.allows_plain_in_flow
        } else {
            analysis.allows_plain_in_block
        };
        if wanted.is_none()
            && stays_what_it_is
            && may_be_plain
            && !(scalar.text.is_empty() && (is_key || self.flow_level > 0))
        {
            return Style::Plain;
        }
        if analysis.allows_single_quotes && !(is_key && analysis.has_breaks) {
            return Style::Single;
        }
        Style::Double
    }

    fn put(&mut self, text: &[char]) {
        self.column += text.len();
        self.out.extend(text);
    }

    fn put_text(&mut self, text: &str) {
        self.column += text.chars().count();
        self.out.push_str(text);
    }

    fn indicator(&mut self, text: &str, needs_space: bool, is_space: bool, is_indention: bool) {
        if needs_space && !self.after_space {
            self.put_text(" ");
        }
        self.put_text(text);
        self.after_space = is_space;
        self.is_indention &= is_indention;
    }

    fn line_break(&mut self) {
        self.after_space = true;
        self.is_indention = true;
        self.column = 0;
        self.out.push('\n');
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.is_indention || self.column > indent || self.column == indent && !self.after_space
        {
            self.line_break();
        }
        if self.column < indent {
            self.after_space = true;
            self.put_text(&" ".repeat(indent - self.column));
        }
    }

    fn plain(&mut self, text: &[char], may_split: bool) {
        if text.is_empty() {
            return;
        }
        if !self.after_space {
            self.put_text(" ");
        }
        self.after_space = false;
        self.is_indention = false;
        let mut rest = text;
        while !rest.is_empty() {
            let is_space = rest.first() == Some(&' ');
            let length = rest.iter().take_while(|c| (**c == ' ') == is_space).count();
            let (run, after) = rest.split_at(length);
            if is_space && length == 1 && self.column > self.options.width && may_split {
                self.write_indent();
                self.after_space = false;
                self.is_indention = false;
            } else {
                self.put(run);
            }
            rest = after;
        }
    }

    fn single_quoted(&mut self, text: &[char], may_split: bool) {
        self.indicator("'", true, false, false);
        let mut rest = text;
        while let Some(first) = rest.first() {
            let kind = kind_of(*first);
            let length = rest.iter().take_while(|c| kind_of(**c) == kind).count();
            let (run, after) = rest.split_at(length);
            match kind {
                Run::Spaces => {
                    let is_inside = rest.len() < text.len() && !after.is_empty();
                    if length == 1 && self.column > self.options.width && may_split && is_inside {
                        self.write_indent();
                    } else {
                        self.put(run);
                    }
                }
                Run::Breaks => {
                    if run.first() == Some(&'\n') {
                        self.line_break();
                    }
                    for character in run {
                        self.line_break();
                        if *character != '\n' {
                            self.out.pop();
                            self.out.push(*character);
                        }
                    }
                    self.write_indent();
                }
                Run::Quotes => {
                    for _ in run {
                        self.put_text("''");
                    }
                }
                Run::Other => self.put(run),
            }
            rest = after;
        }
        self.indicator("'", false, false, false);
    }

    fn double_quoted(&mut self, text: &[char], may_split: bool) {
        self.indicator("\"", true, false, false);
        let mut after_space = false;
        for (index, character) in text.iter().copied().enumerate() {
            let is_inside = index > 0 && index + 1 < text.len();
            let is_space = character == ' ';
            if is_space
                && !after_space
                && is_inside
                && may_split
                && self.column > self.options.width
            {
                self.write_indent();
                if text.get(index + 1) == Some(&' ') {
                    self.put_text("\\");
                }
            } else if is_escaped(character) {
                self.put_text(&escaped(character));
            } else {
                self.put(&[character]);
            }
            after_space = is_space;
        }
        self.indicator("\"", false, false, false);
    }
}

/// What comes in one go in single quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Spaces,
    Breaks,
    Quotes,
    Other,
}

fn kind_of(character: char) -> Run {
    match character {
        ' ' => Run::Spaces,
        '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => Run::Breaks,
        '\'' => Run::Quotes,
        _ => Run::Other,
    }
}

fn is_escaped(character: char) -> bool {
    let is_plain = matches!(character, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}');
    !is_plain
        || matches!(
            character,
            '"' | '\\' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}'
        )
}

fn escaped(character: char) -> String {
    let letter = match character {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        other => {
            let code = u32::from(other);
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{letter}")
}

fn is_simple_key(key: &Value) -> Result<bool, Error> {
    if python::is_list(key) || python::is_mapping(key) {
        return Ok(key.len() == Some(0));
    }
    let scalar = scalar(key)?;
    Ok(scalar.text.len() <= 128 && !Analysis::of(&scalar.text).has_breaks)
}

fn scalar(value: &Value) -> Result<Scalar, Error> {
    let of = |text: &str, tag| Scalar {
        text: text.to_owned(),
        tag,
    };
    Ok(match (value.kind(), number(value)) {
        (ValueKind::None, _) => of("null", "null"),
        (ValueKind::Bool, _) => of(if value.is_true() { "true" } else { "false" }, "bool"),
        (ValueKind::Number, Some(Number::Float(number))) => of(&float(number), "float"),
        (ValueKind::Number, _) => of(&value.to_string(), "int"),
        _ => of(&python::text(value)?, "str"),
    })
}

fn float(number: f64) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let text = python::float_text(number);
    match text.split_once('e') {
        // YAML's numbers with an exponent need a point.
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0e{exponent}"),
        _ => text,
    }
}
