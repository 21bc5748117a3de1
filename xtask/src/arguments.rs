//! The words after the command.

use crate::error::{Error, Result};

/// What is left of the command line; options are taken out one by one.
pub struct Arguments(Vec<String>);

impl Arguments {
    pub fn new(words: &[String]) -> Self {
        // `--port=8080` is the same as `--port 8080`.
        let split = |word: &String| match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => {
                vec![name.to_owned(), value.to_owned()]
            }
            _ => vec![word.clone()],
        };
        Self(words.iter().flat_map(split).collect())
    }

    /// Takes an option without a value; whether it was there.
    pub fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|word| word != name);
        self.0.len() < before
    }

    /// Takes an option and its value.
    pub fn value(&mut self, name: &str) -> Result<Option<String>> {
        let Some(at) = self.0.iter().position(|word| word == name) else {
            return Ok(None);
        };
        if at + 1 == self.0.len() {
            return Err(Error::Usage(format!("{name} needs a value")));
        }
        self.0.remove(at);
        Ok(Some(self.0.remove(at)))
    }

    /// Takes an option whose value is a port number.
    pub fn number(&mut self, name: &str) -> Result<Option<u16>> {
        let wrong = |text| Error::Usage(format!("{name} wants a number up to 65535, not `{text}`"));
        self.value(name)?
            .map(|text| text.parse().map_err(|_| wrong(text)))
            .transpose()
    }

    /// All that is left, if no option is among it.
    pub fn names(self) -> Result<Vec<String>> {
        match self.0.iter().find(|word| word.starts_with('-')) {
            Some(option) => Err(Error::Usage(format!("there is no option `{option}` here"))),
            None => Ok(self.0),
        }
    }

    /// Fails if anything is left.
    pub fn end(&self) -> Result<()> {
        match self.0.first() {
            Some(word) => Err(Error::Usage(format!("`{word}` makes no sense here"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn arguments(line: &str) -> Arguments {
        Arguments::new(
            &line
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn takes_options_out() {
        let mut given = arguments("--port=80 --open rest --dist here");
        assert_eq!(given.number("--port").unwrap(), Some(80));
        assert!(given.flag("--open") && !given.flag("--open"));
        assert_eq!(given.value("--dist").unwrap().as_deref(), Some("here"));
        assert!(given.end().is_err());
        assert_eq!(given.names().unwrap(), ["rest"]);
    }

    #[test]
    fn refuses_nonsense() {
        assert!(arguments("--port").number("--port").is_err());
        assert!(arguments("--port 99999").number("--port").is_err());
        assert!(arguments("--prot 1").names().is_err());
    }
}
