//! Which picture is looked at, and by which tower.

use crate::components::pictures::SAMPLES;

/// Which tower of a model that sees and reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tower {
    /// The one that sees pictures.
    #[default]
    Picture,
    /// The one that reads texts.
    Text,
}

/// Which picture is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shot {
    /// One that the page ships, by its name.
    Sample(&'static str),
    /// The person's own, which cannot travel in a link.
    Own,
}

impl Default for Shot {
    fn default() -> Self {
        Self::Sample(Self::FIRST)
    }
}

impl Shot {
    /// The sample that is looked at where nobody chose.
    pub const FIRST: &str = SAMPLES[0];

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SAMPLES.into_iter().chain([OWN])
    }

    /// Its name in links.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sample(name) => name,
            Self::Own => OWN,
        }
    }

    /// The one that a link names.
    pub fn named(name: &str) -> Self {
        let sample = SAMPLES.into_iter().find(|each| *each == name);
        match sample {
            Some(name) => Self::Sample(name),
            None if name == OWN => Self::Own,
            None => Self::default(),
        }
    }
}

const OWN: &str = "own";
