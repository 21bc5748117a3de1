//! What of the attention is shown, and how: the tab's settings, as links name them.

use glassformer_engine::protocol::attention::AttendTo;
use leptos::prelude::*;

use super::shot::{Shot, Tower};
use crate::desk::Desk;
use crate::fragment::{Key, Values};

/// How the chosen head is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Arcs between tokens; two columns where there are many.
    #[default]
    Arcs,
    /// Queries by keys, with numbers.
    Matrix,
}

/// What the wall of heads shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wall {
    /// Each head's map.
    #[default]
    Maps,
    /// Its entropy.
    Entropy,
    /// Its mean distance.
    Distance,
}

/// Most heads drawn over each other.
pub const MOST_HEADS: usize = 8;

/// A layer and a head of it, from 0.
pub type HeadId = (usize, usize);

/// The tab's settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The chosen head; the first run chooses one where the link names none.
    pub head: Option<HeadId>,
    /// Heads drawn over it.
    pub others: Vec<HeadId>,
    /// How it is drawn.
    pub view: View,
    /// What the wall shows.
    pub wall: Wall,
    /// The rollout up to the chosen layer in place of the head.
    pub rollout: bool,
    /// Special tokens are left out.
    pub hide_special: bool,
    /// The first token, on which heads rest, is left out as a key.
    pub hide_first: bool,
    /// What is left of a row is made to sum to one again.
    pub renormalise: bool,
    /// Smaller weights are left out.
    pub threshold: f32,
    /// For models that read pairs: only what the first sentence reads in the second.
    pub across: bool,
    /// Which attention of a translator.
    pub to: AttendTo,
    /// The second sentence of a pair; of a translator's decoder the translation.
    pub pair: String,
    /// A second text, beside the first.
    pub second: String,
    /// Of a model that sees and reads.
    pub tower: Tower,
    /// What a model that sees looks at.
    pub picture: Shot,
}

const VIEWS: [(&str, View); 2] = [("arcs", View::Arcs), ("matrix", View::Matrix)];
const WALLS: [(&str, Wall); 3] = [
    ("maps", Wall::Maps),
    ("entropy", Wall::Entropy),
    ("distance", Wall::Distance),
];
const STACKS: [(&str, AttendTo); 3] = [
    ("encoder", AttendTo::Own),
    ("cross", AttendTo::Source),
    ("decoder", AttendTo::Written),
];
const TOWERS: [(&str, Tower); 2] = [("picture", Tower::Picture), ("text", Tower::Text)];
const FLAGS: [&str; 4] = ["special", "first", "renormalise", "across"];

/// The tab's settings in links.
pub const KEYS: &[Key] = &[
    Key {
        name: "layer",
        default: "",
        check: whole,
    },
    Key {
        name: "head",
        default: "",
        check: whole,
    },
    Key {
        name: "heads",
        default: "",
        check: |value| {
            let fits = read_heads(value).is_some_and(|heads| heads.len() < MOST_HEADS);
            fits.then_some(())
                .ok_or_else(|| "at most seven heads, such as 3.1,3.2".into())
        },
    },
    Key {
        name: "view",
        default: "arcs",
        check: |value| known(&VIEWS.map(|(name, _)| name), value),
    },
    Key {
        name: "wall",
        default: "maps",
        check: |value| known(&WALLS.map(|(name, _)| name), value),
    },
    Key {
        name: "of",
        default: "head",
        check: |value| known(&["head", "rollout"], value),
    },
    Key {
        name: "hide",
        default: "",
        check: |value| value.split(',').try_for_each(|each| known(&FLAGS, each)),
    },
    Key {
        name: "threshold",
        default: "0",
        check: |value| {
            let number = value.parse::<f32>().ok();
            number
                .filter(|number| (0.0..=1.0).contains(number))
                .map(|_| ())
                .ok_or_else(|| "a number from 0 to 1".into())
        },
    },
    Key {
        name: "stack",
        default: "encoder",
        check: |value| known(&STACKS.map(|(name, _)| name), value),
    },
    Key {
        name: "pair",
        default: "",
        check: |_| Ok(()),
    },
    Key {
        name: "second",
        default: "",
        check: |_| Ok(()),
    },
    Key {
        name: "tower",
        default: "picture",
        check: |value| known(&TOWERS.map(|(name, _)| name), value),
    },
    Key {
        name: "picture",
        default: Shot::FIRST,
        check: |value| {
            let names: Vec<&str> = Shot::names().collect();
            known(&names, value)
        },
    },
];

fn whole(value: &str) -> Result<(), String> {
    let number = value.parse::<u16>();
    number.map(|_| ()).map_err(|_| "a number from 0".into())
}

fn known(names: &[&str], value: &str) -> Result<(), String> {
    if names.contains(&value) {
        return Ok(());
    }
    Err(format!("one of {}", names.join(", ")))
}

fn read_heads(value: &str) -> Option<Vec<HeadId>> {
    let head = |each: &str| {
        let (layer, head) = each.split_once('.')?;
        Some((layer.parse().ok()?, head.parse().ok()?))
    };
    let parts = value.split(',').filter(|each| !each.is_empty());
    parts.map(head).collect()
}

impl Options {
    /// From what a link says; values were checked before.
    pub fn read(values: &Values) -> Self {
        let text = |name: &str| values.get(name).map_or("", String::as_str);
        let number = |name: &str| text(name).parse::<usize>().ok();
        let has = |flag: &str| text("hide").split(',').any(|each| each == flag);
        let named = number("layer").is_some() || number("head").is_some();
        let head = (number("layer").unwrap_or(0), number("head").unwrap_or(0));
        Self {
            head: named.then_some(head),
            others: read_heads(text("heads")).unwrap_or_default(),
            view: find(&VIEWS, text("view")),
            wall: find(&WALLS, text("wall")),
            rollout: text("of") == "rollout",
            hide_special: has("special"),
            hide_first: has("first"),
            renormalise: has("renormalise"),
            across: has("across"),
            threshold: text("threshold").parse().unwrap_or(0.0),
            to: stack(text("stack")),
            pair: text("pair").into(),
            second: text("second").into(),
            tower: find(&TOWERS, text("tower")),
            picture: Shot::named(text("picture")),
        }
    }

    /// As [`Self::read`] reads it back.
    pub fn write(&self) -> Values {
        let mut values = Values::new();
        let mut put = |name: &str, value: String| {
            if let Some(key) = KEYS.iter().find(|key| key.name == name)
                && value != key.default
            {
                values.insert(key.name, value);
            }
        };
        if let Some((layer, head)) = self.head {
            put("layer", layer.to_string());
            put("head", head.to_string());
        }
        let others = self
            .others
            .iter()
            .map(|(layer, head)| format!("{layer}.{head}"));
        put("heads", others.collect::<Vec<_>>().join(","));
        put("view", name_of(&VIEWS, self.view));
        put("wall", name_of(&WALLS, self.wall));
        put("of", if self.rollout { "rollout" } else { "head" }.into());
        let flags = [
            self.hide_special,
            self.hide_first,
            self.renormalise,
            self.across,
        ];
        let set = FLAGS.iter().zip(flags).filter(|(_, on)| *on);
        put(
            "hide",
            set.map(|(name, _)| *name).collect::<Vec<_>>().join(","),
        );
        put("threshold", self.threshold.to_string());
        put("stack", name_of(&STACKS, self.to));
        put("pair", self.pair.clone());
        put("second", self.second.clone());
        put("tower", name_of(&TOWERS, self.tower));
        put("picture", self.picture.name().into());
        values
    }

    /// The heads that are drawn, the chosen one first.
    pub fn shown(&self) -> Vec<HeadId> {
        let mut shown: Vec<HeadId> = self.head.into_iter().collect();
        let others = self.others.iter().filter(|each| Some(**each) != self.head);
        shown.extend(others.take(MOST_HEADS - 1));
        shown
    }

    /// Whether what is drawn is not what the model computed.
    pub fn derives(&self) -> bool {
        self.rollout || self.filters()
    }

    /// Whether anything is left out or changed.
    pub fn filters(&self) -> bool {
        self.hide_special
            || self.hide_first
            || self.renormalise
            || self.across
            || self.threshold > 0.0
    }
}

fn find<T: Copy + Default>(names: &[(&str, T)], name: &str) -> T {
    let found = names.iter().find(|(each, _)| *each == name);
    found.map_or_else(T::default, |(_, value)| *value)
}

/// The attention of a translator that a name means.
pub fn stack(name: &str) -> AttendTo {
    find(&STACKS, name)
}

/// The name of a translator's attention.
pub fn stack_name(to: AttendTo) -> String {
    name_of(&STACKS, to)
}

fn name_of<T: Copy + PartialEq>(names: &[(&str, T)], value: T) -> String {
    let found = names.iter().find(|(_, each)| *each == value);
    found.map_or("", |(name, _)| *name).into()
}

/// Changes the tab's settings.
pub fn change(desk: Desk, f: impl FnOnce(&mut Options)) {
    let mut options = desk.values.with_untracked(Options::read);
    f(&mut options);
    let values = options.write();
    if desk.values.with_untracked(|old| *old != values) {
        desk.values.set(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_travel_in_links() {
        let options = Options {
            head: Some((3, 0)),
            others: vec![(0, 8), (29, 1)],
            view: View::Matrix,
            wall: Wall::Entropy,
            rollout: true,
            hide_special: true,
            renormalise: true,
            threshold: 0.25,
            to: AttendTo::Source,
            second: "a, b = c".into(),
            tower: Tower::Text,
            picture: Shot::Sample("guitar"),
            ..Options::default()
        };
        let values = options.write();
        assert_eq!(values["hide"], "special,renormalise");
        for key in KEYS {
            if let Some(value) = values.get(key.name) {
                assert_eq!((key.check)(value), Ok(()), "{}", key.name);
            }
        }
        assert_eq!(Options::read(&values), options);
        assert_eq!(Options::read(&Values::new()), Options::default());
        assert_eq!(Options::default().write(), Values::new());
        let check = |name: &str| {
            KEYS.iter()
                .find(|key| key.name == name)
                .map(|key| key.check)
        };
        assert!(check("layer").is_some_and(|check| check("x").is_err()));
        assert!(check("heads").is_some_and(|check| check("1.2.3").is_err()));
        assert!(check("picture").is_some_and(|check| check("own").is_ok() && check("x").is_err()));
        assert!(check("threshold").is_some_and(|check| check("2").is_err()));
    }
}
