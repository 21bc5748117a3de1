//! Metadata values of a GGUF header.

use super::check_count;
use crate::cursor::{Cursor, Stop, make_room};
use crate::error::{WeightsError, shown};
use crate::{Array, Value};

/// `enum gguf_type` in ggml.
const BOOL: u32 = 7;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// A pair, or the beginning of one.
pub(super) enum Read {
    Value(String, Value),
    Array(OpenArray),
}

/// Reads a key and its value; of an array only the type and the length.
pub(super) fn read_pair(cursor: &mut Cursor, room: u64) -> Result<Read, Stop> {
    let key = cursor.string()?;
    let value = match cursor.u32()? {
        0 => Value::U8(cursor.number(u8::from_le_bytes)?),
        1 => Value::I8(cursor.number(i8::from_le_bytes)?),
        2 => Value::U16(cursor.number(u16::from_le_bytes)?),
        3 => Value::I16(cursor.number(i16::from_le_bytes)?),
        4 => Value::U32(cursor.number(u32::from_le_bytes)?),
        5 => Value::I32(cursor.number(i32::from_le_bytes)?),
        6 => Value::F32(cursor.number(f32::from_le_bytes)?),
        BOOL => Value::Bool(bool_of(key, cursor.number(u8::from_le_bytes)?)?),
        STRING => Value::String(cursor.string()?.to_owned()),
        10 => Value::U64(cursor.number(u64::from_le_bytes)?),
        11 => Value::I64(cursor.number(i64::from_le_bytes)?),
        12 => Value::F64(cursor.number(f64::from_le_bytes)?),
        ARRAY => {
            let (values, smallest) = empty_array(key, cursor.u32()?)?;
            let left = cursor.u64()?;
            let room = room.saturating_sub(cursor.position() as u64);
            check_count("array elements", left, smallest, room)?;
            return Ok(Read::Array(OpenArray {
                key: key.to_owned(),
                values,
                left,
            }));
        }
        id => {
            return Err(WeightsError::UnknownValueType {
                key: shown(key),
                id,
            }
            .into());
        }
    };
    Ok(Read::Value(key.to_owned(), value))
}

/// An empty array of the type `id`, and the bytes of its smallest element.
fn empty_array(key: &str, id: u32) -> Result<(Array, u64), WeightsError> {
    Ok(match id {
        0 => (Array::U8(Vec::new()), 1),
        1 => (Array::I8(Vec::new()), 1),
        2 => (Array::U16(Vec::new()), 2),
        3 => (Array::I16(Vec::new()), 2),
        4 => (Array::U32(Vec::new()), 4),
        5 => (Array::I32(Vec::new()), 4),
        6 => (Array::F32(Vec::new()), 4),
        BOOL => (Array::Bool(Vec::new()), 1),
        STRING => (Array::String(Vec::new()), 8),
        10 => (Array::U64(Vec::new()), 8),
        11 => (Array::I64(Vec::new()), 8),
        12 => (Array::F64(Vec::new()), 8),
        ARRAY => return Err(WeightsError::NestedArray(shown(key))),
        id => {
            return Err(WeightsError::UnknownValueType {
                key: shown(key),
                id,
            });
        }
    })
}

fn bool_of(key: &str, byte: u8) -> Result<bool, WeightsError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(WeightsError::InvalidBool(shown(key))),
    }
}

/// An array whose elements are still arriving.
pub(super) struct OpenArray {
    key: String,
    values: Array,
    left: u64,
}

impl OpenArray {
    pub(super) fn is_complete(&self) -> bool {
        self.left == 0
    }

    pub(super) fn into_pair(self) -> (String, Value) {
        (self.key, Value::Array(self.values))
    }

    /// Takes in the elements that are there, at least one.
    pub(super) fn read(&mut self, cursor: &mut Cursor) -> Result<(), Stop> {
        let (left, before) = (self.left, self.values.len());
        match &mut self.values {
            Array::U8(v) => cursor.numbers(v, left, u8::from_le_bytes)?,
            Array::I8(v) => cursor.numbers(v, left, i8::from_le_bytes)?,
            Array::U16(v) => cursor.numbers(v, left, u16::from_le_bytes)?,
            Array::I16(v) => cursor.numbers(v, left, i16::from_le_bytes)?,
            Array::U32(v) => cursor.numbers(v, left, u32::from_le_bytes)?,
            Array::I32(v) => cursor.numbers(v, left, i32::from_le_bytes)?,
            Array::U64(v) => cursor.numbers(v, left, u64::from_le_bytes)?,
            Array::I64(v) => cursor.numbers(v, left, i64::from_le_bytes)?,
            Array::F32(v) => cursor.numbers(v, left, f32::from_le_bytes)?,
            Array::F64(v) => cursor.numbers(v, left, f64::from_le_bytes)?,
            Array::Bool(v) => {
                let value = bool_of(&self.key, cursor.number(u8::from_le_bytes)?)?;
                make_room(v, 1, left);
                v.push(value);
            }
            Array::String(v) => {
                let value = cursor.string()?;
                make_room(v, 1, left);
                v.push(value.to_owned());
            }
        }
        self.left -= (self.values.len() - before) as u64;
        Ok(())
    }
}
