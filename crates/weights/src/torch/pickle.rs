//! The few instructions of Python's pickles (protocols 2 to 4) that checkpoints of tensors are written
//! in. Nothing is ever called: the three functions and the storage types named below stand for
//! themselves, and any other name is refused.
//!
//! Every value is a number or an index into a list, so a program that nests or repeats values, or puts
//! them into themselves, costs no more memory than its own length.

use std::collections::HashMap;

use super::refused;
use crate::Encoding;
use crate::error::{WeightsError, shown};

/// Most axes of a tensor.
const MOST_AXES: usize = 8;

/// A value on the stack.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    /// None, a truth, a fraction, a long number: nothing that a tensor depends on.
    Other,
    Number(i64),
    /// Of the texts.
    Text(usize),
    /// Of the lists; tuples are lists.
    List(usize),
    /// Of the dictionaries.
    Dict(usize),
    Name(Name),
    /// Of the storages.
    Storage(usize),
    /// Of the tensors.
    Tensor(usize),
}

/// What may be named.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Name {
    /// `collections.OrderedDict`.
    Dict,
    /// `torch._utils._rebuild_tensor_v2`.
    Tensor,
    /// `torch._utils._rebuild_parameter`.
    Parameter,
    /// A type of storage: its encoding, nothing for integers, and the bytes of an element.
    Storage(Option<Encoding>, usize),
}

fn name(module: &str, name: &str) -> Result<Name, WeightsError> {
    let float = |encoding: Encoding| Name::Storage(Some(encoding), encoding.block_bytes());
    Ok(match (module, name) {
        ("collections", "OrderedDict") => Name::Dict,
        ("torch._utils", "_rebuild_tensor_v2") => Name::Tensor,
        ("torch._utils", "_rebuild_parameter") => Name::Parameter,
        ("torch", "FloatStorage") => float(Encoding::F32),
        ("torch", "HalfStorage") => float(Encoding::F16),
        ("torch", "BFloat16Storage") => float(Encoding::BF16),
        ("torch", "LongStorage") => Name::Storage(None, 8),
        ("torch", "IntStorage") => Name::Storage(None, 4),
        ("torch", "ShortStorage") => Name::Storage(None, 2),
        ("torch", "CharStorage" | "ByteStorage" | "BoolStorage") => Name::Storage(None, 1),
        _ => return Err(WeightsError::TorchName(shown(&format!("{module}.{name}")))),
    })
}

/// Bytes that tensors share, as a program names them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Storage<'p> {
    /// Its name in the file.
    pub(super) key: &'p str,
    /// Nothing for integers.
    pub(super) encoding: Option<Encoding>,
    /// Bytes of an element.
    pub(super) width: usize,
    /// Elements.
    pub(super) count: usize,
}

/// A tensor as a program describes it.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    /// Of the storages.
    pub(super) storage: usize,
    /// Its first element there.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// A program that has run.
#[derive(Debug)]
pub(super) struct Unpickler<'p> {
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    texts: Vec<&'p str>,
    lists: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
    storages: Vec<Storage<'p>>,
    /// By key.
    by_key: HashMap<&'p str, usize>,
    tensors: Vec<Tensor>,
}

type Result<T, E = WeightsError> = std::result::Result<T, E>;

fn damaged() -> WeightsError {
    refused("its description of the tensors is incomplete or damaged")
}

/// The next bytes of a program.
fn take<'p>(program: &mut &'p [u8], count: usize) -> Result<&'p [u8]> {
    program.split_off(..count).ok_or_else(damaged)
}

fn array<const N: usize>(program: &mut &[u8]) -> Result<[u8; N]> {
    let mut out = [0; N];
    out.copy_from_slice(take(program, N)?);
    Ok(out)
}

fn text<'p>(program: &mut &'p [u8], count: usize) -> Result<&'p str> {
    std::str::from_utf8(take(program, count)?).map_err(|_| damaged())
}

/// A text up to the end of its line.
fn line<'p>(program: &mut &'p [u8]) -> Result<&'p str> {
    let end = program.iter().position(|&byte| byte == b'\n');
    let line = text(program, end.ok_or_else(damaged)?)?;
    take(program, 1)?;
    Ok(line)
}

impl<'p> Unpickler<'p> {
    /// Runs the next program, up to its end.
    ///
    /// # Errors
    /// If it does anything but describe tensors.
    pub(super) fn run(program: &mut &'p [u8]) -> Result<Self> {
        let mut machine = Self {
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            texts: Vec::new(),
            lists: Vec::new(),
            dicts: Vec::new(),
            storages: Vec::new(),
            by_key: HashMap::new(),
            tensors: Vec::new(),
        };
        loop {
            let [code] = array(program)?;
            if code == b'.' {
                return Ok(machine);
            }
            machine.step(code, program)?;
        }
    }

    fn step(&mut self, code: u8, program: &mut &'p [u8]) -> Result<()> {
        match code {
            // Protocol and frame say nothing that is needed.
            0x80 => drop(take(program, 1)?),
            0x95 => drop(take(program, 8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'N' | 0x88 | 0x89 => self.stack.push(Value::Other),
            b'G' => {
                take(program, 8)?;
                self.stack.push(Value::Other);
            }
            b'K' => {
                let [n] = array(program)?;
                self.stack.push(Value::Number(n.into()));
            }
            b'M' => {
                let n = u16::from_le_bytes(array(program)?);
                self.stack.push(Value::Number(n.into()));
            }
            b'J' => {
                let n = i32::from_le_bytes(array(program)?);
                self.stack.push(Value::Number(n.into()));
            }
            0x8a => {
                let [count] = array(program)?;
                let bytes = take(program, count.into())?;
                self.stack.push(long(bytes));
            }
            b'X' => {
                let count = u32::from_le_bytes(array(program)?);
                self.push_text(program, count as usize)?;
            }
            0x8c => {
                let [count] = array(program)?;
                self.push_text(program, count.into())?;
            }
            b'c' => {
                let (module, of_module) = (line(program)?, line(program)?);
                self.stack.push(Value::Name(name(module, of_module)?));
            }
            0x93 => {
                let [module, of_module] = self.pop_n()?;
                let (module, of_module) = (self.text(module)?, self.text(of_module)?);
                self.stack.push(Value::Name(name(module, of_module)?));
            }
            b')' | b']' => self.push_list(Vec::new()),
            b't' => {
                let values = self.since_mark()?;
                self.push_list(values);
            }
            0x85 => self.tuple::<1>()?,
            0x86 => self.tuple::<2>()?,
            0x87 => self.tuple::<3>()?,
            b'}' => self.push_dict(),
            b's' => {
                let pair = self.pop_n::<2>()?;
                self.set_items(&pair)?;
            }
            b'u' => {
                let values = self.since_mark()?;
                self.set_items(&values)?;
            }
            b'a' => {
                let value = self.pop_n::<1>()?;
                self.append(&value)?;
            }
            b'e' => {
                let values = self.since_mark()?;
                self.append(&values)?;
            }
            b'q' | b'r' | 0x94 => {
                let at = match code {
                    b'q' => u32::from(array::<1>(program)?[0]),
                    b'r' => u32::from_le_bytes(array(program)?),
                    _ => self.memo.len() as u32,
                };
                let top = *self.stack.last().ok_or_else(damaged)?;
                self.memo.insert(at, top);
            }
            b'h' | b'j' => {
                let at = match code {
                    b'h' => u32::from(array::<1>(program)?[0]),
                    _ => u32::from_le_bytes(array(program)?),
                };
                let value = *self.memo.get(&at).ok_or_else(damaged)?;
                self.stack.push(value);
            }
            b'Q' => self.persistent()?,
            b'R' => self.reduce()?,
            b'b' => {
                // What a dictionary of weights carries beside them: versions of their modules.
                self.pop_n::<1>()?;
                if !matches!(self.stack.last(), Some(Value::Dict(_))) {
                    return Err(refused("it asks for more than tensors"));
                }
            }
            _ => return Err(refused("it asks for more than tensors")),
        }
        Ok(())
    }

    fn push_text(&mut self, program: &mut &'p [u8], count: usize) -> Result<()> {
        self.texts.push(text(program, count)?);
        self.stack.push(Value::Text(self.texts.len() - 1));
        Ok(())
    }

    fn push_list(&mut self, values: Vec<Value>) {
        self.lists.push(values);
        self.stack.push(Value::List(self.lists.len() - 1));
    }

    fn push_dict(&mut self) {
        self.dicts.push(Vec::new());
        self.stack.push(Value::Dict(self.dicts.len() - 1));
    }

    fn tuple<const N: usize>(&mut self) -> Result<()> {
        let values = self.pop_n::<N>()?;
        self.push_list(values.to_vec());
        Ok(())
    }

    /// The topmost values, none of them below the last mark.
    fn pop_n<const N: usize>(&mut self) -> Result<[Value; N]> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let at = self.stack.len().checked_sub(N).filter(|at| *at >= floor);
        let at = at.ok_or_else(damaged)?;
        let mut values = [Value::Other; N];
        values.copy_from_slice(&self.stack[at..]);
        self.stack.truncate(at);
        Ok(values)
    }

    fn since_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.marks.pop().ok_or_else(damaged)?;
        if mark > self.stack.len() {
            return Err(damaged());
        }
        Ok(self.stack.split_off(mark))
    }

    fn set_items(&mut self, values: &[Value]) -> Result<()> {
        let Some(&Value::Dict(dict)) = self.stack.last() else {
            return Err(damaged());
        };
        let (pairs, []) = values.as_chunks::<2>() else {
            return Err(damaged());
        };
        self.dicts[dict].extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    fn append(&mut self, values: &[Value]) -> Result<()> {
        let Some(&Value::List(list)) = self.stack.last() else {
            return Err(damaged());
        };
        self.lists[list].extend_from_slice(values);
        Ok(())
    }

    /// A storage: `("storage", type, key, device, elements)`, before 1.6 with a view behind it.
    fn persistent(&mut self) -> Result<()> {
        let [id] = self.pop_n()?;
        let (kind, ty, key, count) = match self.list(id)? {
            [kind, ty, key, _, count] | [kind, ty, key, _, count, Value::Other] => {
                (*kind, *ty, *key, *count)
            }
            _ => return Err(refused("it asks for more than tensors")),
        };
        let (Value::Name(Name::Storage(encoding, width)), "storage") = (ty, self.text(kind)?)
        else {
            return Err(refused("it asks for more than tensors"));
        };
        let storage = Storage {
            key: self.text(key)?,
            encoding,
            width,
            count: size(count)?,
        };
        let at = match self.by_key.get(storage.key) {
            Some(&at) if self.storages[at] == storage => at,
            Some(_) => return Err(damaged()),
            None => {
                self.by_key.insert(storage.key, self.storages.len());
                self.storages.push(storage);
                self.storages.len() - 1
            }
        };
        self.stack.push(Value::Storage(at));
        Ok(())
    }

    fn reduce(&mut self) -> Result<()> {
        let [function, arguments] = self.pop_n()?;
        let Value::Name(function) = function else {
            return Err(refused("it asks for more than tensors"));
        };
        match (function, self.list(arguments)?) {
            (Name::Dict, []) => self.push_dict(),
            (Name::Parameter, &[tensor @ Value::Tensor(_), ..]) => self.stack.push(tensor),
            (Name::Tensor, &[Value::Storage(storage), offset, shape, strides, ..]) => {
                let (offset, shape) = (size(offset)?, self.sizes(shape)?);
                let strides = self.sizes(strides)?;
                if strides.len() != shape.len() {
                    return Err(damaged());
                }
                self.tensors.push(Tensor {
                    storage,
                    offset,
                    shape,
                    strides,
                });
                self.stack.push(Value::Tensor(self.tensors.len() - 1));
            }
            _ => return Err(refused("it asks for more than tensors")),
        }
        Ok(())
    }

    fn text(&self, value: Value) -> Result<&'p str> {
        match value {
            Value::Text(at) => Ok(self.texts[at]),
            _ => Err(damaged()),
        }
    }

    fn list(&self, value: Value) -> Result<&[Value]> {
        match value {
            Value::List(at) => Ok(&self.lists[at]),
            _ => Err(damaged()),
        }
    }

    fn sizes(&self, value: Value) -> Result<Vec<usize>> {
        let list = self.list(value)?;
        if list.len() > MOST_AXES {
            return Err(damaged());
        }
        list.iter().map(|&value| size(value)).collect()
    }

    /// What is left on the stack at the end.
    fn result(&self) -> Result<Value> {
        self.stack.last().copied().ok_or_else(damaged)
    }

    /// The list of texts that the program made.
    pub(super) fn texts(&self) -> Result<Vec<&'p str>> {
        let list = self.list(self.result()?)?.iter();
        list.map(|&value| self.text(value)).collect()
    }

    /// The tensors by name that the program made.
    pub(super) fn tensors(&self) -> Result<Vec<(&'p str, &Tensor)>> {
        let Value::Dict(dict) = self.result()? else {
            return Err(refused("it holds something else than tensors by name"));
        };
        let tensor = |&(name, value): &(Value, Value)| match (name, value) {
            (Value::Text(name), Value::Tensor(at)) => Ok((self.texts[name], &self.tensors[at])),
            _ => Err(refused("it holds something else than tensors by name")),
        };
        self.dicts[dict].iter().map(tensor).collect()
    }

    /// The storages that tensors name.
    pub(super) fn storages(&self) -> &[Storage<'p>] {
        &self.storages
    }

    /// The storage of a key.
    pub(super) fn storage(&self, key: &str) -> Option<usize> {
        self.by_key.get(key).copied()
    }
}

fn size(value: Value) -> Result<usize> {
    match value {
        Value::Number(n) => usize::try_from(n).map_err(|_| damaged()),
        _ => Err(damaged()),
    }
}

/// A number of any length, little-endian and signed.
fn long(bytes: &[u8]) -> Value {
    let Some((last, _)) = bytes.split_last() else {
        return Value::Number(0);
    };
    if bytes.len() > 8 {
        return Value::Other;
    }
    let mut wide = [if *last >= 0x80 { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Value::Number(i64::from_le_bytes(wide))
}
