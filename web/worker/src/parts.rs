//! What the engine does for the tabs, each in a part of the program that is fetched when it is first
//! asked for. What writes text, the first thing a page does, is always there.

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use glassformer_engine::browser::see_file;
use glassformer_engine::images::{Preprocessing, Seen};
use glassformer_engine::protocol::attention::{AttendTo, AttentionSummary, MapOf};
use glassformer_engine::protocol::{
    Event, MaskRequest, MaskResult, TextsRead, TranslateRequest, Translated, Why, WhyRequest,
};
use glassformer_engine::tasks::attention::Focus;
use glassformer_engine::{Cancel, Engine, EngineError};
use wasm_split_helpers::wasm_split;
use web_sys::File;

/// Work that has begun; or the part that does it did not arrive.
type Begun<'a, T> = Result<LocalBoxFuture<'a, Result<T, EngineError>>, EngineError>;

/// Hears what happens on the way.
type Emit<'a> = &'a mut (dyn FnMut(Event) + 'a);

#[wasm_split(fill_mask, fallible)]
pub fn fill_mask<'a>(
    engine: &'a mut Engine,
    request: &'a MaskRequest,
    emit: Emit<'a>,
    cancel: &'a Cancel,
) -> Begun<'a, MaskResult> {
    Ok(engine.fill_mask(request, emit, cancel).boxed_local())
}

#[wasm_split(translate, fallible)]
pub fn translate<'a>(
    engine: &'a mut Engine,
    request: &'a TranslateRequest,
    emit: Emit<'a>,
    cancel: &'a Cancel,
) -> Begun<'a, Translated> {
    Ok(engine.translate(request, emit, cancel).boxed_local())
}

/// A text or two to look at, as [`Engine::attend_to`] takes them.
pub struct Attended<'a> {
    pub run: u32,
    pub to: AttendTo,
    pub text: &'a str,
    pub second: Option<&'a str>,
}

#[wasm_split(attention, fallible)]
pub fn attend<'a>(
    engine: &'a mut Engine,
    of: Attended<'a>,
    emit: Emit<'a>,
    cancel: &'a Cancel,
) -> Begun<'a, AttentionSummary> {
    let Attended {
        run,
        to,
        text,
        second,
    } = of;
    let attended = engine.attend_to(run, to, text, second, emit, cancel);
    Ok(attended.boxed_local())
}

#[wasm_split(attention, fallible)]
pub fn attend_picture<'a>(
    engine: &'a mut Engine,
    run: u32,
    seen: &'a Seen,
    emit: Emit<'a>,
    cancel: &'a Cancel,
) -> Begun<'a, AttentionSummary> {
    let attended = engine.attend_picture(run, seen, emit, cancel);
    Ok(attended.boxed_local())
}

#[wasm_split(attention, fallible)]
pub fn attention_map(engine: &mut Engine, run: u32, of: MapOf) -> Begun<'_, Vec<f32>> {
    Ok(engine.attention_map(run, of).boxed_local())
}

#[wasm_split(attention, fallible)]
pub fn attention_focus(
    engine: &mut Engine,
    run: u32,
    [layer, head, from]: [u32; 3],
) -> Begun<'_, Focus> {
    let focus = engine.attention_focus(run, layer, head, from);
    Ok(focus.boxed_local())
}

#[wasm_split(matching, fallible)]
pub fn see_picture<'a>(file: &'a File, preprocessing: &'a Preprocessing) -> Begun<'a, Seen> {
    Ok(see_file(file, preprocessing).boxed_local())
}

#[wasm_split(matching, fallible)]
pub fn see<'a>(
    engine: &'a mut Engine,
    pictures: &'a [Seen],
    emit: Emit<'a>,
    cancel: &'a Cancel,
) -> Begun<'a, Vec<Vec<f32>>> {
    Ok(engine.see(pictures, emit, cancel).boxed_local())
}

#[wasm_split(matching, fallible)]
pub fn read_texts<'a>(
    engine: &'a mut Engine,
    texts: &'a [String],
    emit: Emit<'a>,
    cancel: &'a Cancel,
) -> Begun<'a, TextsRead> {
    Ok(engine.read_texts(texts, emit, cancel).boxed_local())
}

#[wasm_split(matching, fallible)]
pub fn explain<'a>(
    engine: &'a mut Engine,
    request: &'a WhyRequest,
    emit: Emit<'a>,
    cancel: &'a Cancel,
) -> Begun<'a, Why> {
    Ok(engine.explain(request, emit, cancel).boxed_local())
}
