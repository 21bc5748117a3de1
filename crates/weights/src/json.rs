//! Reading JSON of which nothing is trusted, not even that its errors are short: messages of serde quote
//! an unexpected string, however long it is. The types here refuse strings themselves, and only the
//! place of an error is reported. They ask for any value, since serde_json writes such a message
//! without asking the visitor when a certain type is expected.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::WeightsError;

/// Reads `json`, which must be an object; `what` names it in messages.
pub(crate) fn parse<T: Object>(json: &[u8], what: &'static str) -> Result<T, WeightsError> {
    match serde_json::from_slice::<Read<T>>(json) {
        Ok(Read(object)) => Ok(object),
        Err(error) => Err(WeightsError::Json {
            what,
            line: error.line(),
            column: error.column(),
        }),
    }
}

/// A value that is built from the members of a JSON object, in their order.
pub(crate) trait Object: Default {
    /// Takes the value of the member `key` from `map`.
    fn member<'de, A: MapAccess<'de>>(&mut self, key: String, map: &mut A) -> Result<(), A::Error>;
}

/// Makes an [`Object`] deserialisable.
pub(crate) struct Read<T>(pub(crate) T);

impl<'de, T: Object> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(ObjectVisitor(PhantomData))
            .map(Read)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Object> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut object = T::default();
        while let Some(key) = map.next_key()? {
            object.member(key, &mut map)?;
        }
        Ok(object)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<T, E> {
        Err(E::custom("expected an object"))
    }
}

/// An object of strings, in which no key occurs twice.
#[derive(Default)]
pub(crate) struct StringMap(pub(crate) BTreeMap<String, String>);

impl Object for StringMap {
    fn member<'de, A: MapAccess<'de>>(&mut self, key: String, map: &mut A) -> Result<(), A::Error> {
        match self.0.insert(key, map.next_value()?) {
            None => Ok(()),
            Some(_) => Err(A::Error::custom("a key occurs twice")),
        }
    }
}

/// A list of at most [`Numbers::LIMIT`] whole numbers.
#[derive(Default)]
pub(crate) struct Numbers(pub(crate) Vec<u64>);

impl Numbers {
    /// More dimensions than any tensor has.
    pub(crate) const LIMIT: usize = 8;
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumbersVisitor)
    }
}

struct NumbersVisitor;

impl<'de> Visitor<'de> for NumbersVisitor {
    type Value = Numbers;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a short list of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Numbers, A::Error> {
        let mut numbers = Vec::new();
        while let Some(Number(number)) = list.next_element()? {
            if numbers.len() == Numbers::LIMIT {
                return Err(A::Error::custom("too many numbers"));
            }
            numbers.push(number);
        }
        Ok(Numbers(numbers))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Numbers, E> {
        Err(E::custom("expected a list"))
    }
}

struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
        Ok(Number(number))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Number, E> {
        Err(E::custom("expected a number"))
    }
}
