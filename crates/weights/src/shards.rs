//! The index of a checkpoint that is split over several safetensors files.

use std::collections::BTreeMap;

use serde::de::{Error, IgnoredAny, MapAccess};

use crate::WeightsError;
use crate::error::shown;
use crate::json::{self, Object, Read, StringMap};

/// Indices of the largest models on the hub are a few MB.
const LIMIT_MIB: u64 = 16;

/// Reads `model.safetensors.index.json`: tensor name → name of the file that holds it. File names are
/// plain: they cannot point out of the folder.
pub fn shard_index(json: &[u8]) -> Result<BTreeMap<String, String>, WeightsError> {
    if json.len() as u64 > LIMIT_MIB << 20 {
        return Err(WeightsError::IndexTooLarge {
            limit_mib: LIMIT_MIB,
        });
    }
    let index: Index = json::parse(json, "index of the model's parts")?;
    let files = index.weight_map.filter(|files| !files.is_empty());
    let files = files.ok_or(WeightsError::EmptyIndex)?;
    match files.values().find(|file| !is_plain(file)) {
        Some(file) => Err(WeightsError::ShardName(shown(file))),
        None => Ok(files),
    }
}

#[derive(Default)]
struct Index {
    weight_map: Option<BTreeMap<String, String>>,
}

impl Object for Index {
    fn member<'de, A: MapAccess<'de>>(&mut self, key: String, map: &mut A) -> Result<(), A::Error> {
        if key != "weight_map" {
            return map.next_value().map(|IgnoredAny| ());
        }
        let Read(StringMap(files)) = map.next_value()?;
        match self.weight_map.replace(files) {
            None => Ok(()),
            Some(_) => Err(A::Error::custom("the map occurs twice")),
        }
    }
}

/// Whether `file` is a name within its folder on every platform (`:` begins a drive or a stream on
/// Windows, `%` an escape in a URL, `?` and `#` end its path).
fn is_plain(file: &str) -> bool {
    let special = |c: char| c.is_control() || matches!(c, '/' | '\\' | ':' | '%' | '?' | '#');
    !file.is_empty() && file != "." && !file.contains("..") && !file.contains(special)
}
