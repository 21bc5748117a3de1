//! The wall: every head of every layer as a thumbnail, or as one number.

use std::sync::Arc;

use glassformer_engine::protocol::attention::HeadStats;
use leptos::html::{Canvas, Div};
use leptos::prelude::*;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use super::colour::{Paint, Palette};
use super::options::{HeadId, MOST_HEADS, Options, Wall, change};
use super::paint::image;
use super::shown::Shown;
use super::text::Text;
use crate::components::canvas;
use crate::components::term::{DISTANCE, ENTROPY, Term};
use crate::components::theme::Dark;
use crate::model::now_seconds;

/// Where the thumbnails are.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Grid {
    layers: usize,
    heads: usize,
    /// Heads that read the same keys stand together.
    group: usize,
    cell: f64,
}

const LEFT: f64 = 26.0;
const TOP: f64 = 20.0;
const GAP: f64 = 3.0;
const GROUP_GAP: f64 = 5.0;

impl Grid {
    fn new(shown: &Shown, room: f64) -> Self {
        let shape = shown.summary.shape;
        let [layers, heads, kv_heads] =
            [shape.layers, shape.heads, shape.kv_heads.max(1)].map(|n| n as usize);
        let mut grid = Self {
            layers,
            heads,
            group: (heads / kv_heads).max(1),
            cell: 0.0,
        };
        let free = room - LEFT - 4.0 - grid.gaps(heads);
        grid.cell = (free / heads.max(1) as f64).floor().clamp(12.0, 44.0);
        grid
    }

    /// All gaps before a head.
    fn gaps(&self, head: usize) -> f64 {
        let groups = if self.group > 1 { head / self.group } else { 0 };
        head as f64 * GAP + groups as f64 * GROUP_GAP
    }

    fn x(&self, head: usize) -> f64 {
        LEFT + head as f64 * self.cell + self.gaps(head)
    }

    fn y(&self, layer: usize) -> f64 {
        TOP + layer as f64 * (self.cell + GAP)
    }

    fn size(&self) -> [f64; 2] {
        [self.x(self.heads) + 4.0, self.y(self.layers) + 2.0]
    }

    fn hit(&self, x: f64, y: f64) -> Option<HeadId> {
        let layer = ((y - TOP) / (self.cell + GAP)).floor();
        let inside = layer >= 0.0 && (layer as usize) < self.layers;
        let head = (0..self.heads).find(|h| x >= self.x(*h) && x < self.x(*h) + self.cell + GAP)?;
        inside.then_some((layer as usize, head))
    }
}

/// A head's number as the wall shows it: where on the scale, and in digits.
fn number(shown: &Shown, wall: Wall, index: usize) -> (f32, f32) {
    let stats = &shown.summary.stats;
    let value = match wall {
        Wall::Distance => stats[index].distance,
        _ => stats[index].entropy,
    };
    let all = stats.iter().map(|each| match wall {
        Wall::Distance => each.distance,
        _ => each.entropy,
    });
    let largest = all.fold(1e-6, f32::max);
    // The scale is that of the square root; numbers here are drawn as they are.
    ((value / largest).powi(2), value)
}

fn paint(
    context: &CanvasRenderingContext2d,
    shown: &Shown,
    grid: Grid,
    options: &Options,
    hover: Option<HeadId>,
    palette: Palette,
) {
    let css = |paint| palette.css(paint);
    context.set_font("11px ui-monospace, Menlo, Consolas, \"DejaVu Sans Mono\", monospace");
    context.set_fill_style_str(&css(Paint::Soft));
    context.set_text_align("center");
    // What a browser refuses to paint is left out, here and below.
    for head in 0..grid.heads {
        let _ = context.fill_text(&head.to_string(), grid.x(head) + grid.cell / 2.0, TOP - 7.0);
    }
    context.set_text_align("right");
    for layer in 0..grid.layers {
        let y = grid.y(layer) + grid.cell / 2.0 + 4.0;
        let _ = context.fill_text(&layer.to_string(), LEFT - 7.0, y);
    }
    let side = shown.summary.side as usize;
    if options.wall == Wall::Maps {
        let causal = shown.summary.shape.causal;
        let atlas = image(
            grid.layers * side,
            grid.heads * side,
            palette,
            |row, column| {
                let (layer, i) = (row / side, row % side);
                let (head, j) = (column / side, column % side);
                let at = ((layer * grid.heads + head) * side + i) * side + j;
                (!causal || j <= i).then(|| shown.thumbnails.get(at).copied().unwrap_or(0.0))
            },
        );
        if let Ok(atlas) = atlas {
            context.set_image_smoothing_enabled(side as f64 > grid.cell);
            let s = side as f64;
            for (layer, head) in grid.all() {
                let (x, y) = (grid.x(head), grid.y(layer));
                let (sx, sy) = (head as f64 * s, layer as f64 * s);
                let _ = context
                    .draw_image_with_html_canvas_element_and_sw_and_sh_and_dx_and_dy_and_dw_and_dh(
                        &atlas, sx, sy, s, s, x, y, grid.cell, grid.cell,
                    );
            }
        }
    } else {
        context.set_text_align("center");
        for (layer, head) in grid.all() {
            let (place, value) = number(shown, options.wall, layer * grid.heads + head);
            let (x, y) = (grid.x(head), grid.y(layer));
            context.set_fill_style_str(&css(Paint::Scale(place)));
            context.fill_rect(x, y, grid.cell, grid.cell);
            if grid.cell >= 24.0 {
                context.set_fill_style_str(&css(Paint::OnScale(place)));
                let (x, y) = (x + grid.cell / 2.0, y + grid.cell / 2.0 + 4.0);
                let _ = context.fill_text(&format!("{value:.1}"), x, y);
            }
        }
    }
    let frame = |(layer, head): HeadId, paint: Paint, width: f64| {
        context.set_stroke_style_str(&css(paint));
        context.set_line_width(width);
        let (x, y) = (grid.x(head) - 1.0, grid.y(layer) - 1.0);
        context.stroke_rect(x, y, grid.cell + 2.0, grid.cell + 2.0);
    };
    for each in grid.all() {
        frame(each, Paint::Line, 1.0);
    }
    let drawn = options.shown();
    for (i, each) in drawn.iter().enumerate().rev() {
        let paint = if drawn.len() == 1 {
            Paint::Accent
        } else {
            Paint::Hue(i)
        };
        frame(*each, paint, 3.0);
    }
    if let Some(each) = hover {
        frame(each, Paint::Ink, 1.5);
    }
}

impl Grid {
    fn all(self) -> impl Iterator<Item = HeadId> {
        (0..self.layers).flat_map(move |layer| (0..self.heads).map(move |head| (layer, head)))
    }
}

/// The chosen head and those drawn over it.
type Heads = (Option<HeadId>, Vec<HeadId>);

/// Chooses a head, or draws it over the chosen one.
pub fn choose(text: Text, head: HeadId, over: bool) {
    change(text.desk(), |options| {
        if !over || options.head.is_none() {
            options.head = Some(head);
            return;
        }
        match options.others.iter().position(|each| *each == head) {
            Some(at) => {
                options.others.remove(at);
            }
            None if options.head != Some(head) && options.others.len() < MOST_HEADS - 1 => {
                options.others.push(head);
            }
            None => {}
        }
    });
}

/// The wall of one text.
#[component]
pub fn HeadWall(
    /// Whose heads.
    text: Text,
    /// How they are drawn.
    options: Memo<Options>,
) -> impl IntoView {
    let Dark(dark) = expect_context();
    let room = NodeRef::<Div>::new();
    let node = NodeRef::<Canvas>::new();
    let width = canvas::width_of(room);
    let hover = RwSignal::new(None::<HeadId>);
    let over = RwSignal::new(false);
    // The heads that were drawn before a click, and those that an isolated one stands in for.
    let before = StoredValue::new(Heads::default());
    let isolated = StoredValue::new(None::<(HeadId, Heads)>);
    let grid = Memo::new(move |_| {
        let shown = text.shown.get()?;
        Some(Grid::new(&shown, width.get()))
    });
    Effect::new(move |_| {
        let (Some(canvas), Some(shown), Some(grid)) = (node.get(), text.shown.get(), grid.get())
        else {
            return;
        };
        let begun = now_seconds();
        draw(
            &canvas,
            &shown,
            grid,
            &options.get(),
            hover.get(),
            Palette::new(dark.get()),
        );
        let _ = canvas.set_attribute(
            "data-draw-ms",
            &format!("{:.2}", (now_seconds() - begun) * 1e3),
        );
    });
    let at = move |x: i32, y: i32| grid.get_untracked()?.hit(f64::from(x), f64::from(y));
    // The head that is pointed at, or the chosen one, and its numbers.
    let pointed = Memo::new(move |_| {
        let (layer, head) = hover.get().or(options.with(|options| options.head))?;
        let shown = text.shown.get()?;
        let index = layer * shown.summary.shape.heads as usize + head;
        let stats = *shown.summary.stats.get(index)?;
        Some(((layer, head), stats, shown))
    });
    let said = move |say: &dyn Fn(HeadId, &HeadStats, &Shown) -> String| {
        pointed.with(|pointed| {
            let (head, stats, shown) = pointed.as_ref()?;
            Some(say(*head, stats, shown))
        })
    };
    let named = move || {
        said(&|(layer, head), stats, shown| {
            format!("Layer {layer}, head {head}: {}", shown.does(stats))
        })
    };
    let entropy = move || said(&|_, stats, _| format!(" {:.2} bits · mean ", stats.entropy));
    let distance =
        move || said(&|_, stats, shown| format!(" {:.1} {}", stats.distance, shown.places()));
    let line = move || match (named(), entropy(), distance()) {
        (Some(named), Some(entropy), Some(distance)) => {
            format!("{named} · entropy{entropy}distance{distance}")
        }
        _ => String::new(),
    };
    let step = move |key: &str, shift: bool| -> bool {
        let Some(grid) = grid.get_untracked() else {
            return false;
        };
        let (layer, head) = options.get_untracked().head.unwrap_or((0, 0));
        let next = match key {
            "ArrowLeft" => (layer, head.saturating_sub(1)),
            "ArrowRight" => (layer, (head + 1).min(grid.heads - 1)),
            "ArrowUp" => (layer.saturating_sub(1), head),
            "ArrowDown" => ((layer + 1).min(grid.layers - 1), head),
            "Home" => (0, 0),
            "End" => (grid.layers - 1, grid.heads - 1),
            "Enter" | " " => {
                if shift || over.get_untracked() {
                    change(text.desk(), |options| {
                        let here = (layer, head);
                        options.others.retain(|each| *each != here);
                        options.others.insert(0, here);
                        options.others.truncate(MOST_HEADS - 1);
                    });
                }
                return true;
            }
            _ => return false,
        };
        choose(text, next, false);
        true
    };
    let drawn = move || options.with_untracked(|options| (options.head, options.others.clone()));
    // One head alone, and back. The first click of the two has chosen it already.
    let isolate = move |head: HeadId| {
        let alone = (Some(head), Vec::new());
        let before = before.get_value();
        let kept = isolated.get_value().filter(|(of, _)| *of == head);
        let next = match kept {
            Some((_, heads)) if before == alone => {
                isolated.set_value(None);
                heads
            }
            _ => {
                isolated.set_value(Some((head, before)));
                alone
            }
        };
        change(text.desk(), |options| (options.head, options.others) = next);
    };
    // Pictures are not drawn over each other.
    let pictured = move || {
        text.shown
            .with(|shown| shown.as_ref().is_some_and(|shown| shown.seen.is_some()))
    };
    let grouped = move || {
        let group = grid.get().map_or(1, |grid| grid.group);
        (group > 1).then(|| {
            format!("Heads that stand together ({group} each) read the same keys and values.")
        })
    };
    view! {
        <div class="wall">
            <div class="wall-room" node_ref=room>
                <canvas
                    node_ref=node
                    tabindex="0"
                    role="img"
                    data-testid="attention-wall"
                    aria-label=move || format!("Heads of all layers; arrow keys choose one. {}", line())
                    on:mousemove=move |event| hover.set(at(event.offset_x(), event.offset_y()))
                    on:mouseleave=move |_| hover.set(None)
                    on:click=move |event| {
                        // The second click of two belongs to the double click.
                        let first = event.detail() < 2;
                        if let Some(head) = at(event.offset_x(), event.offset_y()).filter(|_| first) {
                            before.set_value(drawn());
                            choose(text, head, over.get_untracked() || event.shift_key());
                        }
                    }
                    on:dblclick=move |event| {
                        if let Some(head) = at(event.offset_x(), event.offset_y()) {
                            isolate(head);
                        }
                    }
                    on:keydown=move |event| {
                        if step(&event.key(), event.shift_key()) {
                            event.prevent_default();
                        }
                    }
                ></canvas>
            </div>
            <div>
                <p class="wall-line" data-testid="attention-head-line" hidden=move || pointed.with(Option::is_none)>
                    {named}
                    " · "
                    <Term word="entropy" means=ENTROPY/>
                    {entropy}
                    <Term word="distance" means=DISTANCE/>
                    {distance}
                </p>
                {move || grouped().map(|words| view! { <p class="hint">{words}</p> })}
                <label class="check" hidden=pictured>
                    <input type="checkbox" prop:checked=over on:change:target=move |event| over.set(event.target().checked())/>
                    <span>"Draw heads over each other"</span>
                </label>
            </div>
        </div>
    }
}

fn draw(
    canvas: &HtmlCanvasElement,
    shown: &Arc<Shown>,
    grid: Grid,
    options: &Options,
    hover: Option<HeadId>,
    palette: Palette,
) {
    let [width, height] = grid.size();
    if let Some(context) = canvas::prepare(canvas, width, height) {
        paint(&context, shown, grid, options, hover, palette);
    }
}
