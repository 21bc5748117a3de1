//! The tab's settings, as links name them.

use leptos::prelude::*;

use super::super::table::Shown;
use super::{Runs, template_of};

impl Runs {
    /// What each text is put into.
    pub fn template(&self) -> String {
        template_of(self.desk)
    }

    /// Puts each text into another template; an empty one leaves texts as they are.
    pub fn set_template(&self, template: &str) {
        let plain = template.trim().is_empty() || template == "{}";
        self.set("template", (!plain).then(|| template.to_owned()));
    }

    /// Shows other numbers.
    pub fn set_shown(&self, shown: Shown) {
        let set = (shown != Shown::default()).then(|| shown.name().to_owned());
        self.set("softmax", set);
    }

    fn set(&self, name: &'static str, value: Option<String>) {
        self.desk.values.update(|values| {
            match value {
                Some(value) => values.insert(name, value),
                None => values.remove(name),
            };
        });
    }
}
