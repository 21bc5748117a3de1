//! Whatever the bytes are, reading them neither panics nor takes much more memory than they do.
#![allow(clippy::unwrap_used)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use glassformer_weights::{FileStream, Header, Sink, TorchFile, WeightsError, shard_index};
use proptest::prelude::*;
use proptest::sample::Index;
use support::{Gguf, bytes, read, safetensors, string};

/// Counts the bytes that each thread holds, and the most it ever held.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends has no counters any more; it is of no interest either.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call is passed on unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's contract is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's contract is that of `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // At the worst both live at once.
        count(size as isize);
        count(-(layout.size() as isize));
        // SAFETY: the caller's contract is that of `System`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The result of `work` and the most bytes it held.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before) as usize)
}

/// Only counts.
#[derive(Default)]
struct Tally(u64);

impl Sink for Tally {
    type Error = WeightsError;

    fn header(&mut self, _: &mut Header) -> Result<(), WeightsError> {
        Ok(())
    }

    fn data(&mut self, _: usize, _: u64, bytes: &[u8]) -> Result<(), WeightsError> {
        self.0 += bytes.len() as u64;
        Ok(())
    }
}

/// Reads `file`, checks the bound on memory after each chunk, and gives the tensor bytes.
fn read_within_bounds(file: &[u8], chunk: usize, length: Option<u64>) -> Result<u64, WeightsError> {
    let mut stream = length.map_or_else(FileStream::new, FileStream::with_length);
    let mut sink = Tally::default();
    let mut fed = 0;
    let before = HELD.get();
    PEAK.set(before);
    let mut result = Ok(());
    for chunk in file.chunks(chunk) {
        fed += chunk.len();
        result = stream.push(chunk, &mut sink);
        let peak = (PEAK.get() - before) as usize;
        assert!(
            peak <= (4 << 10) + 16 * fed,
            "{peak} bytes held after {fed} fed"
        );
        if result.is_err() {
            break;
        }
    }
    if let Some(header) = stream.header() {
        let told: u64 = header.tensors.iter().map(|tensor| tensor.bytes).sum();
        assert!(sink.0 <= told);
    }
    result.and_then(|()| stream.finish())?;
    Ok(sink.0)
}

fn read_in_many_ways(file: &[u8], chunk: usize) {
    let whole = read_within_bounds(file, usize::MAX, None);
    assert_eq!(
        read_within_bounds(file, chunk, None),
        whole,
        "chunks of {chunk}"
    );
    let known = read_within_bounds(file, usize::MAX, Some(file.len() as u64));
    assert_eq!(
        read_within_bounds(file, chunk, Some(file.len() as u64)),
        known
    );
    assert_eq!(known.is_ok(), whole.is_ok());
    let _ = read_within_bounds(file, chunk, Some(file.len() as u64 / 2));
}

fn gguf() -> Vec<u8> {
    let words: Vec<u8> = (0..40).flat_map(|i| string(&format!("w{i}"))).collect();
    Gguf::new(3)
        .pair("general.architecture", 8, string("llama"))
        .align(32)
        .pair("rope", 6, 1e5f32.to_le_bytes())
        .array("words", 8, 40, words)
        .array("types", 5, 40, bytes(160, 0))
        .pair("flag", 7, [1])
        .tensor("a", &[32, 2], 3, &bytes(40, 1))
        .tensor("b", &[4], 0, &bytes(16, 2))
        .tensor("c", &[32, 2], 8, &bytes(68, 3))
        .build()
}

fn small_safetensors() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt"},
        "a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
        "b":{"dtype":"I64","shape":[2],"data_offsets":[24,40]},
        "c":{"dtype":"BF16","shape":[4],"data_offsets":[40,48]}}"#;
    safetensors(header, &bytes(48, 0))
}

/// A number as likely to do harm as to be harmless.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..64u64,
        (0..64u32).prop_map(|bit| 1 << bit),
        Just(u64::MAX)
    ]
}

/// A change of a file: some bytes overwritten with a number, or cut out.
fn change() -> impl Strategy<Value = (Index, u64, usize, bool)> {
    (
        any::<Index>(),
        number(),
        1..=8usize,
        prop::bool::weighted(0.1),
    )
}

fn apply(file: &mut Vec<u8>, changes: &[(Index, u64, usize, bool)]) {
    for (place, number, width, cut) in changes {
        if file.is_empty() {
            return;
        }
        let place = place.index(file.len());
        let end = (place + width).min(file.len());
        if *cut {
            file.drain(place..end);
        } else {
            file[place..end].copy_from_slice(&number.to_le_bytes()[..end - place]);
        }
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(1000)
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn arbitrary_bytes(file in prop::collection::vec(any::<u8>(), 0..600), chunk in 1..100usize) {
        read_in_many_ways(&file, chunk);
        let (_, peak) = peak_of(|| shard_index(&file).is_ok());
        prop_assert!(peak <= (4 << 10) + 16 * file.len());
    }

    #[test]
    fn arbitrary_gguf_body(
        counts in (number(), number()),
        body in prop::collection::vec(prop_oneof![9 => Just(0u8), 3 => 0..13u8, 1 => any::<u8>()], 0..600),
        chunk in 1..100usize,
    ) {
        let mut file = Gguf::new(3);
        (file.tensor_count, file.pair_count) = (counts.0 % 4, counts.1 % 4);
        file.pairs = body;
        read_in_many_ways(&file.build(), chunk);
        (file.tensor_count, file.pair_count) = counts;
        read_in_many_ways(&file.build(), chunk);
    }

    #[test]
    fn arbitrary_json(
        header in r#"(\{|\}|\[|\]|"a"|"dtype"|"F32"|"shape"|"data_offsets"|"__metadata__"|:|,|[0-9]{1,20}| ){0,60}"#,
        chunk in 1..100usize,
    ) {
        let header = format!("{{{header}");
        read_in_many_ways(&safetensors(&header, &[0; 64]), chunk);
        let (_, peak) = peak_of(|| shard_index(header.as_bytes()).is_ok());
        prop_assert!(peak <= (4 << 10) + 16 * header.len());
    }

    #[test]
    fn changed_gguf(changes in prop::collection::vec(change(), 1..5), chunk in 1..100usize) {
        let mut file = gguf();
        apply(&mut file, &changes);
        read_in_many_ways(&file, chunk);
    }

    #[test]
    fn changed_safetensors(changes in prop::collection::vec(change(), 1..5), chunk in 1..100usize) {
        let mut file = small_safetensors();
        apply(&mut file, &changes);
        read_in_many_ways(&file, chunk);
    }

    #[test]
    fn cut_files(cut in any::<Index>(), chunk in 1..100usize) {
        for file in [gguf(), small_safetensors()] {
            let end = cut.index(file.len());
            prop_assert!(read_within_bounds(&file[..end], chunk, None).is_err());
            prop_assert!(read_within_bounds(&file[..end], chunk, Some(end as u64)).is_err());
            let length = Some(file.len() as u64);
            let missing = (file.len() - end) as u64;
            let error = read_within_bounds(&file[..end], chunk, length);
            prop_assert_eq!(error, Err(WeightsError::Incomplete { missing }));
        }
    }

    #[test]
    fn chunks_do_not_matter(cuts in prop::collection::vec(any::<Index>(), 0..10)) {
        for file in [gguf(), small_safetensors()] {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(file.len())).collect();
            cuts.sort_unstable();
            let mut stream = FileStream::new();
            let mut sink = support::Collect::default();
            let mut start = 0;
            for end in cuts.into_iter().chain([file.len()]) {
                stream.push(&file[start..end], &mut sink).unwrap();
                start = end;
            }
            stream.finish().unwrap();
            let (header, data) = read(&file, usize::MAX, None).unwrap();
            prop_assert_eq!(sink.header, Some(header));
            prop_assert_eq!(sink.data, data);
        }
    }
}

/// Bytes that a PyTorch file may hold in memory for each of its own: an instruction of one byte makes
/// a list.
const PER_BYTE: usize = 200;

/// Reads a PyTorch file and checks the bound on memory.
fn read_torch(file: &[u8]) -> Result<TorchFile, WeightsError> {
    let (result, peak) = peak_of(|| TorchFile::read(file));
    let most = (16 << 10) + PER_BYTE * file.len();
    assert!(peak <= most, "{peak} bytes held for {}", file.len());
    result
}

const TORCH: [&[u8]; 2] = [
    include_bytes!("data/torch.bin"),
    include_bytes!("data/torch-before-1.6.bin"),
];

proptest! {
    #[test]
    fn changed_files_of_pytorch(
        which in 0..2usize,
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..20),
        cut in any::<Index>(),
    ) {
        let mut file = TORCH[which].to_vec();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(read) = read_torch(&file) {
            for tensor in read.tensors {
                prop_assert!(tensor.end() <= file.len() as u64);
            }
        }
        let _ = read_torch(&file[..cut.index(file.len())]);
    }

    #[test]
    fn any_program_of_pytorch(
        program in prop::collection::vec(
            prop::sample::select(b"\x80\x02(N\x88K\x01M\x8aX\0\x8cc\x93)]t\x85\x86\x87}suaeqr\x94hjQRb.".to_vec()),
            0..400,
        ),
    ) {
        let start = &TORCH[1][..15];
        let file = [start, b"\x80\x02M\xe9\x03.\x80\x02}.", &program, b".\x80\x02]."].concat();
        let _ = read_torch(&file);
    }
}

/// One instruction that takes as much memory as possible, over and over; and one name for many tensors.
#[test]
fn the_most_expensive_programs() {
    for code in [
        &b"]"[..],
        b"}",
        b"(",
        b"N\x94",
        b")\x85",
        b"X\x01\0\0\0a",
        b"](t",
    ] {
        let file = [&TORCH[1][..15], b"K\x01.}.", &code.repeat(100_000), b"."].concat();
        let _ = read_torch(&file);
    }
    let name = [
        b"X",
        &100_000u32.to_le_bytes()[..],
        &[b'a'; 100_000],
        b"q\0",
    ]
    .concat();
    let pairs = b"h\0K\x01".repeat(100_000);
    let file = [
        &TORCH[1][..15],
        b"K\x01.}.",
        &name,
        b"}(",
        &pairs,
        b"u.",
        b"].",
    ]
    .concat();
    assert!(read_torch(&file).is_err());
}

/// Headers whose contents take as much memory per byte as possible.
#[test]
fn the_most_expensive_headers() {
    let mut files = Vec::new();
    let empty = string("").repeat(50_000);
    files.push(Gguf::new(3).array("a", 8, 50_000, &empty).build());
    let mut claim = Gguf::new(3).array("a", 8, 8_000_000, &empty);
    claim.pair_count = 1;
    files.push(claim.build());
    let mut pairs = Gguf::new(3);
    let mut arrays = Gguf::new(3);
    let mut tensors = Gguf::new(3);
    let mut strings = String::from(r#"{"__metadata__":{"#);
    let mut entries = String::from("{");
    for i in 0..20_000u16 {
        let name = char::from_u32(0x4E00 + u32::from(i)).unwrap().to_string();
        pairs = pairs.pair(&name, 0, [0]);
        arrays = arrays.array(&name, 8, 1, string("x"));
        tensors = tensors.info(&name, &[], 0, 32 * u64::from(i));
        strings += &format!(r#""{name}":"","#);
        let end = i + 1;
        entries += &format!(r#""{name}":{{"dtype":"I8","shape":[],"data_offsets":[{i},{end}]}},"#);
    }
    files.extend([pairs.build(), arrays.build(), tensors.build()]);
    files.push(safetensors(&(strings + r#""":""}}"#), &[]));
    files.push(safetensors(&(entries + r#""__metadata__":{}}"#), &[]));
    for file in files {
        for chunk in [1000, 4096, usize::MAX] {
            let _ = read_within_bounds(&file, chunk, None);
            let _ = read_within_bounds(&file, chunk, Some(file.len() as u64));
        }
    }
}

/// A careless parser quotes the whole of an unexpected string, escaped.
#[test]
fn errors_quote_nothing_long() {
    let text = "\u{7f}".repeat(100_000);
    for before in [
        r#""a":"#,
        r#""a":{"shape":"#,
        r#""a":{"shape":["#,
        r#""__metadata__":"#,
    ] {
        let file = safetensors(&format!("{{{before}\"{text}\""), &[]);
        let (result, peak) = peak_of(|| read_within_bounds(&file, usize::MAX, None));
        assert!(matches!(result, Err(WeightsError::Json { .. })));
        assert!(
            peak < 4096,
            "{peak} bytes held for the error after {before}"
        );
    }
    let dtype = format!(r#"{{"a":{{"dtype":"{text}","shape":[1],"data_offsets":[0,1]}}}}"#);
    let error = read_within_bounds(&safetensors(&dtype, &[]), usize::MAX, None).unwrap_err();
    assert!(error.to_string().len() < 1000);
    for index in [
        format!("\"{text}\""),
        format!(r#"{{"weight_map":"{text}"}}"#),
    ] {
        let (result, peak) = peak_of(|| shard_index(index.as_bytes()));
        assert!(
            result.is_err() && peak < 4096,
            "{peak} bytes held for an error"
        );
    }
}

/// The bound above would hold for nothing if memory were not really counted.
#[test]
fn memory_is_counted() {
    let (_, peak) = peak_of(|| drop(vec![0u8; 1 << 20]));
    assert!((1 << 20..1 << 21).contains(&peak));
}

/// The bytes of a header are not kept once it is read.
#[test]
fn header_bytes_are_freed() {
    let header = format!(r#"{{"__metadata__":{{"a":"{}"}}}}"#, " ".repeat(1 << 20));
    let file = safetensors(&header, &[]);
    let before = HELD.get();
    let mut stream = FileStream::new();
    for chunk in file.chunks(1000) {
        stream.push(chunk, &mut Tally::default()).unwrap();
    }
    let held = HELD.get() - before;
    assert!(
        stream.header().is_some() && held < (1 << 20) + 4096,
        "{held} bytes held"
    );
}
