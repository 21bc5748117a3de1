//! The state of the page in the link's fragment: `#tab=generate&text=…&temperature=0.7`.
//!
//! A fragment works from any static folder and is never sent to a server. What cannot be read
//! falls back to its default and is reported, so that a mistyped link does not lie.

use std::collections::BTreeMap;

use glassformer_engine::protocol::{BackendChoice, GenerateSettings, PrecisionChoice};

use crate::settings::SETTINGS;

/// A setting of a tab that travels in links by its name.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Its value where a link does not name it; never written.
    pub default: &'static str,
    /// Takes a value, or says in half a sentence what it should have been.
    pub check: fn(&str) -> Result<(), String>,
}

/// The settings of a tab by their names; those that are missing have their defaults.
pub type Values = BTreeMap<&'static str, String>;

/// Everything a link restores: the open tab.
#[derive(Clone, Debug, PartialEq)]
pub struct PageState {
    /// Id of the open tab.
    pub tab: String,
    /// Id of a model of the manifest.
    pub model: String,
    /// The tab's own settings.
    pub values: Values,
    /// What should compute.
    pub backend: BackendChoice,
    /// How it should compute.
    pub precision: PrecisionChoice,
    /// What the person typed.
    pub text: String,
    /// Whether the text is a message or the beginning of a text.
    pub mode: Mode,
    /// How tokens are chosen.
    pub settings: GenerateSettings,
    /// Tokens that the person chose in place of the drawn ones, by position in the written text,
    /// rising: `branch=12:345,20:99`. With the same prompt and settings, and the seed's draws bound
    /// to positions, they bring back the branch.
    pub branch: Vec<(u32, u32)>,
}

/// How the Generate tab reads what was typed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A message to the assistant, wrapped by the chat template.
    #[default]
    Chat,
    /// A text to continue.
    Plain,
}

/// What this build of the page knows.
pub struct Known<'a> {
    /// The tabs; the first is the default.
    pub tabs: &'a [KnownTab<'a>],
    /// Ids of the models.
    pub models: &'a [&'a str],
}

/// What links know of a tab.
pub struct KnownTab<'a> {
    /// Its id.
    pub id: &'a str,
    /// Id of the model it starts with.
    pub model: &'a str,
    /// Its own settings.
    pub keys: &'a [Key],
    /// Whether its links carry how text is generated: mode, sampler, branch.
    pub generates: bool,
}

impl<'a> Known<'a> {
    fn tab(&self, id: &str) -> Option<&KnownTab<'a>> {
        self.tabs.iter().find(|tab| tab.id == id)
    }

    fn key(&self, tab: &str, name: &str) -> Option<&Key> {
        self.tab(tab)?.keys.iter().find(|key| key.name == name)
    }

    fn has_key(&self, name: &str) -> bool {
        self.tabs.iter().any(|tab| self.key(tab.id, name).is_some())
    }
}

/// What a link asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The state, with defaults for what the link leaves out or gets wrong.
    pub state: PageState,
    /// Whether it asks to run at once.
    pub run: bool,
    /// Whether it asks for the switches of tests, such as losing the GPU.
    pub debug: bool,
    /// One sentence for each thing that could not be taken.
    pub problems: Vec<String>,
}

/// How much of the state [`write()`] puts down.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What differs from the defaults: short, for the address bar.
    Changed,
    /// Everything, so that a shared link outlives a change of defaults.
    Everything,
}

/// Names that belong to other tabs of the contract and mean nothing here.
const ELSEWHERE: [&str; 6] = ["beams", "from", "to", "layer", "head", "view"];

const BACKENDS: [(&str, BackendChoice); 3] = [
    ("auto", BackendChoice::Auto),
    ("webgpu", BackendChoice::WebGpu),
    ("cpu", BackendChoice::Cpu),
];
const PRECISIONS: [(&str, PrecisionChoice); 3] = [
    ("auto", PrecisionChoice::Auto),
    ("exact", PrecisionChoice::Exact),
    ("fast", PrecisionChoice::Fast),
];
const FLAGS: [(&str, bool); 2] = [("1", true), ("0", false)];
const MODES: [(&str, Mode); 2] = [("chat", Mode::Chat), ("plain", Mode::Plain)];

impl PageState {
    /// The state of a page opened without a fragment.
    pub fn default_for(known: &Known) -> Self {
        Self::of_tab(known, known.tabs.first().map_or("", |tab| tab.id))
    }

    /// The state of a tab nobody has used yet.
    pub fn of_tab(known: &Known, tab: &str) -> Self {
        Self {
            tab: tab.into(),
            model: known.tab(tab).map_or("", |tab| tab.model).into(),
            values: Values::new(),
            backend: BackendChoice::default(),
            precision: PrecisionChoice::default(),
            text: String::new(),
            mode: Mode::default(),
            settings: GenerateSettings::default(),
            branch: Vec::new(),
        }
    }
}

/// Reads a fragment, with or without its `#`.
pub fn parse(fragment: &str, known: &Known) -> Parsed {
    let mut state = PageState::default_for(known);
    let (mut run, mut debug) = (false, false);
    let mut problems = Vec::new();
    let pairs = fragment.strip_prefix('#').unwrap_or(fragment);
    // The tab first: the other names mean what they mean there.
    let tab_ids: Vec<&str> = known.tabs.iter().map(|tab| tab.id).collect();
    let tab = pairs.split('&').find_map(|pair| pair.strip_prefix("tab="));
    if let Some(tab) = tab
        .and_then(decode)
        .filter(|tab| tab_ids.contains(&tab.as_str()))
    {
        state = PageState::of_tab(known, &tab);
    }
    for pair in pairs.split('&').filter(|pair| !pair.is_empty()) {
        let (key, raw) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(value) = decode(raw) else {
            problems.push(format!(
                "The link's value for “{key}” is damaged and was left out."
            ));
            continue;
        };
        let outcome = match key {
            "tab" => one_of(&tab_ids, &value, &mut state.tab),
            "model" => one_of(known.models, &value, &mut state.model),
            "backend" => named(&BACKENDS, &value, &mut state.backend),
            "precision" => named(&PRECISIONS, &value, &mut state.precision),
            "mode" => named(&MODES, &value, &mut state.mode),
            "run" => named(&FLAGS, &value, &mut run),
            "debug" => named(&FLAGS, &value, &mut debug),
            "text" => {
                state.text = value.clone();
                Ok(())
            }
            "branch" => match read_branch(&value) {
                Some(steps) => {
                    state.branch = steps;
                    Ok(())
                }
                None => Err("this page takes rising positions with token ids, such as 12:345,20:99, and leaves the branch out".into()),
            },
            "stop" => {
                if !value.is_empty() {
                    state.settings.stop.push(value.clone());
                }
                Ok(())
            }
            name if known.key(&state.tab, name).is_some() => {
                take(known, &mut state, name, &value)
            }
            key if ELSEWHERE.contains(&key) || known.has_key(key) => continue,
            key => match SETTINGS.iter().find(|setting| setting.key == key) {
                Some(setting) => setting
                    .write(&mut state.settings, &value)
                    .map_err(|expected| {
                        let kept = setting.read(&state.settings);
                        format!("this page takes {expected} and uses {kept}")
                    }),
                None => {
                    problems.push(format!(
                        "The link names “{key}”, which this page does not know."
                    ));
                    continue;
                }
            },
        };
        if let Err(instead) = outcome {
            problems.push(format!(
                "The link asks for {key} “{}”; {instead}.",
                shortened(&value)
            ));
        }
    }
    Parsed {
        state,
        run,
        debug,
        problems,
    }
}

/// Takes a value of one of the open tab's own settings.
fn take(known: &Known, state: &mut PageState, name: &str, value: &str) -> Result<(), String> {
    let Some(key) = known.key(&state.tab, name) else {
        return Ok(());
    };
    (key.check)(value)
        .map_err(|expected| format!("this page takes {expected} and uses {}", key.default))?;
    if value == key.default {
        state.values.remove(key.name);
    } else {
        state.values.insert(key.name, value.into());
    }
    Ok(())
}

/// Writes a fragment that [`parse`] reads back to the same state, with its `#`.
pub fn write(state: &PageState, known: &Known, extent: Extent) -> String {
    let default = PageState::of_tab(known, &state.tab);
    let tab = known.tab(&state.tab);
    let generates = tab.is_some_and(|tab| tab.generates);
    let all = extent == Extent::Everything;
    let mut fragment = format!("#tab={}", encode(&state.tab));
    let mut push = |key: &str, value: &str| {
        fragment.extend(["&", key, "=", &encode(value)]);
    };
    if all || state.model != default.model {
        push("model", &state.model);
    }
    if all || state.backend != default.backend {
        push("backend", name_of(&BACKENDS, state.backend));
    }
    if all || state.precision != default.precision {
        push("precision", name_of(&PRECISIONS, state.precision));
    }
    for key in tab.map_or(&[][..], |tab| tab.keys) {
        match state.values.get(key.name) {
            Some(value) => push(key.name, value),
            None if all && !key.default.is_empty() => push(key.name, key.default),
            None => {}
        }
    }
    if generates && (all || state.mode != default.mode) {
        push("mode", name_of(&MODES, state.mode));
    }
    for setting in SETTINGS.iter().filter(|_| generates) {
        let value = setting.read(&state.settings);
        if all || value != setting.read(&default.settings) {
            push(setting.key, &value);
        }
    }
    for stop in state.settings.stop.iter().filter(|_| generates) {
        push("stop", stop);
    }
    if !state.text.is_empty() {
        push("text", &state.text);
    }
    if generates && !state.branch.is_empty() {
        let steps = state.branch.iter().map(|(at, id)| format!("{at}:{id}"));
        // Colons and commas are plain in a fragment.
        fragment.extend(["&branch=", &steps.collect::<Vec<_>>().join(",")]);
    }
    fragment
}

/// Positions and ids, positions rising; nothing if it is anything else.
fn read_branch(value: &str) -> Option<Vec<(u32, u32)>> {
    let mut steps: Vec<(u32, u32)> = Vec::new();
    for step in value.split(',').filter(|step| !step.is_empty()) {
        let (at, id) = step.split_once(':')?;
        let (at, id) = (at.parse().ok()?, id.parse().ok()?);
        if steps.last().is_some_and(|(last, _)| *last >= at) {
            return None;
        }
        steps.push((at, id));
    }
    Some(steps)
}

fn one_of(known: &[&str], value: &str, target: &mut String) -> Result<(), String> {
    if known.contains(&value) {
        *target = value.to_string();
        Ok(())
    } else {
        Err(format!("this page does not have it and uses {target}"))
    }
}

fn named<T: Copy + PartialEq>(
    names: &[(&str, T)],
    value: &str,
    target: &mut T,
) -> Result<(), String> {
    match names.iter().find(|(name, _)| *name == value) {
        Some((_, found)) => {
            *target = *found;
            Ok(())
        }
        None => Err(format!(
            "this page does not have it and uses {}",
            name_of(names, *target)
        )),
    }
}

fn name_of<'a, T: Copy + PartialEq>(names: &[(&'a str, T)], value: T) -> &'a str {
    names
        .iter()
        .find(|(_, each)| *each == value)
        .map_or("", |(name, _)| name)
}

fn shortened(value: &str) -> String {
    if value.chars().count() <= 40 {
        return value.to_string();
    }
    value.chars().take(39).chain(['…']).collect()
}

/// Percent-encodes everything but the characters that are never special in a fragment.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Undoes percent-encoding; `+` is a space, as form encoders write it. `None` if it is damaged.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                let high = char::from(digits[0]).to_digit(16)?;
                let low = char::from(digits[1]).to_digit(16)?;
                bytes.push((high * 16 + low) as u8);
                rest = tail;
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[path = "fragment/tests.rs"]
mod tests;
