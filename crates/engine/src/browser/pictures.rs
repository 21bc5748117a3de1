//! Pictures decoded by the browser, and prepared by the same code as in a shell.

use glassformer_images::{
    ImageError, MOST_BYTES, Narrowing, Preprocessing, Seen, check, check_size,
};
use js_sys::{Object, Reflect, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, ColorSpaceConversion, File, ImageBitmap, ImageBitmapOptions, OffscreenCanvas,
    OffscreenCanvasRenderingContext2d,
};

use super::{reason, scope};
use crate::EngineError;

/// Pixels of a strip that is read back at once: four megabytes.
const STRIP: usize = 1 << 20;

/// What a model sees of a file.
///
/// # Errors
/// If it is no picture, is damaged, or does not fit into memory.
pub async fn see_file(file: &File, preprocessing: &Preprocessing) -> Result<Seen, EngineError> {
    let name = file.name();
    if file.size() > MOST_BYTES as f64 {
        let most = MOST_BYTES >> 20;
        return Err(ImageError::TooManyBytes { file: name, most }.into());
    }
    let unreadable = |error: &wasm_bindgen::JsValue| EngineError::Read {
        file: name.clone(),
        reason: reason(error),
    };
    let bytes = JsFuture::from(file.array_buffer()).await;
    let bytes = bytes.map_err(|error| unreadable(&error))?;
    // The size is known before the browser is asked to decode.
    check(&name, &Uint8Array::new(&bytes).to_vec())?;
    let bitmap = decoded(file).await;
    let bitmap = bitmap.map_err(|_| ImageError::Damaged {
        file: name.clone(),
        reason: "this browser cannot read it".into(),
    })?;
    let (width, height) = (bitmap.width() as usize, bitmap.height() as usize);
    check_size(&name, width, height)?;
    let mut narrowing = Narrowing::new(preprocessing, [height, width]);
    let read = strips(&bitmap, &mut narrowing);
    bitmap.close();
    read.map_err(|error| ImageError::Damaged {
        file: name.clone(),
        reason: reason(&error),
    })?;
    Ok(narrowing.finish())
}

/// The first frame, turned as EXIF says, its colours as the file has them.
async fn decoded(blob: &Blob) -> Result<ImageBitmap, wasm_bindgen::JsValue> {
    let options = ImageBitmapOptions::new();
    // Processors of checkpoints do not know colour profiles either.
    options.set_color_space_conversion(ColorSpaceConversion::None);
    let promise = scope().create_image_bitmap_with_blob_and_image_bitmap_options(blob, &options)?;
    JsFuture::from(promise).await?.dyn_into()
}

/// Reads a picture on white, strip by strip.
fn strips(bitmap: &ImageBitmap, narrowing: &mut Narrowing) -> Result<(), wasm_bindgen::JsValue> {
    let (width, height) = (bitmap.width(), bitmap.height());
    let rows = narrowing.takes_rows();
    let (across, along) = if rows {
        (width, height)
    } else {
        (height, width)
    };
    let step = (STRIP as u32 / across.max(1)).clamp(1, along.max(1));
    let (w, h) = if rows { (width, step) } else { (step, height) };
    let canvas = OffscreenCanvas::new(w, h)?;
    let options = Object::new();
    Reflect::set(&options, &"willReadFrequently".into(), &true.into())?;
    let context = canvas.get_context_with_context_options("2d", &options)?;
    let context = context.ok_or("this browser has no canvas here")?;
    let context: OffscreenCanvasRenderingContext2d = context.dyn_into()?;
    let mut done = 0;
    while done < along {
        let count = step.min(along - done);
        context.set_fill_style_str("#ffffff");
        context.fill_rect(0.0, 0.0, w.into(), h.into());
        let shift = -f64::from(done);
        let (x, y) = if rows { (0.0, shift) } else { (shift, 0.0) };
        context.draw_image_with_image_bitmap(bitmap, x, y)?;
        let (w, h) = if rows { (w, count) } else { (count, h) };
        let data = context.get_image_data(0.0, 0.0, w.into(), h.into())?.data();
        let (pixels, _) = data.as_chunks::<4>();
        let strip: Vec<u8> = pixels.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect();
        narrowing.push(&strip, count as usize);
        done += count;
    }
    Ok(())
}
